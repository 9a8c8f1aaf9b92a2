"""Messages of API clients: durable before the answer, once whatever is asked twice, all told who gets it not."""

import asyncio
import email.policy
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from mailtypes.address import EmailAddress
from mailtypes.clock import DAY, HOUR, MINUTE, SECOND
from mailtypes.domain import DomainName
from postwright.services.accounts import Client, KeyScope, KeyTerms
from postwright.services.errors import RefusedError
from postwright.services.message_intake import MessageWanted, TemplateUse
from postwright.services.submissions import (
    Answered,
    Idempotency,
    KeyInFlightError,
    KeyReusedError,
    PreparedMessage,
    StoredMessage,
)
from postwright.services.withdrawals import Withdrawal
from postwright.store.templates import TemplateText
from rendering.whole import Mailbox
from tracking.tokens import TokenKind, make

AUTHOR = EmailAddress.parse("shop@news.acme.test")


def box(text: str, name: str = "") -> Mailbox:
    return Mailbox(EmailAddress.parse(text), name)


def wanted(*to: str, **changes: Any) -> MessageWanted:
    content: dict[str, Any] = {"subject": "Your order", "text": "It is on its way.\n"}
    return MessageWanted(AUTHOR, "Acme", tuple(box(one) for one in to), **{**content, **changes})


def once(key: str, request: str = "a") -> Idempotency:
    def render(stored: Sequence[StoredMessage]) -> tuple[int, str]:
        return 202, f"stored {stored[0].id}"

    return Idempotency(key, request, render)


@pytest.fixture
async def ready(world: Any) -> Any:
    await world.verified()
    return world


async def send(world: Any, client: Client, *messages: MessageWanted, key: Idempotency | None = None) -> Any:
    prepared = [await world.intake.prepare(client, one) for one in messages]
    return await world.submissions.store(client, prepared, key)


async def test_a_message_goes_the_whole_way(ready: Any) -> None:
    client = await ready.client()
    (stored,) = await send(ready, client, wanted("a@example.test", cc=(box("b@other.test", "Bee"),)))
    assert [one.address for one in stored.accepted] == ["a@example.test", "b@other.test"]
    for _ in range(2):
        await ready.scheduler.step()
    deliveries = await ready.leased()
    assert await ready.transmit(deliveries) == {one.delivery_id for one in stored.accepted}
    parsed = [email.message_from_bytes(one, policy=email.policy.default) for one in ready.messages(deliveries)]
    assert {one["To"] for one in parsed} == {"a@example.test"}
    assert {one["Cc"] for one in parsed} == {"Bee <b@other.test>"}
    assert len({one["Message-ID"] for one in parsed}) == 1
    assert {one.get_content().strip() for one in parsed} == {"It is on its way."}
    assert all("d=news.acme.test" in one["DKIM-Signature"] for one in parsed)
    assert all("List-Unsubscribe" not in one for one in parsed), "a receipt is not a list's mail"
    await ready.answer(deliveries, "250 2.0.0 fine")
    kinds = [row[0] for row in ready.rows("SELECT kind FROM event WHERE delivery_id IS NOT NULL ORDER BY id")]
    assert kinds == ["accepted", "accepted", "delivered", "delivered"]


async def test_the_suppressed_are_left_out_and_named(ready: Any) -> None:
    await ready.suppression_list.add(ready.workspace, "gone@example.test", "manual")
    client = await ready.client()
    (stored,) = await send(ready, client, wanted("a@example.test", "gone@example.test"))
    assert [one.address for one in stored.accepted] == ["a@example.test"]
    assert stored.refused == {"gone@example.test": "manual"}
    (nobody,) = await send(ready, client, wanted("gone@example.test"))
    assert nobody.accepted == ()
    assert ready.rows("SELECT count(*) FROM message") == [(1,)]


async def test_asking_twice_does_it_once(ready: Any) -> None:
    client = await ready.client()
    (stored,) = await send(ready, client, wanted("a@example.test"), key=once("order-1"))
    again = await send(ready, client, wanted("a@example.test"), key=once("order-1"))
    assert again == Answered(202, f"stored {stored.id}")
    assert await ready.submissions.answered_before(client, "order-1", "a") == again
    assert ready.rows("SELECT count(*) FROM delivery") == [(1,)]


