"""When soft bounces suppress a contact: several without a delivery between them, by a preset or an own policy.

What a failure counts as is decided by ``consequences``; nothing that was the sender's own fault ever counts here.
A delivery clears the account. Outcomes may come late and in any order: the history is the same.
"""

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from hygiene.consequences import BounceKind, consequence_of
from mailtypes.bounce import BounceReason
from mailtypes.clock import Microseconds, microseconds
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say

_MOST_KEPT = 64
"""Moments that a history keeps; no policy may ask for more in a row."""


class BouncePolicyError(InputSyntaxError):
    """A policy that would never, or always, suppress."""


@dataclass(frozen=True, slots=True)
class SoftBouncePolicy:
    """Suppress after ``in_a_row`` soft bounces without a delivery (``in_a_row_if_active`` for a contact who opened,
    clicked or bought lately), where the first and the last are at least ``spread`` apart: a mailbox that is full for
    a day is not dead."""

    name: str
    in_a_row: int
    in_a_row_if_active: int
    spread: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if not 1 <= self.in_a_row <= self.in_a_row_if_active <= _MOST_KEPT or self.spread < timedelta(0):
            raise BouncePolicyError(
                say(
                    "%(in_a_row)s soft bounces in a row, %(in_a_row_if_active)s for an active contact",
                    in_a_row=self.in_a_row,
                    in_a_row_if_active=self.in_a_row_if_active,
                ),
                next_step=say(
                    "Give 1 to %(most_kept)s, and for active contacts no fewer than for others.", most_kept=_MOST_KEPT
                ),
            )


SEVEN_IN_A_ROW: Final = SoftBouncePolicy("seven_in_a_row", 7, 15)
THREE_OVER_TWO_WEEKS: Final = SoftBouncePolicy("three_over_14_days", 3, 3, timedelta(days=14))
FIFTEEN_IN_A_ROW: Final = SoftBouncePolicy("fifteen_in_a_row", 15, 15)
SOFT_BOUNCE_PRESETS: Final[Mapping[str, SoftBouncePolicy]] = MappingProxyType(
    {one.name: one for one in (SEVEN_IN_A_ROW, THREE_OVER_TWO_WEEKS, FIFTEEN_IN_A_ROW)}
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one delivery ended: ``delivered``, or why not. ``is_recipient_dead`` as the reader of bounces found it."""

    reason: BounceReason
    at: Microseconds
    is_recipient_dead: bool = False


@dataclass(frozen=True, slots=True)
class SoftBounceHistory:
    """The soft bounces since the last delivery, oldest first, and when that was; at most 64 moments are kept."""

    soft_at: tuple[Microseconds, ...] = ()
    delivered_at: Microseconds | None = None

    def after(self, outcome: Outcome) -> "SoftBounceHistory":
        """The history with one more outcome; what says nothing about the mailbox leaves it as it is."""
        if outcome.reason is BounceReason.DELIVERED:
            if self.delivered_at is not None and outcome.at <= self.delivered_at:
                return self
            left = tuple(moment for moment in self.soft_at if moment > outcome.at)
            return SoftBounceHistory(left, outcome.at)
        kind = consequence_of(outcome.reason, is_recipient_dead=outcome.is_recipient_dead).kind
        came_before = self.delivered_at is not None and outcome.at <= self.delivered_at
        if kind is not BounceKind.SOFT_BOUNCE or came_before:
            return self
        moments = list(self.soft_at)
        insort(moments, outcome.at)
        if len(moments) > _MOST_KEPT:
            del moments[1]  # the first one tells how long it has been going on
        return replace(self, soft_at=tuple(moments))


class BounceAction(StrEnum):
    """What to do with a contact's address."""

    KEEP = "keep"
    SUPPRESS = "suppress"


@dataclass(frozen=True, slots=True)
class SoftBounceDecision:
    """``in_a_row`` of ``limit``; ``cause`` says why in a sentence."""

    action: BounceAction
    in_a_row: int
    limit: int
    cause: str


def decide(history: SoftBounceHistory, policy: SoftBouncePolicy, *, is_active: bool) -> SoftBounceDecision:
    """Whether the soft bounces of a contact are enough. ``is_active``: a person opened, clicked or bought lately."""
    count = len(history.soft_at)
    limit = policy.in_a_row_if_active if is_active else policy.in_a_row
    if count < limit:
        return SoftBounceDecision(
            BounceAction.KEEP,
            count,
            limit,
            say("%(count)s of %(limit)s soft bounces in a row", count=count, limit=limit),
        )
    spread = timedelta(microseconds=history.soft_at[-1] - history.soft_at[0])
    if microseconds(spread) < microseconds(policy.spread):
        cause = say(
            "%(count)s soft bounces in a row, but only %(days)s apart; %(asked)s are asked for",
            count=count,
            days=_days(spread),
            asked=_days(policy.spread),
        )
        return SoftBounceDecision(BounceAction.KEEP, count, limit, cause)
    cause = say(
        "%(count)s soft bounces in a row over %(days)s, and no delivery since (%(policy)s)",
        count=count,
        days=_days(spread),
        policy=policy.name,
    )
    return SoftBounceDecision(BounceAction.SUPPRESS, count, limit, cause)


def _days(duration: timedelta) -> str:
    return say("%(duration)s days", duration=f"{duration / timedelta(days=1):.3g}")
