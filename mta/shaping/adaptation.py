"""How the pace answers: cut at once by a factor, raised step by step after quiet, never above what is configured.

What keeps it from flapping: replies that come within ``settle`` of a change speak of what was under way and change
nothing more; a raise needs both a quiet while and messages that were taken meanwhile; and that while doubles with
every trouble in a row. Transitions are values (``PaceChange``); nothing here knows a clock or a database.
"""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random

from mailtypes.clock import SECOND, Microseconds, microseconds
from mta.shaping.pace import LONGEST_EVIDENCE, ChangeKind, Limits, Pace, PaceChange, lower
from mta.shaping.rules import ShapingRule, Suspension

_MAX_DOUBLINGS = 4
_MAX_EXPONENT = 32


@dataclass(frozen=True, slots=True)
class AdaptationPolicy:
    """The times and steps of adaptation.

    ``settle``: how long one change is left to work. ``quiet`` and ``quiet_messages``: what a raise needs. ``steps``:
    how many raises lead from nothing to the ceiling. ``memory``: after so long without trouble all is forgotten.
    ``least_rate``: what the first cut takes for the rate (messages a second) where none was measured.
    ``unlimited``: what stands for a ceiling without limits when limits are raised toward it.
    """

    settle: timedelta = timedelta(minutes=1)
    quiet: timedelta = timedelta(minutes=10)
    quiet_messages: int = 20
    steps: int = 10
    memory: timedelta = timedelta(hours=24)
    least_rate: float = 1.0
    unlimited: Limits = field(default_factory=lambda: Limits(100, 1000))


@dataclass(frozen=True, slots=True)
class Terms:
    """The configured ``ceiling`` of a destination or provider, and the policy."""

    ceiling: Limits
    policy: AdaptationPolicy = field(default_factory=AdaptationPolicy)


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that fits, the reply it fits, and how fast (messages a second) was being sent."""

    rule: ShapingRule
    evidence: str
    observed_rate: float = 0.0


def react(pace: Pace, finding: Finding, terms: Terms, now: Microseconds, random: Random) -> PaceChange | None:
    """What a reply changes; ``None`` where it is about one message, or told before."""
    rule, policy = finding.rule, terms.policy
    if rule.this_message_only or pace.is_suspended(now) or _is_echo(pace, rule, policy, now):
        return None
    if pace.troubled_at is not None and now - pace.troubled_at > microseconds(policy.memory):
        pace = replace(pace, troubles=0, suspensions=0)
    limits, usual_rate = _cut(pace, finding, terms)
    until = None
    if rule.suspend is not None:
        until = Microseconds(now + _length(rule.suspend, pace.suspensions, random))
    evidence = finding.evidence[:LONGEST_EVIDENCE]
    after = replace(
        pace,
        limits=limits,
        usual_rate=usual_rate,
        suspended_until=until,
        rule=rule.name,
        evidence=evidence,
        troubled_at=now,
        changed_at=now,
        troubles=pace.troubles + 1,
        suspensions=pace.suspensions + (until is not None),
        quiet_accepted=0,
    )
    kind = ChangeKind.SLOWED if until is None else ChangeKind.SUSPENDED
    return PaceChange(kind, pace, after, now, rule.name, evidence, until)


def recover(pace: Pace, accepted: int, terms: Terms, now: Microseconds) -> PaceChange | None:
    """What ``accepted`` messages change; ``None`` where there is nothing to recover from.

    The change may concern counters alone (``is_visible`` tells).
    """
    if pace.is_suspended(now) or (not pace.is_slowed and pace.suspended_until is None):
        return None
    policy = terms.policy
    troubled_at, changed_at = pace.troubled_at or now, pace.changed_at or now
    if now - troubled_at > microseconds(policy.memory):
        return PaceChange(ChangeKind.RAISED, pace, Pace(), now)
    counted = replace(pace, quiet_accepted=pace.quiet_accepted + accepted)
    if now - changed_at < _quiet(pace, policy) or counted.quiet_accepted < policy.quiet_messages:
        return PaceChange(ChangeKind.RAISED, pace, counted, now)
    limits = _raised(pace, terms)
    after = replace(counted, limits=limits, changed_at=now, quiet_accepted=0)
    if limits.are_none:
        after = replace(after, rule="", evidence="", usual_rate=None)
    return PaceChange(ChangeKind.RAISED, pace, after, now)


def resume(pace: Pace, now: Microseconds) -> PaceChange | None:
    """End a suspension whose time has come, or that somebody ends early; what was slowed stays slow for now."""
    if pace.suspended_until is None:
        return None
    after = replace(pace, suspended_until=None, changed_at=now, quiet_accepted=0)
    return PaceChange(ChangeKind.RESUMED, pace, after, now, pace.rule, pace.evidence)


def raised_at(pace: Pace, policy: AdaptationPolicy) -> Microseconds | None:
    """When a slowed pace is raised a step if all stays quiet and messages flow; ``None`` where it is not slowed."""
    if not pace.is_slowed or pace.changed_at is None:
        return None
    return Microseconds(max(pace.changed_at, pace.suspended_until or 0) + _quiet(pace, policy))


def _quiet(pace: Pace, policy: AdaptationPolicy) -> int:
    return microseconds(policy.quiet) << min(max(pace.troubles - 1, 0), _MAX_DOUBLINGS)


def _is_echo(pace: Pace, rule: ShapingRule, policy: AdaptationPolicy, now: Microseconds) -> bool:
    """Whether the reply speaks of what has been answered; one that asks for a pause does not wait for a cut's end."""
    if pace.troubled_at is None or pace.troubled_at != pace.changed_at or pace.suspended_until is not None:
        return False  # resumed or raised since: this is what came of it
    is_early = now - pace.troubled_at < microseconds(policy.settle)
    return is_early and (rule.name == pace.rule or rule.suspend is None)