async def test_an_idempotency_key_belongs_to_one_request_and_one_api_key(ready: Any) -> None:
    client, other = await ready.client(), await ready.client()
    await send(ready, client, wanted("a@example.test"), key=once("order-1"))
    with pytest.raises(KeyReusedError):
        await send(ready, client, wanted("b@example.test"), key=once("order-1", "b"))
    assert len(await send(ready, other, wanted("b@example.test"), key=once("order-1", "b"))) == 1
    assert ready.rows("SELECT count(*) FROM delivery") == [(2,)]


async def test_the_second_of_two_at_once_is_told_to_wait(ready: Any) -> None:
    client = await ready.client()
    prepared = [await ready.intake.prepare(client, wanted("a@example.test"))]
    first = asyncio.ensure_future(ready.submissions.store(client, prepared, once("k")))
    await asyncio.sleep(0)
    with pytest.raises(KeyInFlightError):
        await ready.submissions.store(client, prepared, once("k"))
    with pytest.raises(KeyInFlightError):
        await ready.submissions.answered_before(client, "k", "a")
    await first


async def test_answers_are_forgotten_after_a_day(ready: Any) -> None:
    client = await ready.client()
    await send(ready, client, wanted("a@example.test"), key=once("k"))
    ready.clock.advance(timedelta(microseconds=DAY + 1))
    assert await ready.submissions.answered_before(client, "k", "a") is None
    await ready.scheduler.step()
    assert ready.rows("SELECT count(*) FROM idempotent_answer") == [(0,)]


async def test_requests_that_come_together_keep_their_own_answers(ready: Any) -> None:
    client = await ready.client()
    names = [f"p{number}@example.test" for number in range(40)]
    results = await asyncio.gather(*(send(ready, client, wanted(name), key=once(name, name)) for name in names))
    assert [result[0].accepted[0].address for result in results] == names
    ids = {result[0].accepted[0].delivery_id for result in results}
    assert len(ids) == 40
    assert {row[0] for row in ready.rows("SELECT id FROM delivery")} == ids


async def test_a_failing_store_fails_everybody_and_keeps_nothing(ready: Any) -> None:
    client = await ready.client()
    good = await ready.intake.prepare(client, wanted("a@example.test"))
    twice = PreparedMessage(good.new, good.stream_id, good.placement)
    await ready.submissions.store(client, [good])
    with pytest.raises(Exception, match=r"could not|UNIQUE|constraint"):
        await ready.submissions.store(client, [twice])
    assert ready.rows("SELECT count(*) FROM delivery") == [(1,)]
    assert ready.rows("SELECT sum(reference_count) FROM blob") == [(1,)]


async def test_the_quota_of_a_day_is_kept(ready: Any) -> None:
    client = await ready.client(KeyTerms(daily_quota=3))
    results = await send(
        ready, client, wanted("a@example.test", "b@example.test"), wanted("c@example.test", "d@example.test")
    )
    assert [one.over_quota for one in results] == [False, True]
    (one,) = await send(ready, client, wanted("e@example.test"))
    assert one.accepted, "what a refused message did not take is still there"
    ready.clock.advance(timedelta(microseconds=DAY))
    assert (await send(ready, client, wanted("f@example.test")))[0].accepted


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        (KeyTerms(domains=frozenset({DomainName("other.acme.test")})), "sender_not_allowed"),
        (KeyTerms(addresses=frozenset({EmailAddress.parse("billing@news.acme.test")})), "sender_not_allowed"),
    ],
)
async def test_a_key_sends_only_from_its_own_senders(ready: Any, terms: KeyTerms, code: str) -> None:
    client = await ready.client(terms)
    with pytest.raises(RefusedError) as refused:
        await send(ready, client, wanted("a@example.test"))
    assert refused.value.problems[0].code == code


async def test_an_unverified_domain_is_refused(world: Any) -> None:
    await world.sender_domains.add(world.workspace, "news.acme.test")
    with pytest.raises(RefusedError) as refused:
        await send(world, await world.client(), wanted("a@example.test"))
    assert refused.value.problems[0].code == "domain_not_verified"


async def test_a_scheduled_message_waits_for_its_moment(ready: Any) -> None:
    client = await ready.client()
    later = ready.clock.now() + 2 * HOUR
    await send(ready, client, wanted("a@example.test", send_at=later))
    await ready.scheduler.step()
    assert await ready.leased() == []
    ready.clock.advance(timedelta(microseconds=2 * HOUR + SECOND))
    for _ in range(2):
        await ready.scheduler.step()
    assert len(await ready.leased()) == 1


