"""Whether a domain asks for reports on TLS (RFC 8460 section 3)."""

from dataclasses import dataclass

from dns_checks.findings import CheckFinding, Evidence, absent, info, present, unknown, warning
from dns_checks.tls_rpt.record import TlsRptRecord, TlsRptSyntaxError, is_record, parse_record
from mailtypes.domain import DomainName
from mailtypes.questions import DnsEvaluation, DnsQuestion, Found, RecordType, TxtRecord, Unanswered
from mailtypes.saying import say


@dataclass(frozen=True, slots=True)
class TlsRptCheck:
    """What was found; ``record`` is ``None`` where there is no valid one or it is unknown."""

    domain: DomainName
    findings: tuple[CheckFinding, ...]
    record: TlsRptRecord | None = None


def check_tls_rpt(domain: DomainName) -> DnsEvaluation[TlsRptCheck]:
    """Look for the record of ``domain`` and read it."""
    question = DnsQuestion(f"_smtp._tls.{domain.ascii}", RecordType.TXT)
    answer = yield question
    evidence = (Evidence.of(question, answer),)
    name = question.name
    if isinstance(answer, Unanswered):
        sentence = say("Whether %(domain)s asks for TLS reports could not be looked up.", domain=domain)
        return TlsRptCheck(domain, (unknown("tls_rpt.unknown", evidence, sentence),))
    records = answer.records if isinstance(answer, Found) else ()
    texts = [record.joined.decode("latin-1") for record in records if isinstance(record, TxtRecord)]
    announcing = [text for text in texts if is_record(text)]
    if len(announcing) > 1:
        # Section 3: senders treat anything but exactly one record as none.
        sentence = say(
            "There are %(count)s TLS reporting records at %(name)s; senders treat them as none.",
            count=len(announcing),
            name=name,
        )
        return TlsRptCheck(domain, (absent("tls_rpt.several", evidence, sentence, say("Leave only one of them.")),))
    candidate = announcing or [text for text in texts if text.lower().lstrip().startswith("v=tlsrpt")]
    if not candidate:
        sentence = say("%(domain)s asks for no TLS reports, so failures of TLS toward it stay unseen.", domain=domain)
        next_step = say("Publish 'v=TLSRPTv1; rua=mailto:...' at %(name)s.", name=name)
        return TlsRptCheck(domain, (info("tls_rpt.missing", evidence, sentence, next_step),))
    try:
        record = parse_record(candidate[0])
    except TlsRptSyntaxError as error:
        sentence = say(
            "The TLS reporting record at %(name)s is not valid: %(message)s.", name=name, message=error.message
        )
        finding = absent("tls_rpt.invalid", evidence, sentence, error.next_step or say("Publish it again."))
        return TlsRptCheck(domain, (finding,))
    findings = [present("tls_rpt.published", evidence, say("TLS reports go to %(rua)s.", rua=", ".join(record.rua)))]
    findings += [
        warning(
            "tls_rpt.remark",
            evidence,
            say("%(name)s: %(message)s.", name=name, message=remark.message),
            remark.next_step,
        )
        for remark in record.remarks
    ]
    return TlsRptCheck(domain, tuple(findings), record)
