"""What was found out about addresses, known for a time; as many as there is room for."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Generic, TypeVar

from mailtypes.clock import Clock, Microseconds, microseconds

T = TypeVar("T")


class Remembered(Generic[T]):
    """Values by address, each until its time is over; where there are more than ``most``, the oldest goes."""

    def __init__(self, clock: Clock, most: int) -> None:
        self._clock = clock
        self._most = most
        self._kept: dict[str, tuple[Microseconds, T]] = {}

    def find(self, address: str) -> T | None:
        """What is known of an address now."""
        kept = self._kept.get(address)
        return kept[1] if kept is not None and kept[0] > self._clock.now() else None

    def keep(self, address: str, value: T, lasting: timedelta) -> None:
        """Know it from now on for ``lasting``."""
        self._kept.pop(address, None)
        while len(self._kept) >= self._most:
            self._kept.pop(next(iter(self._kept)))
        self._kept[address] = (Microseconds(self._clock.now() + microseconds(lasting)), value)

    def known(self) -> Mapping[str, T]:
        """Everything that is known now."""
        now = self._clock.now()
        return {address: value for address, (until, value) in self._kept.items() if until > now}
