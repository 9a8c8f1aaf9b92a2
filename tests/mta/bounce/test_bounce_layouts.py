"""Where bounces name whom they are about, and what else comes to a return path. Names and sentences are our own."""

import pytest

from mailtypes.bounce import BounceReason
from mta.bounce import BounceReport, ComplaintReport, NotABounce, read_bounce
from mta.bounce.addresses import address_in_return_path, addresses_in, typed_address
from mta.bounce.mail_text import header_text

R = BounceReason
DAEMON = "From: MAILER-DAEMON@mx.test\nTo: b-1@ret.test\nSubject: failure notice\n"
EXCHANGE = "From: System Administrator <postmaster@b.test>\nTo: b-1@ret.test\nSubject: Undeliverable: x\n"
RETURNED = "Received: by mx.test; 1 Jan\nMessage-ID: <id@ret.test>\nFrom: news@ret.test\nTo: z@b.test\n\nhello\n"

# The reason before the address, in a table, in the subject, in a transcript: head, text, then who, code, reason, dead.
CASES = {
    "mailmarshal": (
        DAEMON,
        "Your message:\n   From: news@ret.test\n   Subject: x\n\nCould not be delivered because of\n\n550 5.1.1 User"
        " unknown\n\nThe following recipients were affected:\n    a@b.test\n",
        ("a@b.test", 550, "user_unknown", True),
    ),
    "notes": (
        "From: postmaster@mx.test\nTo: b-1@ret.test\nSubject: Undeliverable message\n",
        "------- Failure Reasons --------\n\nUser not listed in public Name & Address Book\na@b.test\n\n"
        "------- Returned Message --------\n" + RETURNED,
        ("a@b.test", None, "user_unknown", True),
    ),
    "a guess before the address": (
        DAEMON,
        "It was not delivered. Perhaps the e-mail address could not be found.\n\n<a@b.test>\n",
        ("a@b.test", None, "unknown", False),
    ),
    "kerio": (
        DAEMON,
        "Your message could not be delivered.\n\nReason: the remote server responded with an error to command RCPT TO:"
        " 550 no such user here\nRecipient: <a@b.test>\n",
        ("a@b.test", 550, "user_unknown", True),
    ),
    "interscan": (
        "From: admin@mx.test\nTo: b-1@ret.test\nSubject: Mail delivery failed\n",
        "Unable to deliver the message to:\n\n1. a@b.test\n\nSent >>> RCPT TO:<a@b.test>\nReceived <<< 550 User"
        " unknown\n",
        ("a@b.test", 550, "user_unknown", True),
    ),
    "mdaemon": (
        DAEMON,
        "--- Session Transcript ---\n Mon: --> MAIL From:<b-1@ret.test>\n Mon: <-- 250 ok\n"
        " Mon: --> RCPT To:<a@b.test>\n Mon: <-- 550 User unknown\n--- End Transcript ---\n",
        ("a@b.test", 550, "user_unknown", True),
    ),
    "hmailserver": (
        EXCHANGE,
        "The following recipient(s) could not be reached:\n\na@b.test\n   Error Type: SMTP\n   hMailServer sent: RCPT"
        " TO:<a@b.test>\n   Remote server replied: 550 Unknown user\n",
        ("a@b.test", 550, "user_unknown", True),
    ),
    "exchange, with its code in brackets": (
        EXCHANGE,
        "The following recipient(s) could not be reached:\n\n      a@b.test on 1 Jan\n            There is no such"
        " account.\n            <mx.b.test #5.1.1>\n",
        ("a@b.test", None, "user_unknown", True),
    ),
    "exchange, in german": (
        "From: Postmaster <postmaster@b.test>\nTo: b-1@ret.test\nSubject: =?utf-8?Q?Unzustellbar:_x?=\n",
        "Ihre Nachricht konnte nicht zugestellt werden an:\n\na@b.test\n\nDie E-Mail-Adresse wurde nicht gefunden.\n",
        ("a@b.test", None, "user_unknown", True),
    ),
    "a table in html": (
        DAEMON + "Content-Type: text/html\n",
        "<html><head><style>p {color: red}</style><title>z@q.test</title></head><table><tr><td>Recipient:</td><td>"
        "<a href='mailto:a@b.test'>a@b.test</a></td></tr><tr><td>Reason:</td><td>550 5.1.1 User&nbsp;unknown</td></tr>",
        ("a@b.test", 550, "user_unknown", True),
    ),
    "a plain part that says nothing, beside html": (
        DAEMON + "Content-Type: multipart/alternative; boundary=b\n",
        "--b\nContent-Type: text/plain\n\nSee the other part.\n--b\nContent-Type: text/html\n\n<p>&lt;a@b.test&gt;:"
        " 550 5.1.1 no</p>\n--b--\n",
        ("a@b.test", 550, "user_unknown", True),
    ),
    "postfix, of a refused address without a word": (
        DAEMON,
        "<a@b.test>: host mx said: 550 <a@b.test>: Recipient address rejected. (in\n    reply to RCPT TO command)\n",
        ("a@b.test", 550, "user_unknown", True),
    ),
    "what is said before the reply spares too": (
        DAEMON,
        "<a@b.test> (the mailbox is full): host mx said: 550 5.1.1 no such user\n",
        ("a@b.test", 550, "mailbox_full", False),
    ),
    "a reply of several lines": (
        DAEMON,
        "<a@b.test>: host mx said: 550-5.0.0 The email account that you tried to 550-5.0.0 reach does"
        " not 550 5.0.0 exist\n",
        ("a@b.test", 550, "user_unknown", True),
    ),
    "groupwise, of its own": (
        DAEMON + "X-Mailer: Novell GroupWise Internet Agent 7\n",
        "It was undeliverable to the following:\n\ta@b.test (user not found)\n",
        ("a@b.test", None, "user_unknown", True),
    ),
    "exchange 5.5, of its own": (
        EXCHANGE + "X-Mailer: Internet Mail Service (5.5.1)\n",
        "did not reach the following recipient(s):\n\na@b.test on Mon, 1 Jan\n    Unknown Recipient\n",
        ("a@b.test", None, "user_unknown", True),
    ),
    "the same words of another host": (
        DAEMON,
        "It was undeliverable to the following:\n\ta@b.test (user not found)\n",
        ("a@b.test", None, "filtered", False),
    ),
    "the subject alone": (
        "From: Postmaster <postmaster@b.test>\nTo: b-1@ret.test\nSubject: Undeliverable mail: a@b.test\n",
        "It was not delivered, since the mailbox is full.\n",
        ("a@b.test", None, "mailbox_full", False),
    ),
    "the return path alone": (
        "From: Postmaster <postmaster@b.test>\nTo: bounces+a=b.test@ret.test\nSubject: Undeliverable mail\n",
        "Sorry, the mailbox is full.\n",
        ("a@b.test", None, "mailbox_full", False),
    ),
    "the trace of the returned message": (
        DAEMON,
        "No report is at hand.\n\nReceived: from x.test by mx.test for <a@b.test>; 1 Jan\nSubject: x\n\nhello\n",
        ("a@b.test", None, "unknown", False),
    ),
    "courier, whose text tells of the original message first": (
        DAEMON,
        "\nThe original message was received at noon\nfrom [192.0.2.1]\n\n<a@b.test>:\n>>> RCPT TO:<a@b.test>\n<<< 550"
        " no such user\n",
        ("a@b.test", 550, "user_unknown", True),
    ),
    "a quoted local part": (
        DAEMON,
        '<"a..b"@b.test>: 550 5.1.1 unknown\n',
        ('"a..b"@b.test', 550, "user_unknown", True),
    ),
    "a null return path and a quoted refusal": (
        "Return-Path: <>\nFrom: Info <info@b.test>\nTo: b-1@ret.test\nSubject: your mail\n",
        "Our server said: 550 5.2.2 <a@b.test> over quota\n",
        ("a@b.test", 550, "mailbox_full", False),
    ),
    "a message's own fields are not the stage": (
        DAEMON,
        "Error:\n550 - no such user here\n\nDetails:\n  MAIL FROM: news@ret.test\n  RCPT TO: a@b.test\n",
        ("a@b.test", 550, "filtered", False),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_layouts(name: str) -> None:
    head, text, expected = CASES[name]
    found = read_bounce(f"{head}\n{text}".encode())
    assert isinstance(found, BounceReport), found
    (one,) = found.recipients
    judged = one.classification
    assert (one.address, one.reply_code, judged.reason.value, judged.is_recipient_dead) == expected, judged


REPORT = (
    DAEMON + "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: text/plain\n\n{text}\n--b\n"
    "Content-Type: {type}\n\n{fields}\n--b--\n"
)


def report(fields: str, text: str = "", kind: str = "message/delivery-status") -> list[tuple[str, bool]]:
    found = read_bounce(REPORT.format(fields=fields, text=text, type=kind).encode())
    assert isinstance(found, BounceReport), found
    return [(one.address, one.classification.is_recipient_dead) for one in found.recipients]


def test_groups_without_a_recipient_are_filled_from_the_text() -> None:
    fields = "Reporting-MTA: dns; mx.test\n\nAction: failed\nStatus: {}\n"
    assert report(fields.format("5.1.1"), "<a@b.test>: no") == [("a@b.test", True)]
    two = fields.format("5.1.1") + "\nAction: failed\nStatus: 5.2.2\n"
    assert report(two, "<a@b.test>: no\n<c@d.test>: full") == [("a@b.test", True), ("c@d.test", False)]
    mixed = (
        fields.format("5.1.1") + "Final-Recipient: rfc822; local\n\nFinal-Recipient: rfc822; c@d.test\nAction: failed"
    )
    assert report(mixed, "<a@b.test>: no\n<c@d.test>: no")[0][0] == "a@b.test"
    assert report(fields.format("5.1.1"), kind="text/delivery-status")[0][1]


def test_the_remote_hosts_own_status_is_told_from_the_reporting_hosts() -> None:
    text = "   ----- Transcript -----\n>>> DATA\n<<< 550 5.0.0 <a@b.test>... refused as spam\n"
    text += "550 5.1.1 <a@b.test>... User unknown\n"
    assert report("Final-Recipient: rfc822; a@b.test\nAction: failed\nStatus: 5.1.1\n", text) == [("a@b.test", False)]


@pytest.mark.parametrize(
    ("head", "text"),
    [
        ("From: dana@b.test\nSubject: =?utf-8?B?QWJ3ZXNlbmhlaXRzbm90aXo=?=: news\n", "x"),
        ("From: dana@b.test\nSubject: Re: [Out of Office] news\n", "x"),
        ("From: dana@b.test\nSubject: news\nReturn-Path: <>\nIn-Reply-To: <a@b>\n", "Back on Monday."),
        ("From: dana@b.test\nSubject: news\n", "Hello,\n\nI am out of the office until Monday.\n"),
        ("From: dana@b.test\nSubject: news\n", "שלום,\nאני נמצאת בחופשה עד יום ראשון\n"),
        ("From: dana@b.test\nSubject: news\nPrecedence: auto_reply\n", "Thank you."),
        ("From: dana@b.test\nSubject: your mail\n", "Please confirm that you sent this, so that I will see it.\n"),
        ("From: =?utf-8?Q?D?= <>\nReply-To: dana@b.test\nSubject: Automatic reply: news\n", "x"),
    ],
)
def test_answers_of_machines_and_challenges_are_no_bounces(head: str, text: str) -> None:
    found = read_bounce(f"{head}\n{text}\n".encode())
    assert isinstance(found, NotABounce), found
    assert (found.reason, found.sender) == (R.AUTO_REPLY, "dana@b.test")


@pytest.mark.parametrize(
    "octets",
    [
        b"From: dana@b.test\nSubject: RE: news\n\nIntended for bob@c.test, remove me.\n\n-----Original Message-----\n"
        b"From: news@ret.test\nTo: dana@b.test\n\nhello\n",
        b"From: dana@b.test\nSubject: FW: your mail\n\nFYI\n\n<z@q.test>: host said: 550 5.1.1 User unknown (in reply"
        b" to RCPT TO)\n",
    ],
)
def test_what_people_write_is_no_bounce(octets: bytes) -> None:
    found = read_bounce(octets)
    assert isinstance(found, NotABounce)
    assert found.reason is R.UNKNOWN


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("X-Original-To: a@b.test\nTo: redacted@b.test", ("a@b.test",)),
        ("To: Undisclosed\nReceived: by x.test for <a@b.test>; 1 Jan", ("a@b.test",)),
        ("To: Undisclosed\nReturn-Path: <bounces+a=b.test@ret.test>", ("a@b.test",)),
        ("To: redacted@b.test", ()),
    ],
)
def test_a_complaint_whose_recipient_stands_elsewhere(fields: str, found: tuple[str, ...]) -> None:
    mail = (
        "From: fbl@p.test\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/feedback-report\n\n"
    )
    mail += "Feedback-Type: abuse\nOriginal-Rcpt-To: redacted@b.test\n\n--b\nContent-Type: message/rfc822\n\n"
    read = read_bounce(f"{mail}Message-ID: <i@d>\n{fields}\n\nbody\n--b--\n".encode())
    assert isinstance(read, ComplaintReport)
    assert read.recipients == found


