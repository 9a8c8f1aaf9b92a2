"""The append-only event log, and the counts rolled up from it behind a watermark."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select, text
from sqlalchemy.dialects import postgresql, sqlite

from mailtypes.clock import SECOND, Microseconds, as_datetime
from postwright.store.records import fetch_all, select_as, table
from postwright.store.rowsets import BIGINT, TEXT, rows_json, rowset, storable

_event, _count, _watermark = table("event"), table("event_count"), table("watermark")
SCHEMA_VERSION = 1
ROLLUP_LAG = 2 * SECOND
"""How far the watermark stays behind: longer than a transaction of the writer takes to commit."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Something that happened; ``data`` goes to JSON."""

    workspace_id: int
    kind: str
    occurred_at: int
    run_id: int | None = None
    delivery_id: int | None = None
    contact_id: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """An event as stored; ``data`` is JSON."""

    id: int
    workspace_id: int
    schema_version: int
    kind: str
    occurred_at: int
    recorded_at: int
    run_id: int | None
    delivery_id: int | None
    contact_id: int | None
    data: str


def append(connection: Connection, events: Sequence[NewEvent], now: Microseconds) -> list[int]:
    """Add events to the log in the caller's transaction; returns their ids.

    They are recorded at ``now``, but never behind a watermark that somebody else has moved since: ``now`` was read
    before this transaction had its turn, and what lies behind the watermark is counted no more.
    """
    if not events:
        return []
    ids = _next_ids(connection, len(events))
    recorded_at = max(now, _rolled_up_to(connection, {event.workspace_id for event in events}))
    moment = as_datetime(recorded_at)
    month = moment.year * 100 + moment.month
    rows = [
        {
            "month": month,
            "id": event_id,
            "workspace_id": event.workspace_id,
            "schema_version": SCHEMA_VERSION,
            "kind": event.kind,
            "occurred_at": event.occurred_at,
            "recorded_at": recorded_at,
            "run_id": event.run_id,
            "delivery_id": event.delivery_id,
            "contact_id": event.contact_id,
            "data": storable(json.dumps(event.data, ensure_ascii=False, separators=(",", ":"))),
        }
        for event_id, event in zip(ids, events, strict=True)
    ]
    given = rowset(connection, "given", _COLUMNS)
    connection.execute(
        text(f"INSERT INTO event ({_NAMES}) SELECT {_NAMES} FROM {given}"),  # noqa: S608  all of it is ours
        {"rows": rows_json(rows)},
    )
    return ids


_COLUMNS = dict.fromkeys(("month", "id", "workspace_id", "schema_version"), BIGINT) | {
    "kind": TEXT,
    **dict.fromkeys(("occurred_at", "recorded_at", "run_id", "delivery_id", "contact_id"), BIGINT),
    "data": TEXT,
}
_NAMES = ", ".join(_COLUMNS)


def _rolled_up_to(connection: Connection, workspaces: set[int]) -> int:
    marks = select(func.max(_watermark.c.rolled_up_to)).where(_watermark.c.workspace_id.in_(workspaces))
    return int(connection.execute(marks).scalar_one_or_none() or 0)


_NEWEST_ID = text(
    "WITH RECURSIVE part(month) AS (SELECT max(month) FROM event UNION ALL"
    " SELECT (SELECT max(month) FROM event WHERE event.month < part.month) FROM part WHERE part.month IS NOT NULL)"
    " SELECT max((SELECT max(id) FROM event WHERE event.month = part.month)) FROM part"
)
"""One seek for each month: around midnight on the first, the newest id may stand in the month before."""


def _next_ids(connection: Connection, count: int) -> list[int]:
    if connection.dialect.name == "postgresql":
        drawn = connection.execute(text("SELECT nextval('event_id_seq') FROM generate_series(1, :n)"), {"n": count})
        return [int(row[0]) for row in drawn]
    # SQLite has one writer at a time, and this transaction is it.
    first = int(connection.execute(_NEWEST_ID).scalar_one_or_none() or 0) + 1
    return list(range(first, first + count))


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to list; ``None`` means any."""

    kind: str | None = None
    run_id: int | None = None
    delivery_id: int | None = None


def list_events(
    connection: Connection, workspace_id: int, wanted: EventFilter, *, after: tuple[int, int] = (0, 0), limit: int = 100
) -> list[Event]:
    """Events in the order of ``(recorded_at, id)``, beginning behind ``after``."""
    recorded_at, event_id = after
    conditions = [
        _event.c.workspace_id == workspace_id,
        or_(
            _event.c.recorded_at > recorded_at,
            and_(_event.c.recorded_at == recorded_at, _event.c.id > event_id),
        ),
    ]
    if wanted.kind is not None:
        conditions.append(_event.c.kind == wanted.kind)
    if wanted.run_id is not None:
        conditions.append(_event.c.run_id == wanted.run_id)
    if wanted.delivery_id is not None:
        conditions.append(_event.c.delivery_id == wanted.delivery_id)
    statement = select_as(Event, _event).where(*conditions).order_by(_event.c.recorded_at, _event.c.id).limit(limit)
    return fetch_all(connection, Event, statement)


def roll_up(connection: Connection, workspace_id: int, now: Microseconds) -> int:
    """Fold the events up to ``now - ROLLUP_LAG`` into the counts; returns how many were folded in.

    The watermark's row is locked first, so two processes never fold the same events.
    """
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(insert(_watermark).values(workspace_id=workspace_id, rolled_up_to=0).on_conflict_do_nothing())
    mine = _watermark.c.workspace_id == workspace_id
    start = connection.execute(
        _watermark.update()
        .where(mine)
        .values(rolled_up_to=_watermark.c.rolled_up_to)
        .returning(_watermark.c.rolled_up_to)
    ).scalar_one()
    end = max(int(start), now - ROLLUP_LAG)
    rows = connection.execute(
        select(_event.c.run_id, _event.c.kind, func.count())
        .where(_event.c.workspace_id == workspace_id, _event.c.recorded_at >= start, _event.c.recorded_at < end)
        .group_by(_event.c.run_id, _event.c.kind)
    ).all()
    for run_id, kind, number in rows:
        statement = insert(_count).values(workspace_id=workspace_id, run_id=run_id or 0, kind=kind, count=number)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[_count.c.workspace_id, _count.c.run_id, _count.c.kind],
                set_={"count": _count.c.count + statement.excluded.count},
            )
        )
    connection.execute(_watermark.update().where(mine).values(rolled_up_to=end))
    return sum(int(row[2]) for row in rows)


def needs_roll_up(connection: Connection, workspace_id: int, now: Microseconds) -> bool:
    """Whether there are events between the watermark and ``now - ROLLUP_LAG``."""
    start = select(_watermark.c.rolled_up_to).where(_watermark.c.workspace_id == workspace_id).scalar_subquery()
    waiting = select(_event.c.id).where(
        _event.c.workspace_id == workspace_id,
        _event.c.recorded_at >= func.coalesce(start, 0),
        _event.c.recorded_at < now - ROLLUP_LAG,
    )
    return connection.execute(waiting.limit(1)).first() is not None


def event_counts(connection: Connection, workspace_id: int, run_id: int) -> dict[str, int]:
    """The rolled-up counts of a run's events by kind."""
    statement = select(_count.c.kind, _count.c.count).where(
        _count.c.workspace_id == workspace_id, _count.c.run_id == run_id
    )
    return {str(row[0]): int(row[1]) for row in connection.execute(statement)}
