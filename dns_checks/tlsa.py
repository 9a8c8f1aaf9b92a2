"""TLSA records of mail hosts: DANE for SMTP (RFC 6698 section 2, RFC 7672).

Nothing of DANE holds without DNSSEC, and DNSSEC is known here only by the AD bit of a resolver that is trusted. Without
one, everything stays ``unknown``.
"""

import re
from dataclasses import dataclass
from enum import IntEnum

from dns_checks.findings import CheckFinding, Evidence, info, present, printable, unknown, warning
from dns_checks.mx import RouteResult, find_mail_hosts
from mailtypes.auth import Finding
from mailtypes.domain import DomainName
from mailtypes.errors import InputSyntaxError, Span
from mailtypes.questions import (
    DnsEvaluation,
    DnsQuestion,
    Found,
    OtherRecord,
    RecordType,
    Unanswered,
)
from mailtypes.saying import say

_MAX_HOSTS = 10
_MAX_RECORDS = 50
_MAX_OCTETS = 65_535
_DIGEST_OCTETS = {1: 32, 2: 64}  # RFC 6698 section 2.1.3: SHA-256, SHA-512
_PARAMETER = re.compile(r"[0-9]{1,3}\Z")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+\Z")
_LEGEND = say("Write three numbers and the data in hexadecimal, such as '3 1 1' and a SHA-256 of the public key.")
_TRUST = say("Ask a validating resolver on this machine and set it as trusted to find out.")


class TlsaSyntaxError(InputSyntaxError):
    """A text that is not a TLSA record."""


class CertificateUsage(IntEnum):
    """RFC 6698 section 2.1.1, with the names of RFC 7218."""

    PKIX_TA = 0
    PKIX_EE = 1
    DANE_TA = 2
    DANE_EE = 3


@dataclass(frozen=True, slots=True)
class TlsaRecord:
    """One record; ``is_usable`` tells whether SMTP senders take it (RFC 7672 section 3.1)."""

    usage: int
    selector: int
    matching_type: int
    data: bytes

    @property
    def fault(self) -> str:
        """Why SMTP senders pass the record over; empty where they take it."""
        if self.usage in (CertificateUsage.PKIX_TA, CertificateUsage.PKIX_EE):
            return say("usage 0 and 1 are not for mail (RFC 7672 section 3.1.3)")
        if self.usage not in (CertificateUsage.DANE_TA, CertificateUsage.DANE_EE):
            return say("usage %(usage)s is not known", usage=self.usage)
        if self.selector not in (0, 1):
            return say("selector %(selector)s is not known", selector=self.selector)
        if self.matching_type not in (0, 1, 2):
            return say("matching type %(matching_type)s is not known", matching_type=self.matching_type)
        wanted = _DIGEST_OCTETS.get(self.matching_type)
        if wanted is not None and len(self.data) != wanted:
            return say(
                "matching type %(matching_type)s wants %(wanted)s octets, there are %(count)s",
                matching_type=self.matching_type,
                wanted=wanted,
                count=len(self.data),
            )
        return ""

    @property
    def is_usable(self) -> bool:
        """Whether SMTP senders take it."""
        return not self.fault


@dataclass(frozen=True, slots=True)
class TlsaCheck:
    """What was found; ``dane`` is ``present`` where every mail host has a usable record that DNSSEC protects."""

    domain: DomainName
    dane: Finding
    findings: tuple[CheckFinding, ...]
    records: tuple[tuple[str, tuple[TlsaRecord, ...]], ...] = ()


def parse_tlsa(text: str) -> TlsaRecord:
    """Read a record in presentation format (RFC 6698 section 2.2); raise ``TlsaSyntaxError`` with the span."""
    if len(text) > 2 * _MAX_OCTETS + 100:
        raise TlsaSyntaxError(
            say("the record is longer than %(max_octets)s octets", max_octets=_MAX_OCTETS), source=text[:100]
        )
    parts = [(match[0], match.start()) for match in re.finditer(r"[^ \t\r\n()]+", text)]
    if len(parts) < 4:
        raise TlsaSyntaxError(say("the record has fewer than four parts"), source=text, next_step=_LEGEND)
    for part, start in parts[:3]:
        if not _PARAMETER.match(part) or int(part) > 255:
            span = Span(start, start + len(part))
            raise TlsaSyntaxError(
                say("'%(part)s' is not a number", part=printable(part[:40])), source=text, span=span, next_step=_LEGEND
            )
    data = "".join(part for part, _ in parts[3:])
    if not _HEX.match(data):
        span = Span(parts[3][1], len(text))
        raise TlsaSyntaxError(say("the data are not hexadecimal"), source=text, span=span, next_step=_LEGEND)
    usage, selector, matching_type = (int(part) for part, _ in parts[:3])
    return TlsaRecord(usage, selector, matching_type, bytes.fromhex(data))