async def test_links_are_tracked_where_the_stream_says_so(ready: Any) -> None:
    client = await ready.client()
    html = '<p><a href="https://acme.test/spring">See it</a> <a href="{{ unsubscribe_url }}">Unsubscribe</a></p>'
    await send(ready, client, wanted("a@example.test", html=html, text=None, stream="marketing"))
    for _ in range(2):
        await ready.scheduler.step()
    deliveries = await ready.leased()
    (octets,) = ready.messages(deliveries)
    parsed = email.message_from_bytes(octets, policy=email.policy.default)
    body = parsed.get_body(("html",))
    assert body is not None
    assert "acme.test/spring" not in body.get_content()
    link = body.get_content().split('href="')[1].split('"')[0]
    claims = ready.engagement.claims(link.rsplit("/", 1)[1], TokenKind.CLICK)
    assert claims is not None
    assert await ready.engagement.clicked(claims, is_fetch=True) == "https://acme.test/spring"
    assert parsed["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


async def test_unsubscribing_from_a_clients_mail_stops_the_stream_and_no_receipt(ready: Any) -> None:
    client = await ready.client()
    (first,) = await send(ready, client, wanted("a@example.test", stream="marketing"))
    token = make(TokenKind.UNSUBSCRIBE, first.accepted[0].delivery_id, 0, ready.token_keys)
    claims = ready.engagement.claims(token, TokenKind.UNSUBSCRIBE)
    assert await ready.engagement.unsubscribe(claims, Withdrawal("one_click", ready.clock.now()))
    assert ready.rows("SELECT state FROM delivery") == [("suppressed",)], "what is queued stops at once"
    (letter,) = await send(ready, client, wanted("a@example.test", stream="marketing"))
    (receipt,) = await send(ready, client, wanted("a@example.test"))
    assert (letter.accepted, len(receipt.accepted)) == ((), 1)


async def test_a_template_with_data(ready: Any) -> None:
    text = TemplateText("<p>Hello {{ contact.first_name }}, {{ code }}</p>", "html", "Hi {{ contact.first_name }}")
    saved = await ready.templates.save(ready.workspace, "Code", text)
    use = TemplateUse(saved.template.id, {"first_name": "דנה", "code": "<4711>"})
    await send(ready, await ready.client(), wanted("a@example.test", subject=None, text=None, template=use))
    for _ in range(2):
        await ready.scheduler.step()
    (octets,) = ready.messages(await ready.leased())
    parsed = email.message_from_bytes(octets, policy=email.policy.default)
    assert parsed["Subject"] == "Hi דנה"
    assert "Hello דנה, &lt;4711&gt;" in parsed.get_body(("html",)).get_content()


async def test_a_test_key_goes_all_the_way_but_out(ready: Any) -> None:
    client = await ready.client(KeyTerms(is_test=True))
    await send(ready, client, wanted("a@example.test"))
    deliveries = await ready.leased()
    assert [one.rcpt_to for one in deliveries] == ["a@example.test"], "no route is looked up for it"
    run = ready.rows("SELECT is_test, standing_key FROM run")[0]
    assert run[0] == 1
    assert run[1].startswith("test:")


async def test_the_days_run_ends_when_nobody_joins_it_any_more(ready: Any) -> None:
    client = await ready.client()
    await send(ready, client, wanted("a@example.test"))
    for _ in range(2):
        await ready.scheduler.step()
    await ready.answer(await _transmitted(ready), "250 fine")
    await ready.scheduler.step()
    assert ready.rows("SELECT state FROM run") == [("sending",)], "others may still join"
    ready.clock.advance(timedelta(microseconds=DAY + 10 * MINUTE))
    await ready.scheduler.step()
    assert ready.rows("SELECT state FROM run") == [("finished",)]


async def _transmitted(world: Any) -> Any:
    deliveries = await world.leased()
    await world.transmit(deliveries)
    return deliveries


async def test_a_rotated_key_goes_on_for_the_old_one(ready: Any) -> None:
    scopes = frozenset({KeyScope.SEND})
    key_id, key = await ready.accounts.create_key(ready.workspace, "shop", scopes, KeyTerms(daily_quota=1))
    old = await ready.accounts.client(key)
    (stored,) = await send(ready, old, wanted("a@example.test"), key=once("order-1"))
    for _ in range(2):
        key_id, key = await ready.accounts.rotate_key(ready.workspace, key_id, timedelta(hours=1))
        new = await ready.accounts.client(key)
        assert await send(ready, new, wanted("a@example.test"), key=once("order-1")) == Answered(
            202, f"stored {stored.id}"
        )
        (refused,) = await send(ready, new, wanted("b@example.test"))
        assert refused.over_quota, "the quota is the client's, not the key's"
