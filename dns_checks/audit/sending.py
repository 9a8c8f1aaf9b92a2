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
from mailtypes.saying import say

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
            return present(
                "spf.authorised", evidence, say("SPF lets %(address)s send for %(host)s.", address=address, host=host)
            )
        case spf.SpfResult.TEMPERROR:
            return unknown(
                "spf.unknown", evidence, say("The SPF record of %(host)s could not be looked up.", host=host)
            )
        case spf.SpfResult.NONE:
            terms = " ".join(f"ip{one.version}:{one}" for one in request.egress_addresses)
            step = say(
                "Publish the SPF record, a TXT record at %(host)s: v=spf1 %(terms)s -all", host=host, terms=terms
            )
            return absent("spf.missing", evidence, say("%(host)s has no SPF record.", host=host), step)
        case spf.SpfResult.PERMERROR:
            sentence = say("The SPF record of %(host)s is not valid: %(cause)s.", host=host, cause=verdict.cause)
            faults = [one for one in lint.findings if one.severity is Severity.ERROR and one.state is Finding.ABSENT]
            mend = faults[0].next_step if faults else say("Mend the record.")
            return absent("spf.invalid", evidence, sentence, mend)
        case _:
            sentence = say(
                "The SPF record of %(host)s does not let %(address)s send (%(result)s).",
                host=host,
                address=address,
                result=verdict.result,
            )
            next_step = say(
                "Add ip%(version)s:%(address)s to the record, before the all term.",
                version=address.version,
                address=address,
            )
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
        return (unknown("dkim.unknown", evidence, say("The key record %(name)s could not be looked up.", name=name)),)
    texts = _texts(answer)
    if not texts:
        step = say("Publish the TXT record of this selector.")
        return (absent("dkim.missing", evidence, say("There is no key record at %(name)s.", name=name), step),)
    if len(texts) > 1:
        sentence = say(
            "There are %(count)s TXT records at %(name)s; receivers may take the wrong one.",
            count=len(texts),
            name=name,
        )
        return (absent("dkim.several", evidence, sentence, say("Leave only the one with the key.")),)
    try:
        record = parse_key_record(texts[0])
    except KeyRecordSyntaxError as error:
        sentence = say("The key record %(name)s is not valid: %(message)s.", name=name, message=error.message)
        return (absent("dkim.invalid", evidence, sentence, error.next_step or say("Publish the record again.")),)
    return _judge_key(name, expected, record, evidence)


def _judge_key(
    name: str, expected: ExpectedKey | None, record: KeyRecord, evidence: tuple[Evidence, ...]
) -> tuple[AuditFinding, ...]:
    if record.is_revoked:
        sentence = say("The key at %(name)s is revoked (p= is empty).", name=name)
        return (absent("dkim.revoked", evidence, sentence, say("Publish a key there, or rotate to a new selector.")),)
    if expected is not None and not record.publishes(expected.public_key):
        sentence = say("The key at %(name)s is not the one that we sign with.", name=name)
        return (
            absent("dkim.wrong_key", evidence, sentence, say("Replace the record by the one shown for this selector.")),
        )
    if not record.serves_email or (record.hashes and "sha256" not in record.hashes):
        sentence = say("The key record %(name)s does not allow e-mail signed with SHA-256 (s= or h=).", name=name)
        return (absent("dkim.not_for_email", evidence, sentence, say("Remove the s= and h= tags.")),)
    length = say(", RSA with %(rsa_bits)s bits", rsa_bits=record.rsa_bits) if record.rsa_bits else ""
    whose = (
        say("our key")
        if expected is not None
        else say("a key (%(key_type)s%(length)s)", key_type=record.key_type, length=length)
    )
    findings = [present("dkim.published", evidence, say("%(name)s publishes %(whose)s.", name=name, whose=whose))]
    for remark in record.remarks:
        # RFC 8301 section 3.2: a key that is too short never makes a valid signature.
        judged = absent if remark.code == "dkim.key_too_short" else warning
        findings.append(
            judged(
                remark.code,
                evidence,
                say("%(name)s: %(message)s.", name=name, message=remark.message),
                remark.next_step,
            )
        )
    return tuple(findings)


