"""The log keeps everything in order, and its counts are neither too high nor too low."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from mailtypes.clock import SECOND, from_datetime
from postwright.store import events, workspaces
from postwright.store.database import Database
from postwright.store.events import ROLLUP_LAG, EventFilter, NewEvent

LATE = ROLLUP_LAG + SECOND


async def _append(world: Any, *new: NewEvent, now: int) -> list[int]:
    ids: list[int] = await world.write(events.append, new, now)
    return ids


async def test_events_come_back_as_they_were_put_in(world: Any) -> None:
    new = NewEvent(world.workspace, "delivered", world.now - 5, 3, 4, 5, {"reply": 'שלום "x" \x00'})
    (event_id,) = await _append(world, new, now=world.now)
    (found,) = await world.read(events.list_events, world.workspace, EventFilter())
    assert (found.id, found.kind, found.occurred_at, found.recorded_at) == (
        event_id, "delivered", world.now - 5, world.now
    )  # fmt: skip
    assert (found.run_id, found.delivery_id, found.contact_id, found.schema_version) == (3, 4, 5, 1)
    assert json.loads(found.data) == {"reply": 'שלום "x" \x00'}
    assert await _append(world, now=world.now) == []


async def test_events_are_read_in_order_by_pages(world: Any) -> None:
    for moment in (3, 1, 2, 2):
        await _append(
            world, NewEvent(world.workspace, f"k{moment}", 0), NewEvent(world.workspace, "x", 0), now=world.now + moment
        )
    seen: list[events.Event] = []
    while page := await world.read(
        events.list_events,
        world.workspace,
        EventFilter(),
        after=(seen[-1].recorded_at, seen[-1].id) if seen else (0, 0),
        limit=3,
    ):
        seen += page
    assert len(seen) == len({one.id for one in seen}) == 8
    order = [(one.recorded_at, one.id) for one in seen]
    assert order == sorted(order)
    assert await world.read(events.list_events, world.workspace + 1, EventFilter()) == []


async def test_filters(world: Any) -> None:
    await _append(
        world,
        NewEvent(world.workspace, "delivered", 0, 1, 10),
        NewEvent(world.workspace, "failed", 0, 1, 11),
        NewEvent(world.workspace, "delivered", 0, 2, 20),
        now=world.now,
    )

    async def found(wanted: EventFilter) -> list[int | None]:
        return [one.delivery_id for one in await world.read(events.list_events, world.workspace, wanted)]

    assert await found(EventFilter(kind="delivered")) == [10, 20]
    assert await found(EventFilter(run_id=1)) == [10, 11]
    assert await found(EventFilter(delivery_id=20)) == [20]
    assert await found(EventFilter(kind="failed", run_id=2)) == []


async def test_ids_of_processes_that_write_at_the_same_time(world: Any, open_database: Callable[[], Database]) -> None:
    new = [NewEvent(world.workspace, "delivered", 0)] * 5
    databases = [open_database() for _ in range(3)]
    drawn = await asyncio.gather(
        *(
            database.write(lambda connection: events.append(connection, new, world.now))
            for database in databases
            for _ in range(10)
        )
    )
    ids = [one for batch in drawn for one in batch]
    assert len(ids) == len(set(ids)) == 150


async def test_ids_stay_unique_around_the_end_of_a_month(world: Any) -> None:
    """A process that read its clock before midnight may write after one that read it later."""
    before = from_datetime(datetime(2023, 11, 30, 23, 59, 59, tzinfo=UTC))
    new = NewEvent(world.workspace, "delivered", 0)
    ids = [
        one
        for moment in (before, before + 2 * SECOND, before, before + 2 * SECOND, before)
        for one in await _append(world, new, new, now=moment)
    ]
    assert len(ids) == len(set(ids)) == 10


async def test_counts_follow_behind_a_watermark(world: Any) -> None:
    await _append(world, NewEvent(world.workspace, "delivered", 0, 7), now=world.now)
    await _append(world, NewEvent(world.workspace, "delivered", 0, 7), now=world.now + 1)
    await _append(world, NewEvent(world.workspace, "login", 0), now=world.now)
    assert await world.write(events.roll_up, world.workspace, world.now + ROLLUP_LAG) == 0
    assert await world.write(events.roll_up, world.workspace, world.now + ROLLUP_LAG + 1) == 2
    assert await world.write(events.roll_up, world.workspace, world.now + ROLLUP_LAG + 1) == 0
    assert await world.read(events.event_counts, world.workspace, 7) == {"delivered": 1}
    assert await world.write(events.roll_up, world.workspace, world.now + LATE) == 1
    assert await world.read(events.event_counts, world.workspace, 7) == {"delivered": 2}
    assert await world.read(events.event_counts, world.workspace, 0) == {"login": 1}


async def test_whether_there_is_something_to_roll_up(world: Any) -> None:
    assert await world.read(events.needs_roll_up, world.workspace, world.now) is False
    await _append(world, NewEvent(world.workspace, "delivered", 0, 7), now=world.now)
    assert await world.read(events.needs_roll_up, world.workspace, world.now + ROLLUP_LAG) is False
    assert await world.read(events.needs_roll_up, world.workspace, world.now + LATE) is True
    await world.write(events.roll_up, world.workspace, world.now + LATE)
    assert await world.read(events.needs_roll_up, world.workspace, world.now + LATE) is False


async def test_a_clock_that_goes_back_counts_nothing_twice(world: Any) -> None:
    await _append(world, NewEvent(world.workspace, "delivered", 0, 7), now=world.now)
    for moment in (LATE, 0, LATE, LATE + 1):
        await world.write(events.roll_up, world.workspace, world.now + moment)
    assert await world.read(events.event_counts, world.workspace, 7) == {"delivered": 1}


async def test_an_event_whose_transaction_had_to_wait_is_not_missed(world: Any) -> None:
    """Its moment was read long before its turn came, and the watermark has passed it."""
    await world.write(events.roll_up, world.workspace, world.now + LATE)
    await _append(world, NewEvent(world.workspace, "delivered", world.now, 7), now=world.now)
    (found,) = await world.read(events.list_events, world.workspace, EventFilter())
    assert (found.occurred_at, found.recorded_at) == (world.now, world.now + SECOND)
    assert await world.write(events.roll_up, world.workspace, world.now + 2 * LATE) == 1
    assert await world.read(events.event_counts, world.workspace, 7) == {"delivered": 1}


async def test_processes_that_roll_up_while_others_write(world: Any, open_database: Callable[[], Database]) -> None:
    kinds = ["delivered", "failed", "deferred"]
    writers, rollers = [open_database() for _ in range(2)], [open_database() for _ in range(2)]

    reached = dict.fromkeys(map(id, writers), 0)
    """The step of each writer: one clock for all, as machines have that agree on the time."""

    async def write(database: Database) -> None:
        for step in range(20):
            reached[id(database)] = step
            new = [NewEvent(world.workspace, kinds[(step + one) % 3], 0, 7) for one in range(4)]
            moment = world.now + step * SECOND
            await database.write(lambda connection, new=new, moment=moment: events.append(connection, new, moment))

    async def roll(database: Database) -> None:
        for _ in range(20):
            moment = world.now + min(reached.values()) * SECOND
            await database.write(lambda connection, moment=moment: events.roll_up(connection, world.workspace, moment))

    await asyncio.gather(*(write(one) for one in writers), *(roll(one) for one in rollers))
    await world.write(events.roll_up, world.workspace, world.now + 100 * SECOND)
    stored = Counter(event.kind for event in await world.events())
    assert await world.read(events.event_counts, world.workspace, 7) == dict(stored)
    assert stored.total() == 160


async def test_workspaces_are_counted_apart(world: Any) -> None:
    await _append(world, NewEvent(world.workspace, "delivered", 0, 7), now=world.now)
    second = await world.write(workspaces.create_workspace, "second", world.now)
    assert await world.write(events.roll_up, second, world.now + LATE) == 0
    assert await world.write(events.roll_up, world.workspace, world.now + LATE) == 1
