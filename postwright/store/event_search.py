"""The event log read backwards: the newest events of some kinds, and the few that are alarms."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, literal_column, or_, select

from postwright.store.events import Event
from postwright.store.records import fetch_all, select_as, table

_event = table("event")
ALARMS = (
    "destination_suspended",
    "dkim_key_missing",
    "domain_drift",
    "domain_expiring",
    "warmup_paused",
    "webhook_disabled",
)
"""The kinds that somebody should see; ``ix_event_alarm`` finds them, so the list changes with a migration."""
_READ_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events, the newest first. ``goes_on`` is where to go on reading; ``None`` at the beginning of the log."""

    events: Sequence[Event]
    goes_on: tuple[int, int] | None


def newest_events(
    connection: Connection,
    workspace_id: int,
    kinds: Sequence[str] = (),
    *,
    before: tuple[int, int] | None = None,
    limit: int = 100,
) -> EventPage:
    """The newest events of these kinds (none: all) before ``(recorded_at, id)``.

    At most 20,000 rows are looked at, however rare a kind is: a page may be short and still go on.
    """
    conditions = [_event.c.workspace_id == workspace_id]
    if before is not None:
        at, event_id = before
        conditions.append(
            and_(
                _event.c.recorded_at <= at,
                or_(_event.c.recorded_at < at, _event.c.id < event_id),
            )
        )
    order = (_event.c.recorded_at.desc(), _event.c.id.desc())
    looked = limit if not kinds else _READ_AT_ONCE
    recent = select(_event.c.recorded_at, _event.c.id).where(*conditions).order_by(*order).limit(1).offset(looked - 1)
    edge = connection.execute(recent).one_or_none()
    if edge is not None:
        conditions.append(
            or_(_event.c.recorded_at > edge[0], and_(_event.c.recorded_at == edge[0], _event.c.id >= edge[1]))
        )
        conditions.append(_event.c.recorded_at >= edge[0])
    if kinds:
        conditions.append(_event.c.kind.in_(kinds))
    statement = select_as(Event, _event).where(*conditions).order_by(*order).limit(limit)
    found = fetch_all(connection, Event, statement)
    if len(found) == limit:
        return EventPage(found, (found[-1].recorded_at, found[-1].id))
    return EventPage(found, None if edge is None else (int(edge[0]), int(edge[1])))


def alarms_since(connection: Connection, workspace_id: int, since: int, *, limit: int = 50) -> list[Event]:
    """The newest alarms recorded since a moment."""
    # Written out, since SQLite matches a query to a partial index by its text.
    is_alarm = literal_column("kind").in_([literal_column(f"'{kind}'") for kind in ALARMS])
    statement = (
        select_as(Event, _event)
        .where(_event.c.workspace_id == workspace_id, _event.c.recorded_at >= since, is_alarm)
        .order_by(_event.c.recorded_at.desc())
        .limit(limit)
    )
    return fetch_all(connection, Event, statement)
