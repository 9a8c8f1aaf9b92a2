"""DMARC: records, the tree walk and the verdict (RFC 9989), linting, and what RFC 7489 would decide instead."""

from dns_checks.dmarc.compare import Comparison, Difference, compare
from dns_checks.dmarc.destinations import Consent, ReportDestination, check_destinations
from dns_checks.dmarc.evaluate import (
    Alignment,
    Discovery,
    DmarcResult,
    DmarcVerdict,
    Identifier,
    discover,
    evaluate,
)
from dns_checks.dmarc.lint import DmarcLint, lint_dmarc
from dns_checks.dmarc.lint_record import lint_record
from dns_checks.dmarc.public_suffixes import PublicSuffixes, SuffixList, bundled_suffixes
from dns_checks.dmarc.record import (
    AlignmentMode,
    DmarcRecord,
    DmarcSyntaxError,
    Policy,
    PublicSuffix,
    parse_record,
)
from dns_checks.dmarc.rfc7489 import OlderVerdict, evaluate_7489
from dns_checks.dmarc.tree_walk import TreeWalk, walk

__all__ = [
    "Alignment",
    "AlignmentMode",
    "Comparison",
    "Consent",
    "Difference",
    "Discovery",
    "DmarcLint",
    "DmarcRecord",
    "DmarcResult",
    "DmarcSyntaxError",
    "DmarcVerdict",
    "Identifier",
    "OlderVerdict",
    "Policy",
    "PublicSuffix",
    "PublicSuffixes",
    "ReportDestination",
    "SuffixList",
    "TreeWalk",
    "bundled_suffixes",
    "check_destinations",
    "compare",
    "discover",
    "evaluate",
    "evaluate_7489",
    "lint_dmarc",
    "lint_record",
    "parse_record",
    "walk",
]
