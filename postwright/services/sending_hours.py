"""Which hours of sending went best in one's own campaigns, as far as they can tell (``experiments.best_hours``)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection

from experiments.best_hours import BestHours, SentAt, best_hours
from experiments.comparison import MIN_RECIPIENTS
from mailtypes.clock import DAY, HOUR, Clock, Microseconds, as_datetime
from mailtypes.saying import say
from postwright.services.campaign_plan import CampaignPlan
from postwright.services.comparison import MATURE, Measure, counted_of
from postwright.services.errors import NotFoundError, RefusedError
from postwright.services.statistic_terms import measures_of
from postwright.store import contacts, own_history, statistics
from postwright.store.database import Database
from postwright.store.own_history import EndedRun, Span
from postwright.store.statistics import CountRow

MOST_RUNS: Final = 300
_BACK: Final = 366 * DAY


class HourMetric(StrEnum):
    """What hours are judged by: people who clicked, or who opened, as far as they are known to be people."""

    CLICK = "click"
    OPEN = "open"


class HourVerdict(StrEnum):
    """What can be said."""

    DIFFER = "differ"
    NO_DIFFERENCE_KNOWN = "no_difference_known"
    TOO_FEW = "too_few"


@dataclass(frozen=True, slots=True)
class HoursWanted:
    """``zone``: whose clock; mail that goes by the recipients' own clocks counts for the hour on those."""

    metric: HourMetric = HourMetric.CLICK
    zone: str = "UTC"
    list_id: int | None = None


@dataclass(frozen=True, slots=True)
class SendingHours:
    """``campaigns`` were compared; ``spread`` more were left out, since no hour had half of their mail."""

    wanted: HoursWanted
    found: BestHours
    campaigns: int
    spread: int

    @property
    def verdict(self) -> HourVerdict:
        """Whether any hour is known to be better than another."""
        if not self.found.hours:
            return HourVerdict.TOO_FEW
        if not self.found.best or len(self.found.best) == len(self.found.hours):
            return HourVerdict.NO_DIFFERENCE_KNOWN
        return HourVerdict.DIFFER

    @property
    def sentence(self) -> str:
        """The same for people."""
        if self.verdict is HourVerdict.TOO_FEW:
            return self.found.cause
        if self.verdict is HourVerdict.NO_DIFFERENCE_KNOWN:
            return say("No hour is better than the others as far as is known.")
        hours = ", ".join(f"{hour}:00" for hour in sorted(self.found.best))
        return say(
            "The best hour is one of these: %(hours)s (%(zone)s). What was sent at which hour was no accident,"
            " so this is a memory of what was; a test of the hour says more.",
            hours=hours,
            zone=self.wanted.zone,
        )


class BestSendingHours:
    """Looks back over a year of campaigns."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def find(self, workspace_id: int, wanted: HoursWanted) -> SendingHours:
        """What the newest ``MOST_RUNS`` campaigns say; raises ``RefusedError`` for a zone that there is not."""
        try:
            zone = ZoneInfo(wanted.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            sentence = say("There is no time zone '%(zone)s'.", zone=wanted.zone[:60])
            raise RefusedError("zone", sentence, field="zone", next_step=say("Name one, as Asia/Jerusalem.")) from error
        now = self._clock.now()
        return await self._database.read(partial(_find, workspace_id=workspace_id, about=(wanted, zone), now=now))


def _find(
    connection: Connection, workspace_id: int, about: tuple[HoursWanted, ZoneInfo], now: Microseconds
) -> SendingHours:
    wanted, zone = about
    if wanted.list_id is not None and contacts.get_list(connection, workspace_id, wanted.list_id) is None:
        raise NotFoundError("list")
    span = Span(now - _BACK, now - MATURE, list_id=wanted.list_id)
    runs = own_history.ended_runs(connection, workspace_id, span, MOST_RUNS)
    ids = [one.id for one in runs]
    rows: dict[int, list[CountRow]] = {}
    for row in statistics.counts(connection, workspace_id, ids, "provider", ("run_id",)):
        rows.setdefault(row.run_id, []).append(row)
    by_hour = own_history.delivered_by_hour(connection, ids)
    sent: list[SentAt] = []
    spread = 0
    for run in runs:
        counted = counted_of(Measure(wanted.metric), measures_of(rows.get(run.id, ())))[0]
        if counted.recipients < MIN_RECIPIENTS:
            continue
        hour = sending_hour(run, by_hour.get(run.id, {}), zone)
        if hour is None:
            spread += 1
        else:
            sent.append(SentAt(hour, counted))
    return SendingHours(wanted, best_hours(sent), len(sent), spread)


def sending_hour(run: EndedRun, delivered: Mapping[int, int], zone: ZoneInfo) -> int | None:
    """The hour of the day that most of a run went out in; ``None`` where no hour has half of it."""
    plan = CampaignPlan.from_json(run.plan)
    if plan.local_time:
        return as_datetime(run.created_at).astimezone(ZoneInfo(plan.zone)).hour
    if not delivered:
        return None
    hour = max(delivered, key=lambda one: (delivered[one], -one))
    if 2 * delivered[hour] < sum(delivered.values()):
        return None
    return as_datetime(hour * HOUR).astimezone(zone).hour
