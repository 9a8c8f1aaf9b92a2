"""The front page's numbers: today's sending, what is left of the day's budgets, what waits and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from mailtypes.clock import HOUR, Clock, Microseconds
from postwright.services.warm_up_budgets import RampBudget
from postwright.store import budgets, overview, warm_ups
from postwright.store.database import Database
from postwright.store.overview import HeldBack


@dataclass(frozen=True, slots=True)
class DayBudget:
    """What a warm-up allows toward one provider until ``ends``; ``used`` is reserved, for mail on its way too."""

    name: str
    provider: str
    limit: int
    used: int
    ends: Microseconds

    @property
    def left(self) -> int:
        """What can still be sent."""
        return max(0, self.limit - self.used)


class Overview:
    """A workspace at a glance."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def sent_since(self, workspace_id: int, since: Microseconds) -> Mapping[str, int]:
        """Events by kind since a moment, which is taken back to the beginning of its hour."""
        hour = Microseconds(since - since % HOUR)
        return await self._database.read(lambda one: overview.counted_since(one, workspace_id, hour))

    async def held_back(self, workspace_id: int) -> Sequence[HeldBack]:
        """What waits to be released, and for what."""
        return await self._database.read(lambda one: overview.held_back(one, workspace_id))

    async def day_budgets(self, workspace_id: int) -> Sequence[DayBudget]:
        """The day's budgets of the warm-ups that are under way, the nearest to its end first."""
        now = self._clock.now()

        def read(connection: Connection) -> list[DayBudget]:
            found = {one.id: one for one in warm_ups.warm_ups_of(connection, workspace_id) if one.ended_at is None}
            ramps = warm_ups.ramps_of(connection, list(found)) if found else []
            reckoned = [RampBudget.at(found[ramp.warm_up_id], ramp, now) for ramp in ramps]
            limits = [limit for one in reckoned for limit in one.all_limits()]
            reserved = budgets.reserved_of(connection, limits) if limits else {}
            return [
                DayBudget(
                    one.warm_up.name,
                    one.ramp.provider,
                    one.caps.day.limit,
                    one.used(reserved).day_used.total,
                    one.caps.day.ends,
                )
                for one in reckoned
                if one.caps.day.limit is not None
            ]

        return sorted(await self._database.read(read), key=lambda one: one.left / max(one.limit, 1))
