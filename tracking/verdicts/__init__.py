"""Who opened or clicked, a person or a machine: features of a fetch, rules over them, and a verdict with its rule.

What is known at once makes a provisional verdict (``Judge.provisional``); five minutes later the whole neighbourhood
of the fetch is known and the verdict is settled (``Judge.settle``). What nobody can know stays ``probable``, and rates
are told with bounds (``bounds``).
"""

from tracking.verdicts.agents import AgentFamily, family_of
from tracking.verdicts.bounds import Bounds, VerdictCounts, bounds
from tracking.verdicts.features import Features, Fetch, FetchKind, derive
from tracking.verdicts.networks import NetworkClass, Networks, shipped_networks
from tracking.verdicts.rules import Decision, Rule, RulesSyntaxError, Verdict, read_rules
from tracking.verdicts.settling import SETTLE_AFTER, WINDOW, Judge, Settled, shipped_judge

__all__ = [
    "SETTLE_AFTER",
    "WINDOW",
    "AgentFamily",
    "Bounds",
    "Decision",
    "Features",
    "Fetch",
    "FetchKind",
    "Judge",
    "NetworkClass",
    "Networks",
    "Rule",
    "RulesSyntaxError",
    "Settled",
    "Verdict",
    "VerdictCounts",
    "bounds",
    "derive",
    "family_of",
    "read_rules",
    "shipped_judge",
    "shipped_networks",
]
