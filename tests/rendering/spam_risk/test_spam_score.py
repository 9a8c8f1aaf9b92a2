"""Laws of the score: it is the sum of its parts, bounded, deterministic, and never falls when a bad thing is added."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailtypes.auth import AuthFacts, Finding
from rendering.spam_risk import (
    Band,
    Block,
    InfrastructureFacts,
    MessageFileError,
    ScoredMessage,
    SpamRisk,
    assess,
    compare,
    read_message,
)
from rendering.spam_risk.words import FEW_WORDS_KNOWN

NEWSLETTER = ScoredMessage(
    "What is new in March",
    '<html><body><p style="font-size:16px">Hi Dana, here is what we built this month.</p>'
    '<p><a href="https://acme.test/new">Read about the new reports</a></p></body></html>',
    "Hi Dana, here is what we built this month.\n\nRead about the new reports (https://acme.test/new)\n",
)
SPAM = ScoredMessage(
    "MAKE MONEY FAST!!!",
    "<html><body><font size=6 color=red>ACT NOW!!! 100% FREE</font> Earn extra income, no risk, satisfaction"
    ' guaranteed! <a href="http://192.0.2.1/">Click here</a> to be removed.</body></html>',
    None,
)
HEBREW_SALE = ScoredMessage(
    "מבצע סוף עונה: עד 40% הנחה",
    '<html dir="rtl" lang="he"><body><p>שלום דנה,</p><p>עד 40% הנחה על כל הקולקציה, לזמן מוגבל. משלוח חינם.</p>'
    '<p><a href="https://shop.test/s">לצפייה בקולקציה</a></p></body></html>',
    "שלום דנה,\n\nעד 40% הנחה על כל הקולקציה, לזמן מוגבל. משלוח חינם.\n\nלצפייה בקולקציה (https://shop.test/s)\n",
)
GOOD = AuthFacts(Finding.PRESENT, Finding.PRESENT, Finding.PRESENT, "reject", True, Finding.PRESENT)
ADDITIONS = (
    "<script>1</script>",
    "<form></form>",
    '<img src="data:image/png;base64,AA==">',
    "<iframe></iframe>",
    '<a href="http://192.0.2.9/"></a>',
    '<a href="https://bit.ly/x"></a>',
    "!!!",
    "\u200b",
    '<p style="color:white">.........................................</p>',
    '<p style="font-size:1px">------------------------------------------</p>',
    "\x92\x92",
    "הלוואה מיידית",
)


def test_a_newsletter_is_low_and_spam_is_high() -> None:
    assert assess(NEWSLETTER).band is Band.LOW
    assert assess(SPAM).band is Band.HIGH
    assert assess(SPAM).score == 10


def test_a_hebrew_sale_is_told_and_not_condemned() -> None:
    risk = assess(HEBREW_SALE)
    told = {reason.code: reason for reason in risk.reasons}
    assert {"hebrew-price", "hebrew-urgency", "hebrew-free"} <= set(told)
    assert not told["hebrew-free"].is_calibrated
    assert risk.band is not Band.HIGH
    assert FEW_WORDS_KNOWN in risk.unknown
    place = told["hebrew-price"].place
    assert place is not None
    assert (place.part, place.line, place.column, place.excerpt) == ("subject", 1, 16, "עד 40% הנחה")


def assert_sums_up(risk: SpamRisk) -> None:
    content = risk.baseline + sum(reason.weight for reason in risk.of_block(Block.CONTENT))
    assert risk.content == pytest.approx(min(10, max(0, content)), abs=0.006)
    assert risk.score == pytest.approx(min(10, risk.content + risk.authentication + risk.infrastructure), abs=0.006)
    assert 0 <= risk.score <= 10


FINDINGS = st.sampled_from(Finding)
FACTS = st.builds(AuthFacts, FINDINGS, FINDINGS, FINDINGS, st.none(), st.booleans(), FINDINGS)
MACHINES = st.builds(
    InfrastructureFacts, FINDINGS, FINDINGS, FINDINGS, FINDINGS, st.just(()), st.none() | st.timedeltas()
)
FRAGMENTS = st.lists(
    st.sampled_from(
        ("<p>", "</p>", "<b", "<!--", "-->", '"', "<a href='", ">", "free", "ACT NOW", "!", "שלום", "&lt;", " ")
    )
    | st.text(max_size=5),
    max_size=30,
).map("".join)


@settings(max_examples=150, deadline=None)
@given(FRAGMENTS, FRAGMENTS, st.none() | FRAGMENTS, st.none() | FACTS, MACHINES)
def test_a_score_is_the_sum_of_its_parts(
    subject: str, html: str, plain: str | None, auth: AuthFacts | None, machines: InfrastructureFacts
) -> None:
    message = ScoredMessage(subject, html, plain)
    risk = assess(message, auth, machines)
    assert_sums_up(risk)
    assert risk == assess(message, auth, machines)
    assert len({reason.code for reason in risk.reasons}) == len(risk.reasons)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from((NEWSLETTER, SPAM, HEBREW_SALE)), st.lists(st.sampled_from(ADDITIONS), max_size=4))
def test_a_bad_thing_more_never_lowers_the_score(message: ScoredMessage, additions: list[str]) -> None:
    before = assess(message)
    for addition in additions:
        assert message.html is not None
        message = replace(message, html=message.html.replace("</body>", addition + "</body>"))
        after = assess(message)
        assert after.content >= before.content
        before = after


@given(FACTS, MACHINES, st.sampled_from(("spf", "dkim", "dmarc", "fcrdns")))
@settings(max_examples=60, deadline=None)
def test_unknown_is_neither_good_nor_bad(auth: AuthFacts, machines: InfrastructureFacts, field: str) -> None:
    machines = replace(machines, fcrdns=Finding.UNKNOWN)
    scores = {state: assess(NEWSLETTER, replace(auth, **{field: state}), machines) for state in Finding}
    assert scores[Finding.UNKNOWN].score == scores[Finding.PRESENT].score <= scores[Finding.ABSENT].score
    assert len(scores[Finding.UNKNOWN].unknown) == len(scores[Finding.PRESENT].unknown) + 1


def test_what_is_known_of_the_sender_is_weighed() -> None:
    bad = AuthFacts(Finding.ABSENT, Finding.ABSENT, Finding.ABSENT, None, False, Finding.ABSENT)
    machines = InfrastructureFacts(
        helo=Finding.ABSENT,
        tls=Finding.ABSENT,
        block_listing=Finding.PRESENT,
        listed_on=("bl.example",),
        domain_age=timedelta(days=3),
    )
    risk = assess(NEWSLETTER, bad, machines)
    assert {reason.code for reason in risk.of_block(Block.AUTHENTICATION)} == {
        *("spf-missing", "dkim-missing", "dmarc-missing", "one-click-missing"),
    }
    infrastructure = {reason.code: reason for reason in risk.of_block(Block.INFRASTRUCTURE)}
    assert set(infrastructure) == {
        *("reverse-name-missing", "helo-unresolved", "tls-missing", "block-listed", "young-domain"),
    }
    assert "bl.example" in infrastructure["block-listed"].sentence
    assert risk.score == 10
    assert risk.unknown == (FEW_WORDS_KNOWN,)
    clean = InfrastructureFacts(Finding.PRESENT, Finding.PRESENT, Finding.PRESENT, Finding.ABSENT, (), timedelta(400))
    assert assess(NEWSLETTER, GOOD, clean).score == assess(NEWSLETTER).score


def test_friendly_words_do_not_outweigh_a_missing_signature() -> None:
    assert assess(NEWSLETTER).content == 0
    assert assess(NEWSLETTER, replace(GOOD, dkim=Finding.ABSENT)).score == 2


def seconds(piece: str, part: str, octets: int) -> float:
    text = piece * (octets // len(piece))
    message = replace(ScoredMessage(text[:1000], None, None), **{part: text})
    begin = time.process_time()
    assess(message)
    return time.process_time() - begin


@pytest.mark.parametrize(
    "piece",
    ["<", "<b>", "</b>", '<a href="', "<a b=c ", "&amp", "<!--", "a.", "$1", "x@", "http://a", "aб", "a0", "!", "V i "],
)
@pytest.mark.parametrize("part", ["html", "plain_text"])
def test_hostile_input_takes_linear_time(piece: str, part: str) -> None:
    seconds(piece, part, 1_000)
    # Quadratic would be 64 times; another program's turn on the core may spoil some of the pairs, not all.
    pairs = ((seconds(piece, part, 20_000), seconds(piece, part, 160_000)) for _ in range(8))
    assert any(large < max(0.5, 32 * small) for small, large in pairs)


@pytest.mark.parametrize(("piece", "part"), [("<b>", "html"), ("x@a.", "plain_text")])
def test_a_megabyte_is_scored_in_seconds(piece: str, part: str) -> None:
    assert seconds(piece, part, 1_000_000) < 15


def test_a_long_mail_is_cut_and_says_so() -> None:
    assert any("very long" in sentence for sentence in assess(ScoredMessage("x", None, "word " * 50_000)).unknown)


def test_changes_against_the_last_campaigns() -> None:
    usual = assess(NEWSLETTER)
    changes = compare(assess(SPAM), [usual, usual, assess(HEBREW_SALE)])
    assert changes is not None
    assert changes.compared == 3
    assert changes.difference == pytest.approx(10 - usual.score)
    assert "wording-earnings" in {reason.code for reason in changes.new}
    back = compare(usual, [assess(SPAM), assess(SPAM), usual])
    assert back is not None
    assert not back.new
    assert "wording-earnings" in back.gone
    assert compare(usual, []) is None
    same = compare(usual, [usual])
    assert same is not None
    assert (same.difference, same.new, same.gone) == (0, (), ())


def test_a_message_file_is_read() -> None:
    octets = (
        b"From: a@b.test\nSubject: =?utf-8?b?16nXnNeV150=?= =?utf-8?q?_now?=\nMIME-Version: 1.0\n"
        b'Content-Type: multipart/alternative; boundary="x"\n\n--x\nContent-Type: text/plain; charset=utf-8\n'
        b"Content-Transfer-Encoding: base64\n\n16nXnNeV150=\n--x\nContent-Type: text/html; charset=windows-1255\n"
        b"Content-Transfer-Encoding: quoted-printable\n\n<p>=F9=EC=E5=ED</p>\n--x\n"
        b"Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n\nviagra\n--x--\n"
    )
    assert read_message(octets) == ScoredMessage("שלום now", "<p>שלום</p>", "שלום")
    assert read_message(octets.replace(b"\n", b"\r\n")) == read_message(octets)


def test_what_a_signature_covers_is_read() -> None:
    octets = (
        b'Subject: x\nContent-Type: multipart/signed; boundary="s"; protocol="application/pgp-signature"\n\n'
        b'--s\nContent-Type: multipart/alternative; boundary="a"\n\n--a\nContent-Type: text/plain\n\nHello\n'
        b"--a\nContent-Type: text/html\n\n<p>Hello</p>\n--a--\n\n--s\nContent-Type: application/pgp-signature\n\n"
        b"viagra\n--s--\n"
    )
    assert read_message(octets) == ScoredMessage("x", "<p>Hello</p>", "Hello")
    assert read_message(octets.replace(b"\n--s\nContent-Type: app", b"\n--t")).plain_text is not None


@pytest.mark.parametrize("octets", [b"", b"<html>", b"no header at all\n\nx", b"\x00\xff" * 100])
def test_what_is_no_message_is_refused(octets: bytes) -> None:
    with pytest.raises(MessageFileError) as caught:
        read_message(octets)
    assert caught.value.next_step


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_any_octets_behind_a_header_are_read(octets: bytes) -> None:
    assert_sums_up(assess(read_message(b"Subject: x\nContent-Type: text/html\n" + octets)))


def test_octets_outside_the_named_charset_are_counted() -> None:
    message = read_message(b"Subject: x\nContent-Type: text/plain; charset=us-ascii\n\ncaf\xe9s and na\xefve\n")
    assert message.charset_faults == 2
    assert message.plain_text == "cafés and naïve\n"
    assert "charset-faults" in {reason.code for reason in assess(message).reasons}
