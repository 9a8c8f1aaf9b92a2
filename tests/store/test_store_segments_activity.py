"""The roll-up of contacts' activity: from events, once each, whoever does it and in whatever batches."""

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from sqlalchemy import Connection, select

from mailtypes.clock import DAY, HOUR, SECOND, ManualClock
from postwright.services.contact_activity import ContactActivity
from postwright.store import contact_activity, contacts, events
from postwright.store.database import Database
from postwright.store.events import NewEvent
from postwright.store.records import table

T0 = 19_675 * DAY
LATER = T0 + 100 * DAY


async def _people(world: Any, number: int) -> list[int]:
    target = await world.contact_list("people", [f"c{one}" for one in range(number)])
    return [one.id for one in await world.read(contacts.contacts_of_list, target.id, after=0, limit=number)]


async def _log(world: Any, *happened: tuple[str, int, int, int, Mapping[str, Any]]) -> None:
    """Events as ``(kind, occurred at, contact, delivery, data)``, recorded a moment after each other."""
    for number, (kind, at, contact, delivery, data) in enumerate(happened):
        one = NewEvent(world.workspace, kind, at, None, delivery, contact, data)
        await world.write(events.append, [one], LATER + number)


async def _count_log(world: Any, *, now: int = LATER + HOUR) -> None:
    await world.write(events.roll_up, world.workspace, now)


async def _rolled_up(world: Any, **options: int) -> int:
    await _count_log(world)
    total = 0
    while done := await world.write(contact_activity.roll_up, world.workspace, **options):
        total += done
    return total


async def _rows(world: Any, name: str) -> list[dict[str, Any]]:
    rows = table(name)
    order = list(rows.primary_key.columns)

    def read(connection: Connection) -> list[dict[str, Any]]:
        return [dict(row._mapping) for row in connection.execute(select(rows).order_by(*order))]

    found: list[dict[str, Any]] = await world.read(read)
    return found


async def test_events_become_one_row_for_each_contact_and_one_for_each_day(world: Any) -> None:
    one, other = await _people(world, 2)
    await _log(
        world,
        ("delivered", T0, one, 1, {}),
        ("delivered", T0, other, 2, {}),
        ("opened", T0 + HOUR, one, 1, {"verdict": "human"}),
        ("opened", T0 + HOUR, other, 2, {"verdict": "machine"}),
        ("clicked", T0 + DAY, one, 1, {"link": 3}),
        ("delivered", T0 + DAY, one, 3, {}),
        ("opened", T0 + DAY, one, 3, {"verdict": "probable"}),
        ("accepted", T0, one, 4, {}),
        ("acted", T0 + 2 * DAY, one, 3, {}),
        ("bounced", T0 + 3 * DAY, other, 2, {"kind": "soft_bounce"}),
        ("failed", T0 + 4 * DAY, other, 5, {"kind": "soft_bounce"}),
        ("failed", T0 + 4 * DAY, other, 6, {"kind": "none"}),
    )
    await _rolled_up(world)
    first, second = await _rows(world, "contact_activity")
    assert {name: first[name] for name in ("received", "opened", "clicked", "acted", "opened_in_a_row")} == {
        "received": 2, "opened": 2, "clicked": 1, "acted": 1, "opened_in_a_row": 2,
    }  # fmt: skip
    assert (first["last_opened_at"], first["last_clicked_at"]) == (T0 + DAY, T0 + DAY)
    assert (first["received_since_opened"], first["received_since_clicked"]) == (0, 1)
    assert (second["received"], second["opened"], second["last_opened_at"]) == (1, 0, None)
    assert (second["soft_bounces"], second["first_soft_bounce_at"]) == (2, T0 + 3 * DAY)
    assert second["last_soft_bounce_at"] == T0 + 4 * DAY
    days = [
        tuple(row[name] for name in ("contact_id", "day", "received", "opened", "clicked", "acted"))
        for row in await _rows(world, "contact_day")
    ]
    assert days == [(one, 19_675, 1, 1, 0, 0), (one, 19_676, 1, 1, 1, 0), (one, 19_677, 0, 0, 0, 1),
                    (other, 19_675, 1, 0, 0, 0)]  # fmt: skip


