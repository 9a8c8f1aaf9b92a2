"""Sudden jumps of warm senders: today's volume against the sender's own last thirty days."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from mailtypes.saying import say

DAYS = 30


@dataclass(frozen=True, slots=True)
class JumpPolicy:
    """A jump is more than ``factor`` times the largest day of those before, and more than ``floor`` messages.

    Fewer than ``known_days`` with mail say nothing about what is usual. Factor 2 is the growth that the published
    schedules allow a day.
    """

    factor: float = 2.0
    floor: int = 1_000
    known_days: int = 3


@dataclass(frozen=True, slots=True)
class Jump:
    """``is_jump`` is ``None`` where there is too little to compare with; ``usual`` is the largest day before."""

    is_jump: bool | None
    today: int
    usual: int
    allowed: int

    def sentence(self) -> str:
        """The finding in words."""
        if self.is_jump is None:
            return say("%(today)s today; too few days before to say what is usual.", today=f"{self.today:,}")
        if self.is_jump:
            return say(
                "%(today)s today, %(times)s times the largest day of the last %(days)s "
                "(%(usual)s); spread it, at most %(allowed)s a day.",
                today=f"{self.today:,}",
                times=f"{self.today / self.usual:.1f}",
                days=DAYS,
                usual=f"{self.usual:,}",
                allowed=f"{self.allowed:,}",
            )
        return say(
            "%(today)s today, at most %(usual)s a day before: no jump.",
            today=f"{self.today:,}",
            usual=f"{self.usual:,}",
        )


def jump(before: Sequence[int], today: int, policy: JumpPolicy | None = None) -> Jump:
    """Compare ``today`` (planned or sent, to one provider) with the days ``before``, the latest last.

    The largest day is what counts, not the mean, so that a weekly newsletter is no jump each week.
    """
    policy = policy or JumpPolicy()
    recent = before[-DAYS:]
    usual = max(recent, default=0)
    allowed = max(policy.floor, ceil(usual * policy.factor))
    if today <= policy.floor:
        return Jump(False, today, usual, allowed)
    if sum(count > 0 for count in recent) < policy.known_days:
        return Jump(None, today, usual, allowed)
    return Jump(today > allowed, today, usual, allowed)
