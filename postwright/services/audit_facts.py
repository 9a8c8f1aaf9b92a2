"""What the last audit of a sender domain says to the spam-risk score and to pre-flight."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mailtypes.auth import AuthFacts, Finding
from mailtypes.clock import DAY, Microseconds
from mailtypes.saying import say
from postwright.services.errors import Problem
from postwright.store.domains import SenderDomain
from rendering.spam_risk import NOTHING_KNOWN, InfrastructureFacts

STALE = 7 * DAY
"""An audit older than that is said to be old; the watch looks once a day."""


@dataclass(frozen=True, slots=True)
class AuditFacts:
    """``auth`` is ``None`` where no audit has been made."""

    auth: AuthFacts | None = None
    infrastructure: InfrastructureFacts = NOTHING_KNOWN


NO_AUDIT = AuditFacts()


def audit_facts(domain: SenderDomain | None, *, one_click: bool) -> AuditFacts:
    """The facts of a domain's last audit; ``one_click`` is the stream's, and not of the domain."""
    document = _document(domain)
    facts = document.get("facts") or {}
    if not facts:
        return NO_AUDIT
    auth = AuthFacts(
        spf=_finding(facts.get("spf")),
        dkim=_finding(facts.get("dkim")),
        dmarc=_finding(facts.get("dmarc")),
        dmarc_policy=facts.get("dmarc_policy"),
        one_click_unsubscribe=one_click,
        fcrdns=_finding(facts.get("fcrdns")),
    )
    findings = document.get("findings") or []
    codes = {str(finding.get("code")) for finding in findings}
    listed_on = tuple(_listed_on(findings))
    not_listed = Finding.ABSENT if "dnsbl.not_listed" in codes else Finding.UNKNOWN
    infrastructure = InfrastructureFacts(
        fcrdns=auth.fcrdns,
        # An EHLO name that is not the reverse name may resolve all the same, so that tells nothing.
        helo=Finding.PRESENT if "ptr.ehlo_matches" in codes else Finding.UNKNOWN,
        block_listing=Finding.PRESENT if listed_on else not_listed,
        listed_on=listed_on,
    )
    return AuditFacts(auth, infrastructure)


def audit_problems(domain: SenderDomain, now: Microseconds) -> list[Problem]:
    """What is not well with a domain that may be sent from all the same: faults of its last audit, or an old one."""
    if domain.state != "verified":
        return []  # that blocks, and says so itself
    problems = []
    if domain.checked_at is not None and now - domain.checked_at > STALE:
        days = (now - domain.checked_at) // DAY
        sentence = say("%(domain)s was looked at %(days)s days ago for the last time.", domain=domain.name, days=days)
        step = say("Run: postwright domain verify %(domain)s", domain=domain.name)
        problems.append(Problem("audit_old", sentence, "from_address", "", step))
    faults = [finding for finding in _document(domain).get("findings") or [] if _is_fault(finding)]
    if faults:
        told = ", ".join(dict.fromkeys(str(finding.get("code", "")) for finding in faults))
        values = {"domain": domain.name, "number": len(faults), "codes": told}
        sentence = say(
            "The last audit of %(domain)s found %(number)s faults that do not keep it from sending: %(codes)s.",
            **values,
        )
        if len(faults) == 1:
            sentence = say(
                "The last audit of %(domain)s found %(number)s fault that do not keep it from sending: %(codes)s.",
                **values,
            )
        problems.append(Problem("audit_faults", sentence, "from_address", "", say("Look at the page of the domain.")))
    return problems


def _is_fault(finding: Mapping[str, Any]) -> bool:
    return finding.get("severity") in {"error", "warning"} and finding.get("state") == Finding.ABSENT


def _document(domain: SenderDomain | None) -> Mapping[str, Any]:
    found = json.loads(domain.audit) if domain is not None and domain.audit else {}
    return found if isinstance(found, Mapping) else {}


def _finding(value: object) -> Finding:
    try:
        return Finding(str(value))
    except ValueError:
        return Finding.UNKNOWN


def _listed_on(findings: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The block lists that have us and weigh: listings of others are warnings."""
    for finding in findings:
        if finding.get("code") == "dnsbl.listed" and finding.get("severity") == "error":
            yield str(finding.get("sentence", "")).partition(" is listed by ")[2].partition(":")[0]
