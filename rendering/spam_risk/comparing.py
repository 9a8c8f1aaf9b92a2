"""What a mail's score has that one's own last campaigns did not have."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rendering.spam_risk.risk import Reason, SpamRisk


@dataclass(frozen=True, slots=True)
class RiskChanges:
    """``new``: reasons that none of the earlier mails had; ``gone``: codes that most of them had and this one lacks.

    ``difference`` is the score less the median of the earlier ones (``usual``), in points.
    """

    compared: int
    usual: float
    difference: float
    new: tuple[Reason, ...]
    gone: tuple[str, ...]


def compare(risk: SpamRisk, earlier: Sequence[SpamRisk]) -> RiskChanges | None:
    """What changed against one's own last campaigns, in any order; ``None`` where there is none yet.

    Reasons that speak for the mail (weight below zero) are not counted.
    """
    if not earlier:
        return None
    before = [_codes(one) for one in earlier]
    usual = median(one.score for one in earlier)
    known = frozenset().union(*before)
    now = _codes(risk)
    gone = sorted(code for code in known - now if 2 * sum(code in codes for codes in before) > len(before))
    new = tuple(reason for reason in risk.reasons if reason.weight > 0 and reason.code not in known)
    return RiskChanges(len(earlier), round(usual, 2), round(risk.score - usual, 2), new, tuple(gone))


def _codes(risk: SpamRisk) -> frozenset[str]:
    return frozenset(reason.code for reason in risk.reasons if reason.weight > 0)
