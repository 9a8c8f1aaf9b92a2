"""Feedback reports (RFC 5965) and what is like them."""

import pytest

from mta.bounce import ComplaintReport, read_bounce

REPORT = """From: fbl@provider.test
To: fbl@ret.test
Subject: complaint
Content-Type: multipart/report; report-type=feedback-report; boundary=b

--b
Content-Type: text/plain

Somebody complained.
--b
Content-Type: message/feedback-report

{fields}
--b
Content-Type: {returned}

Message-ID: <token@sender.test>
To: {to}
Subject: news

body
--b--
"""


def read(fields: str, to: str = "dana@b.test", returned: str = "message/rfc822") -> ComplaintReport:
    found = read_bounce(REPORT.format(fields=fields, to=to, returned=returned).encode())
    assert isinstance(found, ComplaintReport)
    return found


def test_who_complained_of_what() -> None:
    found = read(
        "Feedback-Type: abuse\nUser-Agent: agent/1\nVersion: 1\nOriginal-Rcpt-To: <dana@b.test>\n"
        "Original-Mail-From: <b-x@ret.test>\nSource-IP: 192.0.2.1"
    )
    assert (found.feedback_type, found.recipients, found.user_agent) == ("abuse", ("dana@b.test",), "agent/1")
    assert (found.mail_from, found.source_ip) == ("b-x@ret.test", "192.0.2.1")
    assert found.original is not None
    assert found.original.message_id == "<token@sender.test>"


@pytest.mark.parametrize("to", ["<Undisclosed Recipients>", "redacted-x@b.test", "d***@b.test", "[hidden]"])
@pytest.mark.parametrize("returned", ["message/rfc822", "text/rfc822-headers", "text/rfc822-header"])
def test_hidden_recipients_leave_the_message_id(to: str, returned: str) -> None:
    found = read("Feedback-Type: abuse\nVersion: 1", to, returned)
    assert found.recipients == ()
    assert found.original is not None
    assert found.original.message_id == "<token@sender.test>"


@pytest.mark.parametrize(
    ("kind", "is_against"),
    [("abuse", True), ("Fraud", True), ("opt-out", True), ("not-spam", False), ("auth-failure", False), ("", True)],
)
def test_not_every_report_is_against_the_mail(kind: str, is_against: bool) -> None:
    assert read(f"Feedback-Type: {kind}\nVersion: 1").is_against_mail is is_against


def test_the_recipient_of_an_opt_out() -> None:
    assert read("Feedback-Type: opt-out\nRemoval-Recipient: a@b.test").recipients == ("a@b.test",)


def test_the_form_of_jmrp() -> None:
    mail = "From: staff@hotmail.com\nSubject: complaint about message from 192.0.2.1\n"
    mail += "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n"
    mail += "X-HmXmrOriginalRecipient: a@b.test\nMessage-ID: <i@d>\nTo: x@c.test\n\nbody\n--b--\n"
    found = read_bounce(mail.encode())
    assert isinstance(found, ComplaintReport)
    assert found.recipients == ("a@b.test",)


def test_notices_of_amazon_ses() -> None:
    text = (
        '{"notificationType":"Complaint","complaint":{"complainedRecipients":[{"emailAddress":"a@b.test"}]},"mail":{}}'
    )
    wrapped = '{"Type":"Notification","Message":"' + text.replace('"', '\\"') + '"}'
    for body in (text, wrapped):
        found = read_bounce(f"From: a@sns.test\nSubject: x\n\n{body}\n".encode())
        assert isinstance(found, ComplaintReport)
        assert found.recipients == ("a@b.test",)
