"""Laws of the reader: any octets are read or refused, in bounded work, and what it returns is bounded and clean."""

import re
import sys
from importlib import import_module
from pkgutil import iter_modules

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mta.bounce
from mta.bounce import BounceReport, BounceSyntaxError, ComplaintReport, NotABounce, read_bounce, split_mailbox
from mta.bounce.reports import MAX_OCTETS, MAX_RECIPIENTS

SEED = b"""From: MAILER-DAEMON@mx.test
Subject: failed
X-Failed-Recipients: a@b.test
Content-Type: multipart/report; report-type=delivery-status; boundary=b1

--b1
Content-Type: text/plain; charset=utf-8

<a@b.test>: host mx said: 550 5.1.1 user unknown (in reply to RCPT TO command)
>>> RCPT TO:<c@d.test>
550 5.1.2 <c@d.test>... Host unknown
--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.test

Original-Recipient: utf-8; d\\x{00F6}@b.test
Final-Recipient: rfc822; a@b.test
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 user unknown

--b1
Content-Type: message/feedback-report

Feedback-Type: abuse
Original-Rcpt-To: a@b.test
--b1
Content-Type: message/rfc822

Message-ID: <id@sender.test>
To: a@b.test

body
--b1--
"""


def check(octets: bytes) -> None:
    try:
        found = read_bounce(octets)
    except BounceSyntaxError:
        return
    if isinstance(found, BounceReport):
        assert 1 <= len(found.recipients) <= MAX_RECIPIENTS
        for one in found.recipients:
            texts = (one.address, one.diagnostic, one.classification.evidence)
            assert not any(letter in text for text in texts for letter in "\r\n\0")
            assert len(one.diagnostic) <= 2_000
            assert len(one.address) <= 320
            assert one.classification.is_recipient_dead <= one.classification.is_permanent
    elif isinstance(found, ComplaintReport):
        assert all("\n" not in address for address in found.recipients)
    else:
        assert isinstance(found, NotABounce)
        assert found.evidence
    original = found.original
    assert original is None or all("\n" not in value and len(value) <= 2_000 for _, value in original.fields)


@given(st.binary(max_size=600))
def test_any_octets(octets: bytes) -> None:
    check(octets)


@given(st.data())
@settings(max_examples=300)
def test_mutated_bounces(data: st.DataObject) -> None:
    octets = bytearray(SEED)
    for _ in range(data.draw(st.integers(1, 8))):
        start = data.draw(st.integers(0, len(octets)))
        end = min(len(octets), start + data.draw(st.integers(0, 40)))
        octets[start:end] = data.draw(
            st.binary(max_size=12) | st.sampled_from([b"\n\n", b"--b1\n", b"\x1b$B", b"@", b"<", b"{", b"\r"])
        )
    check(bytes(octets))


@given(st.text(max_size=400))
def test_any_text_for_people(text: str) -> None:
    check(b"From: mailer-daemon@mx.test\nSubject: failed\n\n" + text.encode("utf-8", "replace"))


def test_too_much_is_refused() -> None:
    with pytest.raises(BounceSyntaxError):
        read_bounce(b"From: a@b.test\n\n" + b"x" * MAX_OCTETS)


def hostile(unit: bytes, size: int) -> bytes:
    return b"From: mailer-daemon@mx.test\nSubject: failed\n\n" + unit * (size // len(unit))


UNITS = [
    *(
        b"a",
        b"@",
        b"a@",
        b"a.",
        b"a@a.",
        b"<",
        b"<a@b.test> ",
        b"550 ",
        b"5.1.1 ",
        b"5.",
        b"\n",
        b"\n\n",
        b" \n",
        b"\t",
    ),
    *(
        b"a@b.test\n",
        b"Final-Recipient: rfc822;a@b.test\n\n",
        b">>> RCPT TO:<a@b.test>\n",
        b"user ",
        b"mailbox account ",
    ),
    *(
        b"{",
        b'{"notificationType":',
        b"--b\n",
        b"From x\n",
        b"\xff",
        b"\x1b$B",
        b"=\n",
        b"&lt;",
        b"address inactive user ",
    ),
    *(
        b"<style>",
        b"<td>",
        b"<td ",
        b'"a"@',
        b"=?utf-8?B?",
        b"550 <",
        b"said: 550 ",
        b"RCPT TO: ",
        b"&#64;",
        b"<a@b.test>...\n",
    ),
    *(b"not found unknown does not exist user recipient mailbox ", "不存在 ".encode(), b"may be user unknown\n"),
    *("ö".encode(), b"a:\n", b"A: b\n c\n", b"said: <<< ", b"Received: ", b"+2B", b"\\x{41}", b"message/rfc822"),
]


def lines_run(octets: bytes) -> int:
    """How many lines of the reader's own modules are run: a measure of work that no other process changes."""
    counted = 0

    def count(frame, event, argument):
        nonlocal counted
        del argument
        name = frame.f_globals.get("__name__", "")
        if not name.startswith(("mta.bounce", "dns_checks.reports")):
            return None
        counted += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        check(octets)
    finally:
        sys.settrace(before)
    return counted


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: ascii(unit)[:24])
def test_a_megabyte_costs_bounded_work(unit: bytes) -> None:
    one, two = lines_run(hostile(unit, 500_000)), lines_run(hostile(unit, 1_000_000))
    assert two <= 800_000
    assert two <= 2.2 * one + 5_000


def patterns():
    for module in iter_modules(mta.bounce.__path__, "mta.bounce."):
        for name, value in vars(import_module(module.name)).items():
            if isinstance(value, re.Pattern):
                yield pytest.param(value, id=f"{module.name}.{name}")


def unbounded(parsed, inside: bool = False):
    """Whether a pattern repeats something without bound within a repetition; that is where backtracking explodes."""
    for operation, argument in parsed:
        name = str(operation)
        if name in {"MAX_REPEAT", "MIN_REPEAT"}:
            _, most, inner = argument
            many = int(most) > 1_000
            if many and inside:
                return True
            if unbounded(inner, inside or int(most) > 1):
                return True
        elif name == "BRANCH":
            if any(unbounded(branch, inside) for branch in argument[1]):
                return True
        elif name == "SUBPATTERN" and unbounded(argument[3], inside):
            return True
    return False


@pytest.mark.parametrize("pattern", patterns())
def test_no_pattern_repeats_within_a_repetition(pattern) -> None:
    flags = pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, str) else pattern.flags
    assert not unbounded(re._parser.parse(pattern.pattern, flags))


@pytest.mark.parametrize("count", [1, 3])
def test_mailboxes_are_split(count: int) -> None:
    mails = [b"From: a@b.test\nSubject: %d\n\nFrom here on\nFrom there\n" % number for number in range(count)]
    mailbox = b"\n".join(b"From x@y Thu Jan  1 00:00:00 2015\n" + mail for mail in mails)
    assert [mail.rstrip() for mail in split_mailbox(mailbox)] == [mail.rstrip() for mail in mails]
    assert split_mailbox(mails[0]) == [mails[0]]
    assert split_mailbox(b"From nothing") == [b"From nothing"]
