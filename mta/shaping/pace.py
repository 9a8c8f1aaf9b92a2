"""Limits toward a destination or a provider, and the pace: what replies have taken off the configured limits."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from mailtypes.clock import Microseconds

Number = TypeVar("Number", int, float)
LONGEST_EVIDENCE = 300


@dataclass(frozen=True, slots=True)
class Limits:
    """Connections at a time, messages a connection, messages a second; ``None`` is no limit.

    Raises ``ValueError`` for a limit that would let nothing through: to stop is to suspend.
    """

    connections: int | None = None
    messages_per_connection: int | None = None
    rate: float | None = None

    def __post_init__(self) -> None:
        counts = (self.connections, self.messages_per_connection)
        if any(count is not None and count < 1 for count in counts) or (self.rate is not None and not self.rate > 0):
            raise ValueError(f"a limit lets something through: {self}")

    def within(self, other: "Limits") -> "Limits":
        """The lower of the two in everything."""
        return Limits(
            lower(self.connections, other.connections),
            lower(self.messages_per_connection, other.messages_per_connection),
            lower(self.rate, other.rate),
        )

    @property
    def are_none(self) -> bool:
        """Whether nothing is limited."""
        return self == _NO_LIMITS


def lower(one: Number | None, other: Number | None) -> Number | None:
    """The lower of two limits, either of which may be missing."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


_NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Pace:
    """How a destination or provider is sent to at present, below what is configured.

    ``limits`` is what replies have set (``None``: as configured), ``usual_rate`` what the rate was before the first
    cut where none is configured: the rate at which the limit is lifted again. ``rule`` and ``evidence`` say what
    brought it here. ``troubles`` and ``suspensions`` count those of the last while; ``quiet_accepted`` the messages
    that were taken since the last change.
    """

    limits: Limits = field(default_factory=Limits)
    usual_rate: float | None = None
    suspended_until: Microseconds | None = None
    rule: str = ""
    evidence: str = ""
    troubled_at: Microseconds | None = None
    changed_at: Microseconds | None = None
    troubles: int = 0
    suspensions: int = 0
    quiet_accepted: int = 0

    def under(self, ceiling: Limits) -> Limits:
        """The limits that count: never above ``ceiling``, the configured ones."""
        return self.limits.within(ceiling)

    @property
    def is_slowed(self) -> bool:
        """Whether anything is below what is configured."""
        return not self.limits.are_none

    def is_suspended(self, now: Microseconds) -> bool:
        """Whether nothing may be sent at ``now``."""
        return self.suspended_until is not None and now < self.suspended_until

    def to_json(self) -> str:
        """The pace as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Pace":
        """The pace that ``to_json`` wrote."""
        values: dict[str, Any] = json.loads(text)
        return cls(**(values | {"limits": Limits(**values["limits"])}))


class ChangeKind(StrEnum):
    """What a change does."""

    SLOWED = "slowed"
    SUSPENDED = "suspended"
    RAISED = "raised"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True)
class PaceChange:
    """A transition with its cause: the rule that acted (empty for time and quiet), what was heard, and until when."""

    kind: ChangeKind
    before: Pace
    after: Pace
    at: Microseconds
    rule: str = ""
    evidence: str = ""
    until: Microseconds | None = None

    @property
    def is_visible(self) -> bool:
        """Whether anybody would notice: limits or suspension differ, not counters alone."""
        before, after = self.before, self.after
        return (before.limits, before.suspended_until) != (after.limits, after.suspended_until)

    def document(self) -> Mapping[str, object]:
        """The change for the event log: limits before and after, rule, evidence and end."""
        return {
            "before": asdict(self.before.limits),
            "after": asdict(self.after.limits),
            "rule": self.rule,
            "evidence": self.evidence,
            "until": self.until,
        }
