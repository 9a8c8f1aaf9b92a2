"""What contacts got and did, rolled up from the event log behind a watermark of its own."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, Table, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hygiene.consequences import BounceKind
from hygiene.segments.activity import Activity, ActivityEvent, Happening, is_by_person, read_recent, write_recent
from hygiene.segments.tree import ActivityKind
from mailtypes.clock import DAY, Microseconds
from postwright.store.records import BY_ID, table

_event, _watermark, _mark = table("event"), table("watermark"), table("activity_mark")
_contact, _activity, _day = table("contact"), table("contact_activity"), table("contact_day")
_recent = table("contact_recent_mail")
_HAPPENINGS: Final[Mapping[str, Happening]] = {
    "delivered": Happening.RECEIVED,
    "opened": Happening.OPENED,
    "clicked": Happening.CLICKED,
    "acted": Happening.ACTED,
    "opened_revised": Happening.OPEN_REVISED,
    "clicked_revised": Happening.CLICK_REVISED,
}
REFUSALS: Final = frozenset({"bounced", "failed", "expired"})
"""Their data say under ``kind`` what they count as against the contact."""
KINDS: Final = (*_HAPPENINGS, *sorted(REFUSALS))
"""The events that say something of a contact."""


def forget_engagement(connection: Connection, contact_id: int) -> None:
    """Forget what a contact opened and clicked, for whoever withdraws consent; what they got stays.

    Mails since an open or a click are counted anew: of the earlier ones nobody knows what became.
    """
    nothing = {"opened": 0, "last_opened_at": None, "clicked": 0, "last_clicked_at": None, "opened_in_a_row": 0}
    since = {"received_since_opened": 0, "received_since_clicked": 0}
    connection.execute(update(_activity).where(_activity.c.contact_id == contact_id).values(**nothing, **since))
    connection.execute(delete(_recent).where(_recent.c.contact_id == contact_id))
    connection.execute(update(_day).where(_day.c.contact_id == contact_id).values(opened=0, clicked=0))


def count_anew(connection: Connection, contact_id: int) -> None:
    """Count mails without an open or a click from here on, for whoever agrees to tracking: of earlier ones nobody knows
    whether they were opened."""
    since = {"received_since_opened": 0, "received_since_clicked": 0}
    connection.execute(update(_activity).where(_activity.c.contact_id == contact_id).values(**since))


def needs_roll_up(connection: Connection, workspace_id: int) -> bool:
    """Whether the counts of the log have come further than the mark."""
    mark = connection.execute(select(_mark.c.recorded_at).where(_mark.c.workspace_id == workspace_id)).scalar()
    return int(mark or 0) < _counted_up_to(connection, workspace_id)


def roll_up(connection: Connection, workspace_id: int, *, limit: int = 1000) -> int:
    """Fold up to ``limit`` events into the rows of their contacts; returns how many.

    The mark's row is locked first, so that two processes never fold the same events, and moves in the transaction
    that stores what was folded. It goes no further than the watermark of the counts: ahead of that, an event could
    still be recorded behind the mark.
    """
    mark = _lock_mark(connection, workspace_id)
    end = max(mark[0], _counted_up_to(connection, workspace_id))
    rows = connection.execute(_waiting(workspace_id, mark, end, limit)).all()
    happened: dict[int, list[ActivityEvent]] = {}
    for row in rows:
        found = _read_event(row.kind, row.occurred_at, row.delivery_id, row.data) if row.contact_id else None
        if found is not None:
            happened.setdefault(row.contact_id, []).append(found)
    if happened:
        _fold(connection, workspace_id, happened)
    reached = (rows[-1].recorded_at, rows[-1].id) if len(rows) == limit else (end, 0)
    if reached > mark:
        moved = _mark.update().where(_mark.c.workspace_id == workspace_id)
        connection.execute(moved.values(recorded_at=reached[0], event_id=reached[1]))
    return len(rows)


def _lock_mark(connection: Connection, workspace_id: int) -> tuple[int, int]:
    insert = _insert(connection)
    begin = insert(_mark).values(workspace_id=workspace_id, recorded_at=0, event_id=0)
    connection.execute(begin.on_conflict_do_nothing())
    # An update that changes nothing takes the row's lock on either database.
    locked = connection.execute(
        _mark.update()
        .where(_mark.c.workspace_id == workspace_id)
        .values(event_id=_mark.c.event_id)
        .returning(_mark.c.recorded_at, _mark.c.event_id)
    ).one()
    return int(locked[0]), int(locked[1])


def _counted_up_to(connection: Connection, workspace_id: int) -> int:
    """The watermark of the log's counts. Behind it nothing is recorded any more (``events.append``)."""
    mine = _watermark.c.workspace_id == workspace_id
    return int(connection.execute(select(_watermark.c.rolled_up_to).where(mine)).scalar() or 0)


