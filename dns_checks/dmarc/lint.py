"""The linter of a domain's DMARC policy record: the record itself, its place in the tree, its report destinations."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from dns_checks.dmarc.destinations import Consent, ReportDestination, check_destinations
from dns_checks.dmarc.evaluate import Discovery, discover
from dns_checks.dmarc.lint_record import lint_record
from dns_checks.dmarc.public_suffixes import SuffixList, bundled_suffixes
from dns_checks.dmarc.record import DmarcRecord, PublicSuffix, is_policy_record
from dns_checks.dmarc.tree_walk import read_step
from dns_checks.findings import (
    CheckFinding,
    Evidence,
    Mark,
    Severity,
    absent,
    info,
    marked,
    present,
    printable,
    unknown,
    warning,
)
from mailtypes.auth import Finding
from mailtypes.domain import DomainName
from mailtypes.errors import Span
from mailtypes.questions import DnsAnswer, DnsEvaluation, DnsQuestion, Found, RecordType, TxtRecord
from mailtypes.saying import say

_ALIKE = 0.75
_MAX_REPORTED = 20
_MAX_SEARCHED = 1_000


@dataclass(frozen=True, slots=True)
class DmarcLint:
    """The record that applies to ``domain`` (found at ``policy_domain``), all findings, and the report destinations."""

    domain: DomainName
    policy_domain: DomainName | None
    record: DmarcRecord | None
    findings: tuple[CheckFinding, ...]
    destinations: tuple[ReportDestination, ...] = ()


def lint_dmarc(domain: DomainName, suffixes: SuffixList | None = None) -> DnsEvaluation[DmarcLint]:
    """Look at what applies to mail from ``domain``; never raises for what the DNS holds.

    ``suffixes`` tells whether ``psd=`` is right (the list that comes with the package where none is given).
    """
    question = DnsQuestion(f"_dmarc.{domain.ascii}", RecordType.TXT)
    answer = yield question
    found = yield from discover(domain, {domain: read_step(domain, answer)})
    place = found.policy_domain or domain
    at_place: tuple[Evidence, ...] = (Evidence.of(question, answer),)
    if place != domain and found.record is not None:
        shown = printable(found.record.text.encode("latin-1"))
        at_place = (Evidence(f"_dmarc.{place} TXT", shown), *at_place)
    findings = list(_texts_beside(answer, at_place))
    if found.record is None:
        findings += yield from _without_record(domain, found, at_place)
        return DmarcLint(domain, None, None, tuple(findings))
    findings += lint_record(found.record, at_place)
    findings += _place_in_tree(domain, found, found.record, at_place, suffixes or bundled_suffixes())
    destinations = yield from check_destinations(place, found.record)
    findings += _judge_destinations(place, found.record, destinations)
    if not any(finding.severity is Severity.ERROR for finding in findings):
        sentence = say(
            "The DMARC record at _dmarc.%(place)s can be read; its policy is %(p)s.", place=place, p=found.record.p
        )
        findings.insert(0, present("dmarc.record", at_place, sentence))
    return DmarcLint(domain, place, found.record, tuple(findings), destinations)


def _texts(answer: DnsAnswer) -> list[str]:
    records = answer.records if isinstance(answer, Found) else ()
    return [record.joined.decode("latin-1") for record in records if isinstance(record, TxtRecord)]


def _texts_beside(answer: DnsAnswer, evidence: tuple[Evidence, ...]) -> Iterator[CheckFinding]:
    """Several policy records at the domain, and texts that were perhaps meant as one."""
    texts = _texts(answer)
    policies = [text for text in texts if is_policy_record(text)]
    if len(policies) > 1:
        sentence = say(
            "There are %(count)s DMARC records at one name, so receivers ignore them all.", count=len(policies)
        )
        yield absent("dmarc.several_records", evidence, sentence, say("Keep one of them."))
    for text in [text for text in texts if text not in policies][:_MAX_REPORTED]:
        head = text.lstrip(" \t\"'")[:8].lower()
        if SequenceMatcher(None, head, "v=dmarc1").ratio() >= _ALIKE or "v=dmarc1" in text[:_MAX_SEARCHED].lower():
            yield CheckFinding(
                "dmarc.not_a_record",
                Severity.ERROR if not policies else Severity.WARNING,
                Finding.ABSENT,
                evidence,
                say("A TXT record looks like a DMARC record but does not begin with v=DMARC1; and so is ignored."),
                say("Begin it with 'v=DMARC1;' written exactly so."),
                Mark(text, Span(0, min(len(text), 10))),
            )


def _without_record(
    domain: DomainName, found: Discovery, evidence: tuple[Evidence, ...]
) -> DnsEvaluation[list[CheckFinding]]:
    if found.unanswered:
        failed = next((step.domain for step in found.walk.steps if step.unanswered), domain)
        sentence = say(
            "Whether a DMARC policy applies to %(domain)s could not be found out: _dmarc.%(failed)s did not answer.",
            domain=domain,
            failed=failed,
        )
        return [unknown("dmarc.unknown", (*evidence, Evidence(f"_dmarc.{failed} TXT", found.unanswered)), sentence)]
    if found.walk.steps[0].discarded > 1:
        return []  # said already: there are several
    next_step = say(
        "Publish a TXT record at _dmarc.%(domain)s, to begin with: v=DMARC1; p=none; rua=mailto:...", domain=domain
    )
    findings = [
        absent("dmarc.missing", evidence, say("No DMARC policy applies to %(domain)s.", domain=domain), next_step)
    ]
    for name in (domain.ascii, f"_dmarc.{domain.ascii}.{domain.ascii}"):
        if len(name) > 253:
            continue
        question = DnsQuestion(name, RecordType.TXT)
        answer = yield question
        if any(is_policy_record(text) for text in _texts(answer)):
            sentence = say("There is a DMARC record at %(name)s, where no receiver looks.", name=name)
            step = say("Move it to _dmarc.%(domain)s.", domain=domain)
            findings.append(absent("dmarc.misplaced", (Evidence.of(question, answer),), sentence, step))
    return findings


def _place_in_tree(
    domain: DomainName, found: Discovery, record: DmarcRecord, evidence: tuple[Evidence, ...], suffixes: SuffixList
) -> Iterator[CheckFinding]:
    """Tags that do not fit to where the record stands."""
    place, organizational = found.policy_domain or domain, found.walk.organizational_domain
    psd = record.tag("psd")
    mark = Mark(record.text, Span(psd.name_span.start, psd.value_span.end)) if psd else None
    if record.psd is PublicSuffix.YES and not suffixes.is_suffix(place):
        sentence = say(
            "psd=y says that names below %(place)s belong to others, so their mail does not align with %(place)s.",
            place=place,
        )
        step = say("Remove psd=y unless you register names below it for others.")
        yield CheckFinding("dmarc.psd_misused", Severity.ERROR, Finding.ABSENT, evidence, sentence, step, mark)
    if record.psd is not PublicSuffix.YES and suffixes.is_suffix(place):
        sentence = say(
            "%(place)s is a public suffix, but its record does not say psd=y: all names below count as one owner.",
            place=place,
        )
        yield warning("dmarc.psd_missing", evidence, sentence, say("Add psd=y."))
    above = place.parent
    if record.psd is PublicSuffix.NO and above is not None and not suffixes.is_suffix(above):
        sentence = say(
            "psd=n makes %(place)s an organization of its own: its mail does not align with %(above)s any more.",
            place=place,
            above=above,
        )
        step = say("Remove psd=n unless that is meant.")
        yield CheckFinding("dmarc.psd_cuts_off", Severity.INFO, Finding.ABSENT, evidence, sentence, step, mark)
    if found.walk.unanswered:
        sentence = say(
            "The organizational domain of %(domain)s could not be found out: %(unanswered)s.",
            domain=domain,
            unanswered=found.walk.unanswered,
        )
        yield unknown("dmarc.organizational_domain_unknown", evidence, sentence)
    elif organizational is not None and place not in {organizational, found.walk.public_suffix_domain}:
        for name in ("sp", "np"):
            tag = record.tag(name)
            if tag is not None:
                sentence = say(
                    "%(name)s= has no effect here: %(place)s is not the organizational domain, %(organizational)s is.",
                    name=name,
                    place=place,
                    organizational=organizational,
                )
                finding = info(
                    "dmarc.subdomain_policy_ignored", evidence, sentence, say("Remove %(name)s=.", name=name)
                )
                yield marked(finding, record.text, Span(tag.name_span.start, tag.value_span.end))


def _judge_destinations(
    place: DomainName, record: DmarcRecord, destinations: tuple[ReportDestination, ...]
) -> Iterator[CheckFinding]:
    for one in destinations:
        evidence = (Evidence(f"{one.question} TXT", printable(one.answer.encode("latin-1", "replace"))),)
        match one.consent:
            case Consent.INTERNAL:
                continue
            case Consent.GIVEN:
                sentence = say("%(host)s agreed to get reports on %(place)s.", host=one.host, place=place)
                yield present("dmarc.destination_agreed", evidence, sentence)
            case Consent.UNKNOWN:
                sentence = say(
                    "Whether %(host)s agreed to get reports on %(place)s could not be found out.",
                    host=one.host,
                    place=place,
                )
                yield unknown("dmarc.destination_unknown", evidence, sentence)
            case Consent.MISSING:
                sentence = say(
                    "%(host)s did not agree to get reports on %(place)s, so receivers send none there.",
                    host=one.host,
                    place=place,
                )
                step = say(
                    "Have %(host)s publish a TXT record at %(question)s: v=DMARC1;",
                    host=one.host,
                    question=one.question,
                )
                finding = warning("dmarc.destination_refused", evidence, sentence, step)
                at = record.text.find(one.uris[0])
                yield marked(finding, record.text, Span(at, at + len(one.uris[0]))) if at >= 0 else finding
