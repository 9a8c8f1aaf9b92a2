"""When a campaign goes out: at once or at a time, in which hours, and whether by each contact's own clock."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mailtypes.clock import SECOND, Microseconds
from mailtypes.saying import say
from postwright.services.errors import Problem

_DAYS = 7
_MOST_AHEAD = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class SendWindow:
    """Hours of the day (``first`` to before ``end``) on days of the week, Monday 0, in which mail is released."""

    first: int = 0
    end: int = 24
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)

    def is_open(self, moment: datetime) -> bool:
        """Whether ``moment``, on the clock of its zone, lies in it."""
        return moment.weekday() in self.days and self.first <= moment.hour < self.end


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """``starts_at`` ``None``: as soon as it is sent. ``zone`` is the sender's.

    With ``local_time`` everybody gets it when the clock where they are shows the time of the start; contacts whose
    zone is not known go by the sender's.
    """

    starts_at: Microseconds | None = None
    zone: str = "UTC"
    window: SendWindow | None = None
    local_time: bool = False

    def as_json(self) -> str:
        """For the store."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, written: str) -> "CampaignPlan":
        """What ``as_json`` wrote; an empty object is the plan without wishes."""
        found = json.loads(written)
        window = found.pop("window", None)
        made = None if window is None else SendWindow(window["first"], window["end"], tuple(window["days"]))
        return cls(**found, window=made)

    def closed_until(self, now: Microseconds) -> Microseconds | None:
        """When the window opens again; ``None`` while it is open."""
        if self.window is None:
            return None
        zone = ZoneInfo(self.zone)
        moment = _moment(now, zone)
        if self.window.is_open(moment):
            return None
        hour = moment.replace(minute=0, second=0, microsecond=0)
        for ahead in range(1, 24 * (_DAYS + 2)):
            later = (hour.astimezone(UTC) + timedelta(hours=ahead)).astimezone(zone)
            if self.window.is_open(later):
                return _micro(later)
        return None

    def due_in(self, begins_at: Microseconds) -> Callable[[str | None], Microseconds] | None:
        """The moment for a contact's zone, where it goes by their own clocks: the sender's clock time at the start."""
        if not self.local_time:
            return None
        own = _moment(begins_at, ZoneInfo(self.zone))
        known: dict[str | None, Microseconds] = {}

        def due(zone: str | None) -> Microseconds:
            if zone not in known:
                known[zone] = _same_clock_time(own, zone or self.zone, begins_at)
            return known[zone]

        return due

    def due_at_hour(self, hour: int, begins_at: Microseconds) -> Microseconds:
        """The next time that the sender's clock shows ``hour``."""
        zone = ZoneInfo(self.zone)
        own = _moment(begins_at, zone)
        wanted = _at(own.date(), time(hour), zone)
        return _micro(wanted if wanted >= own else _at(own.date() + timedelta(days=1), time(hour), zone))


def check_plan(plan: CampaignPlan, now: Microseconds) -> list[Problem]:
    """What is wrong with it."""
    found: list[Problem] = []
    try:
        ZoneInfo(plan.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        found.append(
            _problem(
                "zone",
                say("There is no time zone '%(zone)s'.", zone=plan.zone[:60]),
                say("Name one, as Asia/Jerusalem."),
            )
        )
    if plan.starts_at is not None and plan.starts_at > now + _MOST_AHEAD / timedelta(microseconds=1):
        found.append(_problem("starts_at", say("That is more than a year from now."), say("Schedule it later.")))
    window = plan.window
    if window is not None and not (0 <= window.first < window.end <= 24):
        found.append(_problem("window", say("The window ends before it begins."), say("Give hours from 0 to 24.")))
    if window is not None and not (window.days and set(window.days) <= set(range(_DAYS))):
        found.append(
            _problem("window.days", say("Days are 0 (Monday) to 6 (Sunday), at least one."), say("Name the days."))
        )
    return found


def _same_clock_time(own: datetime, zone: str, begins_at: Microseconds) -> Microseconds:
    """When the clock of ``zone`` shows what ``own`` shows, at the beginning or within a day of it."""
    try:
        there = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return begins_at
    wanted = _at(own.date(), own.time(), there)
    if _micro(wanted) < begins_at:  # the day there is on already
        wanted = _at(own.date() + timedelta(days=1), own.time(), there)
    return _micro(wanted)


def _at(day: date, clock: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, clock, zone)


def _moment(at: Microseconds, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at / SECOND, zone)


def _micro(moment: datetime) -> Microseconds:
    return Microseconds(round(moment.timestamp() * SECOND))


def _problem(field: str, sentence: str, next_step: str) -> Problem:
    return Problem("plan", sentence, f"plan.{field}", "", next_step)
