"""``check_host()`` (RFC 7208 section 4): may this client send mail for this domain?"""

from dataclasses import dataclass, replace
from ipaddress import IPv6Address

from dns_checks.spf.errors import IncludeFailed, LookupFailed, SpfFault, SpfLimitExceeded, SpfSyntaxError
from dns_checks.spf.limits import SpfBudget, SpfLimits
from dns_checks.spf.macros import parse_macro_string
from dns_checks.spf.match import Match, match_mechanism
from dns_checks.spf.parse import is_spf_record, is_top_label, parse_record
from dns_checks.spf.result import SpfResult, SpfVerdict, TermOutcome
from dns_checks.spf.session import ClientAddress, Session, SpfReceiver, is_askable
from dns_checks.spf.terms import Directive, Explanation, Include, Qualifier, Redirect, SpfRecord
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.questions import DnsAnswer, DnsEvaluation, DnsQuestion, Found, RecordType, TxtRecord, Unanswered

_OF_QUALIFIER = {
    Qualifier.PASS: SpfResult.PASS,
    Qualifier.FAIL: SpfResult.FAIL,
    Qualifier.SOFTFAIL: SpfResult.SOFTFAIL,
    Qualifier.NEUTRAL: SpfResult.NEUTRAL,
}


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The result for one record, and the record (after redirects) whose ``exp=`` would explain a ``fail``."""

    result: SpfResult
    cause: str
    domain: str = ""
    record: SpfRecord | None = None
    published: str | None = None


def check_host(
    ip: ClientAddress,
    domain: str,
    sender: str,
    *,
    helo: str = "unknown",
    receiver: SpfReceiver | None = None,
    limits: SpfLimits | None = None,
) -> DnsEvaluation[SpfVerdict]:
    """Evaluate the SPF record of ``domain`` for the client ``ip``; never raises for what the DNS holds.

    ``sender`` is the MAIL FROM identity, or ``postmaster@`` the HELO name where that was empty (see
    ``check_mail_from``). ``helo`` and ``receiver`` matter to macros only.
    """
    local_part, _, sender_domain = _visible(sender).rpartition("@")
    session = Session(
        client=_unmapped(ip),
        local_part=local_part or "postmaster",  # section 4.3
        sender_domain=sender_domain,
        helo=_visible(helo),
        receiver=receiver or SpfReceiver(),
        budget=SpfBudget(limits or SpfLimits()),
    )
    outcome = yield from _check_domain(session, _as_a_labels(domain))
    explanation = None
    if outcome.result is SpfResult.FAIL and outcome.record is not None and outcome.record.explanation is not None:
        explanation = yield from _explain(session, outcome.domain, outcome.record.explanation)
    return SpfVerdict(
        outcome.result, outcome.cause, explanation, tuple(session.trace), outcome.published, session.budget.spent
    )


def check_mail_from(
    ip: ClientAddress,
    mail_from: str,
    helo: str,
    *,
    receiver: SpfReceiver | None = None,
    limits: SpfLimits | None = None,
) -> DnsEvaluation[SpfVerdict]:
    """Check the MAIL FROM identity (section 2.4); for the empty reverse-path, ``postmaster`` at the HELO name."""
    sender = mail_from or f"postmaster@{helo}"
    domain = sender.rpartition("@")[2]
    return check_host(ip, domain, sender, helo=helo, receiver=receiver, limits=limits)


def _unmapped(ip: ClientAddress) -> ClientAddress:
    """Section 5: an IPv4 address written as an IPv6 one is still an IPv4 address."""
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def _visible(text: str) -> str:
    """``text`` without control characters: it comes from the client and goes into causes, traces and replies."""
    return text if text.isprintable() else "".join(one if one.isprintable() else "?" for one in text)


def _as_a_labels(domain: str) -> str:
    """RFC 8616 section 4: U-labels are turned into A-labels first. What cannot be turned stays as it is."""
    if domain.isascii():
        return domain.removesuffix(".")
    try:
        return DomainName.parse(domain).ascii
    except DomainSyntaxError:
        return domain


def _is_checkable(domain: str) -> bool:
    """Section 4.3: well-formed and of several labels; an address literal is neither."""
    return is_askable(domain) and "." in domain and is_top_label(domain.rpartition(".")[2])


def _check_domain(session: Session, domain: str) -> DnsEvaluation[_Outcome]:
    """``check_host()`` for one domain, be it the first, an included one, or one redirected to."""
    if not _is_checkable(domain):
        return _Outcome(SpfResult.NONE, f"'{_visible(domain[:80])}' is not a domain that can have an SPF record")
    answer = yield DnsQuestion(domain, RecordType.TXT)
    if isinstance(answer, Unanswered):
        return _Outcome(SpfResult.TEMPERROR, f"{domain} TXT: {answer.cause}")
    records = [text for text in _texts(answer) if is_spf_record(text)]
    if not records:
        return _Outcome(SpfResult.NONE, f"{domain} has no SPF record")
    if len(records) > 1:  # section 4.5
        return _Outcome(SpfResult.PERMERROR, f"{domain} has {len(records)} SPF records")
    published = records[0].decode("latin-1")
    try:
        outcome = yield from _evaluate(session, domain, parse_record(published))
    except SpfSyntaxError as error:
        return _Outcome(SpfResult.PERMERROR, f"{domain}: {error.message}", published=published)
    except SpfLimitExceeded as fault:
        return _Outcome(fault.result, f"{domain}: {fault}", published=published)
    except SpfFault as fault:
        return _Outcome(fault.result, str(fault), published=published)
    return replace(outcome, published=published)


def _texts(answer: DnsAnswer) -> list[bytes]:
    records = answer.records if isinstance(answer, Found) else ()
    return [record.joined for record in records if isinstance(record, TxtRecord)]


def _evaluate(session: Session, domain: str, record: SpfRecord) -> DnsEvaluation[_Outcome]:
    """Section 4.6: the mechanisms from left to right, then ``redirect``, else ``neutral``."""
    for directive in record.directives:
        match = yield from _evaluate_directive(session, domain, directive)
        if match.matched:
            cause = f"{domain}: {directive.text} matches" + (f" ({match.detail})" if match.detail else "")
            return _Outcome(_OF_QUALIFIER[directive.qualifier], cause, domain, record)
    if record.redirect is not None:
        return (yield from _redirect(session, domain, record.redirect))
    return _Outcome(SpfResult.NEUTRAL, f"{domain}: nothing matches", domain, record)


def _evaluate_directive(session: Session, domain: str, directive: Directive) -> DnsEvaluation[Match]:
    number = session.begin(domain, directive)
    try:
        if isinstance(directive.mechanism, Include):
            match = yield from _include(session, domain, directive.mechanism)
        else:
            match = yield from match_mechanism(directive.mechanism, session, domain)
    except SpfFault as fault:
        session.end(number, TermOutcome(fault.result), detail=str(fault))
        raise
    outcome = TermOutcome.MATCH if match.matched else TermOutcome.NO_MATCH
    session.end(number, outcome, match.target, match.detail)
    return match


def _include(session: Session, domain: str, mechanism: Include) -> DnsEvaluation[Match]:
    """Section 5.2: only a ``pass`` of the other record matches."""
    session.budget.spend_term()
    target = yield from session.expand_name(mechanism.domain, domain)
    if not target.isascii():  # RFC 8616 section 4: macros of such a local part match nothing
        return Match(False, target, "the name is not ASCII")
    session.depth += 1
    outcome = yield from _check_domain(session, target)
    session.depth -= 1
    if outcome.result is SpfResult.TEMPERROR:
        raise LookupFailed(outcome.cause)
    if outcome.result in {SpfResult.PERMERROR, SpfResult.NONE}:
        raise IncludeFailed(outcome.cause)
    return Match(outcome.result is SpfResult.PASS, target, outcome.cause)


def _redirect(session: Session, domain: str, redirect: Redirect) -> DnsEvaluation[_Outcome]:
    """Section 6.1: the result of the other record, but no record there is a ``permerror``."""
    number = session.begin(domain, redirect)
    target = ""
    try:
        session.budget.spend_term()
        target = yield from session.expand_name(redirect.domain, domain)
        outcome = yield from _check_domain(session, target)
    except SpfFault as fault:
        session.end(number, TermOutcome(fault.result), target, str(fault))
        raise
    if outcome.result is SpfResult.NONE:
        outcome = _Outcome(SpfResult.PERMERROR, outcome.cause)
    failed = outcome.result in {SpfResult.TEMPERROR, SpfResult.PERMERROR}
    session.end(number, TermOutcome(outcome.result) if failed else TermOutcome.MATCH, target, outcome.cause)
    return outcome


def _explain(session: Session, domain: str, modifier: Explanation) -> DnsEvaluation[str | None]:
    """Section 6.2: the owner's text; whatever goes wrong on the way, it is as if there were no ``exp=``."""
    number = session.begin(domain, modifier)
    target = yield from session.expand_name(modifier.domain, domain)
    text, detail = None, "not a name that can be asked for"
    if is_askable(target):
        texts = _texts((yield DnsQuestion(target, RecordType.TXT)))
        if len(texts) == 1:
            text, detail = yield from _expand_explanation(session, domain, texts[0])
        else:
            detail = f"{target} has {len(texts)} TXT records, not one"
    session.end(number, TermOutcome.NO_MATCH if text is None else TermOutcome.MATCH, target, detail)
    return text


def _expand_explanation(session: Session, domain: str, published: bytes) -> DnsEvaluation[tuple[str | None, str]]:
    try:
        template = parse_macro_string(published.decode("latin-1"), explanation=True)
    except SpfSyntaxError as error:
        return None, error.message
    values = yield from session.macro_values(template, domain)
    text = template.expand(values)
    if not text.isascii():  # section 6.2, which a macro's value may break
        return None, "the explanation is not ASCII"
    if len(text) > session.budget.limits.explanation_octets:
        return None, f"the explanation is longer than {session.budget.limits.explanation_octets} octets"
    return text, ""
