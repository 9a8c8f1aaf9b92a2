"""What may go out now: caps for this day and this hour, for every budget that a message has to fit.

A message leaves from an egress address in the name of a sender domain; both are warmed up, each with each provider,
so it has to fit the day and the hour of both. Budgets are reserved in the store; here are only their limits.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from mailtypes.clock import Microseconds
from warmup.ramp import Phase, WarmUp
from warmup.terms import Overflow, WarmUpPlan


class Period(StrEnum):
    """What a cap is for."""

    DAY = "day"
    HOUR = "hour"


class Purpose(StrEnum):
    """The stream, as far as budgets care."""

    MARKETING = "marketing"
    TRANSACTIONAL = "transactional"


@dataclass(frozen=True, slots=True)
class Window:
    """A cap over ``[begins, ends)``: for all mail, and for marketing mail within it; ``None`` is no limit."""

    period: Period
    begins: Microseconds
    ends: Microseconds
    limit: int | None
    marketing_limit: int | None

    def limit_for(self, purpose: Purpose) -> int | None:
        """The limit of everything of ``purpose`` alone."""
        return self.marketing_limit if purpose == Purpose.MARKETING else self.limit


@dataclass(frozen=True, slots=True)
class Used:
    """What was sent, or is being sent, in a window; marketing mail counts in both."""

    total: int = 0
    marketing: int = 0


@dataclass(frozen=True, slots=True)
class Caps:
    """The caps of one budget; ``phase`` and ``note`` say why where they are 0."""

    provider: str
    day: Window
    hour: Window
    phase: Phase
    note: str = ""


def allowance(plan: WarmUpPlan, warm_up: WarmUp, now: Microseconds) -> Caps:
    """The caps of ``warm_up`` at ``now``; days and hours are those of the plan's zone."""
    rhythm = plan.rhythm
    today, hour = rhythm.day_of(now), rhythm.hour_of(now)
    cap = 0 if warm_up.phase in (Phase.WAITING, Phase.PAUSED) else plan.cap(warm_up.provider, warm_up.level)
    shut = rhythm.is_quiet(hour.wall_hour) or rhythm.share_of(today) == 0.0
    begins, ends = rhythm.begins(today), rhythm.ends(today)
    if cap is None:
        closed = 0 if shut else None
        return Caps(
            warm_up.provider,
            Window(Period.DAY, begins, ends, None, None),
            Window(Period.HOUR, hour.begins, hour.ends, None, closed),
            warm_up.phase,
            warm_up.note,
        )
    hour_cap = plan.hour_cap(cap)
    open_hour = 0 if shut else hour_cap - plan.reserved(hour_cap)
    return Caps(
        warm_up.provider,
        Window(Period.DAY, begins, ends, cap, plan.marketing_cap(cap, today)),
        Window(Period.HOUR, hour.begins, hour.ends, hour_cap, open_hour),
        warm_up.phase,
        warm_up.note,
    )


def remaining(caps: Caps, purpose: Purpose, day: Used, hour: Used) -> int | None:
    """How many messages of ``purpose`` still fit the day and the hour; ``None`` for no limit."""
    left = []
    for window, used in ((caps.day, day), (caps.hour, hour)):
        if window.limit is not None:
            left.append(window.limit - used.total)
        if purpose == Purpose.MARKETING and window.marketing_limit is not None:
            left.append(window.marketing_limit - used.marketing)
    return max(0, min(left)) if left else None


def tightest(left: Iterable[int | None]) -> int | None:
    """What fits all budgets at once, of the remainders of each."""
    known = [one for one in left if one is not None]
    return min(known) if known else None


@dataclass(frozen=True, slots=True)
class Placement:
    """What becomes of ``wanted`` messages; the parts add up."""

    now: int
    waits: int
    warm_pool: int
    cut: int


def place(wanted: int, left: int | None, overflow: Overflow) -> Placement:
    """Send what fits; the rest waits, takes the warm pool, or is cut."""
    fits = wanted if left is None else min(wanted, left)
    rest = wanted - fits
    return Placement(
        fits,
        rest if overflow == Overflow.WAITS else 0,
        rest if overflow == Overflow.WARM_POOL else 0,
        rest if overflow == Overflow.CUT else 0,
    )
