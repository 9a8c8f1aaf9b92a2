"""The append-only event log, and the counts rolled up from it behind a watermark."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from mailtypes.clock import SECOND, Microseconds, as_datetime
from postwright.store.records import fetch_all, select_as, table
from postwright.store.rowsets import BIGINT, TEXT, RowStatement, storable

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
    ids, rolled_up_to = _next_ids(connection, len(events), {event.workspace_id for event in events})
    recorded_at = max(now, rolled_up_to)
    moment = as_datetime(recorded_at)
    month = moment.year * 100 + moment.month
    rows = [
        (
            month,
            event_id,
            event.workspace_id,
            SCHEMA_VERSION,
            event.kind,
            event.occurred_at,
            recorded_at,
            event.run_id,
            event.delivery_id,
            event.contact_id,
            storable(_ENCODE(event.data)),
        )
        for event_id, event in zip(ids, events, strict=True)
    ]
    _insertion(connection.dialect.name).execute(connection, rows)
    return list(ids)


_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_COLUMNS = dict.fromkeys(("month", "id", "workspace_id", "schema_version"), BIGINT) | {
    "kind": TEXT,
    **dict.fromkeys(("occurred_at", "recorded_at", "run_id", "delivery_id", "contact_id"), BIGINT),
    "data": TEXT,
}


@cache
def _insertion(dialect: str) -> RowStatement:
    names = ", ".join(_COLUMNS)
    return RowStatement(dialect, _COLUMNS, f"INSERT INTO event ({names}) SELECT {names} FROM o")  # noqa: S608  all of it is ours


_NEWEST_ID = (
    "WITH RECURSIVE part(month) AS (SELECT max(month) FROM event UNION ALL"
    " SELECT (SELECT max(month) FROM event WHERE event.month < part.month) FROM part WHERE part.month IS NOT NULL)"
    " SELECT max((SELECT max(id) FROM event WHERE event.month = part.month)) FROM part"
)
"""One seek for each month: around midnight on the first, the newest id may stand in the month before."""


def newest_id(connection: Connection) -> int:
    """The highest id in the log, 0 where it is empty."""
    return int(connection.exec_driver_sql(_NEWEST_ID).scalar_one() or 0)


def _next_ids(connection: Connection, count: int, workspaces: set[int]) -> tuple[Sequence[int], int]:
    """New ids, and the furthest watermark of these workspaces."""
    if connection.dialect.name == "postgresql":
        drawn = connection.exec_driver_sql("SELECT nextval('event_id_seq') FROM generate_series(1, %s)", (count,))
        ids = [int(row[0]) for row in drawn]
        marks = select(func.max(_watermark.c.rolled_up_to)).where(_watermark.c.workspace_id.in_(workspaces))
        return ids, int(connection.execute(marks).scalar_one_or_none() or 0)
    # SQLite has one writer at a time, and this transaction is it.
    places = ", ".join("?" * len(workspaces))
    newest, rolled_up_to = connection.exec_driver_sql(
        f"SELECT ({_NEWEST_ID}), (SELECT max(rolled_up_to) FROM watermark WHERE workspace_id IN ({places}))",  # noqa: S608
        tuple(workspaces),
    ).one()
    first = int(newest or 0) + 1
    return range(first, first + count), int(rolled_up_to or 0)


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
