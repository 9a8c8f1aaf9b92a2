"""Whether the variants reached as many people as they were meant to.

Where they did not, something chose between them (a filter, a failing template, a lost batch), and no comparison of
their rates means anything. Pearson's chi-square test against the planned proportion; the level of 0.001 is the custom
for this check, which runs on every experiment (Fabijan and others, "Diagnosing sample ratio mismatch in online
controlled experiments", KDD 2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from mailtypes.saying import say

MISMATCH_LEVEL = 0.001
_MIN_EXPECTED = 5  # below it, the chi-square distribution is no description of the counts


class RatioState(StrEnum):
    """What the counts say of the draw."""

    BALANCED = "balanced"
    MISMATCH = "mismatch"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RatioVerdict:
    """The answer; ``p_value``: how often chance alone is this far off, ``None`` where it was not computed."""

    state: RatioState
    p_value: float | None
    cause: str


def check_sample_ratio(counts: Sequence[int], planned: Sequence[float] | None) -> RatioVerdict:
    """Compare ``counts`` (people reached, by variant) with ``planned`` (sizes or weights, all above 0)."""
    if planned is None:
        return RatioVerdict(RatioState.UNKNOWN, None, say("The planned sizes are not given."))
    total, weight = sum(counts), sum(planned)
    expected = [total * share / weight for share in planned]
    if min(expected) < _MIN_EXPECTED:
        return RatioVerdict(RatioState.UNKNOWN, None, say("Too few people for a check."))
    from scipy.stats import chisquare  # noqa: PLC0415  # takes a second to load

    p_value = float(chisquare(list(counts), expected).pvalue)
    shown = " : ".join(f"{count:,}" for count in counts)
    wanted = " : ".join(f"{one:,.0f}" for one in expected)
    if p_value < MISMATCH_LEVEL:
        cause = say(
            "%(shown)s people were reached where %(wanted)s were due; chance alone does that with p = %(p_value)s.",
            shown=shown,
            wanted=wanted,
            p_value=f"{p_value:.2g}",
        )
        return RatioVerdict(RatioState.MISMATCH, p_value, cause)
    return RatioVerdict(
        RatioState.BALANCED,
        p_value,
        say("%(shown)s people were reached, %(wanted)s were due.", shown=shown, wanted=wanted),
    )