def _waiting(workspace_id: int, mark: tuple[int, int], end: int, limit: int) -> Select[Any]:
    """Events in the order of ``(recorded_at, id)`` from behind the mark to before ``end``."""
    at, event_id = mark
    behind: ColumnElement[bool] = (_event.c.recorded_at > at) | (_event.c.id > event_id)
    return (
        select(
            _event.c.recorded_at,
            _event.c.id,
            _event.c.kind,
            _event.c.occurred_at,
            _event.c.delivery_id,
            _event.c.contact_id,
            _event.c.data,
        )
        .where(
            _event.c.workspace_id == workspace_id,
            _event.c.recorded_at >= at,
            _event.c.recorded_at < end,
            behind,
            _event.c.kind.in_(KINDS),
        )
        .order_by(_event.c.recorded_at, _event.c.id)
        .limit(limit)
    )


def _read_event(kind: str, at: int, delivery_id: int | None, written: str) -> ActivityEvent | None:
    data: Mapping[str, Any] = {} if kind == "delivered" else json.loads(written)
    if kind in REFUSALS:
        is_soft = data.get("kind") == BounceKind.SOFT_BOUNCE
        return ActivityEvent(Happening.SOFT_BOUNCE, at, delivery_id) if is_soft else None
    done_at = data.get("done_at")
    return ActivityEvent(
        _HAPPENINGS[kind],
        at,
        delivery_id,
        counts=is_by_person(data),
        counted=is_by_person(data, "was"),
        done_at=done_at if isinstance(done_at, int) else None,
    )


def _fold(connection: Connection, workspace_id: int, happened: Mapping[int, Sequence[ActivityEvent]]) -> None:
    ids = sorted(happened)
    mine = (_contact.c.workspace_id == workspace_id, _contact.c.id.in_(ids))
    # Somebody who was erased is counted no more; whoever is here must not be erased meanwhile.
    there = select(_contact.c.id).with_hint(_contact, BY_ID, "sqlite").where(*mine).order_by(_contact.c.id)
    held = there.with_for_update(read=True, key_share=True)
    known = [int(row[0]) for row in connection.execute(held)]
    kept = connection.execute(
        select(_activity, _recent.c.mails)
        .outerjoin(_recent, _recent.c.contact_id == _activity.c.contact_id)
        .where(_activity.c.contact_id.in_(known))
    )
    stored = {row.contact_id: row for row in kept}
    rows, recent, days = [], [], []
    for contact_id in known:
        activity = _activity_of(stored[contact_id]) if contact_id in stored else Activity()
        for one in happened[contact_id]:
            activity.apply(one)
        rows.append({"contact_id": contact_id, "workspace_id": workspace_id, **_columns(activity)})
        mails = json.dumps(write_recent(activity), separators=(",", ":"))
        recent.append({"contact_id": contact_id, "workspace_id": workspace_id, "mails": mails})
        days += _day_rows(contact_id, workspace_id, activity)
    _replace(connection, _activity, rows)
    _replace(connection, _recent, recent)
    _store_days(connection, days)


