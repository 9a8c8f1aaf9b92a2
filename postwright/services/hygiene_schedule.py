"""Looks at the contacts every month and prunes every quarter, where a workspace asked for that.

A plan that is made by itself is told of by an event, and waits for a person unless the settings say that it be applied;
one that should be doubted always waits.
"""

from functools import partial
from typing import Final

from sqlalchemy import Connection

from hygiene.pruning_schedule import Chore, Due, next_due
from mailtypes.clock import Clock, Microseconds
from postwright.services.hygiene_plans import HygienePlans
from postwright.services.hygiene_terms import HygieneSettings
from postwright.store import hygiene, workspaces
from postwright.store.database import Database

BY_SCHEDULE: Final = "schedule"
TO_BE_APPLIED: Final = "schedule, to be applied"


class HygieneSchedule:
    """The settings of workspaces, and the step that the scheduler takes."""

    def __init__(self, database: Database, clock: Clock, plans: HygienePlans) -> None:
        self._database = database
        self._clock = clock
        self._plans = plans

    async def settings(self, workspace_id: int) -> HygieneSettings:
        """How a workspace keeps its lists clean."""
        return await self._database.read(partial(settings_of, workspace_id=workspace_id))

    async def change(self, workspace_id: int, settings: HygieneSettings) -> None:
        """Store other settings."""
        now = self._clock.now()
        work = partial(hygiene.save_setting, workspace_id=workspace_id, now=now, terms=settings.written())
        await self._database.write(work)

    async def next_due(self, workspace_id: int) -> Due | None:
        """What is due next; ``None`` where nothing happens by itself."""
        now = self._clock.now()
        return await self._database.read(partial(_due, workspace_id=workspace_id, now=now))

    async def step(self) -> int:
        """Make the plans that are due, and apply what is to be applied by itself; returns how many."""
        done, now = 0, self._clock.now()
        for workspace in await self._database.read(workspaces.list_workspaces):
            due = await self._database.read(partial(_due, workspace_id=workspace.id, now=now))
            if due is None:
                continue
            if due.at <= now:
                await self._make(workspace.id, due.chore, now)
                done += 1
            done += await self._apply(workspace.id)
        return done

    async def _make(self, workspace_id: int, chore: Chore, now: Microseconds) -> None:
        settings = await self.settings(workspace_id)
        applies = chore is Chore.PRUNE and settings.applies_plans
        await self._plans.make(workspace_id, settings.plan, None, by=TO_BE_APPLIED if applies else BY_SCHEDULE)
        moved = "last_look_at" if chore is Chore.LOOK else "last_pruning_at"
        await self._database.write(
            lambda connection: hygiene.save_setting(connection, workspace_id, now, **{moved: now})
        )

    async def _apply(self, workspace_id: int) -> int:
        ready = await self._database.read(partial(hygiene.ready_plans, workspace_id=workspace_id, by=TO_BE_APPLIED))
        trusted = [plan for plan in ready if not plan.doubt]
        for plan in trusted:
            await self._plans.apply(workspace_id, plan.id, by=BY_SCHEDULE)
        return len(trusted)


def settings_of(connection: Connection, workspace_id: int) -> HygieneSettings:
    """The settings as stored, or as usual."""
    stored = hygiene.get_setting(connection, workspace_id)
    return HygieneSettings() if stored is None else HygieneSettings.read(stored.terms)


def _due(connection: Connection, workspace_id: int, now: Microseconds) -> Due | None:
    stored = hygiene.get_setting(connection, workspace_id)
    if stored is None:
        return None
    settings = HygieneSettings.read(stored.terms)
    if not settings.is_scheduled:
        return None
    look, pruning = (None if at is None else Microseconds(at) for at in (stored.last_look_at, stored.last_pruning_at))
    return next_due(settings.schedule, last_look=look, last_pruning=pruning, now=now)
