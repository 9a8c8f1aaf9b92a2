"""Counts keys that were no good, so that nobody can try many: by peer, and by the key's visible beginning.

Keys have more than 200 random bits, so guessing is hopeless anyway; what is held off is the work that it makes.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta

_PREFIX = 12


@dataclass(frozen=True, slots=True)
class TryLimits:
    """``free`` failures cost nothing; then each doubles the wait, from ``first`` up to ``longest``.

    A key's beginning is no secret, so it has more free tries than a peer: else anybody could lock its owner out.
    A count is forgotten ``memory`` after the last failure. ``entries`` bounds each of the two tables.
    """

    free_by_peer: int = 10
    free_by_prefix: int = 100
    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(minutes=15)
    memory: timedelta = timedelta(hours=1)
    entries: int = 10_000


@dataclass(slots=True)
class _Count:
    failures: int = 0
    last: float = 0.0
    until: float = 0.0


class TryLimiter:
    """Failed tries of all sessions; ``now`` is seconds on any clock that does not run backwards."""

    def __init__(self, limits: TryLimits) -> None:
        self._limits = limits
        self._peers: OrderedDict[str, _Count] = OrderedDict()
        self._prefixes: OrderedDict[str, _Count] = OrderedDict()

    def begin(self, peer: str, secret: str, now: float) -> float:
        """Count a try before its outcome is known; returns seconds to wait, 0 where it may go on.

        Counted first, so that tries which arrive together cannot slip past the limit together.
        """
        counts = self._counts(peer, secret, now)
        wait = max(count.until - now for count, _ in counts)
        if wait > 0:
            return wait
        for count, free in counts:
            count.failures += 1
            count.last = now
            count.until = now + self._wait(count.failures - free)
        return 0.0

    def succeeded(self, peer: str, secret: str, now: float) -> None:
        """Take back what ``begin`` counted; other failures stay, or one good key would let its owner try others."""
        for count, free in self._counts(peer, secret, now):
            count.failures = max(0, count.failures - 1)
            count.until = now if count.failures <= free else min(count.until, now)

    def _wait(self, beyond: int) -> float:
        if beyond <= 0:
            return 0.0
        return min(
            self._limits.first.total_seconds() * 2.0 ** min(beyond - 1, 32), self._limits.longest.total_seconds()
        )

    def _counts(self, peer: str, secret: str, now: float) -> tuple[tuple[_Count, int], tuple[_Count, int]]:
        return (
            (self._count(self._peers, peer, now), self._limits.free_by_peer),
            (self._count(self._prefixes, secret[:_PREFIX], now), self._limits.free_by_prefix),
        )

    def _count(self, table: OrderedDict[str, _Count], name: str, now: float) -> _Count:
        count = table.get(name)
        if count is None or now - count.last > self._limits.memory.total_seconds():
            count = table[name] = _Count(last=now)
        table.move_to_end(name)
        while len(table) > self._limits.entries:
            table.popitem(last=False)
        return count
