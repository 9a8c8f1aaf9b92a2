"""What an audit of a sender domain says: findings with evidence, and a verdict in three values."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from dns_checks.dkim.keys import PublicKey
from mailtypes.auth import AuthFacts, Finding
from mailtypes.domain import DomainName
from mailtypes.questions import (
    Absent,
    AddressRecord,
    DnsAnswer,
    DnsQuestion,
    DnsRecord,
    MxRecord,
    NameRecord,
    TxtRecord,
    Unanswered,
)


class Severity(StrEnum):
    """How much hangs on what a finding looked for: ``error`` decides the verdict, the others do not."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


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
class Evidence:
    """A question as asked (``news.acme.test TXT``) and the answer as it came, both as text."""

    question: str
    answer: str

    @classmethod
    def of(cls, question: DnsQuestion, answer: DnsAnswer) -> "Evidence":
        """The evidence of one DNS query."""
        return cls(f"{question.name} {question.record_type}", answer_text(answer))


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One thing that was looked for: whether it is there, how that is known, and what to do.

    ``code`` never changes its meaning (``spf.not_authorised``). ``state`` is the state of what was wanted: ``absent``
    with severity ``error`` keeps the domain from being verified. ``sentence`` and ``next_step`` are for people.
    """

    code: str
    severity: Severity
    state: Finding
    evidence: tuple[Evidence, ...]
    sentence: str
    next_step: str = ""

    @property
    def topic(self) -> Topic:
        """What the finding is about."""
        return Topic(self.code.partition(".")[0])


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
    states = {f.state for f in findings if f.topic is topic and f.severity is not Severity.WARNING}
    for state in (Finding.ABSENT, Finding.UNKNOWN, Finding.PRESENT):
        if state in states:
            return state
    return Finding.UNKNOWN


def answer_text(answer: DnsAnswer) -> str:
    """An answer as people read it."""
    if isinstance(answer, Unanswered):
        return f"could not be found out: {answer.cause}"
    if isinstance(answer, Absent):
        return f"no such record ({answer.absence})"
    return "; ".join(_record_text(record) for record in answer.records) or "no record"


def _record_text(record: DnsRecord) -> str:
    match record:
        case AddressRecord():
            return str(record.address)
        case NameRecord():
            return record.target
        case MxRecord():
            return f"{record.preference} {record.exchange or '.'}"
        case TxtRecord():
            # Whoever publishes the record chooses its octets: only printable ASCII is shown as it is.
            return "".join(chr(o) if 0x20 <= o < 0x7F else f"\\{o:03d}" for o in record.joined)
        case _:
            return record.text
