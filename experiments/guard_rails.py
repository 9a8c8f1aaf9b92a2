"""What a better rate must not be paid with: unsubscribes and complaints.

These are rare, so the comparison is exact: of all events of two variants, the share of the first is what its share of
the people is, unless it is worse. The likelihood ratio averaged evenly over every worse share is a martingale while
it is not (Robbins 1970; Lindon and Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022), so
that this may be looked at as often as the metric.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.confidence_sequence import Counted
from mailtypes.saying import say


@dataclass(frozen=True, slots=True)
class RailCount:
    """The events of one kind for one variant."""

    name: str
    counted: Counted


_NAMES: Mapping[str, str] = {"unsubscribes": say("unsubscribes"), "complaints": say("complaints")}


@dataclass(frozen=True, slots=True)
class RailFinding:
    """``variant`` is worse than ``other`` on ``rail``; rates as fractions, ``p_value`` always valid and one-sided."""

    rail: str
    variant: str
    other: str
    rate: float
    other_rate: float
    p_value: float

    @property
    def sentence(self) -> str:
        """The finding in words and numbers."""
        return say(
            "%(variant)s has more %(rail)s than %(other)s: %(rate)s %% against %(other_rate)s %% "
            "(p = %(p_value)s), so it cannot win.",
            variant=self.variant,
            rail=_NAMES.get(self.rail, self.rail),
            other=self.other,
            rate=f"{100 * self.rate:.3g}",
            other_rate=f"{100 * self.other_rate:.3g}",
            p_value=f"{self.p_value:.2g}",
        )


def worse_p_value(suspect: Counted, other: Counted) -> float:
    """Always-valid p of "``suspect`` has no higher rate than ``other``"; 1 where nothing happened yet."""
    events = suspect.successes + other.successes
    if events == 0 or not (suspect.recipients and other.recipients):
        return 1.0
    from scipy.special import betaincc, betaln  # noqa: PLC0415  # takes a while to load

    share = suspect.recipients / (suspect.recipients + other.recipients)
    tail = float(betaincc(suspect.successes + 1, other.successes + 1, share))
    if tail <= 0:
        return 1.0
    log_evidence = (
        float(betaln(suspect.successes + 1, other.successes + 1))
        + math.log(tail)
        - math.log1p(-share)
        - suspect.successes * math.log(share)
        - other.successes * math.log1p(-share)
    )
    return math.exp(min(0.0, -log_evidence))


def check_rail(rail: str, counts: Sequence[RailCount], alpha: float) -> tuple[RailFinding, ...]:
    """Who is significantly worse than another; each variant is wrongly blamed with at most ``alpha``."""
    found = []
    for suspect in counts:
        others = [one for one in counts if one.name != suspect.name and one.counted.rate < suspect.counted.rate]
        judged = [(worse_p_value(suspect.counted, other.counted), other) for other in others]
        if judged and (least := min(judged, key=lambda one: one[0]))[0] <= alpha / (len(counts) - 1):
            p_value, other = least
            found.append(RailFinding(rail, suspect.name, other.name, suspect.counted.rate, other.counted.rate, p_value))
    return tuple(found)
