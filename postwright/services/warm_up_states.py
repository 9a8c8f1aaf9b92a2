"""Ramps in the store: begun, moved on with the decision that moved them, told in the log."""

import json
from collections.abc import Callable
from datetime import date, timedelta

from sqlalchemy import Connection

from mailtypes.clock import Microseconds
from postwright.services.warm_up_plans import stored_plan
from postwright.store import events, warm_up_grants, warm_ups
from postwright.store.events import NewEvent
from postwright.store.warm_up_grants import Reach
from postwright.store.warm_ups import NewDecision, StoredRamp, StoredWarmUp
from warmup.documents import decision_document, read_state, state_document
from warmup.feedback import Action
from warmup.overrides import start
from warmup.ramp import Cause, Decision, WarmUp
from warmup.terms import WarmUpPlan

_BEGINS = "it begins"
_KINDS = {
    Action.ADVANCE: "warmup_advanced",
    Action.HOLD: "warmup_held",
    Action.STEP_BACK: "warmup_stepped_back",
    Action.PAUSE: "warmup_paused",
}
_QUIET = frozenset({Cause.CLEAN, Cause.UNUSED, Cause.SETTLING, Cause.RESTING})
"""Why a ramp may stay as it is without anybody having to hear of it."""


def state_of(ramp: StoredRamp) -> WarmUp:
    """Where a ramp stands."""
    return read_state(json.loads(ramp.state))


def day_end(plan: WarmUpPlan, day: date) -> Microseconds:
    """When the day is over on the plan's calendar."""
    return plan.rhythm.ends(day)


def begin_ramp(connection: Connection, warm_up: StoredWarmUp, provider: str, now: Microseconds) -> bool:
    """Begin a provider's ramp at its first level; ``False`` where it has begun."""
    plan = stored_plan(warm_up.plan)
    today = plan.rhythm.day_of(now)
    state, decision = start(plan, WarmUp(provider), today, _BEGINS)
    if not warm_ups.add_ramp(connection, warm_up, provider, _json(state), day_end(plan, today)):
        return False
    _write_down(connection, warm_up, decision, "", now)
    return True


Judge = Callable[[WarmUpPlan, WarmUp], tuple[WarmUp, Decision]]


def override(
    connection: Connection, place: tuple[StoredWarmUp, StoredRamp], judge: Judge, by: str, now: Microseconds
) -> Decision | None:
    """Let ``judge`` move a ramp as it stands; ``None`` where it has moved since it was read. ``by``: who decided."""
    warm_up, ramp = place
    plan = stored_plan(warm_up.plan)
    state, decision = judge(plan, state_of(ramp))
    if not warm_ups.save_ramp(connection, ramp, _json(state), ramp.due_at):
        return None
    _write_down(connection, warm_up, decision, by, now)
    stop_what_is_out(connection, warm_up, decision, now)
    return decision


def judged(
    connection: Connection,
    place: tuple[StoredWarmUp, StoredRamp],
    outcome: tuple[WarmUp, Decision],
    now: Microseconds,
) -> StoredRamp | None:
    """Store what a day was judged to mean; returns the ramp as it stands then, ``None``: somebody else has judged."""
    warm_up, ramp = place
    state, decision = outcome
    plan = stored_plan(warm_up.plan)
    due_at = day_end(plan, decision.day + timedelta(days=1))
    if not warm_ups.save_ramp(connection, ramp, _json(state), due_at):
        return None
    _write_down(connection, warm_up, decision, "", now)
    stop_what_is_out(connection, warm_up, decision, now)
    return StoredRamp(
        ramp.id, ramp.workspace_id, ramp.warm_up_id, ramp.provider, _json(state), ramp.version + 1, due_at
    )


def stop_what_is_out(connection: Connection, warm_up: StoredWarmUp, decision: Decision, now: Microseconds) -> None:
    """Where less may go than before, nothing leaves that was let out for more."""
    lower = decision.from_cap is None and decision.to_cap is not None
    if decision.action in (Action.PAUSE, Action.STEP_BACK) or lower:
        warm_up_grants.end_grants(connection, reach_of(warm_up, decision.provider), now)


def reach_of(warm_up: StoredWarmUp, provider: str | None = None) -> Reach:
    """Whose mail a warm-up counts. Of an address that is everybody's: which pool has it is for the settings."""
    if warm_up.is_of_domain:
        return Reach(domain_id=int(warm_up.subject.partition(":")[2]), provider=provider)
    return Reach(provider=provider)


def _write_down(connection: Connection, warm_up: StoredWarmUp, decision: Decision, by: str, now: Microseconds) -> None:
    document = decision_document(decision)
    day, action = decision.day.isoformat(), decision.action.value
    new = NewDecision(decision.provider, day, action, json.dumps(document, ensure_ascii=False), by)
    warm_ups.add_decision(connection, warm_up, new, now)
    told = {"subject": warm_up.name, "of": "domain" if warm_up.is_of_domain else "egress", "by": by, **document}
    kinds = [_kind(decision)] if decision.cause not in _QUIET or decision.action == Action.ADVANCE else []
    if decision.alarm:
        kinds.append("warmup_alarm")
    found = [NewEvent(warm_up.workspace_id, kind, now, data=told) for kind in kinds]
    events.append(connection, found, now)


def _kind(decision: Decision) -> str:
    if decision.cause == Cause.OVERRIDE:
        if decision.from_level == 0:
            return "warmup_started"
        if decision.action == Action.HOLD:
            return "warmup_resumed"
    return _KINDS[decision.action]


def _json(state: WarmUp) -> str:
    return json.dumps(state_document(state), ensure_ascii=False)
