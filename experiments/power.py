"""How many people a test needs, and what a list of a given size can tell.

The size for one look at the end is the textbook's (pooled error under no difference, separate errors under the
difference; statsmodels' ``samplesize_proportions_2indep_onetail``). The size for looking at any time is the same
formula with the quantile 1.96 replaced by what the confidence sequence asks for over the planned looks
(``experiments/crossing.py``). With several variants each pair gets its part of alpha (Bonferroni, which Holm never
falls behind) and each rival of the best its part of the misses.
"""

import math
from dataclasses import dataclass

from experiments.allocation import MAX_VARIANTS, MIN_VARIANTS
from experiments.confidence_sequence import DEFAULT_ALPHA, Counted, information
from experiments.crossing import drift_for
from experiments.errors import ExperimentSyntaxError
from experiments.observations import Rules
from mailtypes.saying import say

DEFAULT_POWER = 0.8
DEFAULT_LOOKS = 20
_MAX_LOOKS = 200
MAX_PEOPLE = 10**10
"""More recipients than there are people; beyond it an answer is "never"."""
_SMALLEST_GAP = 1e-7
_RESERVE, _MOST_RESERVE = 0.15, 0.01
"""Part of the misses, and at most so much power, that is kept for what counts have beyond the normal approximation."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a plan promises: false winners at most ``alpha``, the better one found with probability ``power``.

    ``looks``: how often one means to look. Alpha holds for any number; power rises a little with more looks.
    """

    alpha: float = DEFAULT_ALPHA
    power: float = DEFAULT_POWER
    variants: int = 2
    looks: int = DEFAULT_LOOKS

    def __post_init__(self) -> None:
        _within("alpha", self.alpha, 0.0001, 0.5)
        _within("power", self.power, 0.5, 0.999)
        if not MIN_VARIANTS <= self.variants <= MAX_VARIANTS:
            raise ExperimentSyntaxError(
                "variants",
                say("%(variants)s variants; a test has two to five.", variants=self.variants),
                next_step=say("Give 2, 3, 4 or 5."),
            )

        if not 1 <= self.looks <= _MAX_LOOKS:
            raise ExperimentSyntaxError(
                "looks",
                say("%(looks)s looks.", looks=self.looks),
                next_step=say("Give 1 to %(max_looks)s.", max_looks=_MAX_LOOKS),
            )

    @property
    def pairs(self) -> int:
        """How many comparisons the variants make."""
        return math.comb(self.variants, 2)

    @property
    def pair_alpha(self) -> float:
        """Alpha of one pair."""
        return self.alpha / self.pairs

    @property
    def rival_power(self) -> float:
        """Power against one rival, so that all are beaten with ``power``."""
        return 1 - (1 - self.power) / (self.variants - 1)


@dataclass(frozen=True, slots=True)
class Plan:
    """People for each variant. ``lift`` is relative: 0.2 from 2 % is 2.4 %."""

    baseline: float
    lift: float
    terms: Terms
    one_look: int
    any_look: int

    @property
    def price(self) -> float:
        """What looking at any time costs: the sample as a multiple of that for one look."""
        return self.any_look / self.one_look

    @property
    def information(self) -> float:
        """Where the sequence should be tightest: what two variants at the baseline and above it bring at the end."""
        return planned_information(self.baseline, self.lift, self.any_look)

    @property
    def people(self) -> int:
        """The sample: all variants together."""
        return self.any_look * self.terms.variants

    def rules(self, sizes: tuple[int, ...] | None = None) -> Rules:
        """The rules that go with the plan: the lift asked for is the margin worth having."""
        return Rules(
            alpha=self.terms.alpha,
            margin=abs(self.lift),
            information=max(1.0, self.information),
            planned_sizes=sizes,
        )


