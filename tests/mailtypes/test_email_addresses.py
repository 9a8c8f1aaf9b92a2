import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtypes.address import AddressSyntaxError, EmailAddress

ATEXT = "abcXYZ019!#$%&'*+/=?^_`{|}~-"
local_parts = st.lists(st.text(alphabet=ATEXT + "אבגéßİK", min_size=1, max_size=6), min_size=1, max_size=4).map(
    ".".join
)
domains = st.sampled_from(["mailhub.test", "Bakery.TEST", "דואר.test", "xn--4dbfg1f.test", "a.b.c.test", "bücher.test"])


@given(local_parts, domains)
def test_kept_as_given_beside_its_key(local_part: str, domain: str) -> None:
    text = f"{local_part}@{domain}"
    address = EmailAddress.parse(f" {text}\t")
    assert (address.text, address.local_part, str(address)) == (text, local_part, text)
    assert address.smtp == f"{local_part}@{address.domain.ascii}"
    assert address.needs_smtputf8 == (not local_part.isascii())


@given(local_parts, domains)
def test_folding_twice_changes_nothing_and_letter_case_never_matters(local_part: str, domain: str) -> None:
    address = EmailAddress.parse(f"{local_part}@{domain}")
    assert EmailAddress.parse(address.key).key == address.key
    assert EmailAddress.parse(address.smtp).key == address.key
    if local_part.isascii():
        assert EmailAddress.parse(f"{local_part}@{domain}".upper()).key == address.key


def test_what_the_key_folds_and_what_it_does_not() -> None:
    def key(text: str) -> str:
        return EmailAddress.parse(text).key

    assert key("Joe@דואר.test") == key("joe@XN--4DBFG1F.test") == "joe@xn--4dbfg1f.test"
    assert key("jose\u0301@a.test") == key("josé@a.test")
    assert len({key("jo.e@a.test"), key("joe@a.test"), key("joe+x@a.test"), key("joe@b.test")}) == 4


@given(
    st.text(max_size=60)
    | st.text(alphabet="a@.\r\n\0 \u200b\u2028\ud800א,<>\"'", max_size=20).map(lambda t: f"a{t}@a.test")
)
def test_every_text_is_an_address_or_an_error_with_its_place(text: str) -> None:
    try:
        address = EmailAddress.parse(text)
    except AddressSyntaxError as error:
        _explains_itself(error, text)
    else:
        assert not any(forbidden in address.smtp for forbidden in "\r\n\0<> \t,\u2028\u200b")
        assert len(address.smtp.encode()) <= 254
        assert address.smtp.count("@") == 1


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("a..b@a.test", "a..b"),
        ("a b@a.test", " "),
        ("dana\r\nBcc@a.test", "\r"),
        ("dana@ba-.test", "ba-"),
        ("  dana@x.ba-.test ", "ba-"),
        ("a" * 65 + "@a.test", "a" * 65),
        ('"a"@a.test', '"a"'),
    ],
)
def test_the_fault_is_marked(text: str, marked: str) -> None:
    with pytest.raises(AddressSyntaxError) as caught:
        EmailAddress.parse(text)
    span = caught.value.span
    assert span is not None
    assert text[span.start : span.end] == marked


@pytest.mark.parametrize(
    "text", ["", "a", "@", "a@", "@a.test", "a@b", "a@_b.test", "a@[192.0.2.1]", "a@ b.test", "a@b@c.test"]
)
def test_texts_that_are_no_addresses(text: str) -> None:
    with pytest.raises(AddressSyntaxError):
        EmailAddress.parse(text)


def test_the_limits_of_rfc_5321() -> None:
    domain = ".".join(["d" * 62] * 3) + "."
    assert len(EmailAddress.parse(f"{'l' * 64}@{domain}").smtp) == 253
    with pytest.raises(AddressSyntaxError, match="254"):
        EmailAddress.parse(f"{'l' * 64}@{domain}co")


def _explains_itself(error: AddressSyntaxError, text: str) -> None:
    assert error.source == text
    assert error.span is None or error.span.end <= len(text)
    assert error.explain().startswith(error.message)
