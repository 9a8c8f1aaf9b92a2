"""What a person decides about a ramp. Each override carries a note, for whoever asks later."""

from dataclasses import replace
from datetime import date

from mailtypes.saying import say
from warmup.feedback import Action
from warmup.ramp import Cause, Decision, OverrideSyntaxError, Phase, WarmUp
from warmup.terms import WarmUpPlan

_LONGEST_NOTE = 1000


def start(plan: WarmUpPlan, warm_up: WarmUp, day: date, note: str) -> tuple[WarmUp, Decision]:
    """Begin at the first level; ``OverrideSyntaxError`` where the ramp has begun."""
    if warm_up.phase != Phase.WAITING:
        raise OverrideSyntaxError(
            say("%(provider)s: the ramp has begun", provider=warm_up.provider), next_step=say("Set its level instead.")
        )
    return _decided(plan, warm_up, replace(warm_up, phase=Phase.RAMPING, level=1), day, note)


def pause(plan: WarmUpPlan, warm_up: WarmUp, day: date, note: str) -> tuple[WarmUp, Decision]:
    """Send nothing until it is resumed."""
    if warm_up.phase in (Phase.WAITING, Phase.PAUSED):
        raise OverrideSyntaxError(
            say("%(provider)s: nothing is being sent", provider=warm_up.provider),
            next_step=say("There is nothing to pause."),
        )
    return _decided(plan, warm_up, replace(warm_up, phase=Phase.PAUSED), day, note)


def resume(plan: WarmUpPlan, warm_up: WarmUp, day: date, note: str) -> tuple[WarmUp, Decision]:
    """Go on after a pause, at the level to which the pause lowered it; earlier days do not count any more."""
    if warm_up.phase != Phase.PAUSED:
        raise OverrideSyntaxError(
            say("%(provider)s: it is not paused", provider=warm_up.provider),
            next_step=say("There is nothing to resume."),
        )
    phase = Phase.WARM if warm_up.level > len(plan.levels(warm_up.provider)) else Phase.RAMPING
    if warm_up.held_by:
        phase = Phase.RECOVERING
    after = replace(warm_up, phase=phase, clean_days=0, silent_days=0, spent_through=warm_up.judged_through)
    return _decided(plan, warm_up, after, day, note)


def set_level(plan: WarmUpPlan, warm_up: WarmUp, level: int, day: date, note: str) -> tuple[WarmUp, Decision]:
    """Go on from ``level``; the one beyond the plan's last is "warm"."""
    if warm_up.phase == Phase.WAITING:
        raise OverrideSyntaxError(
            say("%(provider)s: the ramp has not begun", provider=warm_up.provider), next_step=say("Start it first.")
        )
    warm = len(plan.levels(warm_up.provider)) + 1
    if not 1 <= level <= warm:
        raise OverrideSyntaxError(
            say("there is no level %(level)s", level=level),
            next_step=say("Levels are 1 to %(warm)s (warm).", warm=warm),
        )
    phase = Phase.PAUSED if warm_up.phase == Phase.PAUSED else Phase.WARM if level == warm else Phase.RAMPING
    after = replace(
        warm_up, phase=phase, level=level, clean_days=0, needed_days=1, objected_level=None, held_by=frozenset()
    )
    return _decided(plan, warm_up, after, day, note)


def _decided(plan: WarmUpPlan, before: WarmUp, after: WarmUp, day: date, note: str) -> tuple[WarmUp, Decision]:
    note = note.strip()
    if not note or len(note) > _LONGEST_NOTE:
        raise OverrideSyntaxError(
            say("an override needs a note") if not note else say("the note is too long"),
            source=note[:_LONGEST_NOTE],
            next_step=say("Say why, in up to %(longest_note)s characters.", longest_note=f"{_LONGEST_NOTE:,}"),
        )
    after = replace(after, since=day if after.phase != before.phase else before.since, note=note)
    action = Action.HOLD
    if after.phase == Phase.PAUSED and before.phase != Phase.PAUSED:
        action = Action.PAUSE
    elif after.level != before.level:
        action = Action.ADVANCE if after.level > before.level else Action.STEP_BACK
    caps = (plan.cap(before.provider, before.level), plan.cap(after.provider, after.level))
    return after, Decision(
        day, after.provider, action, Cause.OVERRIDE, before.level, after.level, *caps, after.phase, note=note
    )
