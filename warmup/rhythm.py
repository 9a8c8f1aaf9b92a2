"""Days and hours as the sender's zone has them: weekends, quiet hours, and days of 23 or 25 hours.

A day runs from its first moment to the next day's first. Its hours are counted from that first moment on, so they
never overlap and leave no gap, whatever the clocks on the walls do; the last hour may be short.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mailtypes.clock import HOUR, Microseconds, as_datetime, from_datetime
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say

_LONGEST_SEARCH = 60  # days that are looked through for an open hour


class RhythmSyntaxError(InputSyntaxError):
    """A zone, weekend or quiet hours that make no sense."""


@dataclass(frozen=True, slots=True)
class HourWindow:
    """One hour of a day: ``[begins, ends)``, and the hour that clocks in the zone show when it begins."""

    begins: Microseconds
    ends: Microseconds
    wall_hour: int


@dataclass(frozen=True)
class Rhythm:
    """When marketing mail goes out. ``zone`` is an IANA name.

    ``quiet`` is ``(from, until)`` in full hours by the clock and may pass midnight; ``weekend`` holds weekdays (Monday
    is 0) on which ``weekend_share`` of a day's cap is used, 0 for none of it. Raises ``RhythmSyntaxError``.
    """

    zone: str = "UTC"
    quiet: tuple[int, int] | None = None
    weekend: frozenset[int] = frozenset()
    weekend_share: float = 1.0

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise RhythmSyntaxError(
                say("no time zone '%(zone)s'", zone=self.zone),
                source=self.zone,
                next_step=say("Write a name such as Asia/Jerusalem."),
            ) from None
        if self.quiet is not None and not all(0 <= hour <= 23 for hour in self.quiet):
            raise RhythmSyntaxError(
                say("no hours: %(quiet)s", quiet=self.quiet), next_step=say("Quiet hours are full hours from 0 to 23.")
            )
        if not self.weekend <= set(range(7)) or not 0.0 <= self.weekend_share <= 1.0:
            raise RhythmSyntaxError(
                say("no weekend"), next_step=say("Weekdays are 0 (Monday) to 6, the share is 0 to 1.")
            )
        if len(self.weekend) == 7 and self.weekend_share == 0.0:
            raise RhythmSyntaxError(
                say("every day is a rest day"), next_step=say("Leave a day on which mail goes out.")
            )

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def day_of(self, moment: Microseconds) -> date:
        """The date on the sender's calendar."""
        return as_datetime(moment).astimezone(self._zone).date()

    def begins(self, day: date) -> Microseconds:
        """The day's first moment: midnight, or where the clocks skip it, the moment at which they jump."""
        return _first_moment(self._zone, day)

    def ends(self, day: date) -> Microseconds:
        """The next day's first moment."""
        return self.begins(day + timedelta(days=1))

    def is_quiet(self, wall_hour: int) -> bool:
        """Whether marketing mail rests in the hour that clocks show as ``wall_hour``."""
        if self.quiet is None or self.quiet[0] == self.quiet[1]:
            return False
        start, end = self.quiet
        return start <= wall_hour < end if start < end else wall_hour >= start or wall_hour < end

    def share_of(self, day: date) -> float:
        """The share of a day's cap that marketing mail may use on ``day``."""
        return self.weekend_share if day.weekday() in self.weekend else 1.0

    def hours(self, day: date) -> tuple[HourWindow, ...]:
        """The hours of ``day``, one after the other."""
        return _hours(self._zone, day)

    def hour_of(self, moment: Microseconds) -> HourWindow:
        """The hour that ``moment`` lies in."""
        day = self.day_of(moment)
        return self.hours(day)[(moment - self.begins(day)) // HOUR]

    def open_hours(self, day: date) -> int:
        """How many hours of ``day`` marketing mail may go out in."""
        if self.share_of(day) == 0.0:
            return 0
        return sum(not self.is_quiet(hour.wall_hour) for hour in self.hours(day))

    def next_open(self, moment: Microseconds) -> Microseconds | None:
        """The first moment from ``moment`` on at which marketing mail may go out; ``None`` for none in two months."""
        for hour in self._open_from(self.day_of(moment)):
            if hour.ends > moment:
                return max(moment, hour.begins)
        return None

    def _open_from(self, day: date) -> Iterator[HourWindow]:
        for _ in range(_LONGEST_SEARCH):
            if self.share_of(day) > 0.0:
                yield from (hour for hour in self.hours(day) if not self.is_quiet(hour.wall_hour))
            day += timedelta(days=1)

    def told(self, moment: Microseconds, seen_from: Microseconds) -> str:
        """``moment`` for people: ``00:00 Asia/Jerusalem``, with the date where it is another than the next day's."""
        local = as_datetime(moment).astimezone(self._zone)
        near = local.date() - self.day_of(seen_from) <= timedelta(days=1)
        return f"{local:%H:%M} {self.zone}" if near else f"{local:%H:%M} on {local:%Y-%m-%d} {self.zone}"


@lru_cache(maxsize=4096)
def _first_moment(zone: ZoneInfo, day: date) -> Microseconds:
    # fold=0: of two midnights the first; a midnight in a gap is reckoned with the offset before it, which is the
    # moment of the jump (PEP 495).
    return from_datetime(datetime.combine(day, time(), tzinfo=zone))


@lru_cache(maxsize=4096)
def _hours(zone: ZoneInfo, day: date) -> tuple[HourWindow, ...]:
    begin, end = _first_moment(zone, day), _first_moment(zone, day + timedelta(days=1))
    return tuple(
        HourWindow(Microseconds(start), Microseconds(min(start + HOUR, end)), as_datetime(start).astimezone(zone).hour)
        for start in range(begin, end, HOUR)
    )
