"""Which hours of sending went best in one's own campaigns, as far as they can tell.

Campaigns differ by more than their hour, so the campaign and not the recipient is the unit: how much more campaigns
of the same hour differ than chance allows (Pearson's chi-square over its degrees of freedom) makes every count worth
so many times less (quasi-likelihood: Wedderburn, Biometrika 61, 1974). Each hour's rate is then drawn towards the
overall rate, the more the less it rests on (a beta prior by the method of moments, "partial pooling": Kleinman,
Journal of the American Statistical Association 68, 1973). What it finds is a memory of what was, not an experiment:
whoever sends the newsletter at nine and the clearance at five compares these, too. A test of the send hour says more.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.comparison import check_counted
from experiments.confidence_sequence import Counted
from experiments.errors import ExperimentSyntaxError
from mailtypes.saying import say

MIN_CAMPAIGNS = 12
MIN_HOURS = 3
MIN_SUCCESSES = 100
_MAX_HOUR = 168
_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class SentAt:
    """One campaign (or one provider's part of it) by the hour of its sending: 0 to 23, or 0 to 167 in a week."""

    hour: int
    counted: Counted


@dataclass(frozen=True, slots=True)
class HourRate:
    """``rate`` drawn towards the overall one, with its middle 95 %; ``observed`` is the plain rate."""

    hour: int
    campaigns: int
    observed: float
    rate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class BestHours:
    """``best``: the hours that may be the best, first the highest; empty where nothing can be said, with the cause.

    ``p_value``: how often hours that make no difference look as different as these; ``dispersion``: how many
    recipients count for one.
    """

    best: tuple[int, ...]
    hours: tuple[HourRate, ...]
    p_value: float | None
    dispersion: float | None
    cause: str


def best_hours(campaigns: Sequence[SentAt]) -> BestHours:
    """Rates by hour with intervals, and which of them stand out; ``ExperimentSyntaxError`` for impossible counts."""
    by_hour = _by_hour(campaigns)
    missing = _missing(by_hour)
    if missing:
        return BestHours((), (), None, None, missing)
    from scipy.special import fdtrc  # noqa: PLC0415  # takes a while to load

    totals = {hour: _total(group) for hour, group in by_hour.items()}
    overall = _total(list(totals.values()))
    count = sum(len(group) for group in by_hour.values())
    inner = sum(_chi_square(group, totals[hour].rate) for hour, group in by_hour.items())
    dispersion = max(1.0, inner / (count - len(by_hour)))
    outer = _chi_square(list(totals.values()), overall.rate)
    freedom = len(by_hour) - 1
    # Both are chi-squares over their degrees of freedom: their ratio is an F, as in an analysis of deviance.
    p_value = float(fdtrc(freedom, count - len(by_hour), outer / freedom / dispersion))
    strength = _prior_strength(list(totals.values()), overall.rate, outer, dispersion)
    rates = tuple(
        _shrunk(hour, len(by_hour[hour]), totals[hour], (overall.rate, dispersion, strength))
        for hour in sorted(by_hour)
    )
    if p_value > _LEVEL:
        cause = say(
            "Not enough data: hours that make no difference look as different as these with p = %(p_value)s.",
            p_value=f"{p_value:.2g}",
        )
        return BestHours((), rates, p_value, dispersion, cause)
    ordered = sorted(rates, key=lambda one: one.rate, reverse=True)
    best = tuple(one.hour for one in ordered if one.high >= ordered[0].rate)
    cause = say(
        "Hours differ (p = %(p_value)s); those named cannot be told from the highest.", p_value=f"{p_value:.2g}"
    )
    return BestHours(best, rates, p_value, dispersion, cause)


def _by_hour(campaigns: Sequence[SentAt]) -> dict[int, list[Counted]]:
    found: dict[int, list[Counted]] = defaultdict(list)
    for number, one in enumerate(campaigns):
        check_counted(one.counted, f"campaigns[{number}]")
        if not 0 <= one.hour < _MAX_HOUR:
            raise ExperimentSyntaxError(
                f"campaigns[{number}].hour", f"{one.hour} is no hour.", next_step="0 to 23, or 0 to 167 in a week."
            )
        if one.counted.recipients:
            found[one.hour].append(one.counted)
    return dict(found)


def _missing(by_hour: dict[int, list[Counted]]) -> str:
    count = sum(len(group) for group in by_hour.values())
    successes = sum(one.successes for group in by_hour.values() for one in group)
    failures = sum(one.recipients - one.successes for group in by_hour.values() for one in group)
    repeated = sum(len(group) > 1 for group in by_hour.values())
    if count < MIN_CAMPAIGNS:
        return say(
            "Not enough data: %(count)s campaigns; from %(min_campaigns)s on hours can be compared.",
            count=count,
            min_campaigns=MIN_CAMPAIGNS,
        )
    if len(by_hour) < MIN_HOURS:
        return say(
            "Not enough data: %(count)s different hours; %(min_hours)s are needed.",
            count=len(by_hour),
            min_hours=MIN_HOURS,
        )
    if repeated < MIN_HOURS:
        return say("Not enough data: too few hours had two campaigns, so an hour cannot be told from its campaign.")
    if min(successes, failures) < MIN_SUCCESSES:
        return say(
            "Not enough data: %(successes)s successes; %(min_successes)s are needed.",
            successes=successes,
            min_successes=MIN_SUCCESSES,
        )
    return ""


def _total(counts: Sequence[Counted]) -> Counted:
    return Counted(sum(one.successes for one in counts), sum(one.recipients for one in counts))


def _chi_square(counts: Sequence[Counted], rate: float) -> float:
    """Pearson's, of counts that should all have ``rate``."""
    if rate in {0.0, 1.0}:
        return 0.0
    return sum((one.successes - one.recipients * rate) ** 2 / (one.recipients * rate * (1 - rate)) for one in counts)


def _prior_strength(totals: Sequence[Counted], rate: float, outer: float, dispersion: float) -> float | None:
    """How many effective recipients the overall rate is worth beside an hour's own; ``None``: infinitely many."""
    sizes = [one.recipients / dispersion for one in totals]
    people = sum(sizes)
    excess = outer / dispersion - (len(totals) - 1)
    if excess <= 0:
        return None
    # The chi-square's expectation is its degrees of freedom plus this weight times the variance between hours.
    weight = people - sum(size * size for size in sizes) / people
    variance = excess / weight * rate * (1 - rate)
    return max(1.0, rate * (1 - rate) / variance - 1)


def _shrunk(hour: int, campaigns: int, total: Counted, prior: tuple[float, float, float | None]) -> HourRate:
    from scipy.special import betaincinv  # noqa: PLC0415  # takes a while to load

    overall, dispersion, strength = prior
    if strength is None:  # no difference shows at all: every hour has the overall rate
        return HourRate(hour, campaigns, total.rate, overall, overall, overall)
    done, left = (part / dispersion for part in (total.successes, total.recipients - total.successes))
    a, b = overall * strength + done, (1 - overall) * strength + left
    low, high = (float(one) for one in betaincinv(a, b, (0.025, 0.975)))
    return HourRate(hour, campaigns, total.rate, a / (a + b), low, high)