def _activity_of(row: Any) -> Activity:
    activity = Activity(
        totals={kind: getattr(row, kind) for kind in ActivityKind},
        last_at={kind: getattr(row, f"last_{kind}_at") for kind in ActivityKind},
        received_since={
            ActivityKind.OPENED: row.received_since_opened,
            ActivityKind.CLICKED: row.received_since_clicked,
        },
        soft_bounces=row.soft_bounces,
        first_soft_bounce_at=row.first_soft_bounce_at,
        last_soft_bounce_at=row.last_soft_bounce_at,
    )
    if row.mails is not None:
        read_recent(json.loads(row.mails), activity)
    return activity


def _columns(activity: Activity) -> dict[str, Any]:
    found: dict[str, Any] = {str(kind): number for kind, number in activity.totals.items()}
    found |= {f"last_{kind}_at": at for kind, at in activity.last_at.items()}
    found |= {f"received_since_{kind}": number for kind, number in activity.received_since.items()}
    return found | {
        "opened_in_a_row": activity.opened_in_a_row,
        "soft_bounces": activity.soft_bounces,
        "first_soft_bounce_at": activity.first_soft_bounce_at,
        "last_soft_bounce_at": activity.last_soft_bounce_at,
    }


def _day_rows(contact_id: int, workspace_id: int, activity: Activity) -> list[dict[str, Any]]:
    days: dict[int, dict[str, Any]] = {}
    for (day, kind), number in activity.days.items():
        empty = {"contact_id": contact_id, "day": day, "workspace_id": workspace_id}
        days.setdefault(day, empty | dict.fromkeys(map(str, ActivityKind), 0))[str(kind)] = number
    return list(days.values())


def _replace(connection: Connection, target: Table, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    put = _insert(connection)(target)
    changed = {name: put.excluded[name] for name in rows[0] if name not in ("contact_id", "workspace_id")}
    connection.execute(put.on_conflict_do_update(index_elements=[target.c.contact_id], set_=changed), rows)


def _store_days(connection: Connection, days: list[dict[str, Any]]) -> None:
    """Add to what the days had."""
    gained = [one for one in days if any(one[str(kind)] > 0 for kind in ActivityKind)]
    if gained:
        put = _insert(connection)(_day)
        sums = {str(kind): _day.c[str(kind)] + put.excluded[str(kind)] for kind in ActivityKind}
        clipped = [{name: max(0, number) for name, number in one.items()} for one in gained]
        connection.execute(
            put.on_conflict_do_update(index_elements=[_day.c.contact_id, _day.c.day], set_=sums), clipped
        )
    _take_from_days(connection, [one for one in days if any(one[str(kind)] < 0 for kind in ActivityKind)])


def _take_from_days(connection: Connection, lost: list[dict[str, Any]]) -> None:
    """What was counted and is taken back; a day that was forgotten meanwhile stays so."""
    if not lost:
        return
    least = func.greatest if connection.dialect.name == "postgresql" else func.max
    changed = {str(kind): least(0, _day.c[str(kind)] - bindparam(f"less_{kind}")) for kind in ActivityKind}
    statement = update(_day).where(_day.c.contact_id == bindparam("of_contact"), _day.c.day == bindparam("of_day"))
    rows = [
        {"of_contact": one["contact_id"], "of_day": one["day"]}
        | {f"less_{kind}": max(0, -one[str(kind)]) for kind in ActivityKind}
        for one in lost
    ]
    connection.execute(statement.values(changed), rows)


def _insert(connection: Connection) -> Any:
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert


def forget_days(connection: Connection, ids: tuple[int, int], before: Microseconds) -> int:
    """Forget the days before a moment of contacts from the first id to before the second; returns how many."""
    return connection.execute(
        delete(_day).where(_day.c.contact_id >= ids[0], _day.c.contact_id < ids[1], _day.c.day < before // DAY)
    ).rowcount


def newest_contact(connection: Connection) -> int:
    """The highest id of a contact in any workspace, 0 where there is none."""
    return int(connection.execute(select(func.coalesce(func.max(_contact.c.id), 0))).scalar_one())
