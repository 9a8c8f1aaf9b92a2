"""What reports say, whoever wrote them: plain values, with remarks on what had to be forgiven."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from mailtypes.clock import Microseconds
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say

MAX_REMARKS: Final = 100


class ReportSyntaxError(InputSyntaxError):
    """Octets that cannot be read as a report, or that we refuse to unpack.

    ``place`` is line and column (1-based) in the text that is at fault, ``within`` the name of the part or of the
    packed file that holds it; ``malformed`` tells that the text is no XML, so that mending it may help.
    """

    def __init__(
        self,
        message: str,
        next_step: str = "",
        *,
        place: tuple[int, int] | None = None,
        within: str = "",
        malformed: bool = False,
    ) -> None:
        super().__init__(message, next_step=next_step or say("Ask the sender of the report, and keep the file."))
        self.place = place
        self.within = within
        self.malformed = malformed

    @property
    def line_and_column(self) -> tuple[int, int] | None:
        """Line and column, 1-based, in the text at fault."""
        return self.place


@dataclass(frozen=True, slots=True)
class ReportRemark:
    """A fault that was forgiven: a stable code, a sentence, and the line where there is one."""

    code: str
    sentence: str
    line: int | None = None


class Remarks:
    """Collects remarks, each said once, and not without end."""

    def __init__(self, remarks: Iterable[ReportRemark] = ()) -> None:
        self._remarks = {(remark.code, remark.sentence): remark for remark in remarks}

    def add(self, code: str, sentence: str, line: int | None = None) -> None:
        """Say it where it is new."""
        if len(self._remarks) < MAX_REMARKS:
            self._remarks.setdefault((code, sentence), ReportRemark(code, sentence, line))

    def all(self) -> tuple[ReportRemark, ...]:
        """What was said, in its order."""
        return tuple(self._remarks.values())


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension of RFC 9990 section 3.1.1.2: its name and where it is defined; what it holds is not read."""

    name: str
    definition: str


@dataclass(frozen=True, slots=True)
class PublishedPolicy:
    """The policy as the receiver found it; lower-case tokens, ``""`` where it does not say.

    ``pct`` is of RFC 7489; ``np``, ``testing`` and ``discovery_method`` are of RFC 9990.
    """

    domain: str = ""
    version_published: str = ""
    adkim: str = ""
    aspf: str = ""
    p: str = ""
    sp: str = ""
    np: str = ""
    pct: int | None = None
    testing: str = ""
    discovery_method: str = ""
    fo: str = ""


@dataclass(frozen=True, slots=True)
class OverrideReason:
    """Why a receiver did not do what the policy asks for."""

    kind: str
    comment: str


@dataclass(frozen=True, slots=True)
class DkimResult:
    """What became of one signature, aligned or not."""

    domain: str
    selector: str
    result: str
    human_result: str = ""


@dataclass(frozen=True, slots=True)
class SpfResult:
    """What SPF came to, aligned or not; ``scope`` is ``mfrom``, ``helo`` or ``""``."""

    domain: str
    scope: str
    result: str
    human_result: str = ""


@dataclass(frozen=True, slots=True)
class AggregateRow:
    """``count`` messages that fared alike. ``dkim`` and ``spf`` are the aligned results: ``pass`` or ``fail``.

    Tokens stand in lower case and as sent; an unknown one has a remark, a missing one is ``""``.
    """

    source_ip: str
    count: int
    disposition: str
    dkim: str
    spf: str
    reasons: tuple[OverrideReason, ...]
    envelope_to: str
    envelope_from: str
    header_from: str
    dkim_results: tuple[DkimResult, ...]
    spf_results: tuple[SpfResult, ...]
    extensions: tuple[Extension, ...] = ()


@dataclass(frozen=True, slots=True)
class AggregateReport:
    """A DMARC aggregate report (RFC 7489 appendix C, RFC 9990). ``begin`` and ``end`` are ``None`` where unreadable."""

    version: str
    organisation: str
    email: str
    extra_contact: str
    report_id: str
    begin: Microseconds | None
    end: Microseconds | None
    errors: tuple[str, ...]
    generator: str
    policy: PublishedPolicy
    rows: tuple[AggregateRow, ...]
    extensions: tuple[Extension, ...] = ()
    domain_hint: str = ""
    remarks: tuple[ReportRemark, ...] = ()

    @property
    def domain(self) -> str:
        """The domain that the report is about: as its policy says, else its first row, else its file name."""
        first = self.rows[0].header_from if self.rows else ""
        return self.policy.domain or first or self.domain_hint


@dataclass(frozen=True, slots=True)
class FailureReport:
    """A report on one message or a few alike (RFC 5965, RFC 6591). Folded values stand as sent, but with plain LF.

    ``message`` is the reported message and ``headers`` its header, where the report holds the one or the other.
    """

    feedback_type: str
    version: int
    user_agent: str = ""
    arrival: Microseconds | None = None
    authentication_results: tuple[str, ...] = ()
    incidents: int = 1
    original_envelope_id: str = ""
    original_mail_from: str = ""
    original_rcpt_to: str = ""
    reported_domains: tuple[str, ...] = ()
    reported_uris: tuple[str, ...] = ()
    reporting_mta: str = ""
    source_ip: str = ""
    source_port: int = 0
    auth_failure: str = ""
    delivery_result: str = ""
    identity_alignment: str = ""
    dkim_adsp_dns: str = ""
    dkim_canonicalized_body: str = ""
    dkim_canonicalized_header: str = ""
    dkim_domain: str = ""
    dkim_identity: str = ""
    dkim_selector: str = ""
    dkim_selector_dns: str = ""
    spf_dns: str = ""
    headers: str = ""
    message: bytes = field(default=b"", repr=False)
    sender: str = ""
    message_id: str = ""
    remarks: tuple[ReportRemark, ...] = ()

    @property
    def domain(self) -> str:
        """The domain that the report is about."""
        return next(iter(self.reported_domains), "") or self.dkim_domain

    @property
    def organisation(self) -> str:
        """Who sent it: the domain of the mail's From field, else the reporting host."""
        return self.sender.rpartition("@")[2] or self.reporting_mta

    @property
    def report_id(self) -> str:
        """The mail's Message-ID; RFC 5965 knows no other."""
        return self.message_id


@dataclass(frozen=True, slots=True)
class TlsFailure:
    """One kind of failure between two hosts (RFC 8460 section 4.4)."""

    result_type: str
    sending_mta_ip: str
    receiving_mx_hostname: str
    receiving_mx_helo: str
    receiving_ip: str
    failed_sessions: int | None
    additional_information: str
    failure_reason_code: str


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """A policy that was applied, how many sessions went well (``None``: not said), and what failed."""

    policy_type: str
    strings: tuple[str, ...]
    domain: str
    mx_hosts: tuple[str, ...]
    successful: int | None
    failed: int | None
    failures: tuple[TlsFailure, ...]


@dataclass(frozen=True, slots=True)
class TlsReport:
    """A TLS report (RFC 8460 section 4)."""

    organisation: str
    contact: str
    report_id: str
    begin: Microseconds | None
    end: Microseconds | None
    policies: tuple[TlsPolicy, ...]
    domain_hint: str = ""
    remarks: tuple[ReportRemark, ...] = ()

    @property
    def domain(self) -> str:
        """The domain that the report is about: of the first policy that names one, else of the mail or file name."""
        return next((policy.domain for policy in self.policies if policy.domain), "") or self.domain_hint
