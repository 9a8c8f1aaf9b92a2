"""Whether the lists of a workspace have been through hygiene, for the gate before a warm-up."""

from functools import partial

from mailtypes.clock import DAY, Clock, Microseconds
from postwright.services.list_health import WINDOW
from postwright.store import warm_up_hygiene
from postwright.store.database import Database
from warmup.gate import HygieneCover, HygienePolicy


class WarmUpHygiene:
    """Looks at plans that were applied and at how lists were judged; what counts: ``store/warm_up_hygiene.py``."""

    def __init__(self, database: Database, clock: Clock, policy: HygienePolicy | None = None) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy or HygienePolicy()

    async def cover(self, workspace_id: int) -> HygieneCover:
        """How far hygiene has looked at those who may be written to."""
        since = Microseconds(self._clock.now() - self._policy.days * DAY)
        count = partial(warm_up_hygiene.count_looked_at, workspace_id=workspace_id, since=since, window=WINDOW)
        found = await self._database.read(count)
        return HygieneCover(found.contacts, found.covered, found.harmful, self._policy)
