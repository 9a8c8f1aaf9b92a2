"""The chance that a confidence sequence finds a difference by its last planned look.

Sums the probability of deciding at each of a number of evenly spaced looks, by carrying the density of those still
undecided from look to look (Armitage, McPherson and Rowe, "Repeated significance tests on accumulating data", Journal
of the Royal Statistical Society A 132, 1969). Time runs from 0 to 1 at the planned end; there the statistic is normal
with mean ``drift`` and variance 1.
"""

from functools import lru_cache
from typing import Any

from experiments.confidence_sequence import best_ratio, multiplier

_STEP = 0.02
_REACH = 6.0


@lru_cache(maxsize=64)
def drift_for(alpha: float, power: float, looks: int) -> float:
    """The difference in standard errors at the planned end that is found with ``power`` in ``looks`` looks.

    A premature "no difference" counts against it: the margin is taken to be the difference itself.
    """
    from scipy.optimize import brentq  # noqa: PLC0415  # takes a while to load

    most = multiplier(best_ratio(alpha), 1.0, alpha) + _REACH
    return float(brentq(lambda drift: found_by_end(drift, alpha, looks) - power, 0.5, most, xtol=1e-4))


def found_by_end(drift: float, alpha: float, looks: int) -> float:
    """Probability that the interval lies above 0 at one of the looks, before it lies below ``drift``."""
    import numpy as np  # noqa: PLC0415  # takes a while to load

    grid = np.arange(-_REACH, drift + _REACH, _STEP)
    step = 1 / looks
    # The increments are normal: the density of the sum is a convolution over the grid.
    offsets = np.arange(-len(grid) + 1, len(grid)) * _STEP
    kernel = np.exp(-((offsets - drift * step) ** 2) / (2 * step)) / np.sqrt(2 * np.pi * step) * _STEP
    ratio = best_ratio(alpha)
    density: Any = None
    found = 0.0
    for number in range(1, looks + 1):
        time = number * step
        if density is None:
            density = np.exp(-((grid - drift * time) ** 2) / (2 * time)) / np.sqrt(2 * np.pi * time)
        else:
            density = np.convolve(density, kernel, mode="valid")
        bound = multiplier(ratio * time, 1.0, alpha) * time**0.5
        above = np.clip((grid - bound) / _STEP + 0.5, 0, 1)  # the part of each cell that lies beyond the bound
        below = np.clip((drift * time - bound - grid) / _STEP + 0.5, 0, 1)
        found += float(np.sum(density * above)) * _STEP
        density = density * np.clip(1 - above - below, 0, 1)
    return found