def test_addresses_in_odd_places() -> None:
    assert addresses_in('x <"a..b"@c.test>, d@e.test.') == ['"a..b"@c.test', "d@e.test"]
    assert typed_address('rfc822; "a..b"@c.test') == '"a..b"@c.test'
    assert typed_address("rfc822; a@b.test (the mailbox)") == "a@b.test"
    assert typed_address("rfc822;rfc822;a@b.test") == "a@b.test"
    assert address_in_return_path("list-bounces-a=b.test@ret.test") == "bounces-a@b.test"
    assert address_in_return_path("list+a=b.test@ret.test") == "a@b.test"
    assert address_in_return_path("b-0123abc@ret.test") == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=?utf-8?B?16nXnA==?= =?utf-8?B?15XXnQ==?=", "שלום"),
        ("=?iso-8859-1?Q?D=F6ner?= x", "Döner x"),
        ("=?utf-8*de?q?a_b?=", "a b"),
        ("=?utf-8?B?abc?=", "=?utf-8?B?abc?="),
        ("=?undefined?Q?a?=", "a"),
        ("=?utf-8?Q?a=0D=0Ab?=", "a b"),
        ("plain", "plain"),
    ],
)
def test_encoded_words(value: str, text: str) -> None:
    assert header_text(value) == text


def test_eight_bits_that_are_not_what_the_field_says() -> None:
    octets = DAEMON.encode() + "\n<a@b.test>: 550 Empfänger unbekannt (in reply to RCPT TO)\n".encode("iso-8859-1")
    found = read_bounce(octets)
    assert isinstance(found, BounceReport)
    assert found.recipients[0].classification.is_recipient_dead
