"""The checks of what a sender domain cannot do without: SPF, DKIM, DMARC, the return path; and the tracking host."""

from dns_checks import dmarc, spf
from dns_checks.audit.report import Address, AuditFinding, AuditRequest, CheckOutcome, ExpectedKey
from dns_checks.dkim.keys import KeyRecord, KeyRecordSyntaxError, parse_key_record
from dns_checks.findings import Evidence, Severity, absent, info, present, unknown, warning
from mailtypes.auth import Finding
from mailtypes.domain import DomainName
from mailtypes.questions import (
    Absence,
    Absent,
    DnsEvaluation,
    DnsQuestion,
    Found,
    MxRecord,
    RecordType,
    TxtRecord,
    Unanswered,
)

_RETOLD = frozenset({"dmarc.record", "dmarc.unknown"})  # said by the check itself, with the policy


def check_spf(request: AuditRequest) -> DnsEvaluation[CheckOutcome]:
    """Whether the return-path host's SPF record lets every egress address send, and what the linter says of it."""
    host = request.return_path_host.ascii
    lint = yield from spf.lint_spf(host)
    findings: dict[tuple[str, str], AuditFinding] = {}
    for address in request.egress_addresses:
        ehlo = request.ehlo_names.get(address)
        verdict = yield from spf.check_host(address, host, f"bounce@{host}", helo=ehlo.ascii if ehlo else host)
        finding = _judge_spf(request, address, verdict, lint)
        findings.setdefault((finding.code, finding.sentence), finding)
    said = {finding.code for finding in findings.values()}
    remarks = [finding for finding in lint.findings if finding.code not in said]
    return CheckOutcome(f"spf {host}", (*findings.values(), *remarks))


def _judge_spf(request: AuditRequest, address: Address, verdict: spf.SpfVerdict, lint: spf.SpfLint) -> AuditFinding:
    host = request.return_path_host.ascii
    shown = f" ({verdict.record})" if verdict.record else ""
    evidence = (Evidence(f"SPF of {host} for {address}", f"{verdict.result}: {verdict.cause}{shown}"),)
    match verdict.result:
        case spf.SpfResult.PASS:
            return present("spf.authorised", evidence, f"SPF lets {address} send for {host}.")
        case spf.SpfResult.TEMPERROR:
            return unknown("spf.unknown", evidence, f"The SPF record of {host} could not be looked up.")
        case spf.SpfResult.NONE:
            terms = " ".join(f"ip{one.version}:{one}" for one in request.egress_addresses)
            step = f"Publish the SPF record, a TXT record at {host}: v=spf1 {terms} -all"
            return absent("spf.missing", evidence, f"{host} has no SPF record.", step)
        case spf.SpfResult.PERMERROR:
            sentence = f"The SPF record of {host} is not valid: {verdict.cause}."
            faults = [one for one in lint.findings if one.severity is Severity.ERROR and one.state is Finding.ABSENT]
            step = faults[0].next_step if faults else "Mend the record."
            return absent("spf.invalid", evidence, sentence, step)
        case _:
            sentence = f"The SPF record of {host} does not let {address} send ({verdict.result})."
            next_step = f"Add ip{address.version}:{address} to the record, before the all term."
            return absent("spf.not_authorised", evidence, sentence, next_step)


def check_key(domain: DomainName, selector: str, expected: ExpectedKey | None = None) -> DnsEvaluation[CheckOutcome]:
    """Whether the selector publishes a key, the very one that we sign with where one is given."""
    question = DnsQuestion(f"{selector}._domainkey.{domain.ascii}", RecordType.TXT)
    answer = yield question
    evidence = (Evidence.of(question, answer),)
    return CheckOutcome(f"dkim {selector}", _judge_answer(question.name, answer, expected, evidence))


def _judge_answer(
    name: str, answer: Found | Absent | Unanswered, expected: ExpectedKey | None, evidence: tuple[Evidence, ...]
) -> tuple[AuditFinding, ...]:
    if isinstance(answer, Unanswered):
        return (unknown("dkim.unknown", evidence, f"The key record {name} could not be looked up."),)
    texts = _texts(answer)
    if not texts:
        step = "Publish the TXT record of this selector."
        return (absent("dkim.missing", evidence, f"There is no key record at {name}.", step),)
    if len(texts) > 1:
        sentence = f"There are {len(texts)} TXT records at {name}; receivers may take the wrong one."
        return (absent("dkim.several", evidence, sentence, "Leave only the one with the key."),)
    try:
        record = parse_key_record(texts[0])
    except KeyRecordSyntaxError as error:
        sentence = f"The key record {name} is not valid: {error.message}."
        return (absent("dkim.invalid", evidence, sentence, error.next_step or "Publish the record again."),)
    return _judge_key(name, expected, record, evidence)


