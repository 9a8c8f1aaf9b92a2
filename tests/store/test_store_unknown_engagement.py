"""Whose opens and clicks are not recorded is unknown: in no segment of the silent, and in no plan for not opening."""

import json
from typing import Any

import pytest
from sqlalchemy import Connection

from hygiene.segments.parse import parse
from mailtypes.clock import DAY, HOUR, ManualClock
from postwright.services.errors import RefusedError
from postwright.services.hygiene_plans import HygienePlans
from postwright.services.hygiene_terms import PlanTerms
from postwright.store import contact_activity, contact_book, contact_facts, contacts, engagements, preparation, segments
from postwright.store.records import table

NOW = 20_000 * DAY + 5 * HOUR
SILENT = {"not": {"activity_last": "opened", "within_days": 60}}
NEVER = {"activity": "opened", "op": "none"}
QUIET = {"received_since": "clicked", "op": "at_least", "value": 5}
SILENCES = [SILENT, NEVER, QUIET, {"not": {"opened_in_a_row": 2}}, {"all": [SILENT, {"not": {"tag": "nobody"}}]}]
NAMES = ["tracked", "off", "aggregate", "last_open", "on a quiet list", "agreed", "agreed long ago", "reader"]


async def people(world: Any) -> dict[str, int]:
    """Contacts of whom nothing but mails was ever seen, but for the reader, named by how they are tracked."""
    target = await world.contact_list("news", NAMES)
    found = await world.read(contacts.contacts_of_list, target.id, after=0, limit=100)
    ids = {name: one.id for name, one in zip(NAMES, found, strict=True)}

    def write(connection: Connection) -> None:
        contact = table("contact")
        connection.execute(contact.update().values(created_at=NOW - 600 * DAY))
        for name in ("off", "aggregate", "last_open"):
            connection.execute(contact.update().where(contact.c.id == ids[name]).values(tracking=name))
        quiet = contacts.ensure_list(connection, world.workspace, "quiet", NOW)
        contact_book.set_list_tracking(connection, world.workspace, quiet.id, "aggregate")
        row = {"list_id": quiet.id, "contact_id": ids["on a quiet list"], "joined_at": NOW, "source": "test"}
        connection.execute(table("list_membership").insert().values(workspace_id=world.workspace, **row))
        contact_facts.ensure_tag(connection, world.workspace, "nobody", NOW)
        for name, days in (("agreed", 20), ("agreed long ago", 400)):
            said = contact_facts.NewConsent(ids[name], "tracking", 0, "given", "page", "Yes", NOW - days * DAY)
            contact_facts.append_consents(connection, world.workspace, [said])
        for name, contact_id in ids.items():
            opened = {"opened": 3, "last_opened_at": NOW - DAY, "opened_in_a_row": 3} if name == "reader" else {}
            since = 0 if name == "reader" else 30
            counts = {"received": 30, "received_since_opened": since, "received_since_clicked": since, **opened}
            row = {"contact_id": contact_id, "workspace_id": world.workspace, "last_received_at": NOW - DAY, **counts}
            connection.execute(table("contact_activity").insert().values(row))

    await world.write(write)
    return ids


async def members(world: Any, tree: dict[str, Any], *, without: dict[str, Any] | None = None) -> set[str]:
    ids = {contact_id: name for name, contact_id in (await people_of(world)).items()}

    def read(connection: Connection) -> set[str]:
        whole = segments.without(parse(tree), [parse(without)] if without else [])
        audience = segments.open_audience(connection, world.workspace, whole)
        return {ids[row_id] for row_id, _ in segments.segment_keys(connection, audience, NOW)}

    found: set[str] = await world.read(read)
    return found


async def people_of(world: Any) -> dict[str, int]:
    target = await world.read(contacts.find_list, world.workspace, "news")
    found = await world.read(contacts.contacts_of_list, target.id, after=0, limit=100)
    return {name: one.id for name, one in zip(NAMES, found, strict=True)}


async def test_who_is_silent_is_known_to_be(world: Any) -> None:
    await people(world)
    hidden = {"off", "aggregate", "on a quiet list"}
    found = [await members(world, tree) for tree in SILENCES]
    for silent in found:
        assert "tracked" in silent
        assert silent.isdisjoint({*hidden, "reader"})
    by_day, never, clicks, row, both = found
    assert by_day == both == {"tracked", "last_open", "agreed long ago"}, "agreed 20 days ago says nothing of 60"
    assert never == {"tracked", "last_open"}, "what was before anybody agreed is unknown for good"
    assert clicks == {"tracked", "agreed", "agreed long ago"}, "mails since are counted anew"
    assert "last_open" not in row
    assert await members(world, {"not": SILENT}) == {"reader"}, "unknown is neither"
    either = {"any": [SILENT, {"list": "quiet"}]}
    assert await members(world, either) == {*by_day, "on a quiet list"}, "what else is known counts"


