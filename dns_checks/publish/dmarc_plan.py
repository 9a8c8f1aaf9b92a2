"""DMARC for publishing: the record to begin with, and the way from watching to rejecting (RFC 9989 section 5.1)."""

from dataclasses import dataclass
from enum import StrEnum

from dns_checks.dmarc import DmarcRecord, DmarcSyntaxError, Policy, parse_record
from dns_checks.dmarc.record import OBSOLETE_TAGS
from mailtypes.saying import say

_STRICTNESS = {Policy.NONE: 0, Policy.QUARANTINE: 1, Policy.REJECT: 2}


class Progress(StrEnum):
    """Where a domain stands with a step."""

    DONE = "done"
    CURRENT = "current"
    NEXT = "next"


@dataclass(frozen=True, slots=True)
class DmarcStep:
    """One step: the whole record to publish, what it does, and what has to hold before the next one."""

    policy: Policy
    record: str
    effect: str
    go_on_when: tuple[str, ...]
    progress: Progress


_EFFECTS = {
    Policy.NONE: say("Receivers deliver as before and report what would fail."),
    Policy.QUARANTINE: say("Receivers put mail that fails into the spam folder."),
    Policy.REJECT: say("Receivers refuse mail that fails; nobody can send in the domain's name any more."),
}
_CONDITIONS = {
    Policy.NONE: (
        say("Aggregate reports have come in for at least four weeks, a month's end among them."),
        say("Every source in them that is yours is known, and its mail passes with an aligned identifier."),
        say("At least 99 % of the mail of your own sources passes, week after week."),
    ),
    Policy.QUARANTINE: (
        say("At least four more weeks have brought no report of your own mail in quarantine."),
        say("What still fails is forwarded mail or mailing lists, and you can do without it; or it is not yours."),
        say("Nobody has complained of mail in the spam folder that comes from a source of yours."),
    ),
    Policy.REJECT: (),
}


def dmarc_plan(existing: str | None, report_address: str | None = None) -> tuple[DmarcStep, ...]:
    """The steps from ``none`` over ``quarantine`` to ``reject``, and which of them the domain is at.

    ``existing`` is the record of the domain itself: its other tags stay, but for those that RFC 9989 dropped and for
    ``t``. Where it cannot be read the plan begins anew. A domain without a record has no current step.
    """
    record = _read(existing)
    at = record.p if record is not None else None
    steps = []
    for policy in (Policy.NONE, Policy.QUARANTINE, Policy.REJECT):
        if at is None or _STRICTNESS[policy] > _STRICTNESS[at]:
            progress = Progress.NEXT
        else:
            progress = Progress.CURRENT if policy is at else Progress.DONE
        text = _with_policy(record, policy, report_address)
        steps.append(DmarcStep(policy, text, _EFFECTS[policy], _CONDITIONS[policy], progress))
    return tuple(steps)


def kept_record(existing: str | None) -> str | None:
    """``existing`` if it is a record that receivers follow; ``None`` where another has to take its place."""
    record = _read(existing)
    return record.text if record is not None else None


def dmarc_start_record(report_address: str | None = None) -> str:
    """The policy to begin with: nothing is asked of receivers but reports (RFC 9989 section 5.1.4)."""
    return _with_policy(None, Policy.NONE, report_address)


def uri_address(address: str) -> str:
    """``address`` as it stands in a ``mailto:`` URI within a record."""
    # RFC 9989 section 4.8: commas, exclamation points and semicolons would end the URI.
    for octet in "%,!;?# ":
        address = address.replace(octet, f"%{ord(octet):02X}")
    return address


def _with_policy(record: DmarcRecord | None, policy: Policy, report_address: str | None) -> str:
    dropped = {"v", "p", "t", *OBSOLETE_TAGS}
    kept = [(tag.name.lower(), tag.value) for tag in record.tags if tag.name.lower() not in dropped] if record else []
    if record is not None and policy is not Policy.NONE:
        # A subdomain policy that is weaker than the new one would leave subdomains to whoever wants them.
        weaker = {
            name
            for name, value in (("sp", record.sp), ("np", record.np))
            if value is not None and policy is Policy.REJECT and _STRICTNESS[value] < _STRICTNESS[policy]
        }
        kept = [(name, value) for name, value in kept if name not in weaker]
    if report_address is not None and not any(name == "rua" for name, _ in kept):
        kept.append(("rua", f"mailto:{uri_address(report_address)}"))
    return "; ".join(["v=DMARC1", f"p={policy}", *(f"{name}={value}" for name, value in kept)])


def _read(text: str | None) -> DmarcRecord | None:
    if text is None:
        return None
    try:
        record = parse_record(text)
    except DmarcSyntaxError:
        return None
    return None if record.has_invalid_policy else record
