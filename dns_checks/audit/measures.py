"""How the things that providers ask for are measured: from findings of the checks, and from the sender's practice."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from dns_checks.audit.report import (
    CONFIRMATION,
    DECIDING,
    AuditFinding,
    AuditRequest,
    CheckOutcome,
    worst_state,
)
from dns_checks.findings import Severity
from mailtypes.auth import Finding
from mailtypes.domain import DomainName
from mailtypes.saying import joined, say

_MAILBOX_DOMAINS = (DomainName("gmail.com"), DomainName("googlemail.com"))
_ASK = say("Nobody told; look at the provider's own figures (Postmaster Tools, the feedback loop).")


@dataclass(frozen=True, slots=True)
class Measured:
    """What a measure says: the state of what is asked for, a sentence, the next step, and the findings it stands on."""

    state: Finding
    sentence: str
    next_step: str = ""
    findings: tuple[AuditFinding, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """What a measure may look at."""

    request: AuditRequest
    outcomes: tuple[CheckOutcome, ...]

    def findings(self, codes: Iterable[str], check: str = "") -> tuple[AuditFinding, ...]:
        """The findings of these codes, of one check only where it is named."""
        wanted = frozenset(codes)
        return tuple(
            finding
            for outcome in self.outcomes
            if not check or outcome.check == check
            for finding in outcome.findings
            if finding.code in wanted
        )


_SPF = DECIDING["spf"] - {"spf.record"}  # a record alone lets nobody send
_DKIM = DECIDING["dkim"]
_DMARC = DECIDING["dmarc"]
_ALIGNED = frozenset({"dmarc.spf_aligned", "dmarc.spf_not_aligned", "dmarc.spf_alignment_unknown"})
_MX = frozenset(
    {"mx.hosts", "mx.implicit", "mx.no_usable_host", "mx.missing", "mx.no_such_domain", "mx.null", "mx.unknown"}
    | {"mx.hosts_unknown"}
)


def _spf(view: View) -> Measured:
    if not view.request.egress_addresses:
        broken = [one for one in view.findings(_SPF) if one.state is Finding.ABSENT]
        if not broken:
            sentence = say("No sending address is named, so whether SPF lets it send is unknown.")
            return Measured(Finding.UNKNOWN, sentence, say("Name the address that mail comes from."))
    return _of(view.findings(_SPF), say("SPF was not looked at."))


def _dkim(view: View) -> Measured:
    # A key that is published in the domain's own name: what we sign with it passes, in any order of checks.
    return _of(view.findings(_DKIM), say("DKIM was not looked at."))


def _spf_or_dkim(view: View) -> Measured:
    """One that is there suffices; only where both are certainly not there it fails."""
    both = (_spf(view), _dkim(view))
    return next(
        (one for state in (Finding.PRESENT, Finding.UNKNOWN) for one in both if one.state is state),
        _join(both),
    )


def _join(measured: Sequence[Measured]) -> Measured:
    """Absent with all that says so."""
    return Measured(
        Finding.ABSENT,
        joined((one.sentence for one in measured), " "),
        joined((one.next_step for one in measured), " "),
        tuple(finding for one in measured for finding in one.findings),
    )


def _dkim_1024(view: View) -> Measured:
    return _of(view.findings(_DKIM), say("DKIM was not looked at."))  # dkim.key_too_short is one of them


def _dkim_2048(view: View) -> Measured:
    return _of(view.findings(_DKIM | {"dkim.key_short"}), say("DKIM was not looked at."))


def _dmarc(view: View) -> Measured:
    return _of(view.findings(_DMARC), say("DMARC was not looked at."))


def _aligned(view: View) -> Measured:
    """DKIM signs with the From domain itself; SPF counts where the return path is aligned and lets us send."""
    dmarc = _dmarc(view)
    if dmarc.state is not Finding.PRESENT:
        return dmarc  # nothing aligns without a policy, and without an answer nobody knows
    by_dkim = _dkim(view)
    if by_dkim.state is Finding.PRESENT:
        return by_dkim
    by_spf = _of((*view.findings(_SPF), *view.findings(_ALIGNED)), say("SPF was not looked at."))
    if not view.request.egress_addresses and by_spf.state is Finding.PRESENT:
        by_spf = _spf(view)
    if by_spf.state is Finding.PRESENT:
        return by_spf
    return next((one for one in (by_dkim, by_spf) if one.state is Finding.UNKNOWN), _join((by_dkim, by_spf)))


def _fcrdns(view: View) -> Measured:
    return _of(view.findings(CONFIRMATION), say("No sending address is named, so its reverse name is unknown."))


def _own_reverse_name(view: View) -> Measured:
    confirmed = _fcrdns(view)
    if confirmed.state is not Finding.PRESENT:
        return confirmed
    return _of(view.findings({"ptr.own_domain", "ptr.other_domain"}), say("Reverse names were not looked at."))


def _reply_address(view: View) -> Measured:
    found = view.findings(_MX, f"mx {view.request.domain}")
    if found and found[0].code == "mx.implicit":
        return Measured(Finding.PRESENT, found[0].sentence, findings=found)  # not good, but replies arrive
    return _of(found, say("The mail hosts were not looked at."))


def _own_from(view: View) -> Measured:
    domain = view.request.domain
    if any(domain.is_within(one) for one in _MAILBOX_DOMAINS):
        sentence = say(
            "%(domain)s is Gmail's; mail with it in From that does not come from Gmail is quarantined.", domain=domain
        )
        return Measured(Finding.ABSENT, sentence, say("Send from a domain of your own."))
    return Measured(Finding.PRESENT, say("%(domain)s is not Gmail's.", domain=domain))


def _one_click(view: View) -> Measured:
    if view.request.one_click:
        return Measured(Finding.PRESENT, say("Bulk mail carries both fields of RFC 8058, covered by the signature."))
    if not view.request.is_sender:
        return Measured(
            Finding.UNKNOWN, say("One-click unsubscribe shows in a message, not in the DNS."), say("Check a message.")
        )
    return Measured(
        Finding.ABSENT, say("One-click unsubscribe is switched off."), say("Switch one-click unsubscribe on.")
    )


def _tls(view: View) -> Measured:
    return _told(
        view.request.practice.offers_tls,
        (say("Mail is sent over TLS wherever the receiver offers it."), say("Mail is sent without TLS.")),
        say("Switch STARTTLS on."),
    )


def _visible_link(view: View) -> Measured:
    return _told(
        view.request.practice.visible_link,
        (
            say("Every bulk mail shows a link to unsubscribe, honoured at once."),
            say("Mail shows no link to unsubscribe."),
        ),
        say("Put a link to unsubscribe into the template."),
    )


def _format(view: View) -> Measured:
    return _told(
        view.request.practice.valid_format,
        (say("Messages are composed by RFC 5322."), say("Messages are not valid by RFC 5322.")),
        say("Mend what composes them."),
    )


def _told(known: bool | None, sentences: tuple[str, str], next_step: str) -> Measured:
    if known is None:
        return Measured(Finding.UNKNOWN, say("This shows in a message, not in the DNS."), say("Check a message."))
    return Measured(Finding.PRESENT if known else Finding.ABSENT, sentences[0 if known else 1], next_step)


def _spam_rate(limit: float) -> Callable[[View], Measured]:
    def measure(view: View) -> Measured:
        rate = view.request.practice.spam_rate
        if rate is None:
            return Measured(Finding.UNKNOWN, say("The spam rate is not known."), _ASK)
        state = Finding.PRESENT if rate < limit else Finding.ABSENT
        step = say("Mail only those who asked for it and still read; pause the segments that complain.")
        return Measured(
            state,
            say("The spam rate is %(rate)s %%, the limit %(limit)s %%.", rate=f"{rate:.2f}", limit=f"{limit:.2f}"),
            step,
        )

    return measure


def _of(findings: Sequence[AuditFinding], otherwise: str) -> Measured:
    """The worst of ``findings``; unknown with the sentence ``otherwise`` where there is none."""
    state = worst_state(finding.state for finding in findings)
    telling = [finding for finding in findings if finding.state is state]
    if not telling:
        return Measured(Finding.UNKNOWN, otherwise)
    telling.sort(key=lambda finding: finding.severity is not Severity.ERROR)
    return Measured(state, telling[0].sentence, telling[0].next_step, tuple(telling))


MEASURES: Mapping[str, Callable[[View], Measured]] = MappingProxyType(
    {
        "spf": _spf,
        "dkim": _dkim,
        "spf_or_dkim": _spf_or_dkim,
        "dkim_1024": _dkim_1024,
        "dkim_2048": _dkim_2048,
        "dmarc": _dmarc,
        "aligned": _aligned,
        "fcrdns": _fcrdns,
        "own_reverse_name": _own_reverse_name,
        "reply_address": _reply_address,
        "own_from": _own_from,
        "one_click": _one_click,
        "tls": _tls,
        "visible_link": _visible_link,
        "format": _format,
        "spam_rate_010": _spam_rate(0.10),
        "spam_rate_030": _spam_rate(0.30),
    }
)
