"""Bounces in words. Each case is the form of one mail system, with names and sentences of our own."""

import pytest

from mailtypes.bounce import BounceReason
from mta.bounce import BounceReport, DsnAction, NotABounce, read_bounce

R = BounceReason
HEAD = "From: MAILER-DAEMON@mx.test\nTo: b-1@ret.test\nSubject: failure notice\n"
RETURNED = (
    "Received: by mx.test; 1 Jan\nMessage-ID: <id@ret.test>\nTo: someone-else@c.test\nSubject: x\n\nuser unknown\n"
)


def read(text: str, head: str = HEAD) -> BounceReport:
    found = read_bounce(f"{head}\n{text}".encode())
    assert isinstance(found, BounceReport), found
    return found


def told(report: BounceReport) -> list[tuple[str, str, int | None, str, bool]]:
    return [
        (
            one.address,
            str(one.status or ""),
            one.reply_code,
            one.classification.reason.value,
            one.classification.is_recipient_dead,
        )
        for one in report.recipients
    ]


CASES = {
    "qmail": (
        "Hi. This is the qmail-send program at mx.test.\n\n<a@b.test>:\n192.0.2.1 does not like recipient.\n"
        "Remote host said: 550 no such user\nGiving up on 192.0.2.1.\n\n<c@d.test>:\nSorry, I couldn't find any host"
        " named d.test. (#5.1.2)\n\n--- Below this line is a copy of the message.\n\n",
        [("a@b.test", "", 550, "user_unknown", True), ("c@d.test", "5.1.2", None, "host_unknown", True)],
    ),
    "exim": (
        "This message was created automatically by mail delivery software.\n\n  a@b.test\n    SMTP error from remote"
        " mail server after RCPT TO:<a@b.test>:\n    host mx.b.test [192.0.2.1]: 550 user unknown\n"
        "  c@d.test\n    host mx.d.test [192.0.2.2]\n    SMTP error from remote mail server after end of data:\n"
        "    550 user unknown\n\n------ This is a copy of the message, including all the headers. ------\n\n",
        [("a@b.test", "", 550, "user_unknown", True), ("c@d.test", "", 550, "filtered", False)],
    ),
    "exim, of its own mailboxes": (
        "This message was created automatically by mail delivery software.\n\n  a@b.test\n    unknown user\n"
        "  c@d.test\n    all relevant MX records point to non-existent hosts\n\n"
        "------ This is a copy of the message, including all the headers. ------\n",
        [("a@b.test", "", None, "user_unknown", True), ("c@d.test", "", None, "host_unknown", True)],
    ),
    "postfix without a report": (
        "This is the mail system at host mx.test.\n\nFor further assistance, please send mail to postmaster@mx.test\n\n"
        "<a@b.test>: host mx.b.test[192.0.2.1] said: 550 5.7.1 rejected as\n    spam (in reply to end of"
        " DATA command)\n\n",
        [("a@b.test", "5.7.1", 550, "spam", False)],
    ),
    "sendmail of old": (
        "   ----- Transcript of session follows -----\n>>> RCPT To:<a@b.test>\n<<< 550 no such user\n"
        "550 <a@b.test>... User unknown\n554 <c@d.test>... 550 Host unknown\n   ----- Unsent message follows -----\n",
        [("a@b.test", "", 550, "user_unknown", True), ("c@d.test", "", 554, "host_unknown", True)],
    ),
    "opensmtpd": (
        "    Hi!\n\n    This is the MAILER-DAEMON\n\na@b.test: 550 5.2.2 full\nc@d.test: Domain does not exist\n\n"
        "    Below is a copy of the original message:\n\n",
        [("a@b.test", "5.2.2", 550, "mailbox_full", False), ("c@d.test", "", None, "host_unknown", True)],
    ),
    "exchange of old": (
        "Your message\n\n  To:  x\n  Subject: y\n\ndid not reach the following recipient(s):\n\n"
        "a@b.test on Thu, 1 Jan 2009 00:00:00 +0000\n    The recipient name is not recognized\n",
        [("a@b.test", "", None, "user_unknown", True)],
    ),
    "a sentence": (
        "Your mail could not be delivered to: <a@b.test>\nas the mailbox is full.\n\nReturned message:\n",
        [("a@b.test", "", None, "mailbox_full", False)],
    ),
    "zoho": (
        "This message was created automatically by mail delivery software.\n\na@b.test Invalid Address, ERROR_CODE"
        " :550, ERROR_CODE :5.2.2 <a@b.test>... Mailbox Full\n\n",
        [("a@b.test", "5.2.2", 550, "mailbox_full", False)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_forms(name: str) -> None:
    text, expected = CASES[name]
    found = read(text + RETURNED)
    assert told(found) == expected
    assert found.original is not None
    assert found.original.message_id == "<id@ret.test>"


def test_failed_recipients_in_the_header() -> None:
    head = HEAD + "X-Failed-Recipients: a@b.test,\n  c@d.test\n"
    found = read("Something in a language that nobody here reads.\n\n" + RETURNED, head)
    assert [one.address for one in found.recipients] == ["a@b.test", "c@d.test"]


def test_who_is_not_named_is_taken_from_the_returned_message() -> None:
    found = read("No report is at hand.\n\n" + RETURNED)
    assert told(found) == [("someone-else@c.test", "", None, "unknown", False)]


def test_a_warning_is_a_delay() -> None:
    found = read("THIS IS A WARNING MESSAGE ONLY\n\n<a@b.test>: 550 user unknown (in reply to RCPT TO)\n\n" + RETURNED)
    assert found.recipients[0].action is DsnAction.DELAYED
    assert not found.recipients[0].classification.is_recipient_dead


def test_forms_of_single_systems() -> None:
    gateway = "From: post_master@vtext.com\nTo: a@b.test\nSubject: Re: x\n"
    text = "Error: Invalid user address\n550 - no such user here\n\n  RCPT TO: 5550100@vtext.com\n"
    assert told(read(text, gateway))[0][3:] == ("user_unknown", True)
    other = gateway.replace("vtext.com", "c.test")
    assert not told(read(text, other))[0][4]
    imail = HEAD + "X-Mailer: <SMTP32 v8>\n"
    assert told(read("Unknown user: a@b.test\n\nOriginal message follows.\n" + RETURNED, imail))[0] == (
        "a@b.test",
        "",
        None,
        "user_unknown",
        True,
    )
    group = HEAD + "X-Failed-Recipients: g@googlegroups.com\n"
    found = read("Bonjour. Voir https://groups.google.com/support/.\n\n" + RETURNED, group)
    assert told(found)[0][3:] == ("sender_rejected", False)


def test_a_boundary_that_is_wrong_leaves_a_text() -> None:
    head = HEAD + "Content-Type: multipart/report; report-type=delivery-status; boundary=right\n"
    text = "--wrong\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; m\n\n"
    text += "Final-Recipient: rfc822; a@b.test\nAction: failed\nStatus: 5.1.1\n\n"
    text += "--wrong\nContent-Type: message/rfc822\n\n" + RETURNED
    found = read(text, head)
    assert told(found) == [("a@b.test", "5.1.1", None, "user_unknown", True)]


def test_html_and_other_character_sets() -> None:
    html = HEAD + "Content-Type: text/html\n"
    assert told(read("<p>Not delivered:</p><p>&lt;<br>a@b.test</p><p>550 5.2.2 full</p>", html))[0][:3] == (
        "a@b.test",
        "5.2.2",
        550,
    )
    words = "ユーザーは見つかりません\n\n<a@b.test>: 550 5.1.1 x\n"
    octets = HEAD.encode() + b"Content-Type: text/plain; charset=iso-2022-jp\n\n" + words.encode("iso-2022-jp")
    found = read_bounce(octets)
    assert isinstance(found, BounceReport)
    assert found.recipients[0].address == "a@b.test"
    for charset in ("punycode", "undefined", "zlib", "iso-8859-99", "'"):
        head = HEAD + f"Content-Type: text/plain; charset={charset}\n"
        assert told(read("<a@b.test>: 550 5.1.1 x\n", head))[0][4]


@pytest.mark.parametrize(
    "head",
    [
        "From: Dana <dana@b.test>\nSubject: Re: news\nAuto-Submitted: auto-replied (vacation)\n",
        "From: dana@b.test\nSubject: Automatic reply: news\nReturn-Path: <>\n",
        "From: dana@b.test\nSubject: out of office\n",
        "From: dana@b.test\nSubject: x\nX-Autoreply: yes\n",
    ],
)
def test_automatic_answers_are_no_bounces(head: str) -> None:
    found = read_bounce(f"{head}\nI am away. Ask colleague@b.test, user unknown 550 5.1.1.\n".encode())
    assert isinstance(found, NotABounce)
    assert (found.reason, found.sender) == (R.AUTO_REPLY, "dana@b.test")


def test_bounces_that_say_auto_replied_are_bounces() -> None:
    head = HEAD + "Auto-Submitted: auto-replied\n"
    assert told(read("<a@b.test>: 550 5.1.1 no\n", head))[0][0] == "a@b.test"


@pytest.mark.parametrize(
    "octets",
    [b"Subject: hello\n\nHow are you? <a@b.test>\n", b"From: a@b.test\nSubject: re\n\na@b.test wrote:\n> hi\n"],
)
def test_other_mail_is_none(octets: bytes) -> None:
    found = read_bounce(octets)
    assert isinstance(found, NotABounce)
    assert found.reason is R.UNKNOWN


def test_notices_of_amazon_ses() -> None:
    head = "From: no-reply@sns.test\nSubject: Notification\n"
    rows = '[{"emailAddress":"a@b.test","status":"5.1.1","diagnosticCode":"smtp; 550 5.1.1 user unknown"}]'
    mail = '"mail":{"headers":[{"name":"Message-ID","value":"<i@d>"}]}'
    found = read('{"notificationType":"Bounce","bounce":{"bouncedRecipients":' + rows + "}," + mail + "}\n-- \nx", head)
    assert told(found) == [("a@b.test", "5.1.1", 550, "user_unknown", True)]
    assert found.original is not None
    assert found.original.message_id == "<i@d>"
    delivery = '"delivery":{"recipients":["a@b.test", 7],"smtpResponse":"250 2.6.0 ok"}'
    found = read('{"eventType":"Delivery",' + delivery + "," + mail + "}", head)
    assert told(found)[0][3] == "delivered"
    for broken in ('{"notificationType":', '{"notificationType":1,"mail":{}}', '{"eventType":' + "[" * 30_000):
        assert isinstance(read_bounce(f"{head}\n{broken}".encode()), NotABounce)
