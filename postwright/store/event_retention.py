"""Events and the detail of opens and clicks whose time is over; what was rolled up from them stays."""

from collections import defaultdict
from typing import Final

from sqlalchemy import Connection, delete, func, select

from mailtypes.clock import Microseconds
from postwright.store.events import newest_id
from postwright.store.records import table
from postwright.store.webhooks import ENABLED

_event, _watermark, _workspace = table("event"), table("watermark"), table("workspace")
_engagement = table("engagement")
_endpoint, _feed = table("webhook_endpoint"), table("webhook_feed")
MARKS: Final = ("statistic_mark", "activity_mark", "hygiene_mark", "warm_up_mark")
"""Tables that say up to which event something is rolled up, by workspace."""


def forget_events(connection: Connection, before: Microseconds, *, limit: int = 500) -> int:
    """Delete up to ``limit`` events that were recorded before that moment, the oldest first; returns how many.

    What somebody has yet to read stays: counts that lag behind, and endpoints of webhooks that are enabled. The newest
    event of all stays however old it is, since SQLite's next id is made from it.
    """
    newest = newest_id(connection)
    for (workspace_id,) in connection.execute(select(_workspace.c.id).order_by(_workspace.c.id)).all():
        end = min(before, _read_by_all(connection, int(workspace_id)))
        old = (
            select(_event.c.month, _event.c.id)
            .where(_event.c.workspace_id == workspace_id, _event.c.recorded_at < end, _event.c.id != newest)
            .order_by(_event.c.recorded_at, _event.c.id)
            .limit(limit)
        )
        by_month: dict[int, list[int]] = defaultdict(list)
        for month, event_id in connection.execute(old):
            by_month[int(month)].append(int(event_id))
        if by_month:
            return sum(_forget(connection, month, ids) for month, ids in by_month.items())
    return 0


def _forget(connection: Connection, month: int, event_ids: list[int]) -> int:
    # Month by month: for pairs of them SQLite reads the whole log.
    return connection.execute(delete(_event).where(_event.c.month == month, _event.c.id.in_(event_ids))).rowcount


def _read_by_all(connection: Connection, workspace_id: int) -> int:
    """The moment before which everything of a workspace's log has been read by whoever reads on."""
    watermark = select(_watermark.c.rolled_up_to).where(_watermark.c.workspace_id == workspace_id)
    places = [int(connection.execute(watermark).scalar() or 0)]
    for name in MARKS:
        mark = table(name)
        at = connection.execute(select(mark.c.recorded_at).where(mark.c.workspace_id == workspace_id)).scalar()
        places += [] if at is None else [int(at)]
    told = (
        select(func.min(_feed.c.recorded_at))
        .join(_endpoint, _endpoint.c.id == _feed.c.endpoint_id)
        .where(_feed.c.workspace_id == workspace_id, _feed.c.finished_at.is_(None), _endpoint.c.state == ENABLED)
    )
    at = connection.execute(told).scalar()
    return min([*places, *([] if at is None else [int(at)])])


def forget_engagements(connection: Connection, before: Microseconds, *, limit: int = 500) -> int:
    """Delete the detail of opens and clicks of before that moment, among the ``limit`` oldest rows; returns how many.

    Their verdicts are settled by then; the events say what happened, and the counts how often.
    """
    oldest = select(_engagement.c.id, _engagement.c.occurred_at).order_by(_engagement.c.id).limit(limit).subquery()
    rows = connection.execute(select(oldest.c.id).where(oldest.c.occurred_at < before)).all()
    if not rows:
        return 0
    old = _engagement.c.id.in_([int(row[0]) for row in rows])
    return connection.execute(delete(_engagement).where(old, _engagement.c.settled_at.is_not(None))).rowcount
