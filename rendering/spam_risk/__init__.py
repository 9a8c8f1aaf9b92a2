"""How risky a mail is, from 0 to 10, with reasons, weights, places and mends; built in and offline.

    risk = assess(read_message(octets), auth, infrastructure)
    risk.score, risk.band, risk.reasons, risk.unknown
    compare(risk, earlier)                            # against one's own last campaigns

A score is a risk signal and no forecast of the inbox. ``docs/spam-risk.md`` has the calibration, which
``scripts/fit_spam_risk.py`` writes together with the weights.
"""

from rendering.spam_risk.assessing import assess
from rendering.spam_risk.comparing import RiskChanges, compare
from rendering.spam_risk.infrastructure import NOTHING_KNOWN, InfrastructureFacts
from rendering.spam_risk.message import MessageFileError, ScoredMessage, read_message
from rendering.spam_risk.risk import HIGH_FROM, MEDIUM_FROM, Band, Block, Place, Reason, SpamRisk

__all__ = [
    "HIGH_FROM",
    "MEDIUM_FROM",
    "NOTHING_KNOWN",
    "Band",
    "Block",
    "InfrastructureFacts",
    "MessageFileError",
    "Place",
    "Reason",
    "RiskChanges",
    "ScoredMessage",
    "SpamRisk",
    "assess",
    "compare",
    "read_message",
]
