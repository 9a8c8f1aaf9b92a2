"""What the warm-ups of a message's sender and of the places that it may leave from allow at a moment."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from mailtypes.clock import HOUR, Microseconds
from postwright.services.warm_up_plans import stored_plan
from postwright.store.budgets import Limit
from postwright.store.warm_ups import StoredRamp, StoredWarmUp
from warmup.caps import Caps, Period, Purpose, Used, Window, allowance, remaining, tightest
from warmup.documents import read_state
from warmup.ramp import Phase
from warmup.terms import Overflow, WarmUpPlan
from warmup.waiting import Budget, WaitingReason, why_waiting

UNLIMITED = 1 << 62


def _name(warm_up: StoredWarmUp, provider: str, period: Period, kind: str) -> str:
    return f"warmup:{warm_up.subject}:{provider}:{period}:{kind}"


def day_limit(warm_up: StoredWarmUp, provider: str, begins: Microseconds) -> Limit:
    """What the use of a whole day that begins then is counted under, for looking back."""
    return Limit(warm_up.workspace_id, _name(warm_up, provider, Period.DAY, "all"), begins, 0)


def taken_back_limit(warm_up: StoredWarmUp, provider: str, begins: Microseconds) -> Limit:
    """What it is noted under how many of a day that begins then were taken back untried, for looking back."""
    return Limit(warm_up.workspace_id, _name(warm_up, provider, Period.DAY, "taken_back"), begins, 0)


@dataclass(frozen=True, slots=True)
class RampBudget:
    """One ramp with its caps at a moment; ``used`` and what follows are filled in from the database."""

    warm_up: StoredWarmUp
    plan: WarmUpPlan
    ramp: StoredRamp
    caps: Caps

    @classmethod
    def at(cls, warm_up: StoredWarmUp, ramp: StoredRamp, now: Microseconds) -> "RampBudget":
        """The budget of ``ramp`` at ``now``."""
        plan = stored_plan(warm_up.plan)
        return cls(warm_up, plan, ramp, allowance(plan, read_state(json.loads(ramp.state)), now))

    @property
    def is_judged(self) -> bool:
        """Whether every day that is over was judged: until then the level of today is not known."""
        return self.ramp.due_at > self.caps.day.begins

    def limits(self, purpose: Purpose) -> list[Limit]:
        """What is to be reserved for a message of ``purpose``: of the day and of the hour."""
        found = []
        for window in (self.caps.day, self.caps.hour):
            if window.limit is not None:
                found.append(self._limit(window, "all", window.limit))
            if purpose == Purpose.MARKETING and window.marketing_limit is not None:
                found.append(self._limit(window, "marketing", window.marketing_limit))
        return found

    def is_counted(self, purpose: Purpose) -> bool:
        """Whether it matters in which hour a message leaves; to a warm sender, only where some hours are quiet."""
        rhythm = self.plan.rhythm
        has_rests = rhythm.quiet is not None or rhythm.weekend_share == 0.0
        return bool(self.limits(purpose)) or (has_rests and purpose == Purpose.MARKETING)

    def _limit(self, window: Window, kind: str, limit: int) -> Limit:
        name = _name(self.warm_up, self.ramp.provider, window.period, kind)
        return Limit(self.warm_up.workspace_id, name, window.begins, limit)

    def all_limits(self) -> list[Limit]:
        """Everything that is counted, for looking."""
        return self.limits(Purpose.MARKETING)

    def used(self, reserved: dict[tuple[int, str, int], int]) -> Budget:
        """The budget with what is reserved of it."""

        def in_window(window: Window) -> Used:
            return Used(*(reserved.get(self._limit(window, kind, 0).key, 0) for kind in ("all", "marketing")))

        return Budget(self.warm_up.name, self.caps, in_window(self.caps.day), in_window(self.caps.hour))


@dataclass(frozen=True, slots=True)
class Choice:
    """A way out for messages: from ``egress`` (``None``: from any place of the pool), within these budgets."""

    egress: str | None
    budgets: tuple[RampBudget, ...]

    def limits(self, purpose: Purpose) -> list[Limit]:
        """All that has to be reserved together."""
        return [limit for budget in self.budgets for limit in budget.limits(purpose)]

    def left(self, purpose: Purpose, reserved: dict[tuple[int, str, int], int]) -> int:
        """How many fit all of them."""
        used = [budget.used(reserved) for budget in self.budgets]
        found = tightest(remaining(one.caps, purpose, one.day_used, one.hour_used) for one in used)
        return UNLIMITED if found is None else found

    def why(
        self, purpose: Purpose, reserved: dict[tuple[int, str, int], int], now: Microseconds
    ) -> tuple[WaitingReason, RampBudget] | None:
        """Why one more has to wait and for which budget: the one that opens last; ``None`` if it fits."""
        found = []
        for budget in self.budgets:
            reason = why_waiting([budget.used(reserved)], purpose, budget.plan.rhythm, now)
            if reason is not None:
                found.append((reason, budget))
        return max(found, key=lambda one: opens(one[0]), default=None)

    def until(self, purpose: Purpose, now: Microseconds) -> Microseconds | None:
        """When a grant ends: with the first hour that is counted in; ``None`` where nothing is counted."""
        ends = [budget.caps.hour.ends for budget in self.budgets if budget.is_counted(purpose)]
        if not ends and self.egress is not None:
            ends = [Microseconds((now // HOUR + 1) * HOUR)]  # bound to a place all the same
        return min(ends, default=None)

    @property
    def ramps(self) -> Sequence[StoredRamp]:
        """The ramps that this was reckoned from."""
        return [budget.ramp for budget in self.budgets]


def opens(reason: WaitingReason) -> tuple[bool, int]:
    """A sort key: what opens first comes first, what somebody has to open comes last."""
    return reason.next_at is None, reason.next_at or 0


def is_spent_for_today(budget: RampBudget, purpose: Purpose, reserved: dict[tuple[int, str, int], int]) -> bool:
    """Whether the day's budget was there and is used up, so that what is left over is beyond the cap."""
    caps, used = budget.caps, budget.used(reserved).day_used
    if caps.phase in (Phase.PAUSED, Phase.WAITING) or caps.day.limit is None:
        return False
    if used.total >= caps.day.limit:
        return True
    limit = caps.day.marketing_limit
    return purpose == Purpose.MARKETING and limit is not None and 0 < limit <= used.marketing


def is_cut(budget: RampBudget) -> bool:
    """Whether what is beyond the cap is not sent at all."""
    return budget.plan.overflow == Overflow.CUT
