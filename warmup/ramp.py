"""The life of one ramp (one egress address or sender domain with one provider): a step a day, by what came back.

The level is a row of the plan's table. It rises by one a day while nobody objects and the cap is really used, stays
where there is doubt, falls where a provider objects, and stops where going on would make it worse. Nothing falls
without a cause, and the cause is in the decision.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum

from mailtypes.errors import InputSyntaxError
from mailtypes.saying import joined, say
from warmup.feedback import (
    Action,
    Evidence,
    FeedbackRules,
    Judgement,
    Measure,
    ProviderDay,
    Settle,
    default_rules,
    judge,
)
from warmup.terms import WarmUpPlan

_MOST_LATER = 16  # times the wait after a step back is doubled at most, whatever most_clean_days says


class OverrideSyntaxError(InputSyntaxError):
    """An override without a note, or to a level that does not exist."""


class Phase(StrEnum):
    """Where a ramp stands."""

    WAITING = "waiting"  # has not begun
    RAMPING = "ramping"  # rises as the plan says
    HELD = "held"  # stays at its level until the objection is gone
    RECOVERING = "recovering"  # stepped back, and waits for clean days before it rises again
    PAUSED = "paused"  # sends nothing until a person resumes it
    WARM = "warm"  # beyond the plan's last level


class Cause(StrEnum):
    """Why a decision came out as it did."""

    CLEAN = "clean"  # nobody objected
    UNUSED = "unused"  # the cap was not used enough to prove anything
    SETTLING = "settling"  # not enough clean days yet
    OBJECTION = "objection"  # rules fired, or have not let go
    IDLE = "idle"  # silent for weeks
    RESTING = "resting"  # waiting or paused: nothing to judge
    OVERRIDE = "override"  # a person decided


@dataclass(frozen=True, slots=True)
class WarmUp:
    """The state of one ramp. ``since`` is the day on which it came to its phase.

    ``clean_days`` in a row without objection; ``needed_days`` are asked for before it rises. ``proven`` is the largest
    day without objection. ``objected_level``: where a provider last objected; near it the ramp goes slowly.
    ``held_by``: rules that fired and have not let go. ``spent_through``: days up to here have had their consequence.
    """

    provider: str
    phase: Phase = Phase.WAITING
    level: int = 0
    since: date | None = None
    judged_through: date | None = None
    clean_days: int = 0
    needed_days: int = 1
    silent_days: int = 0
    proven: int = 0
    objected_level: int | None = None
    step_backs: tuple[date, ...] = ()
    held_by: frozenset[str] = frozenset()
    spent_through: date | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided on ``day`` and why; for the event log, the chart and whoever asks."""

    day: date
    provider: str
    action: Action
    cause: Cause
    from_level: int
    to_level: int
    from_cap: int | None
    to_cap: int | None
    phase: Phase
    alarm: bool = False
    evidence: tuple[Evidence, ...] = ()
    unknown: tuple[Measure, ...] = ()
    note: str = ""

    def sentence(self) -> str:
        """The decision in words."""
        caps = say("%(before)s -> %(after)s a day", before=_told(self.from_cap), after=_told(self.to_cap))
        if self.from_level == self.to_level:
            caps = say("stays at %(cap)s a day", cap=_told(self.to_cap))
        why = joined((one.sentence() for one in self.evidence), "; ") if self.evidence else _WORDS[self.cause]
        note = say(" (%(note)s)", note=self.note) if self.note else ""
        return say(
            "%(day)s %(provider)s: %(action)s, %(caps)s: %(why)s%(note)s.",
            day=self.day,
            provider=self.provider,
            action=_ACTIONS[self.action],
            caps=caps,
            why=why,
            note=note,
        )


_ACTIONS = {
    Action.ADVANCE: say("advance"),
    Action.HOLD: say("hold"),
    Action.STEP_BACK: say("step back"),
    Action.PAUSE: say("pause"),
}
_WORDS = {
    Cause.CLEAN: say("nobody objected"),
    Cause.UNUSED: say("the cap was not used enough to prove anything"),
    Cause.SETTLING: say("more clean days are needed"),
    Cause.OBJECTION: say("an objection stands"),
    Cause.IDLE: say("silent for weeks, so the proven volume is halved"),
    Cause.RESTING: say("it does not run"),
    Cause.OVERRIDE: say("a person decided"),
}


def _told(cap: int | None) -> str:
    return say("no limit") if cap is None else f"{cap:,}"


