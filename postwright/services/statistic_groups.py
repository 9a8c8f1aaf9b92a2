"""Statistics by what the counts have no cut for: the segments that recipients are in now, and several senders.

Both go over recipients, so they are bounded: the newest runs as far as ``MOST_LOOKED_AT`` recipients, once for each
segment.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from mailtypes.clock import Microseconds
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say
from postwright.services.errors import NotFoundError, RefusedError
from postwright.services.statistic_terms import Measures, measures_of
from postwright.store import segments, statistic_parts, statistics
from postwright.store.public_ids import public_id
from postwright.store.segments import Audience, Segment
from postwright.store.statistics import CountedRun, CountRow

MOST_LOOKED_AT = 1_000_000
MOST_SEGMENTS = 20
_EACH_ITS_OWN = "(each message its own)"


@dataclass(frozen=True, slots=True)
class CountedPart:
    """A part as ``StatisticRow`` tells it."""

    key: str
    label: str
    measures: Measures


def within_reach(connection: Connection, runs: Sequence[CountedRun], times: int) -> Sequence[CountedRun]:
    """The first of ``runs`` that may be gone over so many times; ``RefusedError`` where it is not even the first."""
    sizes = statistic_parts.count_recipients(connection, [one.id for one in runs])
    left, kept = MOST_LOOKED_AT, list[CountedRun]()
    for one in runs:
        left -= sizes.get(one.id, 0) * times
        if left < 0:
            break
        kept.append(one)
    if runs and not kept:
        raise RefusedError(
            "too_much",
            say("That goes over more than %(most_looked_at)s recipients.", most_looked_at=f"{MOST_LOOKED_AT:,}"),
            field="by",
            next_step=say("Name one segment, or look at a smaller run."),
        )
    return kept


def chosen_segments(connection: Connection, workspace_id: int, segment_id: int | None) -> list[Segment]:
    """The segment of that id, or the first ``MOST_SEGMENTS``; raises ``NotFoundError``."""
    if segment_id is None:
        return segments.list_segments(connection, workspace_id, limit=MOST_SEGMENTS)
    found = segments.get_segment(connection, workspace_id, segment_id)
    if found is None:
        raise NotFoundError("segment")
    return [found]


def by_segment(
    connection: Connection, workspace_id: int, runs: Sequence[CountedRun], several: Sequence[Segment], now: Microseconds
) -> list[CountedPart]:
    """The counts of those who are in each segment now. A segment that cannot be read any more is left out."""
    found: list[CountedPart] = []
    for segment in several:
        try:
            audience = segments.open_audience(connection, workspace_id, segment.node, name=segment.name)
            rows = [row for run in runs for row in segment_counts(connection, run.id, audience, now)]
        except InputSyntaxError:  # a list that it names is gone
            continue
        key = public_id("seg", segment.created_at, segment.id)
        found.append(CountedPart(key, segment.name, measures_of(rows)))
    return found


def by_sender(connection: Connection, workspace_id: int, runs: Sequence[CountedRun]) -> tuple[list[CountedPart], int]:
    """The counts by the address that mail was from, and of how many runs. Runs of one sender are counted as a whole."""
    drawn = statistic_parts.senders_of(connection, [one.id for one in runs])
    one_only = [one for one in runs if len(drawn[one.id]) == 1]
    several = [one for one in runs if len(drawn[one.id]) > 1]
    reached = within_reach(connection, several, 1)
    found: dict[str, list[CountRow]] = {}
    for row in statistics.counts(connection, workspace_id, [one.id for one in one_only], "provider", ("run_id",)):
        found.setdefault(drawn[row.run_id][0], []).append(row)
    for run in reached:
        for number, row in statistic_parts.counts_by_sender(connection, run.id):
            found.setdefault(drawn[run.id][number], []).append(row)
    parts = [CountedPart(name, name or _EACH_ITS_OWN, measures_of(rows)) for name, rows in found.items()]
    return parts, len(one_only) + len(reached)


def segment_counts(connection: Connection, run_id: int, audience: Audience, now: Microseconds) -> list[CountRow]:
    """The counts of a run's recipients who are in an audience now."""
    return statistic_parts.counts_in_segment(connection, run_id, audience, now)
