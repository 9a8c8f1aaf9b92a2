"""The durable queue: who holds a delivery, and what a worker that was slow or died leaves behind."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, update

from mailtypes.clock import HOUR, MINUTE, SECOND
from mta.delivery import Happening
from postwright.store import leases, recipients
from postwright.store.database import Database, open_engine, read_url
from postwright.store.records import table

PAST = -SECOND  # a lease of this duration has run out when it is given
_delivery = table("delivery")


async def test_a_lease_carries_what_the_message_needs(world: Any) -> None:
    run = await world.released(1)
    (held,) = await world.lease()
    (row,) = (await world.rows(run)).values()
    assert (held.id, held.run_id, held.address, held.merge_data) == (row.id, run.id, "p0@example.test", "{}")
    assert (held.epoch, held.attempts, held.first_attempt_at) == (1, 1, None)
    assert (row.state, row.worker) == ("leased", "w1")


async def test_processes_that_lease_at_the_same_time_never_share_a_delivery(
    world: Any, open_database: Callable[[], Database]
) -> None:
    run = await world.released(200)
    taken: list[int] = []

    async def worker(name: str) -> None:
        database = open_database()
        for _ in range(200):
            held = await database.write(
                lambda connection: leases.lease(connection, leases.Taker(name, HOUR), world.destination, 7, world.now)
            )
            assert len(held) <= 7
            if not held:
                return
            taken.extend(one.id for one in held)

    await asyncio.gather(*(worker(f"w{number}") for number in range(4)))
    assert len(taken) == len(set(taken))
    # A worker may give up while the last rows are locked by another one; they are there for whoever asks next.
    taken += [one.id for one in await world.lease()]
    assert sorted(taken) == sorted(await world.rows(run))
    assert await world.lease() == []


# SQLite has one writer at a time.
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_nobody_waits_for_rows_that_another_process_is_leasing(world: Any, database_url: str) -> None:
    await world.released(30)
    engine = open_engine(read_url(database_url))
    with engine.connect() as connection, connection.begin():
        first = leases.lease(connection, leases.Taker("w1", HOUR), world.destination, 10, world.now)
        second = await asyncio.wait_for(world.lease(10), 5)
    engine.dispose()
    assert (len(first), len(second)) == (10, 10)
    assert not {one.id for one in first} & {one.id for one in second}


async def test_only_what_is_due_at_that_destination_and_the_oldest_first(world: Any) -> None:
    run = await world.released(3)
    early, middle, late = await world.rows(run)
    for one, moment in ((early, world.now - 2), (middle, world.now - 1), (late, world.now + 1)):
        await world.write(
            lambda connection, one=one, moment=moment: connection.execute(
                update(_delivery).where(_delivery.c.id == one).values(next_attempt_at=moment)
            )
        )
    assert await world.write(leases.lease, leases.Taker("w1", MINUTE), world.destination + 1, 10, world.now) == []
    assert [one.id for one in await world.lease(1)] == [early]
    assert [one.id for one in await world.lease()] == [middle]
    assert [one.id for one in await world.lease(now=world.now + 1)] == [late]


async def test_due_destinations_and_when_the_next_is_due(world: Any) -> None:
    assert await world.read(leases.due_destinations, world.now) == []
    run = await world.start([])
    held = await world.put(run, ["ready", "deferred", "deferred", "held", "delivered"])

    def place(connection: Connection) -> None:
        for one, (destination, moment) in zip(held, [(5, 0), (7, 10), (9, -3), (11, -9), (13, -9)], strict=True):
            connection.execute(
                update(_delivery)
                .where(_delivery.c.id == one.id)
                .values(destination_id=destination, next_attempt_at=world.now + moment)
            )

    await world.database.write(place)
    assert await world.read(leases.due_destinations, world.now) == [5, 9]
    assert await world.read(leases.due_destinations, world.now + 10) == [5, 7, 9]
    assert await world.read(leases.next_due_at, world.now - 4) == world.now - 3
    assert await world.read(leases.next_due_at, world.now) == world.now + 10
    assert await world.read(leases.next_due_at, world.now + 10) is None


async def test_marking_returns_only_what_is_still_ours(world: Any) -> None:
    run = await world.released(4)
    mine, other_epoch, given_back, cancelled = await world.lease()
    await world.write(
        lambda connection: connection.execute(
            update(_delivery).where(_delivery.c.id == other_epoch.id).values(epoch=other_epoch.epoch + 1)
        )
    )
    await world.record([given_back], Happening.LEASE_LOST)
    await world.write(
        lambda connection: connection.execute(
            update(_delivery).where(_delivery.c.id == cancelled.id).values(state="cancelled")
        )
    )
    assert await world.mark([mine, other_epoch, given_back, cancelled]) == {mine.id}
    assert await world.mark([mine]) == set()  # not twice either
    assert await world.states(run) == {"transmitting": 1, "leased": 1, "ready": 1, "cancelled": 1}


async def test_the_first_attempt_is_dated_once_and_for_good(world: Any) -> None:
    run = await world.released(1)
    held = await world.lease()
    await world.mark(held, now=world.now + 1)
    await world.record(held, Happening.TRANSIENT)
    (again,) = await world.lease()
    assert (again.first_attempt_at, again.epoch, again.attempts) == (world.now + 1, 2, 2)
    await world.mark([again], now=world.now + HOUR)
    (row,) = (await world.rows(run)).values()
    assert row.first_attempt_at == world.now + 1


async def test_an_outcome_of_an_old_lease_is_dropped_with_its_event(world: Any) -> None:
    run = await world.released(1)
    (old,) = await world.lease(duration=PAST)
    await world.write(leases.reap, world.now, world.now)
    (new,) = await world.lease(worker="w2")
    await world.mark([new])
    assert new.epoch > old.epoch
    before = await world.rows(run)
    for happening in leases.EVENT_KIND:
        assert await world.record([old], happening) == set()
    assert await world.rows(run) == before
    assert await world.events() == []


async def test_an_old_and_a_new_outcome_in_one_batch(world: Any) -> None:
    await world.released(1)
    (old,) = await world.lease(duration=PAST)
    await world.write(leases.reap, world.now, world.now)
    (new,) = await world.lease()
    await world.mark([new])
    batch = [
        world.outcome(old, Happening.ACCEPTED, reply="old"),
        world.outcome(new, Happening.ACCEPTED, reply="new"),
        world.outcome(new, Happening.ACCEPTED, reply="twice"),
        world.outcome(new, Happening.PERMANENT, reply="contradicts"),
    ]
    assert await world.write(leases.record, batch, world.now) == {new.id}
    assert [json.loads(event.data)["reply"] for event in await world.events()] == ["new"]


async def test_what_ran_out_before_it_was_marked_was_not_sent(world: Any) -> None:
    run = await world.released(3)
    (lost, *_) = await world.lease(1, duration=PAST)
    (kept,) = await world.lease(1)
    assert await world.write(leases.reap, world.now + 5, world.now) == (1, 0)
    rows = await world.rows(run)
    assert (rows[lost.id].state, rows[lost.id].attempts, rows[lost.id].worker) == ("ready", 0, None)
    assert rows[kept.id].state == "leased"
    assert await world.mark([lost]) == set()  # the slow worker must not send it any more
    assert await world.events() == []


async def test_what_ran_out_while_it_was_sent_is_ambiguous(world: Any) -> None:
    run = await world.released(2)
    held = await world.lease()
    await world.mark(held[:1], duration=PAST)
    await world.mark(held[1:])
    assert await world.write(leases.reap, world.now + 5, world.now) == (0, 1)
    row = (await world.rows(run))[held[0].id]
    assert (row.state, row.ambiguities, row.attempts, row.next_attempt_at) == ("ambiguous", 1, 1, world.now + 5)
    (event,) = await world.events()
    assert (event.kind, event.delivery_id, event.run_id) == ("ambiguous", held[0].id, run.id)


async def test_reaping_takes_a_limited_number(world: Any) -> None:
    await world.released(5)
    await world.lease(duration=PAST)
    assert await world.write(leases.reap, world.now, world.now, limit=3) == (3, 0)
    assert await world.write(leases.reap, world.now, world.now, limit=3) == (2, 0)


async def test_a_late_outcome_counts_until_somebody_leases_again(world: Any) -> None:
    run = await world.released(2)
    late, too_late = await world.lease()
    await world.mark([late, too_late], duration=PAST)
    await world.write(leases.reap, world.now, world.now)
    assert await world.record([late], Happening.ACCEPTED) == {late.id}
    assert await world.write(leases.retry_ambiguous, world.now) == 1
    (again,) = await world.lease()
    assert again.id == too_late.id
    assert await world.record([too_late], Happening.ACCEPTED) == set()
    assert await world.states(run) == {"delivered": 1, "leased": 1}
    counts: recipients.RunCounts = await world.read(recipients.count_run, run.id)
    assert counts.ambiguous_ever == 2


async def test_the_stream_says_whether_an_ambiguous_one_is_tried_again(world: Any) -> None:
    run, held_run = await world.start([]), await world.start([], stream="transactional")
    for one in (run, held_run):
        await world.put(one, ["ambiguous", "ambiguous"])
    stream = table("stream")

    def arrange(connection: Connection) -> None:
        connection.execute(update(stream).where(stream.c.id == held_run.stream_id).values(ambiguous_rule="hold"))
        late = select(func.max(_delivery.c.id)).where(_delivery.c.run_id == run.id).scalar_subquery()
        connection.execute(update(_delivery).where(_delivery.c.id == late).values(next_attempt_at=world.now + 1))

    await world.database.write(arrange)
    assert await world.write(leases.retry_ambiguous, world.now) == 1
    assert await world.states(run) == {"ready": 1, "ambiguous": 1}
    assert await world.states(held_run) == {"ambiguous": 2}
    assert await world.write(leases.retry_ambiguous, world.now + 1) == 1


async def test_ambiguous_ones_of_a_paused_run_stay(world: Any) -> None:
    run = await world.start([])
    await world.put(run, ["ambiguous"])
    await world.write(lambda connection: connection.execute(update(table("run")).values(state="paused")))
    assert await world.write(leases.retry_ambiguous, world.now) == 0


async def test_renewing_extends_what_a_worker_holds_and_nothing_else(world: Any) -> None:
    await world.released(3)
    await world.lease(2, duration=PAST)
    await world.lease(1, worker="w2", duration=PAST)
    assert await world.write(leases.renew, "w1", HOUR) == 2
    assert await world.write(leases.reap, world.now, world.now) == (1, 0)


async def test_a_pool_takes_the_mail_of_its_streams_alone(world: Any) -> None:
    await world.released(2)
    of_pool = leases.Taker("w1", MINUTE, "default")
    of_another = leases.Taker("w2", MINUTE, "receipts")
    assert await world.read(leases.due_destinations, world.now, "", "receipts") == []
    assert await world.write(leases.lease, of_another, world.destination, 10, world.now) == []
    assert await world.read(leases.due_destinations, world.now, "", "default") == [world.destination]
    assert len(await world.write(leases.lease, of_pool, world.destination, 10, world.now)) == 2