def _cut(pace: Pace, finding: Finding, terms: Terms) -> tuple[Limits, float | None]:
    rule, limits, ceiling = finding.rule, pace.limits, terms.ceiling
    connections, messages, rate, usual = (
        limits.connections,
        limits.messages_per_connection,
        limits.rate,
        pace.usual_rate,
    )
    if rule.connections is not None:
        present = lower(connections, ceiling.connections)
        halved = present is not None and present <= rule.connections
        connections = max(1, present // 2) if halved and present is not None else rule.connections
    if rule.messages_per_connection is not None:
        messages = lower(messages, rule.messages_per_connection)
    if rule.slow is not None:
        present_rate = lower(rate, ceiling.rate)
        if present_rate is None:
            present_rate = usual = max(finding.observed_rate, terms.policy.least_rate)
        rate = max(present_rate * rule.slow.factor, min(rule.slow.floor, present_rate))
    return Limits(connections, messages, rate), usual


def _length(suspension: Suspension, repetitions: int, random: Random) -> int:
    growth = suspension.growth ** min(repetitions, _MAX_EXPONENT)
    seconds = min(suspension.first * growth, suspension.longest)
    return round(seconds * (1 + suspension.jitter * random.uniform(-1.0, 1.0)) * SECOND)


def _raised(pace: Pace, terms: Terms) -> Limits:
    """One step up in everything; what reaches the ceiling is no limit of the pace's any more."""
    limits, ceiling, policy = pace.limits, terms.ceiling, terms.policy
    return Limits(
        _stepped(limits.connections, ceiling.connections or policy.unlimited.connections, policy.steps),
        _stepped(
            limits.messages_per_connection,
            ceiling.messages_per_connection or policy.unlimited.messages_per_connection,
            policy.steps,
        ),
        _stepped_rate(limits.rate, ceiling.rate or pace.usual_rate or policy.least_rate, policy.steps),
    )


def _stepped(limit: int | None, ceiling: int | None, steps: int) -> int | None:
    if limit is None or ceiling is None:
        return None
    raised = limit + max(1, ceiling // steps)
    return raised if raised < ceiling else None


def _stepped_rate(limit: float | None, ceiling: float, steps: int) -> float | None:
    if limit is None:
        return None
    raised = limit + ceiling / steps
    # In tenths, repeated addition stops a hair below the ceiling.
    return raised if raised < ceiling * (1 - 1e-9) else None
