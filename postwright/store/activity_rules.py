"""What rules on contacts' activity look at, behind a mark of their own that follows the roll-up of the activity."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from hygiene.consequences import BounceKind
from hygiene.segments.facts import Known, known_by
from postwright.store.contact_activity import KINDS, REFUSALS
from postwright.store.hygiene_people import carried_tags, list_modes
from postwright.store.records import BY_ID, table

_event, _mark, _rolled_up = table("event"), table("hygiene_mark"), table("activity_mark")
_contact, _activity = table("contact"), table("contact_activity")

Place = tuple[int, int]
"""``recorded_at`` and id of an event."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Events from behind ``begin`` to ``end``: whom they are about, and the last soft bounce of each."""

    begin: Place
    end: Place
    contact_ids: tuple[int, ...]
    soft_bounces: Mapping[int, int]
    is_last: bool


@dataclass(frozen=True, slots=True)
class ActiveContact:
    """A contact with the row of the roll-up, what is known of opens and clicks, and which asked tags are carried."""

    id: int
    address: str
    address_key: str
    created_at: int
    known: Known
    activity: Mapping[str, Any]
    tags: frozenset[str]


def places(connection: Connection, workspace_id: int) -> tuple[Place, Place]:
    """How far the rules have come, and how far the roll-up has."""
    found = []
    for mark in (_mark, _rolled_up):
        row = connection.execute(
            select(mark.c.recorded_at, mark.c.event_id).where(mark.c.workspace_id == workspace_id)
        ).one_or_none()
        found.append((0, 0) if row is None else (int(row[0]), int(row[1])))
    return found[0], found[1]


def next_stretch(connection: Connection, workspace_id: int, *, limit: int) -> Stretch | None:
    """The next events that were rolled up; ``None`` where there are none."""
    begin, end = places(connection, workspace_id)
    if begin >= end:
        return None
    at, event_id = begin
    rows = connection.execute(
        select(_event.c.recorded_at, _event.c.id, _event.c.kind, _event.c.contact_id, _event.c.data)
        .where(
            _event.c.workspace_id == workspace_id,
            _event.c.recorded_at >= at,
            or_(_event.c.recorded_at > at, _event.c.id > event_id),
            _event.c.recorded_at <= end[0],
            or_(_event.c.recorded_at < end[0], and_(_event.c.recorded_at == end[0], _event.c.id <= end[1])),
            _event.c.kind.in_(KINDS),
        )
        .order_by(_event.c.recorded_at, _event.c.id)
        .limit(limit)
    ).all()
    ids = {int(row.contact_id) for row in rows if row.contact_id is not None}
    soft = {
        int(row.contact_id): int(row.id)
        for row in rows
        if row.contact_id is not None
        and row.kind in REFUSALS
        and json.loads(row.data).get("kind") == BounceKind.SOFT_BOUNCE
    }
    is_last = len(rows) < limit
    reached = end if is_last else (int(rows[-1].recorded_at), int(rows[-1].id))
    return Stretch(begin, reached, tuple(sorted(ids)), soft, is_last)


def contacts_with_activity(
    connection: Connection, workspace_id: int, ids: Sequence[int], tags: Sequence[str]
) -> list[ActiveContact]:
    """Those of these contacts who are there and of whom anything was rolled up."""
    mine = (_contact.c.workspace_id == workspace_id, _contact.c.id.in_(ids))
    columns = (_contact.c.address, _contact.c.address_key, _contact.c.created_at, _contact.c.tracking)
    there = select(*columns, _activity).with_hint(_contact, BY_ID, "sqlite").where(*mine)
    joined = there.join(_activity, _activity.c.contact_id == _contact.c.id)
    carried = carried_tags(connection, workspace_id, ids, tags)
    modes = list_modes(connection, workspace_id, ids)
    return [
        ActiveContact(
            row.contact_id,
            row.address,
            row.address_key,
            row.created_at,
            known_by((row.tracking, *modes.get(row.contact_id, ()))),
            dict(row._mapping),
            carried.get(row.contact_id, frozenset()),
        )
        for row in connection.execute(joined.order_by(_contact.c.id))
    ]


def move_mark(connection: Connection, workspace_id: int, stretch: Stretch) -> bool:
    """Move the mark over a stretch; ``False`` where another process has done so, whose work it is then."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    begin = insert(_mark).values(workspace_id=workspace_id, recorded_at=0, event_id=0)
    connection.execute(begin.on_conflict_do_nothing())
    moved = _mark.update().where(
        _mark.c.workspace_id == workspace_id,
        _mark.c.recorded_at == stretch.begin[0],
        _mark.c.event_id == stretch.begin[1],
    )
    return connection.execute(moved.values(recorded_at=stretch.end[0], event_id=stretch.end[1])).rowcount == 1
