"""A run by day: what was planned, allowed, sent and put off, with the decisions; for a chart or a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from warmup.feedback import Action
from warmup.ramp import Cause, Decision
from warmup.simulation.world import DayRecord, Outcome


@dataclass(frozen=True, slots=True)
class DayTotal:
    """One day of a run, in messages, of one provider or of all."""

    day: date
    wanted: int
    planned: int
    allowed: int | None
    sent: int
    hard_bounces: int
    deferred: int
    blocked: int


def by_day(outcome: Outcome, provider: str | None = None) -> list[DayTotal]:
    """The days in order; all providers together, or ``provider`` alone."""
    days: dict[date, list[DayRecord]] = {}
    for one in outcome.records:
        if provider in (None, one.provider):
            days.setdefault(one.day, []).append(one)
    return [_total(day, records) for day, records in sorted(days.items())]


def _total(day: date, records: Sequence[DayRecord]) -> DayTotal:
    limits = [one.allowed for one in records if one.allowed is not None]
    return DayTotal(
        day,
        sum(one.wanted for one in records),
        sum(one.planned for one in records),
        sum(limits) if len(limits) == len(records) else None,
        sum(one.answered.delivered for one in records),
        sum(one.answered.hard_bounces for one in records),
        sum(one.answered.deferred for one in records),
        sum(one.answered.blocked for one in records),
    )


def turns(outcome: Outcome, provider: str | None = None) -> list[Decision]:
    """The decisions that changed the course, in order: falls, pauses, resumptions, and the first day of each hold."""
    found: list[Decision] = []
    before: dict[str, Action] = {}
    for one in outcome.decisions:
        if provider not in (None, one.provider):
            continue
        new_hold = one.cause == Cause.OBJECTION and one.action == Action.HOLD and before.get(one.provider) != one.action
        if one.action in (Action.STEP_BACK, Action.PAUSE) or one.cause == Cause.OVERRIDE or new_hold:
            found.append(one)
        before[one.provider] = one.action
    return sorted(found, key=lambda one: one.day)
