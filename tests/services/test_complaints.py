"""Complaints, and what bounces say of the sender: events with reasons, suppressions within their scopes."""

import json
from typing import Any

import pytest

from mailtypes.domain import DomainName
from mta.feedback_token import FeedbackKey
from mta.message_id import make_message_id
from mta.verp import make_verp
from postwright.services.bounces import FEEDBACK_LOOP

COMPLAINT = """From: fbl@provider.example.test
To: fbl@bounce.news.acme.test
Subject: complaint
Content-Type: multipart/report; report-type=feedback-report; boundary=b

--b
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: agent/1
Version: 1
Original-Mail-From: <{mail_from}>
Original-Rcpt-To: {rcpt_to}

--b
Content-Type: message/rfc822

Message-ID: {message_id}
To: redacted@example.test
Subject: news

body
--b--
"""
BOUNCE = """From: MAILER-DAEMON@mx.example.test
Subject: failure notice

Hi. This is the qmail-send program at mx.example.test.

<{address}>:
192.0.2.1 does not like recipient.
Remote host said: {reply}

--- Below this line is a copy of the message.

"""
NEWS = DomainName.parse("news.acme.test")


async def sent(world: Any, people: str = "dana@example.test,Dana,he\n") -> Any:
    await world.sending(people)
    deliveries = await world.leased()
    await world.transmit(deliveries)
    await world.answer(deliveries, "250 2.0.0 ok")
    return deliveries[0]


def complaint(message_id: str = "<x@y.test>", mail_from: str = "", kind: str = "abuse", rcpt_to: str = "") -> bytes:
    return COMPLAINT.format(message_id=message_id, mail_from=mail_from, kind=kind, rcpt_to=rcpt_to).encode()


def genuine_id(world: Any, delivery: Any) -> str:
    return make_message_id(delivery.id, NEWS, world.feedback_keys[1])


def last_event(world: Any) -> tuple[str, dict[str, Any]]:
    kind, data = world.rows("SELECT kind, data FROM event ORDER BY id")[-1]
    return kind, json.loads(data)


async def suppressed(world: Any) -> list[tuple[str, str, str]]:
    return [(one.address, one.scope, one.reason) for one in await world.suppression_list.list(world.workspace)]


async def test_a_complaint_is_found_by_its_message_id_and_stops_the_stream(world: Any) -> None:
    delivery = await sent(world)
    queued = await world.sending("dana@example.test,Dana,he\n", name="Second", list_name="Cooks")
    receipt = await world.sending(
        "dana@example.test,Dana,he\n", name="Receipt", list_name="Buyers", stream="transactional"
    )
    await world.bounces.take(FEEDBACK_LOOP.upper(), complaint(genuine_id(world, delivery), rcpt_to="other@b.test"))
    assert await suppressed(world) == [("dana@example.test", "stream", "complaint")]
    assert await world.states(queued) == {"suppressed": 1}
    assert await world.states(receipt) == {"ready": 1}  # who complains of news may still want receipts
    kinds = [row[0] for row in world.rows("SELECT kind FROM event ORDER BY id")]
    assert kinds[-2:] == ["complained", "suppressed"]


async def test_a_complaint_is_found_by_the_return_path_that_it_quotes(world: Any) -> None:
    delivery = await sent(world)
    await world.bounces.take(FEEDBACK_LOOP, complaint(mail_from=delivery.mail_from.upper()))
    kind, data = last_event(world)
    assert (kind, data["reason"], data["blames"], data["user_agent"]) == (
        "complained",
        "complaint",
        "sender",
        "agent/1",
    )
    assert await suppressed(world) == [("dana@example.test", "stream", "complaint")]


async def test_a_complaint_to_a_return_path_counts_for_its_delivery(world: Any) -> None:
    delivery = await sent(world)
    await world.bounces.take(delivery.mail_from.partition("@")[0], complaint())
    assert last_event(world)[0] == "complained"


