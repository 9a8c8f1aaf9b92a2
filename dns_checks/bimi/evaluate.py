"""BIMI for one domain: record, DMARC, logo and certificate (draft-brand-indicators-for-message-identification)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from cryptography import x509

from dns_checks.bimi.certificate import MAX_OCTETS as MAX_CERTIFICATE_OCTETS
from dns_checks.bimi.certificate import CertificateReport, accepted_names, check_certificate
from dns_checks.bimi.enforcement import DmarcFacts, enforcement_findings, find_facts
from dns_checks.bimi.excerpt import excerpt
from dns_checks.bimi.record import AssertionRecord, BimiSyntaxError, is_assertion_record, parse_record, record_name
from dns_checks.bimi.svg import SvgReport, check_svg
from dns_checks.bimi.svg_document import MAX_OCTETS as MAX_LOGO_OCTETS
from dns_checks.evaluation import FETCH_LATER, NO_WEB
from dns_checks.findings import CheckFinding, Evidence, Mark, Severity, absent, info, present, unknown, warning
from mailtypes.auth import Finding
from mailtypes.domain import DomainName
from mailtypes.questions import (
    DnsQuestion,
    Evaluation,
    Found,
    HttpFetch,
    HttpFetched,
    RecordType,
    TxtRecord,
    Unanswered,
)
from mailtypes.saying import say

_OK: Final = 200
_ASK_WEB_SERVER: Final = say("Open the address in a browser; mend the name, the certificate or the web server there.")
_PASSING_FAILURES: Final = frozenset({408, 425, 429})  # and 5xx: asked again, these may well be gone


class BimiResult(StrEnum):
    """The results of the draft's section 7.7: ``temperror`` means that something could not be found out."""

    PASS = "pass"  # noqa: S105 - the draft's token, no password
    FAIL = "fail"
    NONE = "none"
    DECLINED = "declined"
    SKIPPED = "skipped"
    TEMPERROR = "temperror"


@dataclass(frozen=True, slots=True)
class BimiEvaluation:
    """Whether receivers can show a logo for ``domain``, and why not (``cause``).

    ``record_domain`` is where the record was found: the domain itself, or its organizational domain. ``svg`` and
    ``certificate`` are ``None`` where there was none to look at.
    """

    domain: DomainName
    selector: str
    result: BimiResult
    cause: str
    findings: tuple[CheckFinding, ...]
    record: AssertionRecord | None = None
    record_domain: DomainName | None = None
    svg: SvgReport | None = None
    certificate: CertificateReport | None = None


@dataclass(frozen=True, slots=True)
class _Lookup:
    """What is at one name: a record, or a finding that says why there is none to use."""

    finding: CheckFinding
    domain: DomainName
    record: AssertionRecord | None = None
    is_absent: bool = False


def evaluate(
    domain: DomainName,
    selector: str = "default",
    dmarc: DmarcFacts | None = None,
    *,
    roots: Sequence[x509.Certificate] = (),
    now: datetime,
) -> Evaluation[BimiEvaluation]:
    """Evaluate BIMI for mail whose From domain is ``domain``; all faults are told, not the first alone.

    ``dmarc``: what is known of its DMARC policy; looked up where it is ``None``. ``roots``: the issuers of mark
    certificates that are trusted. ``now`` has a time zone. Raises ``BimiSyntaxError`` where ``selector`` is none.
    """
    facts = dmarc
    lookup = yield from _look_up(domain, selector)
    if lookup.is_absent:
        facts = facts or (yield from find_facts(domain))
        organizational = facts.organizational_domain
        if organizational is None:
            sentence = say(
                "%(domain)s has no BIMI record, and whether its organizational domain has is not known.", domain=domain
            )
            lookup = _Lookup(unknown("bimi.unknown", lookup.finding.evidence, sentence), domain)
        elif organizational != domain:
            lookup = yield from _look_up(organizational, selector)
    record = lookup.record
    findings = [lookup.finding, *_remarks(lookup)]
    if record is None or record.is_declined:
        return _without_logo(domain, selector, lookup, findings)
    facts = facts or (yield from find_facts(domain))
    findings += enforcement_findings(domain, facts)
    svg, logo, logo_findings = yield from _check_logo(record)
    names = accepted_names(domain.ascii, lookup.domain.ascii, selector)
    certificate, certificate_findings = yield from _check_certificate(record, names, logo, roots, now)
    findings += [*logo_findings, *certificate_findings]
    result, cause = _judge(findings)
    return BimiEvaluation(domain, selector, result, cause, tuple(findings), record, lookup.domain, svg, certificate)


