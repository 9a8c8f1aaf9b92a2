"""The present day of a workspace at a glance: what was sent, what is held and why. Bounded, whatever its size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, literal_column, or_, select

from mailtypes.clock import HOUR, Microseconds
from postwright.store.records import table

_event, _run, _delivery = table("event"), table("run"), table("delivery")
_statistic, _mark = table("statistic"), table("statistic_mark")
_COUNTED_KINDS = ("delivered", "deferred", "failed", "expired", "bounced", "complained", "unsubscribed")
MOST_COUNTED = 50_000
"""How many held deliveries of one run are looked at; beyond that it is "more than"."""


@dataclass(frozen=True, slots=True)
class HeldBack:
    """How many deliveries of one run wait for the same thing; ``is_more``: at least so many."""

    run_id: int
    reason: str
    count: int
    is_more: bool = False


def counted_since(connection: Connection, workspace_id: int, since: Microseconds) -> Mapping[str, int]:
    """Events since a moment (an hour's beginning) by kind: from the hourly counts, and behind them from the log."""
    mark = connection.execute(
        select(_mark.c.recorded_at, _mark.c.event_id).where(_mark.c.workspace_id == workspace_id)
    ).one_or_none()
    counts: dict[str, int] = {}
    conditions = [_event.c.workspace_id == workspace_id, _event.c.recorded_at >= since]
    if mark is not None and mark.recorded_at > since:
        counts = _by_hour(connection, workspace_id, since)
        newer = and_(_event.c.recorded_at == mark.recorded_at, _event.c.id > mark.event_id)
        conditions.append(_event.c.recorded_at >= mark.recorded_at)
        conditions.append(or_(_event.c.recorded_at > mark.recorded_at, newer))
    conditions.append(_event.c.kind.in_(_COUNTED_KINDS))
    for kind, count in connection.execute(
        select(_event.c.kind, func.count()).where(*conditions).group_by(_event.c.kind)
    ):
        counts[str(kind)] = counts.get(str(kind), 0) + int(count)
    return counts


def _by_hour(connection: Connection, workspace_id: int, since: Microseconds) -> dict[str, int]:
    hours = [str(since // HOUR + n) for n in range(26)]  # a day, in zones that change their clocks too
    recent = select(_run.c.id).where(
        _run.c.workspace_id == workspace_id,
        or_(_run.c.finished_at.is_(None), _run.c.finished_at >= since - 7 * 24 * HOUR),
    )
    statement = (
        select(_statistic.c.kind, func.sum(_statistic.c.events))
        .where(
            _statistic.c.run_id.in_(recent),
            _statistic.c.cut == "hour",
            _statistic.c.value.in_(hours),
            _statistic.c.kind.in_(_COUNTED_KINDS),
        )
        .group_by(_statistic.c.kind)
    )
    return {str(row[0]): int(row[1]) for row in connection.execute(statement)}


def held_back(connection: Connection, workspace_id: int, *, most_runs: int = 20) -> Sequence[HeldBack]:
    """What is held in the newest runs that are not over, by run and reason, the most first."""
    runs = connection.execute(
        select(_run.c.id)
        .where(_run.c.workspace_id == workspace_id, _run.c.state.in_(("preparing", "sending", "paused")))
        .order_by(_run.c.id.desc())
        .limit(most_runs)
    ).scalars()
    found: list[HeldBack] = []
    for run_id in runs.all():
        some = (
            select(_delivery.c.waits_for)
            .where(_delivery.c.run_id == run_id, _delivery.c.state == literal_column("'held'"))
            .limit(MOST_COUNTED)
            .subquery()
        )
        rows = connection.execute(select(some.c.waits_for, func.count()).group_by(some.c.waits_for)).all()
        is_more = sum(int(row[1]) for row in rows) >= MOST_COUNTED
        found += [HeldBack(int(run_id), str(row[0]), int(row[1]), is_more) for row in rows]
    return sorted(found, key=lambda one: -one.count)
