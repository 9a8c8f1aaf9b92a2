"""All of it for one message, as a receiver would (RFC 7208, RFC 6376, RFC 9989, RFC 8617)."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from dns_checks import arc, dkim, dmarc, spf
from dns_checks.arc import ArcVerdict
from dns_checks.dkim import DkimVerdict, VerifyPolicy
from dns_checks.dkim.parse import has_endless_header, split_message
from dns_checks.dmarc import DmarcResult, DmarcVerdict, Identifier
from dns_checks.message.author import Author, find_author
from dns_checks.spf import SpfLimits, SpfReceiver, SpfVerdict
from mailtypes.clock import Microseconds
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.questions import DnsEvaluation


@dataclass(frozen=True, slots=True)
class MessagePolicy:
    """The bounds of what is looked at, and who the receiver is (for SPF's explanations)."""

    dkim: VerifyPolicy = field(default_factory=VerifyPolicy)
    spf: SpfLimits = field(default_factory=SpfLimits)
    receiver: SpfReceiver = field(default_factory=SpfReceiver)


DEFAULT_MESSAGE_POLICY = MessagePolicy()


@dataclass(frozen=True, slots=True)
class MessageVerdict:
    """What each method says. ``spf`` is ``None`` where no client address was given.

    ``dmarc`` is ``None`` where there is no author domain; ``dmarc_result`` is ``permerror`` then, and
    ``dmarc_cause`` says why. ``mail_from`` and ``helo`` are what the client said.
    """

    mail_from: str
    helo: str
    author: Author
    spf: SpfVerdict | None
    dkim: tuple[DkimVerdict, ...]
    dmarc: DmarcVerdict | None
    arc: ArcVerdict

    @property
    def dmarc_result(self) -> DmarcResult:
        """RFC 8601 section 2.7 for DMARC."""
        return self.dmarc.result if self.dmarc is not None else DmarcResult.PERMERROR

    @property
    def dmarc_cause(self) -> str:
        """Why DMARC came to its result."""
        return self.dmarc.cause if self.dmarc is not None else self.author.cause


def verify_message(
    message: bytes,
    ip: IPv4Address | IPv6Address | None,
    mail_from: str,
    helo: str,
    now: Microseconds,
    policy: MessagePolicy = DEFAULT_MESSAGE_POLICY,
) -> DnsEvaluation[MessageVerdict]:
    """Verify ``message`` as it came from the client ``ip``; never raises for what is in it or in the DNS.

    ``mail_from`` is the reverse-path without angle brackets, empty for a bounce; SPF then looks at ``helo``. Without
    ``ip`` SPF is left out, and DMARC rests on DKIM alone.
    """
    if has_endless_header(message):
        author = Author(None, "the header has too many lines")
    else:
        author = find_author(split_message(message)[0])
    spf_verdict: SpfVerdict | None = None
    if ip is not None:
        spf_verdict = yield from spf.check_mail_from(ip, mail_from, helo, receiver=policy.receiver, limits=policy.spf)
    dkim_verdicts = yield from dkim.verify(message, now, policy.dkim)
    dmarc_verdict = None
    if author.domain is not None:
        identifiers = _dkim_identifiers(dkim_verdicts)
        dmarc_verdict = yield from dmarc.evaluate(
            author.domain, _spf_identifier(spf_verdict, mail_from, helo), identifiers
        )
    arc_verdict = yield from arc.verify(message)
    return MessageVerdict(mail_from, helo, author, spf_verdict, dkim_verdicts, dmarc_verdict, arc_verdict)


def _spf_identifier(verdict: SpfVerdict | None, mail_from: str, helo: str) -> Identifier | None:
    """RFC 9989 section 4.4.2: the MAIL FROM domain, and that of HELO where the reverse-path is empty."""
    domain = _domain(mail_from.rpartition("@")[2] if mail_from else helo)
    return None if verdict is None or domain is None else Identifier(domain, str(verdict.result))


def _dkim_identifiers(verdicts: tuple[DkimVerdict, ...]) -> list[Identifier]:
    return [
        Identifier(domain, str(verdict.result))
        for verdict in verdicts
        if verdict.domain and (domain := _domain(verdict.domain)) is not None
    ]


def _domain(text: str) -> DomainName | None:
    try:
        return DomainName.parse(text)
    except DomainSyntaxError:
        return None
