"""Long looks that many ask for: one at a time in a process, shared by all who wait, kept for longer than they took."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from mailtypes.clock import Clock

K = TypeVar("K")
T = TypeVar("T")
_WORTH: Final = 10  # a look is kept so many times as long as it took: it takes no more than a tenth of the time


@dataclass(slots=True)
class _Look(Generic[T]):
    """A look that is under way (``until`` ``None``), or what was found, with the moment from which it is too old."""

    task: asyncio.Task[T]
    until: int | None = None


class SharedLooks(Generic[K, T]):
    """What was found by key, kept for ``keep`` microseconds at least, of ``most`` keys; the oldest goes first."""

    def __init__(self, clock: Clock, keep: int, most: int) -> None:
        self._clock = clock
        self._keep = keep
        self._most = most
        self._looks: dict[K, _Look[T]] = {}
        self._turn = asyncio.Lock()

    async def find(self, key: K, look: Callable[[], Awaitable[T]]) -> T:
        """What ``look`` finds, or has found lately; raises what it raises, which is not kept.

        Whoever stops waiting takes nothing from the others: a look goes on to its end.
        """
        known = self._looks.get(key)
        if known is None or (known.until is not None and self._clock.now() >= known.until):
            known = self._begin(key, look)
        return await asyncio.shield(known.task)

    def _begin(self, key: K, look: Callable[[], Awaitable[T]]) -> _Look[T]:
        self._looks.pop(key, None)
        over = [name for name, one in self._looks.items() if one.task.done()]
        for name in over[: max(0, len(self._looks) - self._most + 1)]:
            del self._looks[name]

        async def take_turn() -> T:
            async with self._turn:
                began = self._clock.now()
                found = await look()
                ended = self._clock.now()
            begun.until = ended + max(self._keep, _WORTH * (ended - began))
            return found

        def forget_failure(task: asyncio.Task[T]) -> None:
            if (task.cancelled() or task.exception() is not None) and self._looks.get(key) is begun:
                del self._looks[key]

        begun = self._looks[key] = _Look(asyncio.create_task(take_turn()))
        begun.task.add_done_callback(forget_failure)
        return begun
