"""Destinations that are left alone for a while, because nothing could be done there."""

from datetime import timedelta

from mailtypes.clock import Microseconds, microseconds

_MAX_EXPONENT = 16
_FORGET_AFTER = timedelta(hours=24)


class DestinationPauses:
    """Waits that double with each failure in a row, up to ``longest``, and end with the first success."""

    def __init__(self, first: timedelta, longest: timedelta) -> None:
        self._first = microseconds(first)
        self._longest = microseconds(longest)
        self._pauses: dict[int, tuple[int, Microseconds]] = {}

    def failed(self, destination_id: int, now: Microseconds) -> Microseconds:
        """Note a failure; the moment until which the destination is left alone."""
        self._forget(now)
        failures, until = self._pauses.get(destination_id, (0, now))
        if until > now and failures:  # several connections failed over one and the same trouble
            return until
        wait = min(self._first << min(failures, _MAX_EXPONENT), self._longest)
        until = Microseconds(now + wait)
        self._pauses[destination_id] = (failures + 1, until)
        return until

    def succeeded(self, destination_id: int) -> None:
        """Note that the destination works."""
        self._pauses.pop(destination_id, None)

    def rest(self, destination_id: int, until: Microseconds) -> None:
        """Leave the destination alone until ``until`` without counting a failure."""
        failures, present = self._pauses.get(destination_id, (0, until))
        self._pauses[destination_id] = (failures, max(present, until))

    def until(self, destination_id: int, now: Microseconds) -> Microseconds | None:
        """When the pause of the destination ends, ``None`` where there is none at ``now``."""
        _, until = self._pauses.get(destination_id, (0, now))
        return until if until > now else None

    def _forget(self, now: Microseconds) -> None:
        old = now - microseconds(_FORGET_AFTER)
        if any(until < old for _, until in self._pauses.values()):
            self._pauses = {each: pause for each, pause in self._pauses.items() if pause[1] >= old}
