"""Where a campaign lies among one's own last ones: within the usual, above or below, in all and by provider.

The usual is taken from medians, so that one odd campaign in ten does not move it: on the scale of log odds, the
centre is the median of the earlier rates, and what campaigns differ by beyond the chance of counting is taken from
their median absolute deviation (times 1.4826, the factor for a normal distribution). The interval is for one further
campaign of this size: it holds the spread between campaigns, this campaign's own counting error, and the error of the
median (variance pi / 2 over n, that of a normal sample), with Student's quantile for few campaigns.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from experiments.confidence_sequence import Counted
from experiments.errors import ExperimentSyntaxError
from mailtypes.saying import say

LAST = 10
MIN_EARLIER = 5
MIN_RECIPIENTS = 50
_MAD_FACTOR = 1.4826
_MAD_OF_FEW = {5: 1.206, 6: 1.200, 7: 1.140, 8: 1.129, 9: 1.107, 10: 10 / 9.2}
"""What the deviation of few falls short by (Croux and Rousseeuw, Computational Statistics 1, 1992)."""
_MAD_EFFICIENCY = 0.37  # so many degrees of freedom of a plain standard deviation is it worth, at the normal
_LEVEL = 0.95


class Place(StrEnum):
    """Where the campaign lies."""

    BELOW = "below"
    WITHIN = "within"
    ABOVE = "above"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Comparison:
    """``low`` and ``high`` bound what is usual for a campaign of this size; ``higher_than`` earlier ones of ``among``.

    All rates are fractions; ``None`` where there is too little to say anything, with the cause.
    """

    place: Place
    rate: float
    usual: float | None
    low: float | None
    high: float | None
    higher_than: int
    among: int
    cause: str


def compare_with_own(
    now: Counted, earlier: Sequence[Counted], level: float = _LEVEL, path: str = "campaign"
) -> Comparison:
    """This campaign against the last ten of ``earlier`` (in order of time); ``level``: how many would lie within."""
    for where, one in ((path, now), *((f"{path}.earlier[{number}]", one) for number, one in enumerate(earlier))):
        check_counted(one, where)
    usable = [one for one in earlier if one.recipients >= MIN_RECIPIENTS][-LAST:]
    higher_than = sum(one.rate < now.rate for one in usable)
    missing = _missing(now, len(usable))
    if missing:
        return Comparison(Place.UNKNOWN, now.rate, None, None, None, higher_than, len(usable), missing)
    centre, spread = _usual(now, usable)
    from scipy.special import stdtrit  # noqa: PLC0415  # takes a while to load

    reach = float(stdtrit(max(2.0, _MAD_EFFICIENCY * (len(usable) - 1)), 0.5 + level / 2)) * spread
    low, high = _rate(centre - reach), _rate(centre + reach)
    position = log_odds(now)
    place = Place.BELOW if position < centre - reach else Place.ABOVE if position > centre + reach else Place.WITHIN
    cause = say(
        "%(rate)s %%; usual for this size are %(low)s to %(high)s %% (the last %(count)s "
        "campaigns); higher than %(higher_than)s of them.",
        rate=f"{100 * now.rate:.3g}",
        low=f"{100 * low:.3g}",
        high=f"{100 * high:.3g}",
        count=len(usable),
        higher_than=higher_than,
    )
    return Comparison(place, now.rate, _rate(centre), low, high, higher_than, len(usable), cause)


def compare_by_group(now: Mapping[str, Counted], earlier: Sequence[Mapping[str, Counted]]) -> dict[str, Comparison]:
    """The same for each provider or segment of this campaign; all of them lie within with 95 % together (Bonferroni).

    A group that an earlier campaign did not have is left out there.
    """
    level = 1 - (1 - _LEVEL) / max(1, len(now))
    return {
        group: compare_with_own(counted, [one[group] for one in earlier if group in one], level, group)
        for group, counted in now.items()
    }


def check_counted(one: Counted, path: str) -> None:
    """``ExperimentSyntaxError`` for counts that cannot be."""
    if not 0 <= one.successes <= one.recipients:
        raise ExperimentSyntaxError(
            path, f"{one.successes} of {one.recipients} recipients.", next_step="Count each person once."
        )


def log_odds(one: Counted) -> float:
    """Logarithm of the odds, with half a success and half a failure added so that it is finite."""
    return math.log((one.successes + 0.5) / (one.recipients - one.successes + 0.5))


def _missing(now: Counted, usable: int) -> str:
    if now.recipients < MIN_RECIPIENTS:
        return say(
            "Not enough data: %(recipients)s recipients; from %(min_recipients)s on a rate says something.",
            recipients=now.recipients,
            min_recipients=MIN_RECIPIENTS,
        )
    if usable < MIN_EARLIER:
        return say(
            "Not enough data: %(usable)s earlier campaigns of %(min_recipients)s recipients or more; five are needed.",
            usable=usable,
            min_recipients=MIN_RECIPIENTS,
        )
    return ""


def _usual(now: Counted, usable: Sequence[Counted]) -> tuple[float, float]:
    """Centre and standard error of a further campaign, as log odds."""
    positions = [log_odds(one) for one in usable]
    centre = median(positions)
    factor = _MAD_FACTOR * _MAD_OF_FEW[len(usable)]
    observed = (factor * median(abs(one - centre) for one in positions)) ** 2
    counting = median(_counting_variance(one, centre) for one in usable)
    between = max(0.0, observed - counting)
    of_median = math.pi / 2 * max(observed, counting) / len(usable)
    return centre, math.sqrt(between + _counting_variance(now, centre) + of_median)


def _counting_variance(one: Counted, centre: float) -> float:
    """What chance alone does to the log odds of a campaign of this size at the usual rate."""
    rate = _rate(centre)
    return 1 / (one.recipients * rate * (1 - rate) + 0.5)


def _rate(position: float) -> float:
    return 1 / (1 + math.exp(-position))