async def test_an_audience_leaves_out_only_who_is_known_to_be_silent(world: Any) -> None:
    await people(world)
    everybody = {"list": "news"}
    assert await members(world, everybody, without=SILENT) == {*NAMES} - {"tracked", "last_open", "agreed long ago"}
    readers = {"activity_last": "opened", "within_days": 60}
    assert await members(world, everybody, without=readers) == {*NAMES} - {"reader"}


@pytest.mark.parametrize("list_name", ["news", None])
async def test_a_plan_says_whom_it_cannot_judge(world: Any, list_name: str | None) -> None:
    ids = await people(world)
    plans = HygienePlans(world.database, ManualClock(NOW))
    plan_id = await plans.make(world.workspace, PlanTerms(ask_first=False), list_name)
    plan = await plans.finish(world.workspace, plan_id)
    steps = await plans.steps(world.workspace, plan_id)
    assert {one.contact_id for one in steps} == {ids["tracked"], ids["agreed long ago"]}
    assert (plan.state, plan.dormant, plan.unknown) == ("ready", 2, 5)
    ready = await world.read(lambda connection: connection.execute(
        table("event").select().where(table("event").c.kind == "hygiene_plan_ready")
    ).one().data)  # fmt: skip
    told = json.loads(ready)
    assert (told["unknown"], told["terms"]) == (5, json.loads(PlanTerms(ask_first=False).written()))


async def test_who_a_plan_archives_gets_nothing_that_is_queued(world: Any) -> None:
    ids = await people(world)
    run = await world.start([], list_name="news")
    while await world.write(preparation.prepare_chunk, run.id, preparation.Placing(lambda _: 0), NOW):
        pass
    plans = HygienePlans(world.database, ManualClock(NOW))
    plan_id = await plans.make(world.workspace, PlanTerms(ask_first=False), "news")
    await plans.finish(world.workspace, plan_id)
    for move, archived in ((plans.apply, True), (plans.undo, False)):
        await move(world.workspace, plan_id)
        await plans.finish(world.workspace, plan_id)
        rows = (await world.rows(run)).values()
        stopped = {row.contact_id for row in rows if (row.state, row.reply_text) == ("suppressed", "archived")}
        assert stopped == {ids["tracked"], ids["agreed long ago"]}, archived  # what was stopped stays so
        assert sum(row.state == "held" for row in rows) == len(NAMES) - 2


async def test_a_plan_by_fields_judges_everybody_and_one_by_opens_does_not(world: Any) -> None:
    ids = await people(world)
    plans = HygienePlans(world.database, ManualClock(NOW))
    for tree, chosen, unknown in (
        ({"joined": {"before_days": 100}}, set(NAMES), 0),
        (SILENT, {"tracked", "last_open", "agreed long ago"}, 4),
    ):
        terms = PlanTerms(tree=parse(tree), ask_first=False)
        plan = await plans.finish(world.workspace, await plans.make(world.workspace, terms, "news"))
        steps = await plans.steps(world.workspace, plan.id)
        assert {one.contact_id for one in steps} == {ids[name] for name in chosen}
        assert plan.unknown == unknown


async def test_a_list_that_is_not_tracked_is_judged_by_other_signs_alone(world: Any) -> None:
    ids = await people(world)
    plans = HygienePlans(world.database, ManualClock(NOW))
    with pytest.raises(RefusedError):
        await plans.make(world.workspace, PlanTerms(), "quiet")
    terms = PlanTerms(tree=parse({"joined": {"before_days": 100}}), ask_first=False)
    plan = await plans.finish(world.workspace, await plans.make(world.workspace, terms, "quiet"))
    assert [one.contact_id for one in await plans.steps(world.workspace, plan.id)] == [ids["on a quiet list"]]


async def test_withdrawal_works_backwards_and_agreeing_begins_anew(world: Any) -> None:
    ids = await people(world)
    activity = table("contact_activity")

    async def counted(name: str) -> tuple[int, int, int]:
        columns = ("received", "received_since_opened", "received_since_clicked")

        def read(connection: Connection) -> tuple[int, ...]:
            row = connection.execute(activity.select().where(activity.c.contact_id == ids[name])).one()
            return tuple(getattr(row, column) for column in columns)

        found: tuple[int, int, int] = await world.read(read)
        return found

    await world.write(engagements.erase_engagement, world.workspace, ids["tracked"])
    assert await counted("tracked") == (30, 0, 0), "nobody knows what became of the mails before"
    assert await counted("off") == (30, 30, 30)
    await world.write(contact_activity.count_anew, ids["off"])
    assert await counted("off") == (30, 0, 0)
