import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.dsn import DsnAction, DsnSyntaxError, read_dsn

REPORT = b"""From: MAILER-DAEMON@mx.test\r
To: b-x@bounce.sender.test\r
Subject: failed\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=delivery-status; boundary=b1\r
\r
--b1\r
Content-Type: text/plain\r
\r
It did not work.\r
--b1\r
Content-Type: message/delivery-status\r
\r
%b--b1\r
Content-Type: message/rfc822\r
\r
Subject: hello\r
\r
body\r
--b1--\r
"""
FIELDS = b"""Reporting-MTA: dns; mx.test\r
\r
Original-Recipient: rfc822;Tom@b.test\r
Final-Recipient: rfc822; tom-internal@c.test\r
Action: failed\r
Status: 5.1.1\r
Diagnostic-Code: smtp; 550 5.1.1 user\r
  unknown\r
\r
Final-Recipient: rfc822; ann@b.test\r
Action: Delayed\r
Status: 4.4.7 (timeout)\r
\r
"""


def test_two_recipients():
    first, second = read_dsn(REPORT % FIELDS)
    assert (first.recipient, first.action, str(first.status)) == ("Tom@b.test", DsnAction.FAILED, "5.1.1")
    assert first.diagnostic == "550 5.1.1 user unknown"
    assert (second.recipient, second.action, str(second.status)) == ("ann@b.test", DsnAction.DELAYED, "4.4.7")
    assert second.diagnostic == ""


def test_line_feeds_alone_are_read_too():
    assert read_dsn((REPORT % FIELDS).replace(b"\r\n", b"\n")) == read_dsn(REPORT % FIELDS)


def test_a_dsn_inside_the_returned_message_does_not_count():
    inner = (REPORT % FIELDS).replace(b"b1", b"b2")
    outer = b"Content-Type: multipart/mixed; boundary=b1\r\n\r\n--b1\r\n"
    outer += b"Content-Type: message/rfc822\r\n\r\n%b\r\n--b1--\r\n"
    with pytest.raises(DsnSyntaxError):
        read_dsn(outer % inner)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"Subject: x\r\n\r\nI am away\r\n",
        REPORT % b"Reporting-MTA: dns; mx.test\r\n\r\n",
        REPORT % b"Reporting-MTA: dns; mx.test\r\n\r\nFinal-Recipient: rfc822; a@b.test\r\nAction: exploded\r\n\r\n",
        b"x" * (3 * 1024 * 1024),
    ],
)
def test_what_is_no_dsn_is_said_to_be_none(message):
    with pytest.raises(DsnSyntaxError):
        read_dsn(message)


def test_many_recipients_are_bounded():
    group = b"Final-Recipient: rfc822; a@b.test\r\nAction: failed\r\nStatus: 5.0.0\r\n\r\n"
    assert len(read_dsn(REPORT % (b"Reporting-MTA: dns; mx.test\r\n\r\n" + group * 1000))) == 100


@given(st.binary(max_size=300))
def test_any_fields_are_read_or_refused(octets):
    try:
        recipients = read_dsn(REPORT % (FIELDS + octets))
    except DsnSyntaxError:
        return
    assert all("\0" not in each.diagnostic and "\n" not in each.recipient for each in recipients)


@given(st.binary(max_size=400))
def test_any_message_is_read_or_refused(octets):
    with pytest.raises(DsnSyntaxError):
        read_dsn(octets)
