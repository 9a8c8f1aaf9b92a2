"""One generator for each thing that an audit looks at, and one that runs them all in order."""

from collections.abc import Sequence

from dns_checks import dmarc, spf
from dns_checks.audit.report import (
    AuditFinding,
    AuditReport,
    AuditRequest,
    CheckOutcome,
    Evidence,
    ExpectedKey,
    Severity,
    combine,
)
from dns_checks.dkim.keys import KeyRecord, KeyRecordSyntaxError, parse_key_record
from mailtypes.auth import Finding
from mailtypes.domain import DomainName
from mailtypes.questions import (
    Absent,
    DnsAnswer,
    DnsEvaluation,
    DnsQuestion,
    Found,
    MxRecord,
    RecordType,
    TxtRecord,
    Unanswered,
)

_ASK_AGAIN = "Check again in a few minutes; if it stays so, ask whoever runs the domain's name servers."


def audit_domain(request: AuditRequest) -> DnsEvaluation[AuditReport]:
    """All checks one after the other. A driver that runs several at once takes ``checks`` and ``combine``."""
    outcomes: tuple[CheckOutcome, ...] = ()
    for check in checks(request):
        outcomes += ((yield from check),)
    return combine(request, outcomes)


def checks(request: AuditRequest) -> Sequence[DnsEvaluation[CheckOutcome]]:
    """The checks that belong to ``request``, independent of each other; their outcomes go to ``combine``."""
    evaluations = [check_spf(request), *(check_key(request.domain, key) for key in request.keys)]
    evaluations += [check_dmarc(request), check_return_path(request)]
    if request.tracking_host is not None:
        evaluations.append(check_tracking_host(request.tracking_host))
    return evaluations


def check_spf(request: AuditRequest) -> DnsEvaluation[CheckOutcome]:
    """Whether the return-path host's SPF record lets every egress address send."""
    host = request.return_path_host.ascii
    findings: tuple[AuditFinding, ...] = ()
    for address in request.egress_addresses:
        verdict = yield from spf.check_host(address, host, f"bounce@{host}", helo=host)
        evidence = (Evidence(f"SPF of {host} for {address}", f"{verdict.result}: {verdict.cause} ({verdict.record})"),)
        match verdict.result:
            case spf.SpfResult.PASS:
                finding = _present("spf.authorised", evidence, f"SPF lets {address} send for {host}.")
            case spf.SpfResult.TEMPERROR:
                finding = _unknown("spf.unknown", evidence, f"The SPF record of {host} could not be looked up.")
            case spf.SpfResult.NONE:
                finding = _absent("spf.missing", evidence, f"{host} has no SPF record.", "Publish the SPF record.")
            case spf.SpfResult.PERMERROR:
                sentence = f"The SPF record of {host} is not valid: {verdict.cause}."
                finding = _absent("spf.invalid", evidence, sentence, "Mend the record; receivers ignore it as it is.")
            case _:
                sentence = f"The SPF record of {host} does not let {address} send ({verdict.result})."
                next_step = f"Add {_spf_term(address.version, str(address))} to the record, before the all term."
                finding = _absent("spf.not_authorised", evidence, sentence, next_step)
        findings += (finding,)
    return CheckOutcome(findings)


def _spf_term(version: int, address: str) -> str:
    return f"ip{version}:{address}"