def _look_up(domain: DomainName, selector: str) -> Evaluation[_Lookup]:
    name = record_name(selector, domain)
    if name is None:
        finding = info(
            "bimi.no_record",
            (),
            say("%(domain)s has no BIMI record: its name would be too long for the DNS.", domain=domain),
        )
        return _Lookup(finding, domain, is_absent=True)
    question = DnsQuestion(name, RecordType.TXT)
    answer = yield question
    assert not isinstance(answer, HttpFetched)
    evidence = (Evidence.of(question, answer),)
    if isinstance(answer, Unanswered):
        sentence = say(
            "Whether there is a BIMI record at %(name)s could not be looked up: %(cause)s.",
            name=name,
            cause=answer.cause,
        )
        return _Lookup(unknown("bimi.unknown", evidence, sentence), domain)
    records = answer.records if isinstance(answer, Found) else ()
    texts = [record.joined.decode("latin-1") for record in records if isinstance(record, TxtRecord)]
    return _read(domain, name, [text for text in texts if is_assertion_record(text)], evidence)


def _read(domain: DomainName, name: str, texts: Sequence[str], evidence: tuple[Evidence, ...]) -> _Lookup:
    if not texts:
        next_step = say(
            "Publish a TXT record at %(name)s such as 'v=BIMI1; l=https://%(domain)s/logo.svg; a=;'.",
            name=name,
            domain=domain,
        )
        return _Lookup(
            info("bimi.no_record", evidence, say("There is no BIMI record at %(name)s.", name=name), next_step),
            domain,
            is_absent=True,
        )
    if len(texts) > 1:
        sentence = say(
            "There are %(count)s BIMI records at %(name)s, so receivers use none.", count=len(texts), name=name
        )
        return _Lookup(absent("bimi.several_records", evidence, sentence, say("Keep one of them.")), domain)
    try:
        record = parse_record(texts[0])
    except BimiSyntaxError as error:
        sentence = say("The BIMI record at %(name)s cannot be used: %(message)s.", name=name, message=error.message)
        mark = Mark(texts[0], error.span) if error.span is not None else None
        return _Lookup(replace(absent("bimi.syntax", evidence, sentence, error.next_step), mark=mark), domain)
    if record.is_declined:
        sentence = say("The BIMI record at %(name)s declines: no logo is to be shown.", name=name)
        return _Lookup(present("bimi.declined", evidence, sentence), domain, record)
    return _Lookup(
        present("bimi.record", evidence, say("There is a BIMI record at %(name)s.", name=name)), domain, record
    )


def _remarks(lookup: _Lookup) -> list[CheckFinding]:
    evidence, record = lookup.finding.evidence, lookup.record
    if record is None:
        return []
    return [
        replace(
            warning(
                "bimi.record_remark",
                evidence,
                say("In the BIMI record: %(message)s.", message=remark.message),
                remark.next_step,
            ),
            mark=Mark(record.text, remark.span),
        )
        for remark in record.remarks
    ]


def _without_logo(
    domain: DomainName, selector: str, lookup: _Lookup, findings: Sequence[CheckFinding]
) -> BimiEvaluation:
    if lookup.record is not None:
        result = BimiResult.DECLINED
    elif lookup.finding.state is Finding.UNKNOWN:
        result = BimiResult.TEMPERROR
    else:
        result = BimiResult.NONE if lookup.is_absent else BimiResult.FAIL
    cause = lookup.finding.sentence
    found_at = None if lookup.is_absent else lookup.domain
    return BimiEvaluation(domain, selector, result, cause, tuple(findings), lookup.record, found_at)


