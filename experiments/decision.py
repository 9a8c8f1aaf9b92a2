"""Which variant won, if one did.

Every pair of variants is compared by a confidence sequence, so that a decision may be asked for at any time and any
number of times, and Holm's step-down procedure keeps the false statements about all pairs together at alpha. There
are three answers: a winner that beats every other variant; no difference worth having, where the variants that
nobody beats lie within the margin of each other; and not yet known. Nothing else is looked at: neither the chance to
be best nor the ordinary p value decides (``experiments/reading.py`` shows them).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from experiments.confidence_sequence import Counted, Difference, compare
from experiments.guard_rails import RailCount, RailFinding, check_rail
from experiments.observations import Look, Mode, Rules, VariantCount
from experiments.sample_ratio import RatioState, RatioVerdict, check_sample_ratio
from mailtypes.saying import joined, say

_RAILS = ("unsubscribes", "complaints")


class Answer(StrEnum):
    """The three answers."""

    WINNER = "winner"
    NO_DIFFERENCE = "no_difference"
    NOT_YET_KNOWN = "not_yet_known"


class Cause(StrEnum):
    """Why it is that answer."""

    BEATS_ALL = "beats_all"
    WITHIN_MARGIN = "within_margin"
    UNDECIDED = "undecided"
    TOO_FEW = "too_few"
    GUARD_RAIL = "guard_rail"
    SAMPLE_RATIO = "sample_ratio"
    BOUNDS_DISAGREE = "bounds_disagree"
    SAME_CONTENT = "same_content"


@dataclass(frozen=True, slots=True)
class Pair:
    """``second`` minus ``first``; ``adjusted_p`` is Holm's over all pairs, the interval holds for all pairs at once."""

    first: str
    second: str
    difference: Difference
    adjusted_p: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer with its cause. ``margin`` is absolute, as a difference of rates.

    ``contenders`` are the variants that nobody beats and no guard rail stops; ``pairs`` are at the metric's lower
    bound, ``upper_pairs`` at its upper one (the same where the metric is exact).
    """

    answer: Answer
    winner: str | None
    cause: Cause
    sentence: str
    margin: float
    contenders: tuple[str, ...]
    pairs: tuple[Pair, ...]
    upper_pairs: tuple[Pair, ...]
    guard_rails: tuple[RailFinding, ...]
    sample_ratio: RatioVerdict

    @property
    def is_final(self) -> bool:
        """Whether further looks cannot be needed."""
        return self.answer is not Answer.NOT_YET_KNOWN


@dataclass(frozen=True, slots=True)
class Decision:
    """What the looks so far come to. The first final verdict counts; ``look`` is its index, or the last look's.

    ``later``: how many looks came after it and were not needed.
    """

    verdict: Verdict
    look: int
    later: int


@dataclass(frozen=True, slots=True)
class _Standing:
    """Who beats whom at one bound of the metric."""

    pairs: tuple[Pair, ...]
    margin: float
    winner: str | None
    contenders: tuple[str, ...]
    has_small_gaps: bool


def decide_looks(looks: Sequence[Look], rules: Rules) -> Decision:
    """The decision over looks in order of time: made once, at the first look that allows it."""
    if not looks:
        raise ValueError("a decision needs a look")
    for number, look in enumerate(looks):
        verdict = decide(look, rules)
        if verdict.is_final:
            return Decision(verdict, number, len(looks) - 1 - number)
    return Decision(verdict, len(looks) - 1, 0)


def decide(look: Look, rules: Rules) -> Verdict:
    """The answer at one look. The counts are valid (``experiments/request.py`` reads what comes from outside)."""
    findings = _guard_findings(look.variants, rules)
    blocked = {finding.variant for finding in findings}
    lower = _standing(look.variants, rules, blocked, upper=False)
    upper = _standing(look.variants, rules, blocked, upper=True) if look.is_bounded else lower
    planned = rules.planned_sizes
    ratio = check_sample_ratio([one.recipients for one in look.variants], planned)
    answer, cause = _answer(lower, upper, ratio, rules)
    if cause is Cause.UNDECIDED and _would_win(look, rules, blocked):
        cause = Cause.GUARD_RAIL
    contenders = tuple(one for one in lower.contenders if one in upper.contenders)
    winner = lower.winner if answer is Answer.WINNER else None
    margin = max(lower.margin, upper.margin)
    sentence = _sentence(cause, winner or _seeming_winner(lower), margin, ratio, findings)
    return Verdict(answer, winner, cause, sentence, margin, contenders, lower.pairs, upper.pairs, findings, ratio)


def _answer(lower: _Standing, upper: _Standing, ratio: RatioVerdict, rules: Rules) -> tuple[Answer, Cause]:
    if ratio.state is RatioState.MISMATCH:
        return Answer.NOT_YET_KNOWN, Cause.SAMPLE_RATIO
    differs = any(pair.adjusted_p <= rules.alpha for pair in (*lower.pairs, *upper.pairs))
    if rules.mode is Mode.AA and differs:
        return Answer.NOT_YET_KNOWN, Cause.SAME_CONTENT
    if lower.winner is not None and lower.winner == upper.winner:
        return Answer.WINNER, Cause.BEATS_ALL
    if lower.has_small_gaps and upper.has_small_gaps and lower.contenders == upper.contenders:
        return Answer.NO_DIFFERENCE, Cause.WITHIN_MARGIN
    if lower.winner != upper.winner:
        return Answer.NOT_YET_KNOWN, Cause.BOUNDS_DISAGREE
    if all(pair.difference.high - pair.difference.low >= 2 for pair in lower.pairs):  # -1 to 1: anything is possible
        return Answer.NOT_YET_KNOWN, Cause.TOO_FEW
    return Answer.NOT_YET_KNOWN, Cause.UNDECIDED


def _standing(variants: Sequence[VariantCount], rules: Rules, blocked: set[str], *, upper: bool) -> _Standing:
    pairs = _pairs(variants, rules, upper)
    beats = {
        (pair.second, pair.first) if pair.difference.estimate > 0 else (pair.first, pair.second)
        for pair in pairs
        if pair.adjusted_p <= rules.alpha
    }
    allowed = [one.name for one in variants if one.name not in blocked]
    contenders = tuple(one for one in allowed if not any((other, one) in beats for other in allowed))
    winner = next((one for one in contenders if _beats_rivals(one, variants, allowed, beats)), None)
    # Relative to the lowest, so that "not worth having" is said on the careful side.
    margin = rules.margin * min((one.at(upper).rate for one in variants if one.name in contenders), default=0.0)
    gaps = [pair.difference for pair in pairs if pair.first in contenders and pair.second in contenders]
    is_small = bool(gaps) and all(-margin < gap.low and gap.high < margin for gap in gaps)
    return _Standing(pairs, margin, winner, contenders, is_small)


def _beats_rivals(
    who: str, variants: Sequence[VariantCount], allowed: Sequence[str], beats: set[tuple[str, str]]
) -> bool:
    """A variant that a guard rail stops is no rival; but whoever is left over alone has to beat those too."""
    rivals = [one for one in allowed if one != who] or [one.name for one in variants if one.name != who]
    return all((who, rival) in beats for rival in rivals)


def _pairs(variants: Sequence[VariantCount], rules: Rules, upper: bool) -> tuple[Pair, ...]:
    count = len(variants)
    alpha, rho = rules.pair_alpha(count), rules.mixture_width(count)
    sides = list(combinations(variants, 2))
    differences = [compare(first.at(upper), second.at(upper), rho, alpha) for first, second in sides]
    adjusted = holm([one.p_value for one in differences])
    return tuple(
        Pair(first.name, second.name, difference, p_value)
        for (first, second), difference, p_value in zip(sides, differences, adjusted, strict=True)
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values (Scandinavian Journal of Statistics 6, 1979); what is at most alpha is a difference.

    Written here although statsmodels has it: ``multipletests`` runs a full garbage collection on each call (0.1 s and
    more in a process with the application in it) and brings pandas along. The tests hold the two together.
    """
    count = len(p_values)
    adjusted, highest = [1.0] * count, 0.0
    for rank, place in enumerate(sorted(range(count), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (count - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def _would_win(look: Look, rules: Rules, blocked: set[str]) -> bool:
    """Whether a guard rail alone stands between somebody and the victory."""
    if not blocked:
        return False
    bounds = (False, True) if look.is_bounded else (False,)
    return all(_standing(look.variants, rules, set(), upper=upper).winner in blocked for upper in bounds)


def _guard_findings(variants: Sequence[VariantCount], rules: Rules) -> tuple[RailFinding, ...]:
    found: list[RailFinding] = []
    for rail in _RAILS:
        counts = [(one.name, getattr(one, rail), one.recipients) for one in variants]
        known = [RailCount(name, Counted(events, people)) for name, events, people in counts if events is not None]
        if len(known) > 1:
            found += check_rail(rail, known, rules.guard_alpha)
    return tuple(found)


def _seeming_winner(standing: _Standing) -> str:
    return standing.winner or " and ".join(standing.contenders)


def _sentence(cause: Cause, who: str, margin: float, ratio: RatioVerdict, findings: Sequence[RailFinding]) -> str:
    points = say("%(margin)s percentage points", margin=f"{100 * margin:.2g}")
    texts = {
        Cause.BEATS_ALL: say("%(who)s is better than every other variant.", who=who),
        Cause.WITHIN_MARGIN: say(
            "%(who)s differ by less than %(points)s, the margin worth having.", who=who, points=points
        ),
        Cause.UNDECIDED: say("A difference of either sign is still possible; wait, or let the deadline decide."),
        Cause.TOO_FEW: say("Too few successes for any answer."),
        Cause.SAMPLE_RATIO: say(
            "The sample is not what was drawn, so rates cannot be compared. %(cause)s", cause=ratio.cause
        ),
        Cause.BOUNDS_DISAGREE: say("The lower and the upper bound of the metric give different answers."),
        Cause.SAME_CONTENT: say(
            "The variants are the same and yet differ: look for a fault, or for the chance of alpha."
        ),
        Cause.GUARD_RAIL: say("The variant with the best rate is stopped by a guard rail."),
    }
    return joined([texts[cause], *(finding.sentence for finding in findings)], " ")