def check_key(domain: DomainName, key: ExpectedKey) -> DnsEvaluation[CheckOutcome]:
    """Whether the selector publishes the very key that we sign with."""
    question = DnsQuestion(f"{key.selector}._domainkey.{domain.ascii}", RecordType.TXT)
    answer = yield question
    evidence = (Evidence.of(question, answer),)
    if isinstance(answer, Unanswered):
        return _one(_unknown("dkim.unknown", evidence, f"The key record {question.name} could not be looked up."))
    texts = _texts(answer)
    if not texts:
        sentence = f"There is no key record at {question.name}."
        return _one(_absent("dkim.missing", evidence, sentence, "Publish the TXT record of this selector."))
    if len(texts) > 1:
        sentence = f"There are {len(texts)} TXT records at {question.name}; receivers may take the wrong one."
        return _one(_absent("dkim.several", evidence, sentence, "Leave only the one with our key."))
    try:
        record = parse_key_record(texts[0])
    except KeyRecordSyntaxError as error:
        sentence = f"The key record {question.name} is not valid: {error.message}."
        return _one(_absent("dkim.invalid", evidence, sentence, error.next_step or "Publish the record again."))
    return CheckOutcome(_judge_key(question.name, key, record, evidence))


def _judge_key(
    name: str, key: ExpectedKey, record: KeyRecord, evidence: tuple[Evidence, ...]
) -> tuple[AuditFinding, ...]:
    if record.is_revoked:
        sentence = f"The key at {name} is revoked (p= is empty)."
        return (_absent("dkim.revoked", evidence, sentence, "Publish our key there, or rotate to a new selector."),)
    if not record.publishes(key.public_key):
        sentence = f"The key at {name} is not the one that we sign with."
        return (
            _absent("dkim.wrong_key", evidence, sentence, "Replace the record by the one shown for this selector."),
        )
    if not record.serves_email or (record.hashes and "sha256" not in record.hashes):
        sentence = f"The key record {name} does not allow e-mail signed with SHA-256 (s= or h=)."
        return (_absent("dkim.not_for_email", evidence, sentence, "Remove the s= and h= tags."),)
    remarks = tuple(
        AuditFinding(
            remark.code, Severity.WARNING, Finding.ABSENT, evidence, f"{name}: {remark.message}.", remark.next_step
        )
        for remark in record.remarks
    )
    return (_present("dkim.published", evidence, f"{name} publishes our key."), *remarks)


def check_dmarc(request: AuditRequest) -> DnsEvaluation[CheckOutcome]:
    """Whether a policy applies to the domain, and whether our return-path host and signatures align with it."""
    verdict = yield from dmarc.evaluate(
        request.domain,
        dmarc.Identifier(request.return_path_host, "pass"),
        (dmarc.Identifier(request.domain, "pass"),),
    )
    place = f"_dmarc.{verdict.policy_domain or request.domain}"
    shown = verdict.record.text if verdict.record else verdict.cause
    evidence = (Evidence(f"{place} TXT", shown),)
    match verdict.result:
        case dmarc.DmarcResult.TEMPERROR:
            return _one(_unknown("dmarc.unknown", evidence, "The DMARC record could not be looked up."))
        case dmarc.DmarcResult.NONE:
            sentence = f"No DMARC policy applies to {request.domain}: {verdict.cause}."
            return _one(_absent("dmarc.missing", evidence, sentence, f"Publish one record at {place}."))
        case dmarc.DmarcResult.PERMERROR:
            sentence = f"The DMARC record at {place} is not valid: {verdict.cause}."
            return _one(_absent("dmarc.invalid", evidence, sentence, "Add a valid p= tag, for instance p=none."))
        case _:
            return CheckOutcome(_judge_dmarc(verdict, place, evidence), verdict.policy)


def _judge_dmarc(verdict: dmarc.DmarcVerdict, place: str, evidence: tuple[Evidence, ...]) -> tuple[AuditFinding, ...]:
    findings = [_present("dmarc.published", evidence, f"The DMARC policy at {place} is {verdict.policy}.")]
    aligned = verdict.spf.is_aligned if verdict.spf else None
    if verdict.spf is not None and aligned is not True:
        code = "dmarc.spf_alignment_unknown" if aligned is None else "dmarc.spf_not_aligned"
        state = Finding.UNKNOWN if aligned is None else Finding.ABSENT
        sentence = f"The return-path host is not aligned with {verdict.author_domain}: {verdict.spf.cause}."
        next_step = "Use a return-path host below the sender domain; until then only DKIM carries DMARC."
        findings.append(AuditFinding(code, Severity.WARNING, state, evidence, sentence, next_step))
    if verdict.record is not None:
        findings += [
            AuditFinding(
                "dmarc.remark", Severity.WARNING, Finding.ABSENT, evidence, f"{place}: {r.message}.", r.next_step
            )
            for r in verdict.record.remarks
        ]
    return tuple(findings)