def _check_logo(record: AssertionRecord) -> Evaluation[tuple[SvgReport | None, bytes | None, list[CheckFinding]]]:
    if not record.location:
        sentence = say("The BIMI record names a certificate, but no logo.")
        return None, None, [absent("bimi.no_logo", (), sentence, say("Write the address of the SVG file into l=."))]
    answer, finding = yield from _fetch(record.location, MAX_LOGO_OCTETS, "bimi.logo", "logo")
    findings = [finding]
    if answer is None:
        return None, None, findings
    if answer.content_type.partition(";")[0].strip().lower() != "image/svg+xml":
        sentence = say("The logo is served as '%(content_type)s'.", content_type=excerpt(answer.content_type))
        next_step = say("Let the web server call it image/svg+xml.")
        findings.append(warning("bimi.logo_type", finding.evidence, sentence, next_step))
    report = check_svg(answer.body)
    return report, answer.body, [*findings, *report.findings]


def _check_certificate(
    record: AssertionRecord,
    names: Sequence[str],
    logo: bytes | None,
    roots: Sequence[x509.Certificate],
    now: datetime,
) -> Evaluation[tuple[CertificateReport | None, list[CheckFinding]]]:
    if not record.authority:
        sentence = say("There is no mark certificate; Gmail and Apple show a logo only with one.")
        next_step = say("Have a VMC or CMC issued for the logo and name it in a=.")
        return None, [warning("bimi.no_certificate", (), sentence, next_step)]
    answer, finding = yield from _fetch(
        record.authority, MAX_CERTIFICATE_OCTETS, "bimi.certificate", "mark certificate"
    )
    if answer is None:
        return None, [finding]
    report = check_certificate(answer.body, names, logo, roots, now)
    return report, [finding, *report.findings]


def _fetch(url: str, max_bytes: int, code: str, what: str) -> Evaluation[tuple[HttpFetched | None, CheckFinding]]:
    fetch = HttpFetch(url, max_bytes, follow_redirects=True)
    answer = yield fetch
    assert isinstance(answer, HttpFetched | Unanswered)
    evidence = (Evidence.of_fetch(fetch, answer),)
    if isinstance(answer, Unanswered):
        return None, unknown(
            code,
            evidence,
            say("The %(what)s could not be fetched: %(cause)s.", what=what, cause=answer.cause),
            _step(answer),
        )
    if answer.status == _OK:
        return answer, present(code, evidence, say("The %(what)s is at %(url)s.", what=what, url=excerpt(url)))
    if answer.status >= 500 or answer.status in _PASSING_FAILURES:
        sentence = say(
            "The web server could not give the %(what)s: status %(status)s.", what=what, status=answer.status
        )
        return None, unknown(code, evidence, sentence, _ASK_WEB_SERVER)
    sentence = say(
        "The %(what)s is not at %(url)s: the web server answers %(status)s.",
        what=what,
        url=excerpt(url),
        status=answer.status,
    )
    return None, absent(code, evidence, sentence, say("Publish the file there, or correct its address in the record."))


def _step(answer: Unanswered) -> str:
    return FETCH_LATER if answer.cause == NO_WEB else _ASK_WEB_SERVER


def _judge(findings: Sequence[CheckFinding]) -> tuple[BimiResult, str]:
    """What is known to be wrong comes before what is not known; DMARC alone makes receivers skip BIMI."""
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    for_other_reasons = [finding for finding in errors if not finding.code.startswith("bimi.dmarc")]
    if for_other_reasons:
        return BimiResult.FAIL, for_other_reasons[0].sentence
    if errors:
        return BimiResult.SKIPPED, errors[0].sentence
    unanswered = [finding for finding in findings if finding.state is Finding.UNKNOWN]
    if unanswered:
        return BimiResult.TEMPERROR, unanswered[0].sentence
    return BimiResult.PASS, say(
        "The record, DMARC, the logo and the certificate, if there is one, are as they should be."
    )
