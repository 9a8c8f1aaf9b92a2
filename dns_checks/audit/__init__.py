"""The audit of a sender domain: every check with its evidence, one verdict in three values, and what providers ask."""

from dns_checks.audit.checks import AuditReport, audit_domain, checks, combine
from dns_checks.audit.overlay import DraftOverlay
from dns_checks.audit.practice import SendingPractice
from dns_checks.audit.report import (
    CONFIRMATION,
    DECIDING,
    AuditFinding,
    AuditRequest,
    AuditTerms,
    CheckOutcome,
    Evidence,
    ExpectedKey,
    Severity,
    Verdict,
)
from dns_checks.audit.requirements import (
    PROVIDERS,
    REQUIREMENTS,
    Provider,
    ProviderTerms,
    Requirement,
    RequirementResult,
    RequirementState,
    Senders,
    evaluate_requirements,
)
from dns_checks.audit.run import AnswersOfOneAudit, run_audit
from dns_checks.audit.what_if import Change, Effect, RequirementChange, WhatIf, what_if

__all__ = [
    "CONFIRMATION",
    "DECIDING",
    "PROVIDERS",
    "REQUIREMENTS",
    "AnswersOfOneAudit",
    "AuditFinding",
    "AuditReport",
    "AuditRequest",
    "AuditTerms",
    "Change",
    "CheckOutcome",
    "DraftOverlay",
    "Effect",
    "Evidence",
    "ExpectedKey",
    "Provider",
    "ProviderTerms",
    "Requirement",
    "RequirementChange",
    "RequirementResult",
    "RequirementState",
    "Senders",
    "SendingPractice",
    "Severity",
    "Verdict",
    "WhatIf",
    "audit_domain",
    "checks",
    "combine",
    "evaluate_requirements",
    "run_audit",
    "what_if",
]
