"""How many messages are made at once, so that those in memory stay within a bound whatever their size."""

from collections.abc import Sequence

_FIRST_GUESS = 1024 * 1024  # octets; until the first messages are seen, few are made at once
_WEIGHT = 0.25
_TOGETHER = 8  # signatures that are made at once (dns_checks.dkim.multi_buffer)


def rounded(size: int) -> int:
    """Signatures are made eight at a time, so more than eight messages are a multiple of that."""
    return size - size % _TOGETHER if size > _TOGETHER else size


class ChunkSizes:
    """Chunks of at most ``longest`` messages, shorter where all connections would hold more than ``octets``.

    Each connection holds two chunks: the one on the wire, and the one that is made meanwhile.
    """

    def __init__(self, longest: int, octets: int) -> None:
        self._longest = longest
        self._octets = octets
        self._mean: float | None = None

    def size(self, connections: int) -> int:
        """How many messages the next chunk of one of so many connections may have; at least one."""
        fits = self._octets / (2 * max(connections, 1) * (self._mean or _FIRST_GUESS))
        size = max(1, min(self._longest, int(fits)))
        return rounded(size)

    def note(self, octets: Sequence[int]) -> None:
        """Note how large the messages of a chunk have turned out."""
        if not octets:
            return
        mean = max(sum(octets) / len(octets), 1.0)
        # Growing counts at once, shrinking by and by.
        self._mean = mean if self._mean is None or mean > self._mean else self._mean + _WEIGHT * (mean - self._mean)
