"""Record, policy file and mail hosts of one domain against each other (RFC 8461 sections 3 and 4)."""

from dataclasses import dataclass

from dns_checks.evaluation import FETCH_LATER, NO_WEB, ask, fetch
from dns_checks.findings import CheckFinding, Evidence, absent, info, present, printable, unknown, warning
from dns_checks.mta_sts.match import matches, matches_any
from dns_checks.mta_sts.policy import MAX_OCTETS, Mode, MtaStsPolicy, MtaStsPolicySyntaxError, parse_policy
from dns_checks.mta_sts.record import MtaStsRecord, MtaStsRecordSyntaxError, is_record, parse_record
from dns_checks.mx import MailRoute, RouteResult, find_mail_hosts
from mailtypes.domain import DomainName
from mailtypes.questions import (
    DnsQuestion,
    Evaluation,
    Found,
    HttpAnswer,
    HttpFetch,
    HttpFetched,
    RecordType,
    TxtRecord,
    Unanswered,
)
from mailtypes.saying import say

_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class MtaStsCheck:
    """What was found; ``record`` and ``policy`` are ``None`` where there is no valid one or it is unknown."""

    domain: DomainName
    findings: tuple[CheckFinding, ...]
    record: MtaStsRecord | None = None
    policy: MtaStsPolicy | None = None


def policy_fetch(domain: DomainName) -> HttpFetch:
    """The fetch of the policy of ``domain``; section 3.3 forbids to follow redirects."""
    return HttpFetch(f"https://mta-sts.{domain.ascii}/.well-known/mta-sts.txt", MAX_OCTETS, follow_redirects=False)


def check_mta_sts(domain: DomainName) -> Evaluation[MtaStsCheck]:
    """Whether senders that honour MTA-STS find a valid policy, and whether it covers every mail host."""
    question = DnsQuestion(f"_mta-sts.{domain.ascii}", RecordType.TXT)
    answer = yield from ask(question)
    evidence = (Evidence.of(question, answer),)
    if isinstance(answer, Unanswered):
        sentence = say("Whether %(domain)s has an MTA-STS record could not be looked up.", domain=domain)
        return MtaStsCheck(domain, (unknown("mta_sts.unknown", evidence, sentence),))
    records = answer.records if isinstance(answer, Found) else ()
    texts = [record.joined.decode("latin-1") for record in records if isinstance(record, TxtRecord)]
    read = _read_record(domain, texts, evidence)
    if isinstance(read, CheckFinding):
        return MtaStsCheck(domain, (read,))
    findings = [
        present(
            "mta_sts.record",
            evidence,
            say("%(question)s announces a policy (id %(id)s).", question=question.name, id=read.id),
        )
    ]
    findings += [
        warning(
            "mta_sts.record_remark",
            evidence,
            say("%(question)s: %(message)s.", question=question.name, message=remark.message),
            remark.next_step,
        )
        for remark in read.remarks
    ]
    wanted = policy_fetch(domain)
    policy, more = _judge_fetch(wanted, (yield from fetch(wanted)))
    findings += more
    if policy is not None and policy.mode is not Mode.NONE:
        route = yield from find_mail_hosts(domain)
        findings += _judge_hosts(route, policy)
    return MtaStsCheck(domain, tuple(findings), read, policy)


def _read_record(domain: DomainName, texts: list[str], evidence: tuple[Evidence, ...]) -> MtaStsRecord | CheckFinding:
    """Section 3.1: texts that do not begin with the version are discarded; more than one left counts as none."""
    announcing = [text for text in texts if is_record(text)]
    name = f"_mta-sts.{domain}"
    if len(announcing) > 1:
        sentence = say(
            "There are %(count)s MTA-STS records at %(name)s; senders treat them as none.",
            count=len(announcing),
            name=name,
        )
        return absent("mta_sts.several", evidence, sentence, say("Leave only one of them."))
    candidate = announcing or [text for text in texts if text.lower().lstrip().startswith("v=sts")]
    if not candidate:
        sentence = say(
            "%(domain)s has no MTA-STS record; mail to it can be delivered without verified TLS.", domain=domain
        )
        return info(
            "mta_sts.missing", evidence, sentence, say("Publish MTA-STS once TLS of all mail hosts is in order.")
        )
    try:
        return parse_record(candidate[0])
    except MtaStsRecordSyntaxError as error:
        sentence = say("The MTA-STS record at %(name)s is not valid: %(message)s.", name=name, message=error.message)
        return absent("mta_sts.invalid_record", evidence, sentence, error.next_step or say("Publish it again."))


