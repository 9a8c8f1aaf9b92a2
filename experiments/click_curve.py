"""How long to wait: people click by and by, and a decision before the clicks are in stands on a part of them."""

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from experiments.errors import ExperimentSyntaxError

_MEDIAN_HOURS = 3.5
_NINE_TENTHS_HOURS = 24.0
_NORMAL_NINE_TENTHS = 1.2815515655446004  # the standard normal quantile of 0.9
_MIN_DELAYS = 100
_KNOTS = 200


@dataclass(frozen=True, slots=True)
class ClickCurve:
    """Share of the final clicks by hours after the send. ``source`` says where it comes from.

    ``hours`` and ``shares`` rise together; before the first knot the curve rises from 0 in a straight line.
    """

    hours: tuple[float, ...]
    shares: tuple[float, ...]
    source: str

    def share_after(self, hours: float) -> float:
        """The share of the final clicks that are in after ``hours``."""
        at = bisect_right(self.hours, hours)
        if at == len(self.hours):
            return 1.0
        before, low = (self.hours[at - 1], self.shares[at - 1]) if at else (0.0, 0.0)
        if hours <= before:
            return low
        return low + (self.shares[at] - low) * (hours - before) / (self.hours[at] - before)

    def hours_until(self, share: float) -> float | None:
        """When ``share`` of the final clicks are in; ``None`` for more than all of them."""
        if share > 1:
            return None
        before, low = 0.0, 0.0
        for hour, reached in zip(self.hours, self.shares, strict=True):
            if reached >= share:
                return before + (hour - before) * max(0.0, share - low) / (reached - low) if reached > low else hour
            before, low = hour, reached
        return self.hours[-1]


def assumed_curve() -> ClickCurve:
    """Half of the clicks in 3.5 hours, nine tenths in a day, log-normal, cut off at two weeks.

    An assumption for whoever has no clicks of their own yet, and no measurement: ``measured_curve`` replaces it.
    """
    spread = math.log(_NINE_TENTHS_HOURS / _MEDIAN_HOURS) / _NORMAL_NINE_TENTHS
    hours = tuple(0.05 * (14 * 24 / 0.05) ** (knot / _KNOTS) for knot in range(_KNOTS + 1))
    raw = [0.5 * math.erfc(-math.log(hour / _MEDIAN_HOURS) / spread / math.sqrt(2)) for hour in hours]
    shares = tuple(one / raw[-1] for one in raw)
    return ClickCurve(hours, shares, "assumed: half in 3.5 hours, nine tenths in 24; no measurement")


def measured_curve(delays: Iterable[float]) -> ClickCurve:
    """The curve of one's own clicks; ``delays`` are hours from the send to each person's first click.

    ``ExperimentSyntaxError`` for fewer than a hundred, and for what is no delay.
    """
    ordered = sorted(delays)
    if len(ordered) < _MIN_DELAYS:
        raise ExperimentSyntaxError(
            "delays", f"{len(ordered)} clicks make no curve.", next_step="Take the assumed curve until there are 100."
        )
    if not all(math.isfinite(one) and one >= 0 for one in ordered):
        raise ExperimentSyntaxError(
            "delays", "A delay is negative or no number.", next_step="Give hours from the send to the click."
        )
    count = len(ordered)
    knots = sorted({math.ceil(count * (knot + 1) / _KNOTS) for knot in range(_KNOTS)})
    share_at: dict[float, float] = {ordered[knot - 1]: knot / count for knot in knots}  # equal delays: the last counts
    return ClickCurve(tuple(share_at), tuple(share_at.values()), f"measured: {count:,} clicks of one's own")


@dataclass(frozen=True, slots=True)
class Wait:
    """``hours`` after the send until the plan has its information; ``None``: the sample never has it.

    ``share`` of the final clicks is needed then.
    """

    hours: float | None
    share: float
    source: str


def wait_for(needed: int, available: int, curve: ClickCurve, rate: float = 0.0) -> Wait:
    """How long a sample of ``available`` people a variant takes until it tells what ``needed`` would in the end.

    Information is people times the odds of a success so far, so a sample twice as large as needed is ready when about
    half of the successes are in; a little later where the final ``rate`` is high.
    """
    if needed < 1 or available < 1:
        raise ExperimentSyntaxError("recipients", "Each variant needs somebody.", next_step="Give numbers above 0.")
    part = needed / available
    share = part / (1 - rate + part * rate)  # solves share * (1 - rate) / (1 - share * rate) = part
    return Wait(curve.hours_until(share), share, curve.source)