def _judge_key(
    name: str, expected: ExpectedKey | None, record: KeyRecord, evidence: tuple[Evidence, ...]
) -> tuple[AuditFinding, ...]:
    if record.is_revoked:
        sentence = f"The key at {name} is revoked (p= is empty)."
        return (absent("dkim.revoked", evidence, sentence, "Publish a key there, or rotate to a new selector."),)
    if expected is not None and not record.publishes(expected.public_key):
        sentence = f"The key at {name} is not the one that we sign with."
        return (absent("dkim.wrong_key", evidence, sentence, "Replace the record by the one shown for this selector."),)
    if not record.serves_email or (record.hashes and "sha256" not in record.hashes):
        sentence = f"The key record {name} does not allow e-mail signed with SHA-256 (s= or h=)."
        return (absent("dkim.not_for_email", evidence, sentence, "Remove the s= and h= tags."),)
    length = f", RSA with {record.rsa_bits} bits" if record.rsa_bits else ""
    whose = "our key" if expected is not None else f"a key ({record.key_type}{length})"
    findings = [present("dkim.published", evidence, f"{name} publishes {whose}.")]
    for remark in record.remarks:
        # RFC 8301 section 3.2: a key that is too short never makes a valid signature.
        say = absent if remark.code == "dkim.key_too_short" else warning
        findings.append(say(remark.code, evidence, f"{name}: {remark.message}.", remark.next_step))
    return tuple(findings)


def check_unnamed_keys(domain: DomainName) -> DnsEvaluation[CheckOutcome]:
    """Without a selector a key cannot be found; only that there is none at all can (RFC 8020)."""
    question = DnsQuestion(f"_domainkey.{domain.ascii}", RecordType.TXT)
    answer = yield question
    evidence = (Evidence.of(question, answer),)
    if isinstance(answer, Absent) and answer.absence is Absence.NO_SUCH_NAME:
        sentence = f"{domain} publishes no DKIM key: there is no name below {question.name}."
        return CheckOutcome("dkim", (absent("dkim.no_keys", evidence, sentence, "Make a key and publish it."),))
    if isinstance(answer, Unanswered):
        sentence = f"Whether {domain} publishes DKIM keys could not be looked up."
        return CheckOutcome("dkim", (unknown("dkim.unknown", evidence, sentence),))
    sentence = f"No selector of {domain} is known, so its DKIM keys cannot be looked up."
    step = "Name a selector: it is the s= tag in the DKIM-Signature field of a mail from the domain."
    return CheckOutcome("dkim", (unknown("dkim.selector_unknown", evidence, sentence, step),))


def check_dmarc(request: AuditRequest) -> DnsEvaluation[CheckOutcome]:
    """Whether a policy applies to the domain, whether our identifiers align with it, and what the linter says."""
    lint = yield from dmarc.lint_dmarc(request.domain)
    compared = yield from dmarc.compare(
        request.domain,
        dmarc.Identifier(request.return_path_host, "pass"),
        (dmarc.Identifier(request.domain, "pass"),),
    )
    verdict = compared.current
    place = f"_dmarc.{verdict.policy_domain or request.domain}"
    shown = verdict.record.text if verdict.record else verdict.cause
    evidence = (Evidence(f"{place} TXT", shown),)
    findings = [finding for finding in lint.findings if finding.code not in _RETOLD]
    told = {finding.code for finding in findings}
    match verdict.result:
        case dmarc.DmarcResult.TEMPERROR if verdict.record is None:
            findings.insert(0, unknown("dmarc.unknown", evidence, "The DMARC record could not be looked up."))
        case dmarc.DmarcResult.NONE:
            if not told & {"dmarc.missing", "dmarc.several_records"}:
                sentence = f"No DMARC policy applies to {request.domain}: {verdict.cause}."
                findings.insert(0, absent("dmarc.missing", evidence, sentence, f"Publish one record at {place}."))
        case dmarc.DmarcResult.PERMERROR:
            sentence = f"The DMARC record at {place} is not valid: {verdict.cause}."
            step = "Add a valid p= tag, for instance p=none."
            findings.insert(0, absent("dmarc.invalid", evidence, sentence, step))
        case _:
            sentence = f"The DMARC policy at {place} is {verdict.policy}."
            found = present("dmarc.published", evidence, sentence)
            findings = [found, *_judge_alignment(verdict, evidence), *_differences(compared, evidence), *findings]
    return CheckOutcome(f"dmarc {request.domain}", tuple(findings), verdict.policy)


