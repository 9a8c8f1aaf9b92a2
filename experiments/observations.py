"""What was counted in an experiment, and the rules by which it is judged."""

import math
from dataclasses import dataclass
from enum import StrEnum

from experiments.confidence_sequence import DEFAULT_ALPHA, DEFAULT_INFORMATION, Counted, mixture_width

RULE_VERSION = 1
"""Rises whenever the same counts could get another answer."""
DEFAULT_MARGIN = 0.2


@dataclass(frozen=True, slots=True)
class VariantCount:
    """One variant so far. ``successes`` is the metric; where it is known in bounds alone, as opens are, the lower one.

    ``successes_upper`` is the upper bound (``None``: the count is exact). Guard rails are ``None`` where not counted.
    """

    name: str
    recipients: int
    successes: int
    successes_upper: int | None = None
    unsubscribes: int | None = None
    complaints: int | None = None

    def at(self, upper: bool) -> Counted:
        """The metric at one of its bounds."""
        most = self.successes_upper
        return Counted(most if upper and most is not None else self.successes, self.recipients)


@dataclass(frozen=True, slots=True)
class Look:
    """All variants at one moment; ``hours`` after the send, where known."""

    variants: tuple[VariantCount, ...]
    hours: float | None = None

    @property
    def is_bounded(self) -> bool:
        """Whether the metric is known in bounds alone."""
        return any(one.successes_upper not in {None, one.successes} for one in self.variants)


class Mode(StrEnum):
    """A/A: all variants are the same, to see that the machinery finds no difference."""

    AB = "ab"
    AA = "aa"


@dataclass(frozen=True, slots=True)
class Rules:
    """Fixed before the first look.

    ``alpha``: false winners at most, over all looks and pairs; ``margin``: the least relative lift worth having;
    ``information``: where the sequence is tightest (``Plan.information``); ``guard_alpha``: how often a variant may
    be wrongly blamed on one guard rail; ``planned_sizes``: people or weights of the draw, for the sample-ratio check.
    """

    alpha: float = DEFAULT_ALPHA
    margin: float = DEFAULT_MARGIN
    information: float = DEFAULT_INFORMATION
    guard_alpha: float = 0.05
    planned_sizes: tuple[float, ...] | None = None
    mode: Mode = Mode.AB

    def pair_alpha(self, variants: int) -> float:
        """Alpha of one pair of that many variants, for intervals that hold all together."""
        return self.alpha / math.comb(variants, 2)

    def mixture_width(self, variants: int) -> float:
        """The parameter rho of the sequence."""
        return mixture_width(self.information, self.pair_alpha(variants))
