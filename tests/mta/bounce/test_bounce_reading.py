"""Reports by RFC 3464 and RFC 6533: groups, addresses, diagnostics, the returned message."""

import pytest

from mailtypes.bounce import BounceReason
from mta.bounce import BounceReport, DsnAction, read_bounce
from mta.bounce.addresses import typed_address

REPORT = b"""From: MAILER-DAEMON@mx.test\r
To: b-x@bounce.sender.test\r
Subject: failed\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=delivery-status; boundary=b1\r
\r
--b1\r
Content-Type: text/plain\r
\r
%(text)b\r
--b1\r
Content-Type: %(type)b\r
\r
%(fields)b--b1\r
Content-Type: message/rfc822\r
\r
Message-ID: <id@sender.test>\r
To: Tom@b.test\r
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


def report(fields: bytes, text: bytes = b"It did not work.", kind: bytes = b"message/delivery-status") -> BounceReport:
    found = read_bounce(REPORT % {b"text": text, b"fields": fields, b"type": kind})
    assert isinstance(found, BounceReport)
    return found


def test_two_recipients() -> None:
    found = report(FIELDS)
    first, second = found.recipients
    assert (first.address, first.action, str(first.status), first.reply_code) == (
        "Tom@b.test",
        DsnAction.FAILED,
        "5.1.1",
        550,
    )
    assert first.diagnostic == "550 5.1.1 user unknown"
    assert first.classification.is_recipient_dead
    assert (second.address, second.action, str(second.status)) == ("ann@b.test", DsnAction.DELAYED, "4.4.7")
    assert second.classification.reason is BounceReason.EXPIRED
    assert found.reporting_mta == "mx.test"
    assert found.original is not None
    assert found.original.message_id == "<id@sender.test>"


def test_line_feeds_alone_are_read_too() -> None:
    octets = REPORT % {b"text": b"no", b"fields": FIELDS, b"type": b"message/delivery-status"}
    assert read_bounce(octets.replace(b"\r\n", b"\n")) == read_bounce(octets)


def test_a_report_in_the_returned_message_does_not_count() -> None:
    inner = REPORT.replace(b"b1", b"b2") % {b"text": b"", b"fields": FIELDS, b"type": b"message/delivery-status"}
    outer = b"From: a@b.test\r\nContent-Type: multipart/mixed; boundary=b1\r\n\r\n--b1\r\n"
    outer += b"Content-Type: message/rfc822\r\n\r\n%b\r\n--b1--\r\n"
    assert not isinstance(read_bounce(outer % inner), BounceReport)


def test_many_recipients_are_bounded() -> None:
    group = b"Final-Recipient: rfc822; a@b.test\r\nAction: failed\r\nStatus: 5.0.0\r\n\r\n"
    assert len(report(b"Reporting-MTA: dns; mx.test\r\n\r\n" + group * 1000).recipients) == 100


@pytest.mark.parametrize(
    ("value", "other", "address"),
    [
        ("rfc822; a@b.test", "", "a@b.test"),
        ("RFC822;<a@b.test>", "", "a@b.test"),
        ("a@b.test", "", "a@b.test"),
        ("rfc822;a+2Btag@b.test", "", "a+tag@b.test"),  # xtext, RFC 3461 section 4
        ("rfc822;a+3Db+2Bc@b.test", "", "a=b+c@b.test"),
        ("rfc822;a+tag@b.test", "", "a+tag@b.test"),
        ("rfc822;a+2B@b.test", "a+2B@b.test", "a+2B@b.test"),
        ("rfc822;a+00b@b.test", "", "a+00b@b.test"),
        ("utf-8; d\\x{00F6}ner@b.test", "", "döner@b.test"),  # RFC 6533 section 3
        ("utf-8; דנה@b.test", "", "דנה@b.test"),
        ("utf-8; a\\x{D800}\\x{0A}b@b.test", "", "a\\x{D800}\\x{0A}b@b.test"),
        ("rfc822; @relay.test:a@b.test", "", "a@b.test"),  # RFC 5321 appendix C
        ("rfc822; @b.test", "", ""),
        ("rfc822; nobody", "", ""),
        ("", "", ""),
    ],
)
def test_addresses_with_types(value: str, other: str, address: str) -> None:
    assert typed_address(value, other) == address


def test_international_reports() -> None:
    fields = "Final-Recipient: utf-8; דנה@b.test\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n".encode()
    found = report(fields, kind=b"message/global-delivery-status")
    assert found.recipients[0].address == "דנה@b.test"


def test_fields_in_a_text_count_where_there_is_no_part_for_them() -> None:
    text = b"Technical report:\r\n\r\nFinal-Recipient: rfc822; a@b.test\r\nAction: failed\r\nStatus: 5.2.2"
    found = report(b"nothing", text=text, kind=b"text/plain")
    assert [(one.address, one.classification.reason) for one in found.recipients] == [
        ("a@b.test", BounceReason.MAILBOX_FULL)
    ]


@pytest.mark.parametrize(
    ("action", "status", "read", "reason"),
    [
        ("delivered", "2.0.0", DsnAction.DELIVERED, BounceReason.DELIVERED),
        ("relayed", "2.0.0", DsnAction.RELAYED, BounceReason.DELIVERED),
        ("deliverable", "2.1.5", DsnAction.DELIVERED, BounceReason.DELIVERED),
        ("exploded", "5.1.1", DsnAction.FAILED, BounceReason.USER_UNKNOWN),
        ("exploded", "2.1.5", DsnAction.DELIVERED, BounceReason.DELIVERED),
        ("delayed", "5.1.1", DsnAction.DELAYED, BounceReason.USER_UNKNOWN),
        ("", "5.1.1", DsnAction.FAILED, BounceReason.USER_UNKNOWN),
    ],
)
def test_actions(action: str, status: str, read: DsnAction, reason: BounceReason) -> None:
    fields = f"Final-Recipient: rfc822; a@b.test\r\nAction: {action}\r\nStatus: {status}\r\n\r\n".encode()
    (found,) = report(fields).recipients
    assert (found.action, found.classification.reason) == (read, reason)
    assert found.classification.is_recipient_dead == (read is DsnAction.FAILED)


def test_the_stage_is_taken_from_the_text() -> None:
    fields = b"Final-Recipient: rfc822; a@b.test\r\nAction: failed\r\nStatus: 5.0.0\r\n"
    fields += b"Diagnostic-Code: smtp; 550 no such user\r\n\r\n"
    for text, dead in ((b"RCPT TO", True), (b"end of DATA", False)):
        told = b"<a@b.test>: host mx said: 550 no such user\r\n  (in reply to %b command)" % text
        assert report(fields, text=told).recipients[0].classification.is_recipient_dead is dead


def test_where_the_parts_contradict_each_other_the_recipient_is_spared() -> None:
    fields = b"Final-Recipient: rfc822; a@b.test\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    fields += b"Diagnostic-Code: smtp; 550 5.1.1 User unknown\r\n\r\n"
    assert report(fields).recipients[0].classification.is_recipient_dead
    spared = report(fields, text=b"The mailbox is over quota.").recipients[0].classification
    assert (spared.reason, spared.is_recipient_dead) == (BounceReason.MAILBOX_FULL, False)


def test_an_address_that_the_fields_leave_out_is_taken_from_the_text() -> None:
    fields = b"Final-Recipient: rfc822; @mx.b.test\r\nAction: failed\r\nStatus: 5.1.2\r\n\r\n"
    text = b"   ----- The following addresses had permanent fatal errors -----\r\n<a@b.test>"
    (found,) = report(fields, text=text).recipients
    assert (found.address, found.classification.reason) == ("a@b.test", BounceReason.HOST_UNKNOWN)


def test_categories_of_powermta_count_where_nothing_else_tells() -> None:
    fields = b"Final-Recipient: rfc822; a@b.test\r\nAction: failed\r\nStatus: 5.0.0\r\n"
    fields += b"Diagnostic-Code: smtp; 550 xyzzy\r\nX-PowerMTA-BounceCategory: %b\r\n\r\n"
    found = report(fields % b"bad-mailbox").recipients[0].classification
    assert (found.reason, found.is_recipient_dead) == (BounceReason.USER_UNKNOWN, True)
    assert not report(fields % b"spam-related").recipients[0].classification.is_recipient_dead
