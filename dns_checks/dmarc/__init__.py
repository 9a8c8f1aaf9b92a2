"""DMARC: records, the tree walk and the verdict (RFC 9989)."""

from dns_checks.dmarc.evaluate import Alignment, DmarcResult, DmarcVerdict, Identifier, discover, evaluate
from dns_checks.dmarc.record import AlignmentMode, DmarcRecord, DmarcSyntaxError, Policy, parse_record

__all__ = [
    "Alignment",
    "AlignmentMode",
    "DmarcRecord",
    "DmarcResult",
    "DmarcSyntaxError",
    "DmarcVerdict",
    "Identifier",
    "Policy",
    "discover",
    "evaluate",
    "parse_record",
]
