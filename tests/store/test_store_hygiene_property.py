"""Pruning then undo is identity, whatever the contacts, on both databases; what people changed meanwhile stays."""

import random
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select

from hygiene.pruning import Move
from mailtypes.clock import DAY, HOUR, ManualClock
from postwright.services.hygiene_plans import HygienePlans
from postwright.services.hygiene_terms import PlanTerms
from postwright.store import contact_facts, contacts, suppressions, workspaces
from postwright.store.records import table
from postwright.store.suppressions import NewSuppression, Scope

NOW = 20_000 * DAY + 5 * HOUR
PEOPLE = 60
SNAPSHOT = ("contact", "list_membership", "suppression", "contact_tag", "win_back", "contact_activity")


async def _snapshot(world: Any) -> dict[str, list[tuple[Any, ...]]]:
    def read(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
        found = {}
        for name in SNAPSHOT:
            rows = table(name)
            found[name] = [tuple(row) for row in connection.execute(select(rows).order_by(*rows.primary_key.columns))]
        return found

    found: dict[str, list[tuple[Any, ...]]] = await world.read(read)
    return found


def _activity(chance: random.Random, workspace: int, contact_id: int) -> dict[str, Any]:
    def ago() -> int | None:
        return None if chance.random() < 0.6 else NOW - chance.randint(1, 500) * DAY

    return {
        "contact_id": contact_id, "workspace_id": workspace, "received": chance.choice([3, 12, 30]),
        "last_received_at": NOW - DAY, "opened": 1, "last_opened_at": ago(), "clicked": 0, "last_clicked_at": ago(),
        "acted": 0, "last_acted_at": ago(), "received_since_opened": chance.choice([2, 8, 12]),
        "received_since_clicked": chance.choice([4, 9, 12]), "opened_in_a_row": 0, "soft_bounces": 0,
    }  # fmt: skip


async def _fill(world: Any, chance: random.Random) -> list[contacts.Contact]:
    target = await world.contact_list("news", [f"c{one}" for one in range(PEOPLE)])
    people: list[contacts.Contact] = await world.read(contacts.contacts_of_list, target.id, after=0, limit=PEOPLE)

    def write(connection: Connection) -> None:
        contact = table("contact")
        stream = workspaces.find_stream(connection, world.workspace, "marketing")
        assert stream is not None
        tag = contact_facts.ensure_tag(connection, world.workspace, "vip", NOW)
        for one in people:
            values = {
                "created_at": NOW - chance.choice([5, 100, 600, 600, 600]) * DAY,
                "archived_at": NOW - DAY if chance.random() < 0.1 else None,
                "tracking": chance.choice([None, None, None, None, "off", "last_open"]),
            }
            connection.execute(contact.update().where(contact.c.id == one.id).values(values))
            if chance.random() < 0.9:
                row = _activity(chance, world.workspace, one.id)
                connection.execute(table("contact_activity").insert().values(row))
            if chance.random() < 0.1:
                contact_facts.tag_contacts(connection, world.workspace, tag, [one.id], NOW)
            if chance.random() < 0.3:
                scope = chance.choice([(Scope.ALL, 0), (Scope.STREAM, stream.id), (Scope.LIST, target.id)])
                ends = chance.choice([None, NOW - DAY, NOW - DAY, NOW + DAY])
                barred = NewSuppression(one.address, one.address_key, *scope, "manual", None, ends, "by hand")
                suppressions.suppress(connection, world.workspace, [barred], NOW - 9 * DAY)

    await world.write(write)
    return people


async def _done(plans: HygienePlans, world: Any, terms: PlanTerms, list_name: str | None) -> int:
    plan_id = await plans.make(world.workspace, terms, list_name)
    assert (await plans.finish(world.workspace, plan_id)).state == "ready"
    await plans.apply(world.workspace, plan_id)
    assert (await plans.finish(world.workspace, plan_id)).state == "applied"
    return plan_id


async def _undone(plans: HygienePlans, world: Any, plan_id: int) -> None:
    await plans.undo(world.workspace, plan_id)
    assert (await plans.finish(world.workspace, plan_id)).state == "undone"


def _terms(chance: random.Random) -> PlanTerms:
    tree = {"received_since": "opened", "op": "at_least", "value": 5} if chance.random() < 0.4 else None
    return PlanTerms.read(
        {
            "preset": chance.choice(["quiet_for_a_year", "quiet_for_a_quarter", "daily"]),
            "tree": tree,
            "removal": chance.choice(["archive", "suppress"]),
            "ask_first": chance.random() < 0.5,
            "protect_tags": ["vip"],
        }
    )


@pytest.mark.parametrize("seed", range(6))
async def test_undo_is_identity(world: Any, seed: int) -> None:
    chance = random.Random(seed)
    await _fill(world, chance)
    clock = ManualClock(NOW)
    plans = HygienePlans(world.database, clock)
    list_name = chance.choice(["news", None])
    if chance.random() < 0.5:  # some are being won back already, and may be won back or given up
        await _done(plans, world, PlanTerms(), list_name)
        clock.advance(timedelta(days=chance.choice([1, 60])))
    before = await _snapshot(world)
    plan_id = await _done(plans, world, _terms(chance), list_name)
    applied = await _snapshot(world)
    summary = await plans.summary(world.workspace, plan_id)
    assert (applied == before) == (not summary.states.get("done"))
    assert set(summary.states) <= {"done"}
    await _undone(plans, world, plan_id)
    assert await _snapshot(world) == before


@pytest.mark.parametrize("seed", range(4))
async def test_undo_leaves_what_people_did_meanwhile(world: Any, seed: int) -> None:
    chance = random.Random(seed)
    people = await _fill(world, chance)
    plans = HygienePlans(world.database, ManualClock(NOW))
    before = await _snapshot(world)
    terms = PlanTerms(ask_first=False, removal=chance.choice([Move.ARCHIVE, Move.SUPPRESS]))
    plan_id = await _done(plans, world, terms, "news")
    steps = await plans.steps(world.workspace, plan_id)
    touched = {one.id for one in people if chance.random() < 0.3} - {steps[0].contact_id} | {steps[-1].contact_id}

    def meddle(connection: Connection) -> None:
        for one in people:
            if one.id in touched:
                wanted = NewSuppression(one.address, one.address_key, Scope.LIST, 4711, "unsubscribed")
                suppressions.suppress(connection, world.workspace, [wanted], NOW + HOUR)

    await world.write(meddle)
    meddled = await _snapshot(world)
    await _undone(plans, world, plan_id)
    after = await _snapshot(world)
    keys = {one.address_key: one.id for one in people}
    column = list(table("suppression").c.keys()).index("address_key")
    ids = {"contact": lambda row: row[0], "suppression": lambda row: keys[row[column]]}
    for name, contact_of in ids.items():
        for rows, expected, mine in ((after, before, False), (after, meddled, True)):
            assert [row for row in rows[name] if (contact_of(row) in touched) == mine] == [
                row for row in expected[name] if (contact_of(row) in touched) == mine
            ]
    summary = await plans.summary(world.workspace, plan_id)
    assert summary.states.get("kept", 0) > 0
    assert summary.states.get("undone", 0) > 0


async def test_a_sign_of_life_between_plan_and_apply_keeps_a_contact(world: Any) -> None:
    chance = random.Random(1)
    await _fill(world, chance)
    plans = HygienePlans(world.database, ManualClock(NOW))
    plan_id = await plans.make(world.workspace, PlanTerms(), "news")
    await plans.finish(world.workspace, plan_id)
    steps = await plans.steps(world.workspace, plan_id)
    assert len(steps) > 3
    activity = table("contact_activity")
    opened = activity.update().where(activity.c.contact_id == steps[0].contact_id).values(last_opened_at=NOW + HOUR)
    await world.write(lambda connection: connection.execute(opened) and None)
    await plans.apply(world.workspace, plan_id)
    await plans.finish(world.workspace, plan_id)
    states = [one.state for one in await plans.steps(world.workspace, plan_id)]
    assert states == ["skipped", *["done"] * (len(steps) - 1)]


async def test_killed_between_chunks_it_goes_on(world: Any) -> None:
    """Each chunk by another process, and some of them twice: the same as in one go."""
    await _fill(world, random.Random(2))
    terms = PlanTerms(ask_first=False)
    before = await _snapshot(world)
    clock = ManualClock(NOW)
    plan_id = await HygienePlans(world.database, clock).make(world.workspace, terms, None)
    for state in ("ready", "applied", "undone"):
        for _ in range(20):
            both = [HygienePlans(world.database, clock) for _ in range(2)]
            plan = await both[0].get(world.workspace, plan_id)
            if plan.state == state:
                break
            for one in both:  # the second does what the first has done already
                await one.go_on(plan)
        assert plan.state == state
        if state == "ready":
            counted = plan.before.contacts
            await both[0].apply(world.workspace, plan_id)
        elif state == "applied":
            await both[0].undo(world.workspace, plan_id)
    assert 0 < counted <= PEOPLE
    assert await _snapshot(world) == before
