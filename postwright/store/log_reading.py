"""Reading the event log on from where somebody was, in the order of ``(recorded_at, id)``, nothing twice."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from postwright.store.records import table

_event, _watermark = table("event"), table("watermark")
Place = tuple[int, int]
"""A place in the log: ``recorded_at`` and id of an event."""


def upsert(connection: Connection, target: Table) -> Any:
    """An INSERT that can say what to do about a row that is there already."""
    return (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(target)


def counted_up_to(connection: Connection, workspace_id: int) -> int:
    """The watermark of the log's counts. Behind it nothing is recorded any more (``events.append``)."""
    mine = _watermark.c.workspace_id == workspace_id
    return int(connection.execute(select(_watermark.c.rolled_up_to).where(mine)).scalar() or 0)


def behind(place: Place) -> tuple[ColumnElement[bool], ...]:
    """The condition that an event lies behind a place; the first half is what the index is entered by."""
    return _event.c.recorded_at >= place[0], (_event.c.recorded_at > place[0]) | (_event.c.id > place[1])


def waiting(columns: Select[Any], workspace_id: int, span: tuple[Place, int], limit: int) -> Select[Any]:
    """``columns`` of the events behind ``span[0]`` that were recorded before ``span[1]``, in their order."""
    return (
        columns.where(_event.c.workspace_id == workspace_id, *behind(span[0]), _event.c.recorded_at < span[1])
        .order_by(_event.c.recorded_at, _event.c.id)
        .limit(limit)
    )


def window_end(connection: Connection, workspace_id: int, span: tuple[Place, int], size: int) -> Place | None:
    """The place of the ``size``-th event of a span; ``None`` where it has fewer. Bounds what one reader goes over."""
    columns = select(_event.c.recorded_at, _event.c.id)
    statement = waiting(columns, workspace_id, span, 1).offset(size - 1)
    row = connection.execute(statement).one_or_none()
    return None if row is None else (int(row[0]), int(row[1]))


def of_kinds(kinds: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    """The condition that an event is of one of these kinds; empty: of any."""
    return (_event.c.kind.in_(kinds),) if kinds else ()


def lock_mark(connection: Connection, marks: Table, workspace_id: int) -> Place:
    """A workspace's mark in a table of them, locked until the transaction ends; made where there was none.

    So two processes never fold the same events.
    """
    begin = upsert(connection, marks).values(workspace_id=workspace_id, recorded_at=0, event_id=0)
    connection.execute(begin.on_conflict_do_nothing())
    # An update that changes nothing takes the row's lock on either database.
    locked = connection.execute(
        marks.update()
        .where(marks.c.workspace_id == workspace_id)
        .values(event_id=marks.c.event_id)
        .returning(marks.c.recorded_at, marks.c.event_id)
    ).one()
    return int(locked[0]), int(locked[1])


def move_mark(connection: Connection, marks: Table, workspace_id: int, place: Place) -> None:
    """Say that all up to ``place`` is folded, in the transaction that stores what was."""
    moved = marks.update().where(marks.c.workspace_id == workspace_id)
    connection.execute(moved.values(recorded_at=place[0], event_id=place[1]))


def mark_is_behind(connection: Connection, marks: Table, workspace_id: int) -> bool:
    """Whether the counts of the log have come further than the mark."""
    mark = connection.execute(select(marks.c.recorded_at).where(marks.c.workspace_id == workspace_id)).scalar()
    return int(mark or 0) < counted_up_to(connection, workspace_id)
