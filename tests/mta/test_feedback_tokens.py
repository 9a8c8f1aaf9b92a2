import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtypes.domain import DomainName
from mta.feedback_token import FeedbackKey
from mta.message_id import make_message_id, read_message_id
from mta.verp import make_verp, read_verp

OLD, NEW, OTHER = FeedbackKey(1, b"o" * 32), FeedbackKey(2, b"n" * 32), FeedbackKey(1, b"x" * 32)
IDS = st.integers(0, 2**64 - 1)
DOMAIN = DomainName("sender.test")


@given(IDS, st.booleans())
def test_verp_reads_back_in_any_case_and_with_any_live_key(delivery_id, upper):
    local_part = make_verp(delivery_id, OLD)
    assert len(local_part) <= 64
    assert read_verp(local_part.upper() if upper else local_part, [NEW, OLD]) == delivery_id
    assert read_verp(local_part, [NEW]) is None
    assert read_verp(local_part, [OTHER]) is None


@given(IDS, st.integers(2, 33), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_one_changed_letter_is_refused(delivery_id, at, letter):
    local_part = make_verp(delivery_id, OLD)
    forged = local_part[:at] + letter + local_part[at + 1 :]
    assert read_verp(forged, [OLD, NEW]) == (delivery_id if forged == local_part else None)


@given(st.text(max_size=70))
def test_any_text_is_read_without_raising(text):
    assert read_verp(text, [OLD]) is None
    assert read_verp("b-" + text, [OLD]) is None
    assert read_message_id(text, [OLD]) is None


@given(IDS)
def test_message_id(delivery_id):
    message_id = make_message_id(delivery_id, DOMAIN, NEW)
    assert message_id == make_message_id(delivery_id, DOMAIN, NEW)
    assert read_message_id(f" {message_id} ", [OLD, NEW]) == delivery_id
    assert read_message_id(message_id.strip("<>"), [NEW]) == delivery_id
    # A token of one kind is worth nothing as the other.
    assert read_verp("b-" + message_id[1:33], [NEW]) is None


def test_pinned_forms():
    # Mail with these lies in mailboxes for years: the forms may never change.
    assert make_verp(1, OLD) == "b-aeaaaaaaaaaaaajbwkb55il3vb7ssbtq"
    assert make_message_id(1, DOMAIN, OLD) == "<aeaaaaaaaaaaaapkrxtt46pp7yvrdzpp@sender.test>"


@pytest.mark.parametrize(("key_id", "secret"), [(256, b"o" * 32), (-1, b"o" * 32), (1, b"short")])
def test_keys_are_checked_and_hidden(key_id, secret):
    with pytest.raises(ValueError):
        FeedbackKey(key_id, secret)
    assert "ooo" not in repr(OLD)
