"""Policies that are compared: a table followed by the calendar, and the ramp that listens, on the same table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

from warmup.feedback import FeedbackRules, ProviderDay, default_rules
from warmup.overrides import resume, start
from warmup.plans import RampPlan
from warmup.ramp import Decision, Phase, WarmUp, daily_step
from warmup.terms import WarmUpPlan

_RESUME_DAYS = 3


class Policy(Protocol):
    """How many messages may be sent on a day; told afterwards how it went."""

    decisions: list[Decision]

    def allowed(self, day: date) -> int | None:
        """The cap of ``day``; ``None`` is no limit."""
        ...

    def learn(self, days: Sequence[ProviderDay]) -> None:
        """What came back, by the end of the last of ``days``; figures of earlier ones may have come late."""
        ...


class ByCalendar:
    """A published table, day by day, whatever happens."""

    def __init__(self, ramp: RampPlan, begins: date) -> None:
        self._ramp = ramp
        self._begins = begins
        self.decisions: list[Decision] = []

    def allowed(self, day: date) -> int | None:
        """The table's row."""
        return self._ramp.cap_on((day - self._begins).days + 1)

    def learn(self, days: Sequence[ProviderDay]) -> None:
        """Nothing is learned."""


class Listening:
    """``daily_step`` on the same table; after a pause somebody mends the cause and resumes three days later."""

    def __init__(self, plan: WarmUpPlan, provider: str, begins: date, rules: FeedbackRules | None = None) -> None:
        self._plan = plan
        self._rules = rules or default_rules()
        self._warm_up, begun = start(self._plan, WarmUp(provider), begins, "simulation begins")
        self.decisions: list[Decision] = [begun]

    def allowed(self, day: date) -> int | None:
        """The level's cap, 0 in a pause."""
        paused = self._warm_up.phase == Phase.PAUSED and self._warm_up.since is not None
        if paused and day - (self._warm_up.since or day) > timedelta(days=_RESUME_DAYS):
            self._warm_up, resumed = resume(self._plan, self._warm_up, day, "the cause is mended")
            self.decisions.append(resumed)
        if self._warm_up.phase == Phase.PAUSED:
            return 0
        return self._plan.cap(self._warm_up.provider, self._warm_up.level)

    def learn(self, days: Sequence[ProviderDay]) -> None:
        """One step."""
        self._warm_up, decision = daily_step(self._plan, self._warm_up, days, self._rules)
        self.decisions.append(decision)


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """A policy by name; ``make(begins, provider)`` gives a fresh one. ``ramp`` is the line that was planned."""

    name: str
    ramp: RampPlan
    make: Callable[[date, str], Policy]


def by_calendar(name: str, ramp: RampPlan) -> PolicyChoice:
    """``ramp`` followed by the calendar."""
    return PolicyChoice(name, ramp, lambda begins, _: ByCalendar(ramp, begins))


def listening(name: str, ramp: RampPlan, rules: FeedbackRules | None = None) -> PolicyChoice:
    """``ramp`` with feedback."""
    return PolicyChoice(name, ramp, lambda begins, provider: Listening(WarmUpPlan(ramp), provider, begins, rules))
