"""Lets go of contents, detail and events whose time is over, a little at a time, beside the scheduler's other work."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from mailtypes.clock import MINUTE, Clock, Microseconds, microseconds
from postwright.store import event_retention, retention
from postwright.store.database import Database

_LOOK_EVERY = 10 * MINUTE


@dataclass(frozen=True, slots=True)
class RetentionTerms:
    """How long things are kept: contents of whole messages once they are settled, the test mailbox, the detail of
    opens and clicks, and events."""

    messages: timedelta
    test_mailbox: timedelta
    engagement: timedelta = timedelta(days=395)
    events: timedelta = timedelta(days=1_095)


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
        forgotten = 0
        for forget, kept in (
            (retention.forget_contents, self._terms.messages),
            (retention.forget_captured, self._terms.test_mailbox),
            (event_retention.forget_engagements, self._terms.engagement),
            (event_retention.forget_events, self._terms.events),
        ):
            forgotten += await self._database.write(partial(forget, before=Microseconds(now - microseconds(kept))))
        if not forgotten:
            self._next_look = Microseconds(now + _LOOK_EVERY)
        return forgotten
