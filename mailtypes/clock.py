"""Time is handed in. UTC as integer microseconds since 1970-01-01; zones exist only at the edges."""

import time
from datetime import UTC, datetime, timedelta
from typing import NewType, Protocol

Microseconds = NewType("Microseconds", int)
"""A moment: microseconds since 1970-01-01T00:00:00Z, leap seconds ignored as POSIX does."""

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> Microseconds:
        """The present moment."""
        ...


class SystemClock:
    """The machine's clock; the only place that reads it."""

    def now(self) -> Microseconds:
        """The present moment by the machine's clock."""
        return Microseconds(time.time_ns() // 1_000)


class ManualClock:
    """A clock that moves only when told to, for tests and simulations."""

    def __init__(self, start: int = 1_700_000_000 * SECOND) -> None:
        self._now = start

    def now(self) -> Microseconds:
        """The moment that was last set."""
        return Microseconds(self._now)

    def advance(self, by: timedelta) -> Microseconds:
        """Move on by ``by`` (never backwards) and return the new moment."""
        step = microseconds(by)
        if step < 0:
            raise ValueError("time does not run backwards")
        self._now += step
        return self.now()


def microseconds(duration: timedelta) -> int:
    """``duration`` as a whole number of microseconds."""
    return duration // timedelta(microseconds=1)


def as_datetime(moment: int) -> datetime:
    """``moment`` as an aware UTC datetime, for the edges."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)


def from_datetime(moment: datetime) -> Microseconds:
    """An aware datetime as microseconds; a naive one is an error, since its zone is unknown."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a zone")
    return Microseconds(microseconds(moment - datetime(1970, 1, 1, tzinfo=UTC)))