def planned_information(baseline: float, lift: float, recipients: int) -> float:
    """The information of two variants of ``recipients`` each at the end of the plan."""
    first = round(recipients * baseline)
    second = round(recipients * baseline * (1 + lift))
    return information(Counted(first, recipients), Counted(second, recipients))


def plan_sample(baseline: float, lift: float, terms: Terms | None = None) -> Plan:
    """How many people each variant needs; ``ExperimentSyntaxError`` for rates outside of 0 to 1 and a lift of 0."""
    terms = terms or Terms()
    _check_rates(baseline, lift)
    sizes = []
    for alpha in (terms.pair_alpha, _any_look_alpha(terms)):
        size = _size(baseline, lift, alpha, terms.rival_power)
        if size > MAX_PEOPLE:
            raise ExperimentSyntaxError(
                "lift",
                say(
                    "A lift of %(lift)s from %(baseline)s would take more people than there are.",
                    lift=f"{lift:.2g}",
                    baseline=f"{baseline:.2g}",
                ),
                next_step=say("Ask for a larger lift."),
            )
        sizes.append(max(1, round(size)))
    return Plan(baseline, lift, terms, sizes[0], sizes[1])


def _any_look_alpha(terms: Terms) -> float:
    """The alpha at which one look needs as many people as the sequence."""
    from scipy.special import ndtr, ndtri  # noqa: PLC0415  # takes a while to load

    misses = 1 - terms.rival_power
    power = terms.rival_power + min(_MOST_RESERVE, _RESERVE * misses)
    drift = drift_for(terms.pair_alpha, power, terms.looks)
    return 2 * float(ndtr(float(ndtri(terms.rival_power)) - drift))


def detectable_lift(baseline: float, recipients: int, terms: Terms | None = None) -> float | None:
    """The least relative lift that variants of ``recipients`` each can show; ``None``: not even the highest rate.

    A list of ten thousand in two variants: ``detectable_lift(0.02, 5000)``.
    """
    from scipy.optimize import brentq  # noqa: PLC0415

    terms = terms or Terms()
    _within("baseline", baseline, _SMALLEST_GAP, 1 - 2 * _SMALLEST_GAP)
    if not 1 <= recipients <= MAX_PEOPLE:
        raise ExperimentSyntaxError(
            "recipients",
            say("%(recipients)s is no number of people.", recipients=f"{recipients:,}"),
            next_step=say("Give the people of one variant."),
        )
    alpha = _any_look_alpha(terms)

    def missing(lift: float) -> float:
        return math.log(_size(baseline, lift, alpha, terms.rival_power) / recipients)

    least, most = 1e-6, (1 - _SMALLEST_GAP) / baseline - 1
    if most <= least or missing(most) > 0:
        return None
    if missing(least) <= 0:
        return least
    return float(brentq(missing, least, most, xtol=1e-9))


def _size(baseline: float, lift: float, alpha: float, power: float) -> float:
    from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail  # noqa: PLC0415

    return float(samplesize_proportions_2indep_onetail(baseline * lift, baseline, power, ratio=1, alpha=alpha))


def _check_rates(baseline: float, lift: float) -> None:
    _within("baseline", baseline, _SMALLEST_GAP, 1 - _SMALLEST_GAP)
    better = baseline * (1 + lift) if math.isfinite(lift) else math.nan
    if not (0 < better < 1) or abs(better - baseline) < 1e-12:
        raise ExperimentSyntaxError(
            "lift",
            say(
                "A lift of %(lift)s from %(baseline)s leads to no rate that differs and lies between 0 and 1.",
                lift=lift,
                baseline=f"{baseline:g}",
            ),
            next_step=say("The lift is relative: 0.2 from 0.02 is 0.024."),
        )


def _within(path: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise ExperimentSyntaxError(
            path,
            say("%(value)s is not between %(low)s and %(high)s.", value=value, low=f"{low:g}", high=f"{high:g}"),
            next_step=say("Rates and probabilities are fractions: 2 % is 0.02."),
        )