def daily_step(
    plan: WarmUpPlan, warm_up: WarmUp, days: Sequence[ProviderDay], rules: FeedbackRules | None = None
) -> tuple[WarmUp, Decision]:
    """Judge the last of ``days`` and move the ramp; ``days`` go back as far as the rules look, in order.

    ``ValueError`` for no day, days out of order, or a last day that was judged already: a step is done once.
    """
    rules = rules or default_rules()
    _check_order(warm_up, days)
    today = days[-1]
    warm_up = replace(warm_up, judged_through=today.day)
    if warm_up.phase == Phase.WAITING:
        return warm_up, _decision(plan, warm_up, warm_up, today.day, (Action.HOLD, Cause.RESTING))
    silent = warm_up.silent_days + 1 if today.attempts == 0 else 0
    warm_up = replace(warm_up, silent_days=silent)
    if silent and silent % rules.settle.idle_days == 0 and (idle := _idle(plan, warm_up, today.day)):
        return idle
    if warm_up.phase == Phase.PAUSED:
        return warm_up, _decision(plan, warm_up, warm_up, today.day, (Action.HOLD, Cause.RESTING))
    fresh = [one for one in days if warm_up.spent_through is None or one.day > warm_up.spent_through]
    judgement = judge(rules, fresh, warm_up.held_by)
    if judgement.action == Action.PAUSE:
        return _pause(plan, warm_up, today, judgement, rules.settle)
    if judgement.action == Action.STEP_BACK:
        return _step_back(plan, warm_up, today, judgement, rules.settle)
    if not judgement.clean:
        return _hold(plan, warm_up, today, judgement, rules.settle)
    return _advance(plan, warm_up, today, judgement, rules.settle)


def _check_order(warm_up: WarmUp, days: Sequence[ProviderDay]) -> None:
    if not days or any(after.day <= before.day for before, after in itertools.pairwise(days)):
        raise ValueError("days are given in order, at least one of them")
    if warm_up.judged_through is not None and days[-1].day <= warm_up.judged_through:
        raise ValueError(f"{days[-1].day} was judged already")


def _decision(
    plan: WarmUpPlan,
    before: WarmUp,
    after: WarmUp,
    day: date,
    outcome: tuple[Action, Cause],
    judgement: Judgement | None = None,
) -> Decision:
    action, cause = outcome
    evidence = (*judgement.objections, *judgement.lingering) if judgement else ()
    return Decision(
        day,
        after.provider,
        action,
        cause,
        before.level,
        after.level,
        plan.cap(before.provider, before.level),
        plan.cap(after.provider, after.level),
        after.phase,
        alarm=judgement.alarm if judgement else False,
        evidence=evidence,
        unknown=judgement.unknown if judgement else (),
        note=after.note if cause == Cause.OVERRIDE else "",
    )


def _enter(warm_up: WarmUp, phase: Phase, day: date) -> WarmUp:
    return warm_up if warm_up.phase == phase else replace(warm_up, phase=phase, since=day, note="")


def _volume(plan: WarmUpPlan, warm_up: WarmUp) -> float:
    """What the ramp stands for now, in messages a day: its cap, or where there is none, what it has proven."""
    levels = plan.levels(warm_up.provider)
    if warm_up.level > len(levels):
        return min(levels[-1], warm_up.proven) if warm_up.proven else levels[-1]
    return levels[warm_up.level - 1]


def _lower(plan: WarmUpPlan, warm_up: WarmUp, volume: float) -> int:
    """The level for at most ``volume``, at least one below the present one where there is one."""
    return max(1, min(plan.level_within(warm_up.provider, volume), warm_up.level - 1))


def _idle(plan: WarmUpPlan, warm_up: WarmUp, day: date) -> tuple[WarmUp, Decision] | None:
    proven = int(min(warm_up.proven, _volume(plan, warm_up))) // 2
    level = _lower(plan, warm_up, proven)
    if level >= warm_up.level:
        return None
    after = replace(warm_up, level=level, proven=proven, clean_days=0)
    if after.phase == Phase.WARM:
        after = _enter(after, Phase.RAMPING, day)
    return after, _decision(plan, warm_up, after, day, (Action.STEP_BACK, Cause.IDLE))


def _wait_after(step_backs: int, settle: Settle) -> int:
    return min(settle.most_clean_days, settle.clean_days << min(step_backs - 1, _MOST_LATER))


