"""The audit of a sender domain: every check with its evidence, and one verdict in three values."""

from dns_checks.audit.checks import audit_domain, checks
from dns_checks.audit.report import (
    AuditFinding,
    AuditReport,
    AuditRequest,
    CheckOutcome,
    Evidence,
    ExpectedKey,
    Severity,
    Verdict,
    combine,
)

__all__ = [
    "AuditFinding",
    "AuditReport",
    "AuditRequest",
    "CheckOutcome",
    "Evidence",
    "ExpectedKey",
    "Severity",
    "Verdict",
    "audit_domain",
    "checks",
    "combine",
]
