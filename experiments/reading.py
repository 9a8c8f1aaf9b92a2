"""Figures that people want to read beside a decision; none of them decides.

The z and p of the two-proportion test hold for somebody who looks once, at a moment fixed beforehand. The chance to
be best and the expected loss are Bayesian: each rate has a uniform prior, so a Beta posterior, and the integrals are
taken on a grid that holds the bulk of every posterior (no chance is needed). The chance to be best of two equal
variants is as often above 90 % as below 10 %: it is no test.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from experiments.confidence_sequence import Counted

_GRID = 4_001
_TAIL = 1e-13


@dataclass(frozen=True, slots=True)
class TwoProportions:
    """The ordinary test of ``second - first`` with pooled error; ``None`` where nobody or everybody succeeded."""

    z: float | None
    p_value: float | None


@dataclass(frozen=True, slots=True)
class Posterior:
    """``best``: probability that this variant's rate is the highest; ``loss``: expected rate given away by taking it.

    ``low`` and ``high``: the middle 95 % of the posterior of the rate.
    """

    best: float
    loss: float
    low: float
    high: float


def two_proportions(first: Counted, second: Counted) -> TwoProportions:
    """z and the two-sided p, by statsmodels."""
    people = first.recipients + second.recipients
    if not (first.recipients and second.recipients) or first.successes + second.successes in {0, people}:
        return TwoProportions(None, None)
    from statsmodels.stats.proportion import proportions_ztest  # noqa: PLC0415  # takes a second to load

    z, p_value = proportions_ztest(
        [second.successes, first.successes], [second.recipients, first.recipients], value=0.0
    )
    return TwoProportions(float(z), float(p_value))


def posteriors(counts: Sequence[Counted]) -> tuple[Posterior, ...]:
    """The posterior of each variant against all others; exact to about one part in a million."""
    import numpy as np  # noqa: PLC0415  # takes a while to load
    from scipy.special import betainc, betaincinv  # noqa: PLC0415

    shapes = [(one.successes + 1.0, one.recipients - one.successes + 1.0) for one in counts]
    ends = [betaincinv(a, b, (_TAIL, 0.025, 0.975, 1 - _TAIL)) for a, b in shapes]
    # Each posterior gets a grid of its own: a narrow one would fall between the points of a wide one.
    grid = np.unique(np.concatenate([np.linspace(end[0], end[3], _GRID) for end in ends]))
    below = np.array([betainc(a, b, grid) for a, b in shapes])
    highest = float(grid[-1] - np.trapezoid(np.prod(below, axis=0), grid))  # E[max] where all mass is below grid[-1]
    best = [_chance_to_be_best(np, below, number) for number in range(len(counts))]
    whole = sum(best)
    return tuple(
        Posterior(chance / whole, max(0.0, highest - a / (a + b)), float(end[1]), float(end[2]))
        for chance, (a, b), end in zip(best, shapes, ends, strict=True)
    )


def _chance_to_be_best(np: Any, below: Any, number: int) -> float:
    """The integral of the others' distribution functions over this one's distribution."""
    others = np.prod(np.delete(below, number, axis=0), axis=0)
    return float(np.sum(np.diff(below[number]) * (others[1:] + others[:-1]) / 2))