async def test_a_verdict_that_changes_is_taken_back(world: Any) -> None:
    (one,) = await _people(world, 1)
    await _log(world, ("delivered", T0, one, 1, {}), ("opened", T0 + HOUR, one, 1, {"verdict": "human"}))
    await _rolled_up(world)
    await _log(world, ("opened_revised", T0 + 2 * DAY, one, 1, {"verdict": "machine", "was": "human"}))
    await world.write(events.append, [], LATER)
    await _count_log(world, now=LATER + 2 * HOUR)
    await _rolled_up(world)
    (row,) = await _rows(world, "contact_activity")
    assert (row["opened"], row["last_opened_at"], row["received_since_opened"]) == (0, None, 1)
    assert [(row["day"], row["opened"]) for row in await _rows(world, "contact_day")] == [(19_675, 0)]


async def test_nothing_is_counted_twice_in_whatever_batches(world: Any, open_database: Callable[[], Database]) -> None:
    people = await _people(world, 5)
    chance = random.Random(5)
    happened = [
        (chance.choice(["delivered", "opened", "clicked", "deferred"]), T0 + one * HOUR, chance.choice(people),
         chance.randint(1, 40), {})
        for one in range(120)
    ]  # fmt: skip
    await _log(world, *happened)
    await _count_log(world)
    databases = [open_database() for _ in range(3)]

    async def work(database: Database) -> int:
        total = 0
        for _ in range(60):
            total += await database.write(lambda one: contact_activity.roll_up(one, world.workspace, limit=7))
        return total

    done = await asyncio.gather(*(work(one) for one in databases))
    assert sum(done) == sum(kind != "deferred" for kind, *_ in happened)
    in_small_batches = await _rows(world, "contact_activity"), await _rows(world, "contact_day")

    def begin_again(connection: Connection) -> None:
        for name in ("contact_activity", "contact_recent_mail", "contact_day", "activity_mark"):
            connection.execute(table(name).delete())

    await world.write(begin_again)
    await _rolled_up(world, limit=1000)
    assert (await _rows(world, "contact_activity"), await _rows(world, "contact_day")) == in_small_batches
    received = sum(row["received"] for row in in_small_batches[0])
    distinct = {(contact, delivery) for kind, _, contact, delivery, _ in happened if kind == "delivered"}
    assert len(distinct) <= received <= sum(kind == "delivered" for kind, *_ in happened)


async def test_the_mark_waits_for_the_counts_of_the_log(world: Any) -> None:
    (one,) = await _people(world, 1)
    await _log(world, ("delivered", T0, one, 1, {}))
    assert await world.write(contact_activity.roll_up, world.workspace) == 0
    await _count_log(world, now=LATER + SECOND)  # the lag of the counts has not passed
    assert not await world.read(contact_activity.needs_roll_up, world.workspace) or (
        await world.write(contact_activity.roll_up, world.workspace) == 0
    )
    await _count_log(world)
    assert await world.read(contact_activity.needs_roll_up, world.workspace)
    assert await world.write(contact_activity.roll_up, world.workspace) == 1
    assert not await world.read(contact_activity.needs_roll_up, world.workspace)


async def test_people_who_are_gone_are_left_out(world: Any) -> None:
    (one,) = await _people(world, 1)
    await _log(world, ("delivered", T0, one + 1000, 1, {}), ("delivered", T0, one, 2, {}))
    assert await _rolled_up(world) == 2
    assert [row["contact_id"] for row in await _rows(world, "contact_activity")] == [one]


@pytest.mark.parametrize("number", [0, 25])
async def test_the_step_folds_what_waits_and_forgets_old_days(world: Any, number: int) -> None:
    (one,) = await _people(world, 1)
    await _log(world, *[("delivered", T0 + day * DAY, one, day, {}) for day in range(number)])
    await _count_log(world)
    clock = ManualClock(T0 + 410 * DAY)
    step = ContactActivity(world.database, clock)
    for _ in range(3):
        await step.step()
    days = [row["day"] - 19_675 for row in await _rows(world, "contact_day")]
    assert days == [day for day in range(number) if day >= 10]
    assert not await step.step()
