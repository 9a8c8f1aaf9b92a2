"""Two proportions compared so that looking early and often does no harm.

The z statistic of a difference that is not there moves, in its own time, like a Brownian motion divided by the square
root of that time. Averaging the likelihood ratio over normally distributed differences gives a martingale, and by
Ville's inequality that crosses ``1 / alpha`` with probability at most ``alpha`` however often one looks (Robbins,
"Statistical methods related to the law of the iterated logarithm", 1970, section 3; Howard, Ramdas, McAuliffe and
Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49, 2021, equation
14). It is asymptotic, as every normal approximation is (Waudby-Smith and others, "Time-uniform central limit theory
and asymptotic confidence sequences", Annals of Statistics 52, 2024), so small counts get no answer.

Its time, the *information*, is ``n * p / (1 - p)`` with ``n`` the harmonic size ``n1 * n2 / (n1 + n2)``. When people
come one after the other and ``p`` stays, that is proportional to ``n``. When all are mailed at once and the clicks
come in, the share who clicked by some hour is an empirical distribution function ``F``; the difference of two such is
a Brownian bridge, which at ``F / (1 - F)`` is a Brownian motion (Doob, 1949). So one clock serves both.
"""

import math
from dataclasses import dataclass

DEFAULT_ALPHA = 0.05
DEFAULT_INFORMATION = 200.0
"""Where the sequence is tightest when nobody planned: about 400 successes a variant."""
MIN_EXPECTED = 10
"""Successes and failures that each side must lead one to expect before the normal approximation is used."""
_BISECTIONS = 80


@dataclass(frozen=True, slots=True)
class Counted:
    """How many of ``recipients`` did it."""

    successes: int
    recipients: int

    @property
    def rate(self) -> float:
        """Successes for each recipient; 0 where there are none."""
        return self.successes / self.recipients if self.recipients else 0.0


@dataclass(frozen=True, slots=True)
class Difference:
    """Second minus first, as proportions. ``p_value`` is always valid; the interval covers with 1 - alpha for ever.

    Where the counts are too small, ``p_value`` is 1 and the interval is everything from -1 to 1.
    """

    estimate: float
    low: float
    high: float
    p_value: float
    information: float


def information(first: Counted, second: Counted) -> float:
    """The time of the sequence; rises with people and with successes."""
    people = first.recipients + second.recipients
    failures = people - first.successes - second.successes
    if people == 0 or failures == 0:
        return 0.0
    size = first.recipients * second.recipients / people
    return size * (first.successes + second.successes) / failures


def mixture_width(information_planned: float, alpha: float = DEFAULT_ALPHA) -> float:
    """The mixture's parameter rho that makes the sequence tightest at the planned information."""
    return information_planned / best_ratio(alpha)


def multiplier(information_now: float, rho: float, alpha: float) -> float:
    """Half the interval's width in standard errors."""
    ratio = information_now / rho
    return math.sqrt((1 + 1 / ratio) * (math.log1p(ratio) - 2 * math.log(alpha)))


def best_ratio(alpha: float) -> float:
    """The information over rho at which ``multiplier`` is least: where its derivative, rising, passes 0."""
    low, high = 1e-6, 1e6
    for _ in range(_BISECTIONS):
        middle = math.sqrt(low * high)
        if middle - math.log1p(middle) + 2 * math.log(alpha) < 0:
            low = middle
        else:
            high = middle
    return low


def compare(first: Counted, second: Counted, rho: float, alpha: float = DEFAULT_ALPHA) -> Difference:
    """The difference ``second - first`` as far as it can be told by now."""
    estimate = second.rate - first.rate
    if not _has_enough(first, second):
        return Difference(estimate, -1.0, 1.0, 1.0, information(first, second))
    now = information(first, second)
    error = _standard_error(first, second)
    z = estimate / error
    log_evidence = 0.5 * math.log(rho / (rho + now)) + z * z * now / (2 * (rho + now))
    half = multiplier(now, rho, alpha) * error
    return Difference(
        estimate, max(-1.0, estimate - half), min(1.0, estimate + half), math.exp(min(0.0, -log_evidence)), now
    )


def _has_enough(first: Counted, second: Counted) -> bool:
    people = first.recipients + second.recipients
    if not (first.recipients and second.recipients):
        return False
    pooled = (first.successes + second.successes) / people
    return min(first.recipients, second.recipients) * min(pooled, 1 - pooled) >= MIN_EXPECTED


def _standard_error(first: Counted, second: Counted) -> float:
    """The larger of the pooled and the separate error, so that test and interval agree and neither is too bold."""
    pooled = (first.successes + second.successes) / (first.recipients + second.recipients)
    together = pooled * (1 - pooled) * (1 / first.recipients + 1 / second.recipients)
    apart = sum(one.rate * (1 - one.rate) / one.recipients for one in (first, second))
    return math.sqrt(max(together, apart))