async def test_forged_complaints_do_nothing(world: Any) -> None:
    delivery = await sent(world)
    before = world.rows("SELECT count(*) FROM event"), world.rows("SELECT count(*) FROM blob")
    forger = FeedbackKey(1, b"g" * 32)
    forged_id = make_message_id(delivery.id, NEWS, forger)
    forged_path = f"{make_verp(delivery.id, forger)}@bounce.news.acme.test"
    swapped = genuine_id(world, delivery).replace("<", "<b-")
    for message in (
        complaint(forged_id, forged_path, rcpt_to="dana@example.test"),
        complaint(swapped),
        complaint(rcpt_to="dana@example.test"),
        BOUNCE.format(address="dana@example.test", reply="550 5.1.1 no").encode(),
        b"",
        b"\x00\xff" * 100,
    ):
        await world.bounces.take(FEEDBACK_LOOP, message)
    assert (world.rows("SELECT count(*) FROM event"), world.rows("SELECT count(*) FROM blob")) == before
    assert await suppressed(world) == []


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure"])
async def test_reports_that_are_no_complaints_suppress_nobody(world: Any, kind: str) -> None:
    delivery = await sent(world)
    await world.bounces.take(FEEDBACK_LOOP, complaint(genuine_id(world, delivery), kind=kind))
    assert last_event(world)[0] == "feedback_unread"
    assert await suppressed(world) == []


@pytest.mark.parametrize(
    ("reply", "reason", "blames", "kind"),
    [
        ("550 no such user", "user_unknown", "recipient", "hard_bounce"),
        ("552 5.2.2 mailbox full", "mailbox_full", "recipient", "soft_bounce"),
        ("550 5.2.1 the account is disabled", "suspended", "recipient", "soft_bounce"),
        ("554 5.7.1 blocked using zen.spamhaus.org", "blocked", "sender", "none"),
        ("550 5.1.1 you are on our blocklist", "blocked", "sender", "none"),
        ("550 5.7.26 unauthenticated", "authentication", "sender", "none"),
        ("451 4.3.0 internal error", "system_error", "neither", "soft_bounce"),
        ("550 xyzzy", "unknown", "neither", "none"),
    ],
)
async def test_what_bounces_in_words_say(world: Any, reply: str, reason: str, blames: str, kind: str) -> None:
    delivery = await sent(world)
    message = BOUNCE.format(address="dana@example.test", reply=reply).encode()
    await world.bounces.take(delivery.mail_from.partition("@")[0], message)
    event, data = last_event(world) if kind != "hard_bounce" else ("bounced", last_event(world)[1])
    assert (event, data["reason"], data["blames"], data["kind"]) == ("bounced", reason, blames, kind)
    assert data["evidence"]
    expected = [("dana@example.test", "all", "hard_bounce")] if kind == "hard_bounce" else []
    assert await suppressed(world) == expected


async def test_of_several_recipients_the_one_that_we_wrote_to_counts(world: Any) -> None:
    delivery = await sent(world)
    message = BOUNCE.format(address="forwarded@else.test", reply="550 no such user").replace(
        "--- Below", "<DANA@example.test>:\nRemote host said: 552 5.2.2 full\n\n--- Below"
    )
    await world.bounces.take(delivery.mail_from.partition("@")[0], message.encode())
    assert last_event(world)[1]["reason"] == "mailbox_full"
    assert await suppressed(world) == []


async def test_an_automatic_answer_is_kept_and_says_nothing(world: Any) -> None:
    delivery = await sent(world)
    answer = b"From: dana@example.test\nSubject: Automatic reply: news\n\nUser unknown? No, I am away.\n"
    await world.bounces.take(delivery.mail_from.partition("@")[0], answer)
    kind, data = last_event(world)
    assert (kind, data["reason"]) == ("feedback_unread", "auto_reply")


def test_the_address_for_feedback_loops_is_taken(world: Any) -> None:
    assert world.bounces.is_return_path("FBL")
    assert not world.bounces.is_return_path("fbl2")
