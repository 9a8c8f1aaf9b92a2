"""Lets go of contents whose time is over, a little at a time, beside the scheduler's other work."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from mailtypes.clock import MINUTE, Clock, Microseconds, microseconds
from postwright.store import retention
from postwright.store.database import Database

_LOOK_EVERY = 10 * MINUTE


@dataclass(frozen=True, slots=True)
class RetentionTerms:
    """How long contents are kept: of whole messages once they are settled, and of the test mailbox."""

    messages: timedelta
    test_mailbox: timedelta


class Retention:
    """The step that the scheduler takes."""

    def __init__(self, database: Database, clock: Clock, terms: RetentionTerms) -> None:
        self._database = database
        self._clock = clock
        self._terms = terms
        self._next_look = Microseconds(0)

    async def step(self) -> int:
        """Forget a handful; returns how much. Looks again at once where there was something, else in ten minutes."""
        now = self._clock.now()
        if now < self._next_look:
            return 0
        before = Microseconds(now - microseconds(self._terms.messages))
        forgotten = await self._database.write(partial(retention.forget_contents, before=before))
        before = Microseconds(now - microseconds(self._terms.test_mailbox))
        forgotten += await self._database.write(partial(retention.forget_captured, before=before))
        if not forgotten:
            self._next_look = Microseconds(now + _LOOK_EVERY)
        return forgotten