def _judge_alignment(verdict: dmarc.DmarcVerdict, evidence: tuple[Evidence, ...]) -> list[AuditFinding]:
    if verdict.spf is None:
        return []
    host, domain = verdict.spf.identifier.domain, verdict.author_domain
    match verdict.spf.is_aligned:
        case True:
            return [present("dmarc.spf_aligned", evidence, f"The return-path host {host} is aligned with {domain}.")]
        case None:
            sentence = f"Whether {host} is aligned with {domain} could not be found out: {verdict.spf.cause}."
            return [unknown("dmarc.spf_alignment_unknown", evidence, sentence)]
        case _:
            sentence = f"The return-path host {host} is not aligned with {domain}: {verdict.spf.cause}."
            step = "Use a return-path host below the sender domain; until then only DKIM carries DMARC."
            return [warning("dmarc.spf_not_aligned", evidence, sentence, step)]


def _differences(compared: dmarc.Comparison, evidence: tuple[Evidence, ...]) -> list[AuditFinding]:
    """What a receiver on RFC 7489 would decide otherwise."""
    step = "Publish a record of the domain's own, so that both standards find the same one."
    telling = [one for one in compared.differences if one.subject in {"result", "policy", "disposition"}]
    return [info("dmarc.older_receivers_differ", evidence, one.sentence, step) for one in telling]


def check_return_path(request: AuditRequest) -> DnsEvaluation[CheckOutcome]:
    """Whether bounces to the return-path host come to us."""
    question = DnsQuestion(request.return_path_host.ascii, RecordType.MX)
    answer = yield question
    evidence = (Evidence.of(question, answer),)
    check = f"return_path {question.name}"
    if isinstance(answer, Unanswered):
        sentence = f"The MX of {question.name} could not be looked up."
        return CheckOutcome(check, (unknown("return_path.unknown", evidence, sentence),))
    records = answer.records if isinstance(answer, Found) else ()
    exchanges = {record.exchange.lower() for record in records if isinstance(record, MxRecord)}
    ours = {host.ascii for host in request.mail_hosts}
    next_step = f"Publish an MX record for {question.name} that names {' and '.join(sorted(ours))}."
    if not exchanges & ours:
        code = "return_path.wrong_mx" if exchanges else "return_path.no_mx"
        sentence = f"Bounces to {question.name} do not come to us: {evidence[0].answer}."
        return CheckOutcome(check, (absent(code, evidence, sentence, next_step),))
    found = present("return_path.mx", evidence, f"Bounces to {question.name} come to us.")
    if exchanges <= ours:
        return CheckOutcome(check, (found,))
    sentence = f"Some bounces to {question.name} may go elsewhere: {', '.join(sorted(exchanges - ours))}."
    return CheckOutcome(check, (found, warning("return_path.other_mx", evidence, sentence, next_step)))


def check_tracking_host(host: DomainName) -> DnsEvaluation[CheckOutcome]:
    """Whether the host in links and pixels has an address."""
    evidence: tuple[Evidence, ...] = ()
    state = Finding.ABSENT
    for record_type in (RecordType.A, RecordType.AAAA):
        question = DnsQuestion(host.ascii, record_type)
        answer = yield question
        evidence += (Evidence.of(question, answer),)
        if isinstance(answer, Found) and answer.records:
            finding = present("tracking.resolves", evidence, f"{host} has an address.")
            return CheckOutcome(f"tracking {host}", (finding,))
        state = Finding.UNKNOWN if isinstance(answer, Unanswered) else state
    if state is Finding.UNKNOWN:
        finding = unknown("tracking.unknown", evidence, f"The address of {host} could not be looked up.")
    else:
        sentence = f"{host} has no address, so links and unsubscribe requests would fail."
        finding = absent("tracking.missing", evidence, sentence, f"Publish the CNAME record for {host}.")
    return CheckOutcome(f"tracking {host}", (finding,))


def _texts(answer: Found | Absent) -> list[str]:
    if isinstance(answer, Absent):
        return []
    return [record.joined.decode("latin-1") for record in answer.records if isinstance(record, TxtRecord)]
