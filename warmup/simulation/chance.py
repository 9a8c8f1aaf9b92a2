"""Counts drawn by chance that is handed in."""

import math
from random import Random

_SMALL = 30.0


def drawn(chance: Random, trials: int, rate: float) -> int:
    """How many of ``trials`` happen at ``rate``: Poisson's count where few do, the normal one where many do."""
    if trials <= 0 or rate <= 0.0:
        return 0
    if rate >= 1.0:
        return trials
    mean = trials * rate
    if mean >= _SMALL:
        return min(trials, max(0, round(chance.gauss(mean, math.sqrt(mean * (1.0 - rate))))))
    count, product, floor = 0, chance.random(), math.exp(-mean)
    while product > floor and count < trials:
        count += 1
        product *= chance.random()
    return count
