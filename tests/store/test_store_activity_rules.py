"""Repeated soft bounces suppress by the workspace's preset; tags follow what people do; lists are judged."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select

from mailtypes.clock import DAY, HOUR, ManualClock
from postwright.services.activity_rules import ActivityRules
from postwright.services.contact_activity import ContactActivity
from postwright.services.hygiene_plans import HygienePlans
from postwright.services.hygiene_schedule import HygieneSchedule
from postwright.services.hygiene_terms import HygieneSettings
from postwright.services.list_health import ListsHealth
from postwright.store import contacts, events, suppressions
from postwright.store.events import NewEvent
from postwright.store.records import table
from postwright.store.suppressions import Suppression

T0 = 19_675 * DAY
LATER = T0 + 100 * DAY
SOFT: dict[str, Any] = {"kind": "soft_bounce", "reason": "mailbox_full"}


async def _people(world: Any, number: int) -> list[int]:
    target = await world.contact_list("people", [f"c{one}" for one in range(number)])
    return [one.id for one in await world.read(contacts.contacts_of_list, target.id, after=0, limit=number)]


async def _log(world: Any, *happened: tuple[str, int, int, int, dict[str, Any]], at: int = LATER) -> None:
    logged = [NewEvent(world.workspace, kind, when, None, mail, one, data) for kind, when, one, mail, data in happened]
    await world.write(events.append, logged, at)


async def _ruled(world: Any, *, now: int = LATER + HOUR) -> int:
    clock = ManualClock(now)
    await world.write(events.roll_up, world.workspace, now)
    await ContactActivity(world.database, clock).step()
    return await ActivityRules(world.database, clock).step()


async def _suppressed(world: Any) -> list[Suppression]:
    found: list[Suppression] = await world.read(suppressions.list_suppressions, world.workspace)
    return found


def _soft(one: int, number: int, *, since: int = T0, apart: int = DAY) -> list[tuple[str, int, int, int, Any]]:
    return [("failed", since + mail * apart, one, 1000 * one + mail, SOFT) for mail in range(number)]


async def test_seven_in_a_row_suppress_and_name_the_event(world: Any) -> None:
    six, seven, fault = await _people(world, 3)
    ours = [("failed", T0 + mail * DAY, fault, 9000 + mail, {"kind": "none"}) for mail in range(20)]
    await _log(world, *_soft(six, 6), *_soft(seven, 7), *ours)
    await _ruled(world)
    (stored,) = await _suppressed(world)
    assert (stored.address, stored.scope, stored.reason) == ("c1@example.test", "all", "soft_bounces")
    assert "7 soft bounces in a row" in stored.note
    source = [event for event in await world.events("failed") if event.id == stored.source_event_id]
    assert [(event.contact_id, event.delivery_id) for event in source] == [(seven, 1000 * seven + 6)]
    await _log(world, *_soft(six, 1, since=T0 + 9 * DAY), at=LATER + 2 * HOUR)
    await _ruled(world, now=LATER + 3 * HOUR)
    assert [one.address for one in await _suppressed(world)] == ["c1@example.test", "c0@example.test"]


async def test_a_delivery_clears_the_account_and_active_contacts_have_longer(world: Any) -> None:
    cleared, active, dead = await _people(world, 3)
    opened = T0 + 95 * DAY
    await _log(
        world,
        *_soft(cleared, 6),
        ("delivered", T0 + 8 * DAY, cleared, 1, {}),
        ("delivered", T0 + 9 * DAY, cleared, 2, {}),
        *_soft(cleared, 6, since=T0 + 10 * DAY),
        ("delivered", opened - DAY, active, 3, {}),
        ("opened", opened, active, 3, {"verdict": "human"}),
        *_soft(active, 14, since=opened, apart=HOUR),
        *_soft(dead, 14),
    )
    await _ruled(world)
    assert [one.address for one in await _suppressed(world)] == ["c2@example.test"]


@pytest.mark.parametrize(("apart", "is_suppressed"), [(7 * DAY, True), (6 * DAY, False)])
async def test_three_over_fourteen_days(world: Any, apart: int, is_suppressed: bool) -> None:
    clock = ManualClock(LATER)
    schedule = HygieneSchedule(world.database, clock, HygienePlans(world.database, clock))
    await schedule.change(world.workspace, HygieneSettings(soft_bounces="three_over_14_days"))
    (one,) = await _people(world, 1)
    await _log(world, *_soft(one, 3, apart=apart))
    await _ruled(world)
    assert bool(await _suppressed(world)) is is_suppressed


async def _tags(world: Any) -> set[tuple[str, int]]:
    tag, tagged = table("tag"), table("contact_tag")

    def read(connection: Connection) -> set[tuple[str, int]]:
        joined = select(tag.c.name, tagged.c.contact_id).join(tagged, tagged.c.tag_id == tag.c.id)
        return {(str(row[0]), int(row[1])) for row in connection.execute(joined)}

    found: set[tuple[str, int]] = await world.read(read)
    return found


async def test_tags_come_and_go(world: Any) -> None:
    quiet, reader = await _people(world, 2)
    mails = [("delivered", T0 + mail * DAY, quiet, mail + 1, {}) for mail in range(5)]
    for mail in range(3):
        mails.append(("delivered", T0 + mail * DAY, reader, 100 + mail, {}))
        mails.append(("opened", T0 + mail * DAY + HOUR, reader, 100 + mail, {}))
    await _log(world, *mails)
    assert await _ruled(world) == 2
    assert await _tags(world) == {("low_engagement", quiet), ("opened_last_three", reader)}
    assert await _ruled(world) == 0
    reading = [
        ("clicked", T0 + 9 * DAY, quiet, 5, {}),
        *(("delivered", T0 + 9 * DAY, reader, 200 + n, {}) for n in (1, 2)),
    ]
    await _log(world, *reading, at=LATER + 2 * HOUR)
    assert await _ruled(world, now=LATER + 3 * HOUR) == 2
    assert await _tags(world) == set()


async def test_every_event_is_looked_at_once_in_whatever_batches(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.services.activity_rules._BATCH", 3)
    people = await _people(world, 4)
    for one in people:
        await _log(world, *_soft(one, 7))
    await _ruled(world)
    assert len(await _suppressed(world)) == 4


async def test_a_list_is_judged_and_the_alarm_is_given_once(world: Any) -> None:
    run = await world.prepared(200)
    ids = sorted(await world.rows(run))
    logged = []
    for place, one in enumerate(ids):
        kind, data = (
            ("failed", {"kind": "hard_bounce", "reason": 'x "kind":"none"'}) if place < 40 else ("delivered", {})
        )
        if 40 <= place < 60:
            kind, data = "failed", {"kind": "none", "evidence": '"kind":"hard_bounce"'}
        logged.append(NewEvent(world.workspace, kind, T0, run.id, one, None, data))
        if place in (0, 100):
            logged.append(NewEvent(world.workspace, "complained", T0, run.id, one, None, {"kind": "complaint"}))
    await world.write(events.append, logged, LATER)
    clock = ManualClock(LATER + HOUR)
    health = ListsHealth(world.database, clock)
    found = await health.one(world.workspace, run.list_id)
    assert (found.counts.sent, found.counts.bounced, found.counts.complained) == (200, 40, 1)
    assert found.verdict.health == "pause"
    assert (await health.step(), await health.step()) == (1, 0)
    clock.advance(timedelta(hours=7))
    assert await health.step() == 0
    (alarm,) = await world.events("list_health_changed")
    assert json.loads(alarm.data)["after"] == "pause"
    clock.advance(timedelta(days=31))
    assert await health.step() == 1
    assert [one.contact_list.name for one in await health.all(world.workspace)] == [found.contact_list.name]


async def test_the_schedule_makes_plans_and_applies_only_what_it_was_told_to(world: Any) -> None:
    clock = ManualClock(LATER)
    plans = HygienePlans(world.database, clock)
    schedule = HygieneSchedule(world.database, clock, plans)
    people = await _people(world, 9)
    mails = [("delivered", T0 + mail * DAY, one, 50 * one + mail, {}) for one in people[:3] for mail in range(6)]
    await _log(world, *mails)
    contact = table("contact")
    await world.write(
        lambda connection: connection.execute(contact.update().values(created_at=T0 - 900 * DAY)) and None
    )
    await _ruled(world)
    assert await schedule.step() == 0  # nobody asked for it
    await schedule.change(world.workspace, HygieneSettings(is_scheduled=True, applies_plans=True))
    states = []
    for _ in range(4):  # a look at once; pruning is due a month later, as nothing was ever pruned
        for _ in range(10):
            await schedule.step()
            await plans.step()
        states.append([plan.state for plan in await plans.page(world.workspace)])
        clock.advance(timedelta(days=32))
    assert states[0] == ["ready"]
    assert states[1] == ["applied"]
    assert states[2] == ["applied", "ready"]
    assert len(await world.events("hygiene_plan_ready")) >= 3
