"""Keeps what contacts got and did up with the event log, a little at a time, beside the scheduler's other work."""

from datetime import timedelta
from functools import partial

from mailtypes.clock import DAY, Clock, Microseconds, microseconds
from postwright.store import contact_activity, workspaces
from postwright.store.database import Database

_BATCH = 250  # events in one transaction: some twenty milliseconds, as long as other writers should wait
_MOST_BATCHES = 80  # in one step, so that the scheduler's other work is not kept waiting
_SWEEP = 20_000  # contacts whose old days are forgotten in one step


class ContactActivity:
    """The step that the scheduler takes, after the counts of the log. ``keep_days``: how long days are remembered.

    Segments look back 365 days at most where they add up days (``hygiene.segments.parse.MOST_DAYS_COUNTED``).
    """

    def __init__(self, database: Database, clock: Clock, keep_days: timedelta = timedelta(days=400)) -> None:
        self._database = database
        self._clock = clock
        self._keep = microseconds(keep_days)
        self._swept_to = 0
        self._next_sweep = Microseconds(0)

    async def step(self) -> bool:
        """Fold in what waits, and forget old days once a day; whether there may be more to do at once."""
        busy = False
        for workspace in await self._database.read(workspaces.list_workspaces):
            # Asked first, since a write every tick would keep an idle machine's disk busy.
            if await self._database.read(partial(contact_activity.needs_roll_up, workspace_id=workspace.id)):
                busy |= await self._roll_up(workspace.id)
        return await self._sweep() or busy

    async def _roll_up(self, workspace_id: int) -> bool:
        """Whether there is more than one step may do."""
        work = partial(contact_activity.roll_up, workspace_id=workspace_id, limit=_BATCH)
        for _ in range(_MOST_BATCHES):
            if await self._database.write(work) < _BATCH:
                return False
        return True

    async def _sweep(self) -> bool:
        now = self._clock.now()
        if now < self._next_sweep:
            return False
        end = await self._database.read(contact_activity.newest_contact) + 1
        ids = (self._swept_to, min(end, self._swept_to + _SWEEP))
        before = Microseconds(now - self._keep)
        await self._database.write(partial(contact_activity.forget_days, ids=ids, before=before))
        self._swept_to = ids[1]
        if ids[1] < end:
            return True
        self._swept_to, self._next_sweep = 0, Microseconds(now + DAY)
        return False