def check_return_path(request: AuditRequest) -> DnsEvaluation[CheckOutcome]:
    """Whether bounces to the return-path host come to us."""
    question = DnsQuestion(request.return_path_host.ascii, RecordType.MX)
    answer = yield question
    evidence = (Evidence.of(question, answer),)
    if isinstance(answer, Unanswered):
        return _one(_unknown("return_path.unknown", evidence, f"The MX of {question.name} could not be looked up."))
    records = answer.records if isinstance(answer, Found) else ()
    exchanges = {record.exchange.lower() for record in records if isinstance(record, MxRecord)}
    ours = {host.ascii for host in request.mail_hosts}
    next_step = f"Publish an MX record for {question.name} that names {' and '.join(sorted(ours))}."
    if not exchanges & ours:
        code = "return_path.wrong_mx" if exchanges else "return_path.no_mx"
        sentence = f"Bounces to {question.name} do not come to us: {evidence[0].answer}."
        return _one(_absent(code, evidence, sentence, next_step))
    found = _present("return_path.mx", evidence, f"Bounces to {question.name} come to us.")
    if exchanges <= ours:
        return _one(found)
    sentence = f"Some bounces to {question.name} may go elsewhere: {', '.join(sorted(exchanges - ours))}."
    stray = AuditFinding("return_path.other_mx", Severity.WARNING, Finding.ABSENT, evidence, sentence, next_step)
    return CheckOutcome((found, stray))


def check_tracking_host(host: DomainName) -> DnsEvaluation[CheckOutcome]:
    """Whether the host in links and pixels has an address."""
    evidence: tuple[Evidence, ...] = ()
    is_unanswered = False
    for record_type in (RecordType.A, RecordType.AAAA):
        question = DnsQuestion(host.ascii, record_type)
        answer = yield question
        evidence += (Evidence.of(question, answer),)
        if _has(answer):
            return _one(_present("tracking.resolves", evidence, f"{host} has an address."))
        is_unanswered = is_unanswered or isinstance(answer, Unanswered)
    if is_unanswered:
        return _one(_unknown("tracking.unknown", evidence, f"The address of {host} could not be looked up."))
    sentence = f"{host} has no address, so links and unsubscribe requests would fail."
    return _one(_absent("tracking.missing", evidence, sentence, f"Publish the CNAME record for {host}."))


def _has(answer: DnsAnswer) -> bool:
    return isinstance(answer, Found) and bool(answer.records)


def _texts(answer: Found | Absent) -> list[str]:
    if isinstance(answer, Absent):
        return []
    return [record.joined.decode("latin-1") for record in answer.records if isinstance(record, TxtRecord)]


def _one(finding: AuditFinding) -> CheckOutcome:
    return CheckOutcome((finding,))


def _present(code: str, evidence: tuple[Evidence, ...], sentence: str) -> AuditFinding:
    return AuditFinding(code, Severity.INFO, Finding.PRESENT, evidence, sentence)


def _absent(code: str, evidence: tuple[Evidence, ...], sentence: str, next_step: str) -> AuditFinding:
    return AuditFinding(code, Severity.ERROR, Finding.ABSENT, evidence, sentence, next_step)


def _unknown(code: str, evidence: tuple[Evidence, ...], sentence: str) -> AuditFinding:
    return AuditFinding(code, Severity.ERROR, Finding.UNKNOWN, evidence, sentence, _ASK_AGAIN)