def _judge_fetch(wanted: HttpFetch, fetched: HttpAnswer) -> tuple[MtaStsPolicy | None, list[CheckFinding]]:
    evidence = (Evidence.of_fetch(wanted, fetched),)
    if isinstance(fetched, Unanswered):
        sentence = say("The policy could not be fetched from %(url)s: %(cause)s.", url=wanted.url, cause=fetched.cause)
        next_step = say("Check the name, the certificate and the web server of the mta-sts host.")
        if fetched.cause == NO_WEB:
            next_step = FETCH_LATER
        return None, [unknown("mta_sts.policy_unknown", evidence, sentence, next_step)]
    if fetched.status >= _SERVER_ERROR:
        sentence = say("The web server of the policy answers %(status)s.", status=fetched.status)
        return None, [
            unknown("mta_sts.policy_unknown", evidence, sentence, say("Mend the web server of the mta-sts host."))
        ]
    if 300 <= fetched.status < 400:
        sentence = say("%(url)s redirects, which senders must not follow (RFC 8461 section 3.3).", url=wanted.url)
        return None, [absent("mta_sts.policy_redirected", evidence, sentence, say("Serve the file at this very URL."))]
    if fetched.status != 200:
        sentence = say("There is no policy at %(url)s (status %(status)s).", url=wanted.url, status=fetched.status)
        return None, [
            absent("mta_sts.policy_missing", evidence, sentence, say("Serve the policy file at this very URL."))
        ]
    return _judge_policy(wanted, fetched, evidence)


def _judge_policy(
    wanted: HttpFetch, fetched: HttpFetched, evidence: tuple[Evidence, ...]
) -> tuple[MtaStsPolicy | None, list[CheckFinding]]:
    findings = []
    media_type = fetched.content_type.partition(";")[0].strip().lower()
    if media_type != "text/plain":
        sentence = say(
            "The policy is served as '%(media_type)s'; senders may refuse what is not text/plain.",
            media_type=printable(media_type[:80]),
        )
        findings.append(
            warning("mta_sts.content_type", evidence, sentence, say("Serve it as Content-Type: text/plain."))
        )
    try:
        policy = parse_policy(fetched.body.decode("utf-8", "replace"))
    except MtaStsPolicySyntaxError as error:
        place = (
            say("line %(line_and_column)s: ", line_and_column=error.line_and_column[0]) if error.line_and_column else ""
        )
        sentence = say(
            "The policy at %(url)s is not valid: %(place)s%(message)s.",
            url=wanted.url,
            place=place,
            message=error.message,
        )
        findings.append(absent("mta_sts.invalid_policy", evidence, sentence, error.next_step or say("Mend the file.")))
        return None, findings
    findings.append(_judge_mode(policy, evidence))
    findings += [
        warning(
            "mta_sts.policy_remark", evidence, say("The policy: %(message)s.", message=remark.message), remark.next_step
        )
        for remark in policy.remarks
    ]
    return policy, findings


def _judge_mode(policy: MtaStsPolicy, evidence: tuple[Evidence, ...]) -> CheckFinding:
    match policy.mode:
        case Mode.ENFORCE:
            return present("mta_sts.enforced", evidence, say("The policy is in force: senders insist on verified TLS."))
        case Mode.TESTING:
            sentence = say("The policy is only tested: senders report faults but deliver all the same.")
            return info(
                "mta_sts.testing", evidence, sentence, say("Set mode: enforce once the TLS reports show no faults.")
            )
        case Mode.NONE:
            sentence = say("The policy is being withdrawn (mode: none): senders do not insist on TLS.")
            return info(
                "mta_sts.mode_none", evidence, sentence, say("Once its max_age is over, remove record and file.")
            )


def _judge_hosts(route: MailRoute, policy: MtaStsPolicy) -> list[CheckFinding]:
    hosts = [host for group in route.host_groups for host in group]
    evidence = (Evidence(f"{route.domain} MX", ", ".join(hosts) or route.cause),)
    if route.result is RouteResult.UNKNOWN:
        sentence = say(
            "Whether the policy covers the mail hosts of %(domain)s could not be found out.", domain=route.domain
        )
        return [unknown("mta_sts.mx_unknown", evidence, sentence)]
    findings = []
    for host in hosts:
        if not matches_any(host, policy.patterns):
            sentence = say(
                "The policy does not name the mail host %(host)s: %(patterns)s.",
                host=host,
                patterns=", ".join(policy.patterns[:10]),
            )
            next_step = f"Add 'mx: {host}' to the policy file, then change the id of the record."
            # In testing mode senders deliver all the same (section 5), and report it.
            judged = absent if policy.mode is Mode.ENFORCE else warning
            findings.append(judged("mta_sts.mx_not_covered", evidence, sentence, next_step))
    if hosts and not findings:
        findings.append(present("mta_sts.mx_covered", evidence, say("The policy names every mail host.")))
    findings += [
        info(
            "mta_sts.unused_pattern",
            evidence,
            say("No mail host fits 'mx: %(pattern)s'.", pattern=pattern),
            say("Remove it if it is outdated."),
        )
        for pattern in policy.patterns[:10]
        if hosts and not any(matches(host, pattern) for host in hosts)
    ]
    return findings