def check_unnamed_keys(domain: DomainName) -> DnsEvaluation[CheckOutcome]:
    """Without a selector a key cannot be found; only that there is none at all can (RFC 8020)."""
    question = DnsQuestion(f"_domainkey.{domain.ascii}", RecordType.TXT)
    answer = yield question
    evidence = (Evidence.of(question, answer),)
    if isinstance(answer, Absent) and answer.absence is Absence.NO_SUCH_NAME:
        sentence = say(
            "%(domain)s publishes no DKIM key: there is no name below %(question)s.",
            domain=domain,
            question=question.name,
        )
        return CheckOutcome("dkim", (absent("dkim.no_keys", evidence, sentence, say("Make a key and publish it.")),))
    if isinstance(answer, Unanswered):
        sentence = say("Whether %(domain)s publishes DKIM keys could not be looked up.", domain=domain)
        return CheckOutcome("dkim", (unknown("dkim.unknown", evidence, sentence),))
    sentence = say("No selector of %(domain)s is known, so its DKIM keys cannot be looked up.", domain=domain)
    step = say("Name a selector: it is the s= tag in the DKIM-Signature field of a mail from the domain.")
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
            findings.insert(0, unknown("dmarc.unknown", evidence, say("The DMARC record could not be looked up.")))
        case dmarc.DmarcResult.NONE:
            if not told & {"dmarc.missing", "dmarc.several_records"}:
                sentence = say(
                    "No DMARC policy applies to %(domain)s: %(cause)s.", domain=request.domain, cause=verdict.cause
                )
                findings.insert(
                    0, absent("dmarc.missing", evidence, sentence, say("Publish one record at %(place)s.", place=place))
                )
        case dmarc.DmarcResult.PERMERROR:
            sentence = say("The DMARC record at %(place)s is not valid: %(cause)s.", place=place, cause=verdict.cause)
            step = say("Add a valid p= tag, for instance p=none.")
            findings.insert(0, absent("dmarc.invalid", evidence, sentence, step))
        case _:
            sentence = say("The DMARC policy at %(place)s is %(policy)s.", place=place, policy=verdict.policy)
            found = present("dmarc.published", evidence, sentence)
            findings = [found, *_judge_alignment(verdict, evidence), *_differences(compared, evidence), *findings]
    return CheckOutcome(f"dmarc {request.domain}", tuple(findings), verdict.policy)


def _judge_alignment(verdict: dmarc.DmarcVerdict, evidence: tuple[Evidence, ...]) -> list[AuditFinding]:
    if verdict.spf is None:
        return []
    host, domain = verdict.spf.identifier.domain, verdict.author_domain
    match verdict.spf.is_aligned:
        case True:
            return [
                present(
                    "dmarc.spf_aligned",
                    evidence,
                    say("The return-path host %(host)s is aligned with %(domain)s.", host=host, domain=domain),
                )
            ]
        case None:
            sentence = say(
                "Whether %(host)s is aligned with %(domain)s could not be found out: %(cause)s.",
                host=host,
                domain=domain,
                cause=verdict.spf.cause,
            )
            return [unknown("dmarc.spf_alignment_unknown", evidence, sentence)]
        case _:
            sentence = say(
                "The return-path host %(host)s is not aligned with %(domain)s: %(cause)s.",
                host=host,
                domain=domain,
                cause=verdict.spf.cause,
            )
            step = say("Use a return-path host below the sender domain; until then only DKIM carries DMARC.")
            return [warning("dmarc.spf_not_aligned", evidence, sentence, step)]


def _differences(compared: dmarc.Comparison, evidence: tuple[Evidence, ...]) -> list[AuditFinding]:
    """What a receiver on RFC 7489 would decide otherwise."""
    step = say("Publish a record of the domain's own, so that both standards find the same one.")
    telling = [one for one in compared.differences if one.subject in {"result", "policy", "disposition"}]
    return [info("dmarc.older_receivers_differ", evidence, one.sentence, step) for one in telling]


def check_return_path(request: AuditRequest) -> DnsEvaluation[CheckOutcome]:
    """Whether bounces to the return-path host come to us."""
    question = DnsQuestion(request.return_path_host.ascii, RecordType.MX)
    answer = yield question
    evidence = (Evidence.of(question, answer),)
    check = f"return_path {question.name}"
    if isinstance(answer, Unanswered):
        sentence = say("The MX of %(question)s could not be looked up.", question=question.name)
        return CheckOutcome(check, (unknown("return_path.unknown", evidence, sentence),))
    records = answer.records if isinstance(answer, Found) else ()
    exchanges = {record.exchange.lower() for record in records if isinstance(record, MxRecord)}
    ours = {host.ascii for host in request.mail_hosts}
    next_step = say(
        "Publish an MX record for %(question)s that names %(ours)s.",
        question=question.name,
        ours=" and ".join(sorted(ours)),
    )
    if not exchanges & ours:
        code = "return_path.wrong_mx" if exchanges else "return_path.no_mx"
        sentence = say(
            "Bounces to %(question)s do not come to us: %(answer)s.", question=question.name, answer=evidence[0].answer
        )
        return CheckOutcome(check, (absent(code, evidence, sentence, next_step),))
    found = present("return_path.mx", evidence, say("Bounces to %(question)s come to us.", question=question.name))
    if exchanges <= ours:
        return CheckOutcome(check, (found,))
    sentence = say(
        "Some bounces to %(question)s may go elsewhere: %(exchanges)s.",
        question=question.name,
        exchanges=", ".join(sorted(exchanges - ours)),
    )
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
            finding = present("tracking.resolves", evidence, say("%(host)s has an address.", host=host))
            return CheckOutcome(f"tracking {host}", (finding,))
        state = Finding.UNKNOWN if isinstance(answer, Unanswered) else state
    if state is Finding.UNKNOWN:
        finding = unknown(
            "tracking.unknown", evidence, say("The address of %(host)s could not be looked up.", host=host)
        )
    else:
        sentence = say("%(host)s has no address, so links and unsubscribe requests would fail.", host=host)
        finding = absent(
            "tracking.missing", evidence, sentence, say("Publish the CNAME record for %(host)s.", host=host)
        )
    return CheckOutcome(f"tracking {host}", (finding,))


def _texts(answer: Found | Absent) -> list[str]:
    if isinstance(answer, Absent):
        return []
    return [record.joined.decode("latin-1") for record in answer.records if isinstance(record, TxtRecord)]
