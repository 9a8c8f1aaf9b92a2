"""Recipients from the list to the end: written once each, released, held, cancelled, expired, counted."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from mailtypes.clock import HOUR
from mta.delivery import DeliveryState, Happening, next_state
from postwright.store import campaigns, contacts, leases, preparation, recipients, suppressions
from postwright.store.database import Database
from postwright.store.public_ids import delivery_id, run_of_delivery
from postwright.store.suppressions import NewSuppression, Scope

ENDING = recipients.Ending(Happening.PERMANENT, "null MX", lambda *_: {"reason": "no_mail_service"})


def told(attempts: int, code: int | None, text: str) -> dict[str, Any]:
    return {"attempts": attempts, "code": code, "text": text}


ALL_THE_SAME = preparation.Placing(lambda key: 0)


async def _prepare_all(world: Any, run: campaigns.Run, limit: int) -> list[int]:
    sizes = []
    while size := await world.write(preparation.prepare_chunk, run.id, ALL_THE_SAME, world.now, limit=limit):
        sizes.append(size)
    return sizes


async def test_every_contact_becomes_one_held_delivery(world: Any) -> None:
    run = await world.start([f"p{number}" for number in range(7)])
    assert await _prepare_all(world, run, 3) == [3, 3, 1]
    rows = await world.rows(run)
    assert list(rows) == [delivery_id(run.id, number) for number in range(1, 8)]
    assert {run_of_delivery(one) for one in rows} == {run.id}
    assert sorted(row.address for row in rows.values()) == [f"p{number}@example.test" for number in range(7)]
    assert {(row.state, row.waits_for, row.expires_at, row.settled_at) for row in rows.values()} == {
        ("held", "route", run.expires_at, None)
    }
    after = await world.again(run)
    assert (after.state, after.recipients) == ("sending", 7)


async def test_preparing_again_changes_nothing(world: Any) -> None:
    run = await world.prepared(3)
    before = await world.rows(run)
    assert await _prepare_all(world, run, 2) == []
    assert await world.rows(run) == before


async def test_a_process_that_dies_in_a_chunk_leaves_nothing_half_done(world: Any) -> None:
    run = await world.start([f"p{number}" for number in range(5)])
    await world.write(preparation.prepare_chunk, run.id, ALL_THE_SAME, world.now, limit=2)

    def dying(connection: Any) -> None:
        preparation.prepare_chunk(connection, run.id, ALL_THE_SAME, world.now, limit=2)
        raise RuntimeError("the process dies")

    with pytest.raises(RuntimeError, match="dies"):
        await world.database.write(dying)
    assert len(await world.rows(run)) == 2
    assert await _prepare_all(world, run, 2) == [2, 1]
    assert sorted(row.address_key for row in (await world.rows(run)).values()) == [
        f"p{number}@example.test" for number in range(5)
    ]


async def test_two_processes_prepare_at_the_same_time(world: Any, open_database: Callable[[], Database]) -> None:
    run = await world.start([f"p{number}" for number in range(100)])

    async def prepare(database: Database) -> int:
        done = 0
        while size := await database.write(
            lambda connection: preparation.prepare_chunk(connection, run.id, ALL_THE_SAME, world.now, limit=9)
        ):
            done += size
        return done

    done = await asyncio.gather(*(prepare(open_database()) for _ in range(3)))
    rows = await world.rows(run)
    assert sum(done) == len(rows) == 100
    assert len({row.contact_id for row in rows.values()}) == 100
    assert (await world.again(run)).recipients == 100


async def test_merge_data_and_variant_are_frozen(world: Any) -> None:
    target = await world.contact_list("people", [])
    await world.write(contacts.put_on_list, target, [world.contact("ann", name="Ann")], "test", world.now)
    run = await world.start([], list_name="people")
    placing = preparation.Placing(lambda key: 1 if key.startswith("ann") else 0)
    await world.write(preparation.prepare_chunk, run.id, placing, world.now)
    await world.write(contacts.put_on_list, target, [world.contact("ann", name="Anna")], "test", world.now)
    (row,) = (await world.rows(run)).values()
    assert (json.loads(row.merge_data), row.variant) == ({"name": "Ann"}, 1)


async def test_suppressed_contacts_are_settled_at_once_with_an_event(world: Any) -> None:
    run = await world.start(["good", "bad"])
    await world.write(
        suppressions.suppress,
        world.workspace,
        [NewSuppression("bad@example.test", "bad@example.test", Scope.ALL, 0, "complaint")],
        world.now,
    )
    await _prepare_all(world, run, 10)
    by_address = {row.address: row for row in (await world.rows(run)).values()}
    bad = by_address["bad@example.test"]
    assert (bad.state, bad.reply_text, bad.settled_at, bad.waits_for) == ("suppressed", "complaint", world.now, "")
    assert by_address["good@example.test"].state == "held"
    (event,) = await world.events("suppressed")
    assert (event.delivery_id, event.run_id, event.contact_id) == (bad.id, run.id, bad.contact_id)


async def test_releasing_takes_a_limited_number_of_one_domain(world: Any) -> None:
    target = await world.contact_list("mixed", ["a", "b", "c"])
    await world.write(contacts.put_on_list, target, [world.contact("x", "other.test")], "test", world.now)
    run = await world.start([], list_name="mixed")
    await _prepare_all(world, run, 10)
    assert sorted(await world.read(recipients.held_domains, run.id)) == ["example.test", "other.test"]
    release = (recipients.release, run.id, "example.test", world.destination, world.now + 5)
    assert await world.write(*release, limit=2) == 2
    assert await world.write(*release, limit=2) == 1
    assert await world.write(*release, limit=2) == 0
    rows = list((await world.rows(run)).values())
    assert [row.state for row in rows if row.domain == "example.test"] == ["ready"] * 3
    assert {(row.destination_id, row.waits_for, row.next_attempt_at) for row in rows if row.state == "ready"} == {
        (world.destination, "", world.now + 5)
    }
    assert await world.read(recipients.held_domains, run.id) == ["other.test"]


async def test_why_they_wait(world: Any) -> None:
    run = await world.prepared(3)
    explain = (recipients.explain_wait, run.id, "example.test", "budget")
    assert await world.write(*explain, limit=2) == 2
    assert await world.write(*explain) == 1
    assert await world.write(*explain) == 0
    assert {row.waits_for for row in (await world.rows(run)).values()} == {"budget"}


async def test_a_domain_that_takes_no_mail_fails_its_held_recipients(world: Any) -> None:
    run = await world.prepared(3)
    await world.write(recipients.release, run.id, "example.test", world.destination, world.now, limit=1)
    assert await world.write(recipients.fail_held, run, "example.test", ENDING, world.now, limit=10) == 2
    assert await world.states(run) == {"ready": 1, "failed": 2}
    failed = [row for row in (await world.rows(run)).values() if row.state == "failed"]
    assert {(row.reply_text, row.settled_at) for row in failed} == {("null MX", world.now)}
    events = await world.events("failed")
    assert {event.delivery_id for event in events} == {row.id for row in failed}
    assert {(data["cause"], data["reason"]) for data in (json.loads(event.data) for event in events)} == {
        ("null MX", "no_mail_service")
    }


async def test_a_deferred_one_that_was_held_keeps_its_time(world: Any) -> None:
    run = await world.released(1)
    (held,) = await world.lease()
    await world.mark([held])
    outcome = world.outcome(held, Happening.TRANSIENT, retry_at=world.now + HOUR)
    await world.write(leases.record, [outcome], world.now)
    assert await world.write(recipients.hold, run.id, "paused") == 1
    assert await world.write(recipients.release, run.id, "example.test", world.destination, world.now, limit=1) == 1
    assert await world.lease() == []
    assert len(await world.lease(now=world.now + HOUR)) == 1


@pytest.mark.parametrize(
    ("happening", "act"),
    [
        (Happening.HOLD, lambda connection, run, now: recipients.hold(connection, run.id, "paused")),
        (Happening.CANCEL, recipients.cancel),
        (Happening.EXPIRE, lambda connection, run, now: recipients.expire(connection, run, told, run.expires_at)),
    ],
)
async def test_every_state_is_moved_as_the_table_says(
    world: Any, happening: Happening, act: Callable[..., int]
) -> None:
    run, other = await world.start([]), await world.start([])
    states = list(DeliveryState)
    held = await world.put(run, [str(state) for state in states])
    await world.put(other, [str(state) for state in states])
    untouched = await world.rows(other)
    moved = await world.write(act, run, world.now)
    expected = {state: next_state(state, happening) for state in states}
    after = await world.rows(run)
    for state, one in zip(states, held, strict=True):
        assert after[one.id].state == (expected[state] or state), f"{state}, {happening}"
    assert moved == sum(after is not None for after in expected.values())
    assert await world.rows(other) == untouched
    assert len(await world.events()) == (0 if happening is Happening.HOLD else moved)


async def test_holding_cancelling_and_expiring_take_a_limited_number(world: Any) -> None:
    run = await world.released(6)
    assert await world.write(recipients.hold, run.id, "paused", limit=2) == 2
    assert await world.write(recipients.cancel, run, world.now, limit=3) == 3
    assert await world.write(recipients.expire, run, told, run.expires_at - 1, limit=2) == 0
    assert await world.write(recipients.expire, run, told, run.expires_at, limit=2) == 2
    assert await world.write(recipients.expire, run, told, run.expires_at, limit=2) == 1


async def test_a_run_is_counted(world: Any) -> None:
    run = await world.start([])
    await world.put(run, ["held", "ready", "leased", "transmitting", "deferred", "ambiguous"] + ["delivered"] * 3)
    await world.put(await world.start([]), ["failed"])
    counts: recipients.RunCounts = await world.read(recipients.count_run, run.id)
    assert counts.by_state["delivered"] == 3
    assert (counts.total, counts.settled) == (9, 3)
    assert (counts.deferred_ever, counts.ambiguous_ever) == (0, 0)


@pytest.mark.parametrize("state", list(DeliveryState))
async def test_a_run_is_finished_when_nobody_is_on_the_way(world: Any, state: DeliveryState) -> None:
    run = await world.start([])
    await world.put(run, ["delivered", str(state)])
    await world.write(campaigns.move_run, run.id, ["preparing"], "sending", world.now)
    settled = state in {"delivered", "failed", "expired", "suppressed", "cancelled"}
    assert await world.write(recipients.finish_if_done, run, world.now + 1) is settled
    after = await world.again(run)
    assert (after.state, after.finished_at) == (("finished", world.now + 1) if settled else ("sending", None))
    campaign = await world.read(campaigns.get_campaign, world.workspace, run.campaign_id)
    assert campaign.state == ("finished" if settled else "sending")
    assert await world.write(recipients.finish_if_done, run, world.now + 2) is False


@pytest.mark.parametrize("state", ["preparing", "paused", "cancelled"])
async def test_only_a_sending_run_is_finished_and_its_campaign_with_it(world: Any, state: str) -> None:
    run = await world.start([])
    if state != "preparing":
        await world.write(campaigns.move_run, run.id, ["preparing"], state, world.now)
    assert await world.write(recipients.finish_if_done, run, world.now) is False
    assert (await world.again(run)).state == state
    campaign = await world.read(campaigns.get_campaign, world.workspace, run.campaign_id)
    assert campaign.state == "sending"


async def test_listing_and_finding_deliveries(world: Any) -> None:
    run = await world.released(3)
    await world.released(2)
    wanted = recipients.DeliveryFilter
    listed = await world.read(recipients.list_deliveries, world.workspace, wanted(run_id=run.id), limit=2)
    rest = await world.read(
        recipients.list_deliveries, world.workspace, wanted(run_id=run.id), after=listed[-1].id, limit=2
    )
    assert [row.id for row in listed + rest] == list(await world.rows(run))
    to_p1 = await world.read(recipients.list_deliveries, world.workspace, wanted(address_key="p1@example.test"))
    assert len(to_p1) == 2
    ready = await world.read(recipients.list_deliveries, world.workspace, wanted(state=DeliveryState.READY))
    assert len(ready) == 5
    assert await world.read(recipients.list_deliveries, world.workspace + 1, wanted()) == []
    assert await world.read(recipients.get_delivery, run.id, listed[0].id) == listed[0]
    assert await world.read(recipients.get_delivery, run.id + 1, listed[0].id) is None