def _fallen(
    plan: WarmUpPlan, warm_up: WarmUp, today: ProviderDay, judgement: Judgement, settle: Settle, factor: float
) -> WarmUp:
    """``warm_up`` lowered by ``factor``: the days until now are spent, and the wait grows with each fall.

    A wait that is still being served is not made shorter by one more objection, however long ago the others were.
    """
    recent = (*(day for day in warm_up.step_backs if today.day - day <= timedelta(settle.forget_days)), today.day)
    volume = _volume(plan, warm_up) * factor
    return replace(
        warm_up,
        level=_lower(plan, warm_up, volume) if factor < 1.0 else warm_up.level,
        clean_days=0,
        needed_days=max(warm_up.needed_days, _wait_after(len(recent), settle)),
        proven=min(warm_up.proven, int(volume)),
        objected_level=min(warm_up.level, len(plan.levels(warm_up.provider)))
        if factor < 1.0
        else warm_up.objected_level,
        step_backs=recent,
        held_by=frozenset(one.rule for one in judgement.objections),
        spent_through=today.day,
    )


def _pause(
    plan: WarmUpPlan, warm_up: WarmUp, today: ProviderDay, judgement: Judgement, settle: Settle
) -> tuple[WarmUp, Decision]:
    factor = settle.resume_factor
    if warm_up.phase == Phase.RECOVERING and not today.sent:
        factor = 1.0  # nothing was taken: the block still stands, and nothing new is known of the volume
    after = _fallen(plan, warm_up, today, judgement, settle, factor)
    after = replace(_enter(after, Phase.PAUSED, today.day), note=judgement.objections[0].sentence())
    return after, _decision(plan, warm_up, after, today.day, (Action.PAUSE, Cause.OBJECTION), judgement)


def _step_back(
    plan: WarmUpPlan, warm_up: WarmUp, today: ProviderDay, judgement: Judgement, settle: Settle
) -> tuple[WarmUp, Decision]:
    if warm_up.level <= 1:
        # Below the first level there is only a pause; small as it is, it goes on, and somebody is told.
        alarmed = replace(judgement, alarm=True)
        return _hold(plan, warm_up, today, alarmed, settle)
    after = _enter(
        _fallen(plan, warm_up, today, judgement, settle, settle.step_back_factor), Phase.RECOVERING, today.day
    )
    return after, _decision(plan, warm_up, after, today.day, (Action.STEP_BACK, Cause.OBJECTION), judgement)


def _hold(
    plan: WarmUpPlan, warm_up: WarmUp, today: ProviderDay, judgement: Judgement, settle: Settle
) -> tuple[WarmUp, Decision]:
    fired = frozenset(one.rule for one in (*judgement.objections, *judgement.lingering))
    after = replace(warm_up, clean_days=0, held_by=fired, needed_days=max(warm_up.needed_days, settle.clean_days))
    if after.phase == Phase.RAMPING:  # who recovers goes on recovering, and who is warm has nothing to be held at
        after = _enter(after, Phase.HELD, today.day)
    return after, _decision(plan, warm_up, after, today.day, (Action.HOLD, Cause.OBJECTION), judgement)


def _advance(
    plan: WarmUpPlan, warm_up: WarmUp, today: ProviderDay, judgement: Judgement, settle: Settle
) -> tuple[WarmUp, Decision]:
    clean = warm_up.clean_days + (1 if today.attempts else 0)
    steady = replace(warm_up, clean_days=clean, proven=max(warm_up.proven, today.sent), held_by=frozenset())
    if steady.phase == Phase.WARM:
        return steady, _decision(plan, warm_up, steady, today.day, (Action.HOLD, Cause.CLEAN), judgement)
    available = plan.marketing_cap(plan.cap(warm_up.provider, warm_up.level) or 0, today.day)
    if not today.attempts or today.attempts < settle.used_share * available:
        return steady, _decision(plan, warm_up, steady, today.day, (Action.HOLD, Cause.UNUSED), judgement)
    if clean < steady.needed_days:
        return steady, _decision(plan, warm_up, steady, today.day, (Action.HOLD, Cause.SETTLING), judgement)
    after = risen(plan, steady, today.day, settle)
    return after, _decision(plan, warm_up, after, today.day, (Action.ADVANCE, Cause.CLEAN), judgement)


def risen(plan: WarmUpPlan, warm_up: WarmUp, day: date, settle: Settle) -> WarmUp:
    """``warm_up`` one level up. Next to where a provider objected each level is stayed at for careful days."""
    level = warm_up.level + 1
    objected = warm_up.objected_level
    careful = objected is not None and level >= objected - 1
    if objected is not None and level > objected:
        objected = None
    risen = replace(
        warm_up,
        level=level,
        clean_days=0,
        needed_days=settle.careful_days if careful else 1,
        objected_level=objected,
        held_by=frozenset(),
    )
    warm = level > len(plan.levels(warm_up.provider))
    return _enter(risen, Phase.WARM if warm else Phase.RAMPING, day)
