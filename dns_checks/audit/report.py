"""What an audit of a sender domain says: findings with evidence, and a verdict in three values."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from dns_checks.dkim.keys import PublicKey
from dns_checks.findings import CheckFinding, Evidence, Severity, answer_text
from mailtypes.auth import AuthFacts, Finding
from mailtypes.domain import DomainName

__all__ = [
    "AuditFinding",
    "AuditReport",
    "AuditRequest",
    "CheckOutcome",
    "Evidence",
    "ExpectedKey",
    "Severity",
    "Topic",
    "Verdict",
    "answer_text",
    "combine",
]

AuditFinding: TypeAlias = CheckFinding


class Verdict(StrEnum):
    """Whether the domain may be sent from."""

    VERIFIED = "verified"
    NOT_VERIFIED = "not_verified"
    UNKNOWN = "unknown"


class Topic(StrEnum):
    """What a finding is about; the first part of its code."""

    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"
    RETURN_PATH = "return_path"
    TRACKING = "tracking"


@dataclass(frozen=True, slots=True)
class ExpectedKey:
    """A selector and the public key that we sign with."""

    selector: str
    public_key: PublicKey


@dataclass(frozen=True, slots=True)
class AuditRequest:
    """A sender domain and what we would send with.

    ``return_path_host`` is the domain of MAIL FROM, whose mail goes to ``mail_hosts``; ``egress_addresses`` are those
    that we send from. ``one_click`` is copied into the facts.
    """

    domain: DomainName
    return_path_host: DomainName
    egress_addresses: tuple[IPv4Address | IPv6Address, ...]
    keys: tuple[ExpectedKey, ...]
    mail_hosts: tuple[DomainName, ...]
    tracking_host: DomainName | None = None
    one_click: bool = True

    def __post_init__(self) -> None:
        if not (self.egress_addresses and self.keys and self.mail_hosts):
            raise ValueError("an audit needs egress addresses, keys and mail hosts: with none, nothing could fail")


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What one check found; ``dmarc_policy`` only from the DMARC check."""

    findings: tuple[AuditFinding, ...]
    dmarc_policy: str | None = None


@dataclass(frozen=True, slots=True)
class AuditReport:
    """All findings on one domain, the facts that others weigh, and the verdict."""

    domain: DomainName
    findings: tuple[AuditFinding, ...]
    facts: AuthFacts
    verdict: Verdict


def combine(request: AuditRequest, outcomes: Iterable[CheckOutcome]) -> AuditReport:
    """The report from the outcomes of all checks, in whatever order they were run."""
    gathered = tuple(outcomes)
    findings = tuple(finding for outcome in gathered for finding in outcome.findings)
    facts = AuthFacts(
        spf=_state(findings, Topic.SPF),
        dkim=_state(findings, Topic.DKIM),
        dmarc=_state(findings, Topic.DMARC),
        dmarc_policy=next((outcome.dmarc_policy for outcome in gathered if outcome.dmarc_policy), None),
        one_click_unsubscribe=request.one_click,
    )
    return AuditReport(request.domain, findings, facts, _verdict(findings))


def _verdict(findings: tuple[AuditFinding, ...]) -> Verdict:
    states = {finding.state for finding in findings if finding.severity is Severity.ERROR}
    if Finding.ABSENT in states:
        return Verdict.NOT_VERIFIED
    return Verdict.UNKNOWN if Finding.UNKNOWN in states or not findings else Verdict.VERIFIED


def _state(findings: tuple[AuditFinding, ...], topic: Topic) -> Finding:
    """Absent beats unknown beats present, over what decides; unknown where nothing was looked at."""
    states = {f.state for f in findings if f.topic == topic and f.severity is not Severity.WARNING}
    for state in (Finding.ABSENT, Finding.UNKNOWN, Finding.PRESENT):
        if state in states:
            return state
    return Finding.UNKNOWN
