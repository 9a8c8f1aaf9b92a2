"""Ramp plans: how many messages a new sender may send on each day.

A plan is a table of daily caps. After its last day the sender is warm and the plan sets no limit any more.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from mailtypes.errors import InputSyntaxError, Span
from mailtypes.saying import say


@dataclass(frozen=True, slots=True)
class RampPlan:
    """``daily_caps`` in messages a day from day 1 on; ``source`` says who published the schedule.

    Raises ``ValueError`` for an empty table, a cap below 1, or a cap lower than the day's before.
    """

    name: str
    daily_caps: tuple[int, ...]
    source: str

    def __post_init__(self) -> None:
        if not self.daily_caps or self.daily_caps[0] < 1:
            raise ValueError(f"plan {self.name}: each day needs a cap of at least 1")
        for day, (before, after) in enumerate(zip(self.daily_caps, self.daily_caps[1:], strict=False), start=2):
            if after < before:
                raise ValueError(f"plan {self.name}: the cap falls on day {day}, from {before} to {after}")

    def cap_on(self, day: int) -> int | None:
        """The cap of day ``day`` (1 is the first): 0 before the ramp, ``None`` (no limit) after it."""
        if day < 1:
            return 0
        return self.daily_caps[day - 1] if day <= len(self.daily_caps) else None


def reach(volume: int, days: int, first: int = 50) -> RampPlan:
    """A plan that grows by the same factor each day from ``first`` to ``volume`` a day on day ``days``.

    ``ValueError`` unless there are at least 2 days and ``1 <= first <= volume``.
    """
    if days < 2 or not 1 <= first <= volume:
        raise ValueError(f"cannot grow from {first} to {volume} in {days} days")
    factor = (volume / first) ** (1 / (days - 1))
    caps = [max(first, min(volume, round(first * factor**day))) for day in range(days - 1)]
    return RampPlan(f"reach {volume:,} in {days} days", (*caps, volume), "geometric growth")


def _grown(caps: list[int], steps: tuple[tuple[int, Fraction], ...]) -> tuple[int, ...]:
    """``caps`` carried on: ``(until, factor)`` multiplies day by day until the cap is ``until``."""
    grown = list(caps)
    for until, factor in steps:
        while grown[-1] < until:
            grown.append(min(until, int(grown[-1] * factor)))
    return tuple(grown)


# SendGrid's table is by the hour; a day has 24 of them.
_SENDGRID_HOURLY = (
    *(20, 28, 39, 55, 77, 108, 151, 211, 295, 413, 579, 810, 1000, 1587, 2222, 3111, 4356, 6098, 8583, 11953, 16734),
    *(23427, 32798, 45917, 64284, 89998, 125997, 176395, 246953, 345735, 484029, 677640, 948696, 1328175, 1859444),
    *(2603222, 3644511, 5102316, 7143242, 10000539, 14000754, 19601056),
)
_WARM = 1_000_000  # messages a day; above it the open-ended schedules count as done

PRESETS: dict[str, RampPlan] = {
    plan.name: plan
    for plan in (
        RampPlan(
            "sendgrid",
            tuple(24 * hourly for hourly in _SENDGRID_HOURLY),
            "SendGrid's automated warm-up, per IP address, hourly table times 24",
        ),
        RampPlan(
            "billionmail",
            _grown([1000, 1500, 2000, 3000, 5000, 7000, 10000], ((_WARM, Fraction(13, 10)),)),
            "BillionMail, per IP address and provider, then 30 % more each day",
        ),
        RampPlan(
            "postmark",
            _grown([100], ((6_400, Fraction(2)), (_WARM, Fraction(12, 10)))),
            "Postmark, per provider: from 100, doubled daily (here for six days), then 20 % more each day",
        ),
        RampPlan(
            "ipost",
            _grown(
                [1000],
                (
                    (50_000, Fraction(2)),
                    (100_000, Fraction(3, 2)),
                    (250_000, Fraction(6, 5)),
                    (_WARM, Fraction(11, 10)),
                ),
            ),
            "iPost: x2 to 50,000, +50 % to 100,000, +20 % to 250,000, then +10 %",
        ),
    )
}


class PlanSyntaxError(InputSyntaxError):
    """A table of one's own that cannot be read."""


_LONGEST_TABLE = 1_000


def read_table(name: str, text: str) -> RampPlan:
    """One's own table: daily caps from day 1 on, apart by white space or semicolons; ``1,000`` is a thousand.

    Raises ``PlanSyntaxError`` with the place.
    """
    caps: list[int] = []
    for match in re.finditer(r"[^\s;]+", text):
        digits = match[0].replace(",", "").replace("_", "")
        span = Span(*match.span())
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 12):
            raise PlanSyntaxError(
                say("not a cap"), source=text, span=span, next_step=say("Write messages a day, as 1000.")
            )
        if len(caps) == _LONGEST_TABLE or int(digits) < max(caps[-1:] or [1]):
            what = say("too many days") if len(caps) == _LONGEST_TABLE else say("a cap below the day's before")
            step = say(
                "A table has at most %(longest_table)s days, and caps of 1 and more that never fall.",
                longest_table=f"{_LONGEST_TABLE:,}",
            )
            raise PlanSyntaxError(what, source=text, span=span, next_step=step)
        caps.append(int(digits))
    if not caps:
        raise PlanSyntaxError(
            say("an empty table"), source=text, next_step=say("Write the caps of the days: 100 200 400.")
        )
    return RampPlan(name, tuple(caps), "own table")


def doubling(volume: int, first: int = 100) -> RampPlan:
    """Twice as much each day, from ``first`` until ``volume``; ``ValueError`` unless ``1 <= first <= volume``."""
    if not 1 <= first <= volume:
        raise ValueError(f"cannot grow from {first} to {volume}")
    return RampPlan(f"doubling to {volume:,}", _grown([first], ((volume, Fraction(2)),)), "doubled daily")


def growing(volume: int, first: int, percent: int) -> RampPlan:
    """``percent`` more each day, from ``first`` until ``volume``; ``ValueError`` for no growth."""
    if not 1 <= first <= volume or not 1 <= percent <= 900 or first * percent < 100:
        raise ValueError(f"cannot grow from {first} to {volume} by {percent} % a day")
    caps = _grown([first], ((volume, Fraction(100 + percent, 100)),))
    return RampPlan(f"{percent} % a day to {volume:,}", caps, f"{percent} % more each day")
