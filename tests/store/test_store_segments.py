"""Segments as stored, who is handed out from them, fields and consents they look at."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, event, select, update

from hygiene.segments.errors import FieldValueError, SegmentCycleError, SegmentSyntaxError
from hygiene.segments.fields import FieldDefinition, FieldKind
from hygiene.segments.parse import parse
from hygiene.segments.references import MOST_LEAVES
from mailtypes.clock import ManualClock
from postwright.services.contact_fields import ContactFields, make_coercer
from postwright.store import contact_facts, contacts, segments, workspaces
from postwright.store.contact_facts import NewConsent
from postwright.store.database import Database
from postwright.store.records import table

EVERYBODY = parse({"all": []})


async def _keys(world: Any, tree: Any, *excluded: Any, limit: int = 100) -> list[str]:
    """All that chunk by chunk are handed out."""
    found: list[tuple[int, str]] = []
    node = segments.without(parse(tree), [parse(one) for one in excluded])

    def read(connection: Connection) -> list[tuple[int, str]]:
        audience = segments.open_audience(connection, world.workspace, node)
        after = found[-1][0] if found else 0
        return segments.segment_keys(connection, audience, world.now, after=after, limit=limit)

    while chunk := await world.database.read(read):
        assert len(chunk) <= limit
        found += chunk
    assert [one for one, _ in found] == sorted({one for one, _ in found})
    return [key.partition("@")[0] for _, key in found]


async def test_chunks_hand_out_everybody_once_but_those_excluded(world: Any) -> None:
    await world.contact_list("news", [f"a{n}" for n in range(7)])
    await world.contact_list("staff", ["a2", "a5", "b"])
    assert await _keys(world, {"list": "news"}, limit=3) == [f"a{n}" for n in range(7)]
    assert await _keys(world, {"list": "news"}, {"list": "staff"}, limit=2) == ["a0", "a1", "a3", "a4", "a6"]
    assert await _keys(world, {"any": []}) == []


async def test_who_is_archived_is_in_no_segment(world: Any) -> None:
    await world.contact_list("news", ["a", "b"])
    contact = table("contact")
    archived = update(contact).where(contact.c.address_key == "a@example.test").values(archived_at=world.now)
    await world.write(lambda connection: connection.execute(archived))
    for tree in ({"list": "news"}, {"all": []}, {"not": {"any": []}}):
        assert await _keys(world, tree) == ["b"]

    def count(connection: Connection) -> int:
        audience = segments.open_audience(connection, world.workspace, EVERYBODY)
        return segments.count_contacts(connection, audience, world.now)

    assert await world.database.read(count) == 1


async def test_workspaces_do_not_see_each_others_people(world: Any) -> None:
    await world.contact_list("news", ["a"])
    second = await world.write(workspaces.create_workspace, "second", world.now)
    with pytest.raises(SegmentSyntaxError, match="no list 'news'"):
        await world.read(
            lambda one: segments.count_contacts(
                one, segments.open_audience(one, second, parse({"list": "news"})), world.now
            )
        )
    audience = await world.read(segments.open_audience, second, EVERYBODY)
    assert await world.read(segments.segment_contacts, audience, world.now) == []


async def test_stored_segments_and_those_that_refer_to_them(world: Any) -> None:
    await world.contact_list("news", ["a", "b"])
    await world.write(segments.add_segment, world.workspace, "inner", parse({"list": "news"}), world.now)
    outer = parse({"not": {"segment": "inner"}})
    await world.write(segments.add_segment, world.workspace, "outer", outer, world.now)
    assert await world.read(segments.referring_segments, world.workspace, "inner") == ["outer"]
    assert await _keys(world, {"segment": "inner"}) == ["a", "b"]
    assert await _keys(world, {"segment": "outer"}) == []
    found = await world.read(segments.find_segment, world.workspace, "inner")
    await world.write(segments.change_segment, found, "inner", parse({"segment": "outer"}), world.now)
    with pytest.raises(SegmentCycleError):
        await _keys(world, {"segment": "outer"})


async def test_the_largest_trees_are_answered(world: Any) -> None:
    await world.contact_list("news", ["a"])
    await world.write(
        segments.add_segment, world.workspace, "part", parse({"all": [{"list": "news"}] * 190}), world.now
    )
    assert await _keys(world, {"all": [{"segment": "part"}, {"segment": "part"}]}) == ["a"]
    assert MOST_LEAVES >= 380
    leaf: Any = {"field": "city", "op": "is_not", "value": "Leeds"}
    for number in range(10):
        leaf = {"all": [leaf]} if number % 2 else {"not": {"not": leaf}} if number < 2 else {"any": [leaf]}
    assert await _keys(world, leaf) == ["a"]
    assert await _keys(world, {"any": [{"domain": [f"d{n}.test" for n in range(500)]}] * 20}) == []


async def test_the_newest_consent_counts_and_all_are_kept(world: Any) -> None:
    target = await world.contact_list("news", ["a"])
    (one,) = await world.read(contacts.contacts_of_list, target.id, after=0, limit=1)
    tree = {"consent": "given", "scope": {"list": "news"}}
    assert await _keys(world, {"consent": "none", "scope": {"list": "news"}}) == ["a"]
    for state, at, expected in (("given", 5, ["a"]), ("withdrawn", 9, []), ("given", 7, []), ("given", 9, ["a"])):
        said = NewConsent(one.id, "list", target.id, state, "form", "Yes, write to me", at, "192.0.2.1")
        await world.write(contact_facts.append_consents, world.workspace, [said])
        assert await _keys(world, tree) == expected
    kept = await world.read(contact_facts.list_consents, world.workspace, one.id)
    assert [(entry.state, entry.occurred_at) for entry in kept] == [
        ("given", 5), ("withdrawn", 9), ("given", 7), ("given", 9),
    ]  # fmt: skip
    assert await _keys(world, {"consent": "given"}) == []


async def test_tags_come_and_go(world: Any) -> None:
    target = await world.contact_list("news", ["a", "b"])
    ids = [one.id for one in await world.read(contacts.contacts_of_list, target.id, after=0, limit=9)]
    tag = await world.write(contact_facts.ensure_tag, world.workspace, "vip", world.now)
    assert await world.write(contact_facts.ensure_tag, world.workspace, "vip", world.now) == tag
    for _ in range(2):
        await world.write(contact_facts.tag_contacts, world.workspace, tag, ids, world.now)
    assert [number for _, number in await world.read(contact_facts.list_tags, world.workspace)] == [2]
    await world.write(contact_facts.untag_contacts, world.workspace, tag, ids[:1])
    assert await _keys(world, {"tag": "vip"}) == ["b"]


# --- fields -------------------------------------------------------------------------------------------------------


async def _fields(world: Any) -> dict[str, Any]:
    contact = table("contact")
    rows = await world.read(lambda one: one.execute(select(contact.c.address_key, contact.c.fields)).all())
    return {row[0].partition("@")[0]: json.loads(row[1]) for row in rows}


async def test_a_field_that_gets_a_kind_brings_over_what_fits(world: Any) -> None:
    target = await world.contact_list("news", [])
    people = [world.contact("a", points="12.5"), world.contact("b", points="many"), world.contact("c")]
    await world.write(contacts.put_on_list, target, people, "import", world.now)
    service = ContactFields(world.database, ManualClock(world.now))
    points = FieldDefinition("points", FieldKind.NUMBER)
    assert await service.define(world.workspace, points) == 1
    assert await service.bring_over(world.workspace, points) == 0
    assert await _fields(world) == {"a": {"points": 12.5}, "b": {"points": "many"}, "c": {}}
    assert await _keys(world, {"field": "points", "op": "at_most", "value": 100}) == ["a"]
    assert await _keys(world, {"field": "points", "op": "is_not", "value": 12.5}) == ["b", "c"]
    with pytest.raises(SegmentSyntaxError, match="is of the kind number"):
        await _keys(world, {"field": "points", "op": "contains", "value": "1"})


async def test_who_count_at_once_all_count(world: Any, open_database: Callable[[], Database]) -> None:
    target = await world.contact_list("news", ["a"])
    (one,) = await world.read(contacts.contacts_of_list, target.id, after=0, limit=1)
    clock = ManualClock(world.now)
    await ContactFields(world.database, clock).define(world.workspace, FieldDefinition("points", FieldKind.NUMBER))
    services = [ContactFields(open_database(), clock) for _ in range(3)]
    await asyncio.gather(*(service.count(world.workspace, one.id, "points", 2) for service in services * 5))
    assert (await _fields(world))["a"]["points"] == 30
    with pytest.raises(FieldValueError):
        await services[0].count(world.workspace, one.id, "points", "two")


async def test_typed_values_are_merged_and_taken_away(world: Any) -> None:
    target = await world.contact_list("news", [])
    fit = make_coercer([FieldDefinition("points", FieldKind.NUMBER), FieldDefinition("member", FieldKind.YES_NO)])
    values, faults = fit({"points": "5", "member": "yes", "city": " Rome ", "empty": ""})
    assert (values, faults) == ({"points": 5, "member": True, "city": "Rome"}, [])
    assert [fault.source for fault in fit({"points": "x"})[1]] == ["x"]

    async def put(**fields: Any) -> None:
        await world.write(contacts.put_on_list, target, [world.contact("a", **fields)], "import", world.now)

    await put(**values)
    await put(points=7, city=None)
    assert await _fields(world) == {"a": {"points": 7, "member": True}}


@pytest.mark.parametrize(
    "tree",
    [
        {"all": []},
        {"all": [{"list": "news"}, {"activity": "opened", "op": "none", "within_days": 60}, {"domain": "a.test"}]},
        {"any": [{"tag": "vip"}, {"joined": {"within_days": 5}}, {"consent": "given", "scope": {"list": "news"}}]},
    ],
)
async def test_counts_look_at_no_wide_row_on_sqlite(world: Any, tree: Any) -> None:
    if world.database.dialect != "sqlite":
        pytest.skip("SQLite's planner is meant")
    await world.contact_list("news", ["a"])
    await world.write(contact_facts.ensure_tag, world.workspace, "vip", world.now)
    plans: list[str] = []

    def look(connection: Connection) -> None:
        def note(*call: Any) -> None:
            statement, parameters = call[2], call[3]
            if "count(" in statement:
                plan = connection.connection.driver_connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans.extend(str(row[-1]) for row in plan)

        audience = segments.open_audience(connection, world.workspace, parse(tree))
        event.listen(connection, "before_cursor_execute", note)
        segments.count_contacts(connection, audience, world.now, ids=(1, 1000))

    await world.read(look)
    assert any("contact USING COVERING INDEX ix_contact_segment" in line and "id>" in line for line in plans), plans
    assert not any("SCAN" in line for line in plans), plans
    wide = [line for line in plans if "list_membership USING" in line and "COVERING" not in line]
    assert not wide, plans
