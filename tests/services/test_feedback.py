"""What comes back: unsubscribing, opens and clicks, bounces."""

from typing import Any

import pytest

from mta.feedback_token import FeedbackKey
from mta.verp import make_verp
from postwright.services.engagement import Engagement
from postwright.services.withdrawals import Withdrawal
from tracking.tokens import TokenClaims, TokenKeys, TokenKind, make

DSN = """From: mailer-daemon@mx.example.test
To: {to}
Subject: Undelivered
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

Sorry.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.test

Final-Recipient: rfc822; {recipient}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {diagnostic}
--b--
"""


def claims(kind: TokenKind, delivery: Any, link: int = 0) -> TokenClaims:
    return TokenClaims(kind, delivery.id, link)


async def sent(world: Any, people: str = "dana@example.test,Dana,he\n", **changes: Any) -> Any:
    await world.sending(people, **changes)
    deliveries = await world.leased()
    await world.transmit(deliveries)
    await world.answer(deliveries, "250 2.0.0 ok")
    return deliveries[0]


def asked(way: str) -> Withdrawal:
    return Withdrawal(way, 1_700_000_000_000_000)


def kinds(world: Any) -> list[str]:
    hidden = "('domain_state_changed', 'run_started', 'delivered')"
    return [row[0] for row in world.rows(f"SELECT kind FROM event WHERE kind NOT IN {hidden} ORDER BY id")]


async def test_unsubscribing_reaches_as_far_as_the_list(world: Any) -> None:
    delivery = await sent(world)
    assert await world.engagement.unsubscribe(claims(TokenKind.UNSUBSCRIBE, delivery), asked("one_click"))
    (stored,) = await world.suppression_list.list(world.workspace)
    assert (stored.address, stored.scope, stored.scope_id) == ("dana@example.test", "list", await world.list_id())
    same_list = await world.sending("dana@example.test,Dana,he\n", name="Second")
    assert await world.states(same_list) == {"suppressed": 1}
    other_list = await world.sending("dana@example.test,Dana,he\n", name="Third", list_name="Cooks")
    assert await world.states(other_list) == {"ready": 1}
    receipt = await world.sending(
        "dana@example.test,Dana,he\n", name="Receipt", list_name="Buyers", stream="transactional"
    )
    assert await world.states(receipt) == {"ready": 1}


async def test_unsubscribing_stops_what_is_queued(world: Any) -> None:
    delivery = await sent(world)
    queued = await world.sending("DANA@example.test,Dana,he\n", name="Second")
    assert await world.states(queued) == {"ready": 1}
    await world.engagement.unsubscribe(claims(TokenKind.UNSUBSCRIBE, delivery), asked("page"))
    assert await world.states(queued) == {"suppressed": 1}
    again = await world.engagement.unsubscribe(claims(TokenKind.UNSUBSCRIBE, delivery), asked("page"))
    assert again
    assert len(await world.suppression_list.list(world.workspace)) == 1
    assert kinds(world) == ["unsubscribed", "suppressed"]


async def test_a_delivery_that_does_not_exist_changes_nothing(world: Any) -> None:
    delivery = await sent(world)
    for number in (0, delivery.id + 1, 2**63 - 1):
        nobody = TokenClaims(TokenKind.UNSUBSCRIBE, number, 0)
        assert not await world.engagement.unsubscribe(nobody, asked("page"))
        assert await world.engagement.place(nobody) is None
        target = await world.engagement.clicked(TokenClaims(TokenKind.CLICK, number, 1), is_fetch=True)
        # A mail outlives the delivery's row; its links lead on as long as the run's table is there.
        assert (target is not None) == (number == delivery.id + 1)
        await world.engagement.opened(TokenClaims(TokenKind.PIXEL, number, 0))
    assert kinds(world) == []
    assert await world.suppression_list.list(world.workspace) == []


async def test_forged_tokens_say_nothing(world: Any) -> None:
    delivery = await sent(world)
    forged = make(TokenKind.UNSUBSCRIBE, delivery.id, 0, TokenKeys(1, {1: b"forged" * 6}))
    genuine = make(TokenKind.UNSUBSCRIBE, delivery.id, 0, world.token_keys)
    for token in (forged, "", "x", "A" * 40, genuine[:-1], genuine + "A", genuine.swapcase()):
        assert world.engagement.claims(token, TokenKind.UNSUBSCRIBE) is None
    for kind in TokenKind:
        assert (world.engagement.claims(genuine, kind) is not None) == (kind is TokenKind.UNSUBSCRIBE)