def check_tlsa(domain: DomainName, *, trusts_resolver: bool = False) -> DnsEvaluation[TlsaCheck]:
    """Whether senders that honour DANE may trust the mail hosts of ``domain``.

    ``trusts_resolver``: whether the resolver's AD bit is believed (``ResolverPolicy.trust_authenticated_data``).
    """
    question = DnsQuestion(domain.ascii, RecordType.MX)
    mx_answer = yield question
    route = yield from find_mail_hosts(domain)
    evidence = (Evidence.of(question, mx_answer),)
    if route.result is RouteResult.UNKNOWN:
        finding = unknown(
            "tlsa.mx_unknown", evidence, say("The mail hosts of %(domain)s could not be looked up.", domain=domain)
        )
        return TlsaCheck(domain, Finding.UNKNOWN, (finding,))
    hosts = [host for group in route.host_groups for host in group][:_MAX_HOSTS]
    if not hosts:
        finding = info(
            "tlsa.no_mail_host",
            evidence,
            say("%(domain)s has no mail host that could have TLSA records.", domain=domain),
        )
        return TlsaCheck(domain, Finding.ABSENT, (finding,))
    findings: list[CheckFinding] = []
    states: set[Finding] = set()
    records: list[tuple[str, tuple[TlsaRecord, ...]]] = []
    for host in hosts:
        state, of_host, said = yield from _check_host(host, trusts_resolver)
        states.add(state)
        records.append((host, of_host))
        findings += said
    if trusts_resolver and Finding.PRESENT in states and isinstance(mx_answer, Found) and not mx_answer.authenticated:
        # RFC 7672 section 2.2.1: with an insecure MX, the host names themselves may be forged.
        sentence = say(
            "The MX records of %(domain)s are not signed, so DANE protects nobody who writes to it.", domain=domain
        )
        findings.append(
            warning(
                "tlsa.mx_not_signed", evidence, sentence, say("Sign the zone of %(domain)s with DNSSEC.", domain=domain)
            )
        )
        states.add(Finding.ABSENT)
    return TlsaCheck(domain, _worst(states), tuple(findings), tuple(records))


def _worst(states: set[Finding]) -> Finding:
    return next(state for state in (Finding.ABSENT, Finding.UNKNOWN, Finding.PRESENT) if state in states)


def _check_host(
    host: str, trusts_resolver: bool
) -> DnsEvaluation[tuple[Finding, tuple[TlsaRecord, ...], list[CheckFinding]]]:
    question = DnsQuestion(f"_25._tcp.{host}", RecordType.TLSA)
    answer = yield question
    evidence = (Evidence.of(question, answer),)
    if isinstance(answer, Unanswered):
        # RFC 7672 section 2.1.1: senders that honour DANE hold the mail back until this is answered.
        sentence = say(
            "The TLSA records of %(host)s could not be looked up; senders that honour DANE would hold mail back.",
            host=host,
        )
        return Finding.UNKNOWN, (), [unknown("tlsa.unknown", evidence, sentence)]
    found = answer.records if isinstance(answer, Found) else ()
    texts = [record.text for record in found if isinstance(record, OtherRecord)]
    if not isinstance(answer, Found) or not texts:
        sentence = say("%(host)s has no TLSA record; senders cannot use DANE toward it.", host=host)
        return Finding.ABSENT, (), [info("tlsa.missing", evidence, sentence)]
    records, findings = _read_records(question.name, texts[:_MAX_RECORDS], evidence)
    if not any(record.is_usable for record in records):
        sentence = say(
            "None of the TLSA records of %(host)s can be used; senders encrypt without checking who is there.",
            host=host,
        )
        findings.append(warning("tlsa.none_usable", evidence, sentence, _LEGEND))
        return Finding.ABSENT, records, findings
    state, finding = _judge_signature(host, trusts_resolver, answer, evidence)
    return state, records, [finding, *findings]


def _judge_signature(
    host: str, trusts_resolver: bool, answer: Found, evidence: tuple[Evidence, ...]
) -> tuple[Finding, CheckFinding]:
    if answer.authenticated:
        return Finding.PRESENT, present(
            "tlsa.usable", evidence, say("%(host)s has TLSA records that DNSSEC protects.", host=host)
        )
    if not trusts_resolver:
        sentence = say(
            "%(host)s has TLSA records; whether DNSSEC protects them is unknown, as no resolver is trusted.", host=host
        )
        return Finding.UNKNOWN, unknown("tlsa.signature_unknown", evidence, sentence, _TRUST)
    sentence = say("%(host)s has TLSA records, but its zone is not signed: they mean nothing.", host=host)
    step = say("Sign the zone of the mail host with DNSSEC, or remove the records.")
    return Finding.ABSENT, warning("tlsa.not_signed", evidence, sentence, step)


def _read_records(
    name: str, texts: list[str], evidence: tuple[Evidence, ...]
) -> tuple[tuple[TlsaRecord, ...], list[CheckFinding]]:
    records: list[TlsaRecord] = []
    findings: list[CheckFinding] = []
    for text in texts:
        try:
            record = parse_tlsa(text)
        except TlsaSyntaxError as error:
            sentence = say("A TLSA record at %(name)s cannot be read: %(message)s.", name=name, message=error.message)
            findings.append(warning("tlsa.invalid", evidence, sentence, error.next_step or _LEGEND))
            continue
        records.append(record)
        if record.fault:
            findings.append(
                warning(
                    "tlsa.not_usable",
                    evidence,
                    say("A TLSA record at %(name)s: %(fault)s.", name=name, fault=record.fault),
                    _LEGEND,
                )
            )
    return tuple(records), findings
