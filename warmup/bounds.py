"""What a count says about a rate: exact (Clopper and Pearson) bounds, so that one complaint in three mails is not 33 %.

C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
Biometrika 26 (1934). The tail of the binomial is the regularised incomplete beta function, reckoned by its continued
fraction (DLMF 8.17.22, https://dlmf.nist.gov/8.17) with Lentz's way of evaluating one.
"""

import math
from functools import lru_cache

_TINY = 1e-300
_ENOUGH = 1e-12
_MOST_TERMS = 2000
_HALVINGS = 40


@lru_cache(maxsize=65_536)
def chance_of_at_least(events: int, trials: int, rate: float) -> float:
    """The chance that ``trials`` at ``rate`` give ``events`` or more; ``ValueError`` unless 0 <= events <= trials."""
    if not 0 <= events <= trials or not 0.0 <= rate <= 1.0:
        raise ValueError(f"no such count: {events} of {trials} at {rate}")
    if events == 0 or rate == 1.0:
        return 1.0
    if rate == 0.0:
        return 0.0
    return _incomplete_beta(float(events), float(trials - events + 1), rate)


def surely_at_least(events: int, trials: int, rate: float, confidence: float) -> bool:
    """Whether the true rate is at least ``rate``, as far as one can be sure of it from this count.

    The same as comparing the lower bound of a one-sided interval with ``rate``, at the price of one evaluation.
    """
    return events > 0 and chance_of_at_least(events, trials, rate) <= 1.0 - confidence


def lower_bound(events: int, trials: int, confidence: float) -> float:
    """The rate that is at least there with ``confidence`` (one-sided); 0 without an event or a trial."""
    if events == 0 or trials == 0:
        return 0.0
    low, high = 0.0, events / trials
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if chance_of_at_least(events, trials, middle) <= 1.0 - confidence:
            low = middle
        else:
            high = middle
    return low


def upper_bound(events: int, trials: int, confidence: float) -> float:
    """The rate that is at most there with ``confidence`` (one-sided); 1 where nothing is known."""
    return 1.0 if trials == 0 else 1.0 - lower_bound(trials - events, trials, confidence)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    # The fraction converges fast on one side of the mean; on the other the mirrored function is taken.
    if x < (a + 1) / (a + b + 2):
        return min(1.0, math.exp(log_front) * _fraction(a, b, x) / a)
    return max(0.0, 1.0 - math.exp(log_front) * _fraction(b, a, 1 - x) / b)


def _fraction(a: float, b: float, x: float) -> float:
    upper, lower = 1.0, 1.0 - (a + b) * x / (a + 1)
    lower = 1.0 / (lower if abs(lower) > _TINY else _TINY)
    value = lower
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for step in (even, odd):
            lower = 1.0 + step * lower
            lower = 1.0 / (lower if abs(lower) > _TINY else _TINY)
            upper = 1.0 + step / (upper if abs(upper) > _TINY else _TINY)
            change = upper * lower
            value *= change
        if abs(change - 1.0) < _ENOUGH:
            break
    return value
