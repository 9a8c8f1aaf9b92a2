import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtypes.smtp import EnhancedStatus, ReplySyntaxError, SmtpReply

texts = st.text(alphabet=st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=40)


@given(st.integers(200, 599), st.lists(texts, min_size=1, max_size=5))
def test_a_reply_is_read_as_it_was_written(code: int, lines: list[str]) -> None:
    written = [f"{code}-{line}" for line in lines[:-1]] + [f"{code} {lines[-1]}"]
    reply = SmtpReply.parse(written)
    assert (reply.code, reply.text) == (code, "\n".join(lines))
    assert [reply.is_positive, reply.is_transient, reply.is_permanent].count(True) == 1


@given(st.lists(st.text(max_size=12) | st.from_regex(r"[0-9]{3}[ -]?.{0,5}", fullmatch=True), max_size=4))
def test_every_list_of_lines_is_a_reply_or_an_error(lines: list[str]) -> None:
    try:
        reply = SmtpReply.parse(lines)
    except ReplySyntaxError:
        return
    assert 200 <= reply.code <= 599


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [""],
        ["25"],
        ["hello"],
        ["150 no such class"],
        ["650 no such class"],
        ["2500 four digits"],
        ["250ok"],
        ["25٣ other digits"],
        ["250-more to come"],
        ["250 the end", "250 and on"],
        ["250-one", "550 other"],
    ],
)
def test_lines_that_are_no_reply(lines: list[str]) -> None:
    with pytest.raises(ReplySyntaxError):
        SmtpReply.parse(lines)


def test_the_text_may_be_missing() -> None:
    # RFC 5321 section 4.2: a client must take a code without text, and without the space
    for line in ("250", "250 "):
        reply = SmtpReply.parse([line])
        assert (reply.code, reply.text) == (250, "")


@pytest.mark.parametrize(
    ("code", "text", "status"),
    [
        (550, "5.1.1 User unknown", EnhancedStatus(5, 1, 1)),
        (550, "5.7.515", EnhancedStatus(5, 7, 515)),
        (550, "5.1.1 one\n5.1.1 two", EnhancedStatus(5, 1, 1)),
        (450, "5.1.1 the classes disagree", None),
        (550, "see 5.1.1", None),
        (550, "5.1.1.1 a version", None),
        (550, "5.1", None),
        (550, "3.1.1 no such class", None),
        (550, "5.1000.1 too long", None),
        (550, "", None),
    ],
)
def test_the_enhanced_status_is_read_where_it_stands_first(code: int, text: str, status: EnhancedStatus | None) -> None:
    assert SmtpReply.of(code, text).enhanced_status == status


@given(st.sampled_from([2, 4, 5]), st.integers(0, 999), st.integers(0, 999))
def test_a_status_is_found_as_it_is_written(status_class: int, subject: int, detail: int) -> None:
    status = EnhancedStatus(status_class, subject, detail)
    assert EnhancedStatus.find(f"{status} text") == EnhancedStatus.find(str(status)) == status