async def test_clicks_count_when_somebody_fetches_and_lead_nowhere_else(world: Any) -> None:
    delivery = await sent(world)
    click = claims(TokenKind.CLICK, delivery, 1)
    assert await world.engagement.clicked(click, is_fetch=False) == "https://acme.test/spring?from=mail"
    assert kinds(world) == []
    assert await world.engagement.clicked(click, is_fetch=True) == "https://acme.test/spring?from=mail"
    await world.engagement.opened(claims(TokenKind.PIXEL, delivery))
    assert kinds(world) == ["clicked", "opened"]
    assert await world.engagement.clicked(claims(TokenKind.CLICK, delivery, 99), is_fetch=True) is None
    await world.change("UPDATE run_link SET url = 'javascript:alert(1)'")
    elsewhere = Engagement(world.database, world.clock, world.token_keys)  # has not read the table before
    assert await elsewhere.clicked(click, is_fetch=True) is None


async def test_the_page_knows_list_sender_and_language_but_no_address(world: Any) -> None:
    delivery = await sent(world, from_name="Acme")
    place = await world.engagement.place(claims(TokenKind.UNSUBSCRIBE, delivery))
    assert (place.list_name, place.sender, place.words().language) == ("Gardeners", "Acme", "he")


def report(delivery: Any, status: str, diagnostic: str, action: str = "failed", recipient: str = "") -> bytes:
    text = DSN.format(
        to=delivery.mail_from,
        recipient=recipient or delivery.rcpt_to,
        action=action,
        status=status,
        diagnostic=diagnostic,
    )
    return text.replace("\n", "\r\n").encode()


def local(delivery: Any) -> str:
    return str(delivery.mail_from.partition("@")[0])


async def test_a_bounce_of_a_dead_mailbox_suppresses(world: Any) -> None:
    delivery = await sent(world)
    await world.bounces.take(local(delivery).upper(), report(delivery, "5.1.1", "550 5.1.1 user unknown"))
    (stored,) = await world.suppression_list.list(world.workspace)
    assert (stored.address, stored.scope, stored.reason) == ("dana@example.test", "all", "hard_bounce")
    assert kinds(world) == ["bounced"]
    assert world.rows("SELECT state FROM delivery") == [("delivered",)]  # late bounces are events, not states


@pytest.mark.parametrize(
    ("status", "diagnostic", "action", "kind"),
    [
        ("4.2.2", "452 4.2.2 mailbox full", "failed", "bounced"),
        ("5.2.2", "552 5.2.2 mailbox full", "failed", "bounced"),
        ("5.7.1", "550 5.7.1 looks like spam", "failed", "bounced"),
        ("4.4.1", "no answer from host", "delayed", "delayed"),
    ],
)
async def test_other_bounces_are_kept_and_suppress_nobody(
    world: Any, status: str, diagnostic: str, action: str, kind: str
) -> None:
    delivery = await sent(world)
    await world.bounces.take(local(delivery), report(delivery, status, diagnostic, action))
    assert kinds(world) == [kind]
    assert await world.suppression_list.list(world.workspace) == []


async def test_a_report_about_somebody_else_counts_for_whom_the_return_path_names(world: Any) -> None:
    delivery = await sent(world)
    await world.imported("email,first_name,language\nvictim@example.test,V,en\n")
    await world.bounces.take(
        local(delivery), report(delivery, "5.1.1", "550 5.1.1 no", recipient="victim@example.test")
    )
    assert [one.address for one in await world.suppression_list.list(world.workspace)] == ["dana@example.test"]


@pytest.mark.parametrize(
    "junk", [b"", b"\x00\xff" * 100, b"Subject: I am on holiday\r\n\r\nBack soon.\r\n", b"\r\n" * 1000]
)
async def test_junk_to_a_return_path_is_kept_as_unread(world: Any, junk: bytes) -> None:
    delivery = await sent(world)
    await world.bounces.take(local(delivery), junk)
    assert kinds(world) == ["feedback_unread"]
    assert await world.suppression_list.list(world.workspace) == []
    assert bytes(world.rows("SELECT content FROM blob")[-1][0]) == junk


async def test_a_forged_return_path_does_nothing(world: Any) -> None:
    delivery = await sent(world)
    before = world.rows("SELECT count(*) FROM blob")
    forged = make_verp(delivery.id, FeedbackKey(1, b"g" * 32))
    nobody = make_verp(delivery.id + 1, world.feedback_keys[1])
    for name in (forged, nobody, "postmaster", ""):
        await world.bounces.take(name, report(delivery, "5.1.1", "550 5.1.1 user unknown"))
    assert (kinds(world), world.rows("SELECT count(*) FROM blob")) == ([], before)
    assert world.bounces.is_return_path(local(delivery))
    assert not world.bounces.is_return_path(forged)


async def test_which_hosts_are_ours(world: Any) -> None:
    await world.verified()
    assert not world.bounces.is_ours("bounce.news.acme.test")
    await world.bounces.refresh_hosts()
    assert world.bounces.is_ours("Bounce.NEWS.acme.test")
    assert not world.bounces.is_ours("news.acme.test")
