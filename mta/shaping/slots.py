"""A rate as moments: the token bucket in its virtual-scheduling form, where the whole bucket is one number.

The number is the moment at which the next message may go. Whoever takes slots moves it on, so those who share it
through a database never exceed the rate together, and slots that nobody used have simply passed: what a worker leaves
behind is at most what it took, and is gone when its moments are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from mailtypes.clock import SECOND, Microseconds


@dataclass(frozen=True, slots=True)
class Slots:
    """Leave to begin ``count`` messages, the first at ``first_at``, each ``interval`` microseconds after the other."""

    first_at: Microseconds
    interval: int
    count: int

    def moment(self, number: int) -> Microseconds:
        """When message ``number`` (from 0) may begin."""
        return Microseconds(self.first_at + number * self.interval)

    @property
    def end(self) -> Microseconds:
        """When the first message that is not covered may begin."""
        return self.moment(self.count)


def interval_of(rate: float) -> int:
    """Microseconds between two messages at ``rate`` messages a second, rounded so that the rate is not exceeded."""
    return max(1, ceil(SECOND / rate))


def take_slots(next_free_at: int, interval: int, wanted: int, now: Microseconds, horizon: int) -> Slots:
    """Up to ``wanted`` slots that begin by ``now + horizon``; ``next_free_at`` becomes their ``end``.

    ``horizon`` (microseconds) bounds what one worker can take, and so what it can strand. Without slots left, ask
    again at ``first_at - horizon``.
    """
    first_at = Microseconds(max(next_free_at, now))
    room = (now + horizon - first_at) // interval + 1 if first_at <= now + horizon else 0
    return Slots(first_at, interval, max(0, min(wanted, room)))


def together(slots: Sequence[Slots]) -> Slots:
    """Slots that keep within all of these, which have the same count: each moment is the latest of theirs.

    A message that waits for one limit uses its slot of another late. Within any stretch of time no limit then gets
    more than its rate for that stretch and one horizon: a token bucket as deep as the horizon.
    """
    return Slots(max(one.first_at for one in slots), max(one.interval for one in slots), slots[0].count)


def returned(next_free_at: int, slots: Slots, used: int) -> int:
    """``next_free_at`` after only ``used`` slots were needed: the rest comes back unless somebody took more since."""
    return slots.moment(used) if next_free_at == slots.end and used < slots.count else next_free_at
