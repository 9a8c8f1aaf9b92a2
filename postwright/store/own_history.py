"""Campaigns that were sent before: what one's own rates and hours are compared with."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Connection, cast, func, select

from postwright.store.records import table
from postwright.store.statistics import CountRow

_run, _campaign, _statistic = table("run"), table("campaign"), table("statistic")
_DELIVERED = ("delivered",)


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run of a campaign that is at its end; ``plan`` is JSON."""

    id: int
    campaign_id: int
    campaign: str
    campaign_created_at: int
    created_at: int
    plan: str


@dataclass(frozen=True, slots=True)
class Span:
    """Which ended runs: those of a stream or list (``None``: any) that began from ``since`` to before ``until``."""

    since: int
    until: int
    stream_id: int | None = None
    list_id: int | None = None


def ended_runs(connection: Connection, workspace_id: int, span: Span, limit: int) -> list[EndedRun]:
    """The newest runs of campaigns that were finished, neither cancelled nor tests; the newest first."""
    columns = (_run.c.id, _campaign.c.id, _campaign.c.name, _campaign.c.created_at, _run.c.created_at, _run.c.plan)
    conditions = [
        _run.c.workspace_id == workspace_id,
        _run.c.state == "finished",
        _run.c.is_test.is_(False),
        _run.c.created_at >= span.since,
        _run.c.created_at < span.until,
    ]
    named = ((_run.c.stream_id, span.stream_id), (_run.c.list_id, span.list_id))
    conditions += [column == value for column, value in named if value is not None]
    joined = _run.join(_campaign, _campaign.c.id == _run.c.campaign_id)
    statement = select(*columns).select_from(joined).where(*conditions).order_by(_run.c.id.desc()).limit(limit)
    return [EndedRun(*row) for row in connection.execute(statement)]


def counts_up_to(connection: Connection, run_id: int, last_hour: int) -> list[CountRow]:
    """The counts of a run up to an hour (hours since the epoch), that one included."""
    statement = (
        select(
            *(_statistic.c.kind, _statistic.c.detail),
            func.sum(_statistic.c.events),
            func.sum(_statistic.c.recipients),
        )
        .where(
            _statistic.c.run_id == run_id,
            _statistic.c.cut == "hour",
            cast(_statistic.c.value, BigInteger) <= last_hour,
        )
        .group_by(_statistic.c.kind, _statistic.c.detail)
    )
    return [CountRow(run_id, "", 0, row[0], row[1], int(row[2]), int(row[3])) for row in connection.execute(statement)]


def delivered_by_hour(connection: Connection, run_ids: list[int]) -> dict[int, dict[int, int]]:
    """How many of each run were delivered in each hour (since the epoch); for some hundred runs at most."""
    found: dict[int, dict[int, int]] = {}
    statement = (
        select(_statistic.c.run_id, _statistic.c.value, func.sum(_statistic.c.recipients))
        .where(_statistic.c.run_id.in_(run_ids), _statistic.c.cut == "hour", _statistic.c.kind.in_(_DELIVERED))
        .group_by(_statistic.c.run_id, _statistic.c.value)
    )
    for run_id, value, number in connection.execute(statement):
        found.setdefault(int(run_id), {})[int(value)] = int(number)
    return found
