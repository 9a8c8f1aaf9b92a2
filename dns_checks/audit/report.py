"""What an audit of a sender domain says: findings with evidence, and a verdict in three values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from cryptography import x509

from dns_checks.audit.practice import SendingPractice
from dns_checks.dkim.keys import PublicKey
from dns_checks.dnsbl_lists import DEFAULT_LISTS, BlockList
from dns_checks.findings import CheckFinding, Evidence, Severity, answer_text
from mailtypes.auth import AuthFacts, Finding
from mailtypes.domain import DomainName

__all__ = [
    "CONFIRMATION",
    "DECIDING",
    "AuditFinding",
    "AuditRequest",
    "AuditTerms",
    "CheckOutcome",
    "Evidence",
    "ExpectedKey",
    "Severity",
    "Verdict",
    "answer_text",
    "facts_of",
    "verdict_of",
    "worst_state",
]

Address: TypeAlias = IPv4Address | IPv6Address
AuditFinding: TypeAlias = CheckFinding

DECIDING: Mapping[str, frozenset[str]] = {
    "spf": frozenset(
        {"spf.authorised", "spf.record", "spf.not_authorised", "spf.missing", "spf.invalid", "spf.unknown"}
    ),
    "dkim": frozenset(
        {"dkim.published", "dkim.missing", "dkim.several", "dkim.invalid", "dkim.revoked", "dkim.wrong_key"}
        | {"dkim.not_for_email", "dkim.key_too_short", "dkim.no_keys", "dkim.selector_unknown", "dkim.unknown"}
    ),
    "dmarc": frozenset({"dmarc.published", "dmarc.missing", "dmarc.several_records", "dmarc.invalid", "dmarc.unknown"}),
    "return_path": frozenset({"return_path.mx", "return_path.wrong_mx", "return_path.no_mx", "return_path.unknown"}),
}
"""What a sender domain cannot do without, by topic, and the findings that tell. Whatever else is found, errors of other
codes and topics included (MX of the domain, reverse names, BIMI, MTA-STS, TLS reports, TLSA, block lists, the tracking
host, faults in parts of a record that let us send all the same), is shown and does not block."""

CONFIRMATION = frozenset({"ptr.confirmed", "ptr.missing", "ptr.not_confirmed", "ptr.unknown", "ptr.forward_unknown"})
"""The findings that tell whether a sending address has a reverse name that leads back to it (FCrDNS)."""


class Verdict(StrEnum):
    """Whether the domain may be sent from."""

    VERIFIED = "verified"
    NOT_VERIFIED = "not_verified"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ExpectedKey:
    """A selector and the public key that we sign with."""

    selector: str
    public_key: PublicKey


@dataclass(frozen=True, slots=True)
class AuditTerms:
    """What the checks are given beside the domain.

    ``now`` (with a time zone) is for mark certificates; without it BIMI is not looked at. ``mark_roots`` are the
    issuers of such certificates that are trusted; with none, that stays unknown. ``trusts_resolver``: whether the AD
    bit is believed. ``block_lists`` are asked about the addresses and the domain. ``bimi_selector`` is looked up.
    """

    now: datetime | None = None
    mark_roots: tuple[x509.Certificate, ...] = ()
    trusts_resolver: bool = False
    block_lists: tuple[BlockList, ...] = DEFAULT_LISTS
    bimi_selector: str = "default"


@dataclass(frozen=True, slots=True)
class AuditRequest:
    """A sender domain and what we would send with; ``of_any`` makes one for a domain that is not ours.

    ``return_path_host`` is the domain of MAIL FROM, whose mail goes to ``mail_hosts``; ``egress_addresses`` are those
    that we send from, ``ehlo_names`` what is said there in EHLO. ``one_click`` is copied into the facts. ``selectors``
    are looked at without a key to compare with. With ``is_sender`` the return path has to come to us.
    """

    domain: DomainName
    return_path_host: DomainName
    egress_addresses: tuple[Address, ...]
    keys: tuple[ExpectedKey, ...]
    mail_hosts: tuple[DomainName, ...]
    tracking_host: DomainName | None = None
    one_click: bool = True
    ehlo_names: Mapping[Address, DomainName] = field(default_factory=dict)
    practice: SendingPractice = field(default_factory=SendingPractice)
    terms: AuditTerms = field(default_factory=AuditTerms)
    selectors: tuple[str, ...] = ()
    is_sender: bool = True

    def __post_init__(self) -> None:
        if self.is_sender and not (self.egress_addresses and self.keys and self.mail_hosts):
            raise ValueError("an audit needs egress addresses, keys and mail hosts: with none, nothing could fail")

    @classmethod
    def of_any(
        cls,
        domain: DomainName,
        selectors: Sequence[str] = (),
        addresses: Sequence[Address] = (),
        terms: AuditTerms | None = None,
    ) -> "AuditRequest":
        """An audit of a domain of which only this is known: its own name is taken for the return path."""
        return cls(
            domain,
            domain,
            tuple(addresses),
            (),
            (),
            one_click=False,
            terms=terms or AuditTerms(),
            selectors=tuple(selectors),
            is_sender=False,
        )


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What one check found. ``check`` names it, and what it looked at: ``dkim pw1``, ``mx acme.test``.

    ``dmarc_policy`` comes from the DMARC check alone.
    """

    check: str
    findings: tuple[AuditFinding, ...]
    dmarc_policy: str | None = None


def facts_of(request: AuditRequest, outcomes: Iterable[CheckOutcome]) -> AuthFacts:
    """The facts that others weigh (spam-risk score, pre-flight)."""
    gathered = tuple(outcomes)
    findings = tuple(finding for outcome in gathered for finding in outcome.findings)
    return AuthFacts(
        spf=_deciding_state(findings, "spf"),
        dkim=_deciding_state(findings, "dkim"),
        dmarc=_deciding_state(findings, "dmarc"),
        dmarc_policy=next((outcome.dmarc_policy for outcome in gathered if outcome.dmarc_policy), None),
        one_click_unsubscribe=request.one_click,
        fcrdns=worst_state(finding.state for finding in findings if finding.code in CONFIRMATION),
    )


def verdict_of(request: AuditRequest, findings: tuple[AuditFinding, ...]) -> Verdict:
    """By ``DECIDING`` alone: one thing absent decides, else one thing unknown."""
    topics = [topic for topic in DECIDING if request.is_sender or topic != "return_path"]
    match worst_state(_deciding_state(findings, topic) for topic in topics):
        case Finding.ABSENT:
            return Verdict.NOT_VERIFIED
        case Finding.UNKNOWN:
            return Verdict.UNKNOWN
        case Finding.PRESENT:
            return Verdict.VERIFIED


def worst_state(states: Iterable[Finding]) -> Finding:
    """Absent beats unknown beats present; unknown where there is none."""
    given = set(states)
    return next((one for one in (Finding.ABSENT, Finding.UNKNOWN, Finding.PRESENT) if one in given), Finding.UNKNOWN)


def _deciding_state(findings: tuple[AuditFinding, ...], topic: str) -> Finding:
    states = {finding.state for finding in findings if finding.code in DECIDING[topic]}
    if not states and any(
        finding.topic == topic and finding.severity is Severity.ERROR and finding.state is Finding.ABSENT
        for finding in findings
    ):
        return Finding.ABSENT  # such as a record that cannot be read, where there is no address to try it with
    return worst_state(states)
