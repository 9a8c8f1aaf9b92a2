"""What BIMI asks of DMARC: a policy that is enforced (draft-brand-indicators-for-message-identification section 3)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dns_checks.dmarc.evaluate import Discovery, discover
from dns_checks.dmarc.record import DmarcRecord, Policy
from dns_checks.findings import CheckFinding, Evidence, absent, present, unknown, warning
from mailtypes.domain import DomainName
from mailtypes.questions import Evaluation
from mailtypes.saying import say

# RFC 9989 has no pct= any more; receivers on RFC 7489 still follow it, and BIMI was written with it in mind.
_PERCENTAGE: Final = re.compile(r";[ \t]*pct[ \t]*=[ \t]*([0-9]{1,3})[ \t]*(?:;|\Z)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DmarcFacts:
    """The DMARC record that applies to a domain, and that of its organizational domain where it is another.

    ``organizational_domain`` is ``None`` where it could not be found out. ``unanswered`` says why the record could not
    be looked up; empty where it could.
    """

    record: DmarcRecord | None = None
    policy_domain: DomainName | None = None
    organizational_domain: DomainName | None = None
    organizational_record: DmarcRecord | None = None
    unanswered: str = ""

    @classmethod
    def of_discovery(cls, found: Discovery) -> "DmarcFacts":
        """The facts that a discovery of the policy brought (RFC 9989 section 4.10.1)."""
        organizational = found.walk.organizational_domain
        above = found.walk.records.get(organizational) if organizational is not None else None
        return cls(found.record, found.policy_domain, organizational, above, found.unanswered)


def find_facts(domain: DomainName) -> Evaluation[DmarcFacts]:
    """Look up the DMARC records of ``domain``."""
    return DmarcFacts.of_discovery((yield from discover(domain)))


def enforcement_findings(domain: DomainName, facts: DmarcFacts) -> tuple[CheckFinding, ...]:
    """Whether DMARC is strict enough for the logo of ``domain`` to be shown: one good finding, or all faults."""
    if facts.unanswered:
        sentence = say(
            "Whether %(domain)s enforces DMARC could not be looked up: %(unanswered)s.",
            domain=domain,
            unanswered=facts.unanswered,
        )
        return (unknown("bimi.dmarc_unknown", (), sentence),)
    if facts.record is None or facts.policy_domain is None:
        next_step = say("Publish a DMARC record, and raise its policy to quarantine or reject once all mail passes.")
        return (
            absent(
                "bimi.dmarc_missing",
                (),
                say("%(domain)s has no DMARC record, which BIMI asks for.", domain=domain),
                next_step,
            ),
        )
    faults = list(_faults(domain, facts.policy_domain, facts.record))
    above = facts.organizational_domain
    if above not in {None, domain} and facts.organizational_record is not None:
        assert above is not None
        known = {(fault.code, fault.sentence) for fault in faults}
        of_organization = _faults(above, above, facts.organizational_record)
        faults += [fault for fault in of_organization if (fault.code, fault.sentence) not in known]
    if faults:
        return tuple(faults)
    if facts.organizational_domain is None:
        sentence = say(
            "Whether the organizational domain of %(domain)s enforces DMARC could not be looked up.", domain=domain
        )
        return (unknown("bimi.dmarc_unknown", (), sentence),)
    evidence = (_evidence(facts.policy_domain, facts.record),)
    return (present("bimi.dmarc", evidence, say("%(domain)s enforces DMARC, as BIMI asks.", domain=domain)),)


def _faults(domain: DomainName, policy_domain: DomainName, record: DmarcRecord) -> Iterator[CheckFinding]:
    evidence = (_evidence(policy_domain, record),)
    policy = record.policy_for(subdomain=domain != policy_domain, exists=True)
    if policy is Policy.NONE:
        yield absent(
            "bimi.dmarc_not_enforced",
            evidence,
            say("The DMARC policy for %(domain)s is none; BIMI asks for quarantine or reject.", domain=domain),
            say("Raise the policy once the reports show that all mail of yours passes."),
        )
    elif domain == policy_domain and record.sp is Policy.NONE:
        yield absent(
            "bimi.dmarc_subdomains",
            evidence,
            say(
                "The DMARC policy for subdomains of %(policy_domain)s is none; BIMI asks for quarantine or reject.",
                policy_domain=policy_domain,
            ),
            say("Remove sp=none, or set it to quarantine or reject."),
        )
    if record.is_testing:
        yield absent(
            "bimi.dmarc_testing",
            evidence,
            say(
                "The DMARC policy of %(policy_domain)s is only tested (t=y), so it is not enforced.",
                policy_domain=policy_domain,
            ),
            say("Remove t=y once the reports show that all mail of yours passes."),
        )
    percentage = _PERCENTAGE.search(record.text)
    if percentage and int(percentage[1]) < 100 and policy is not Policy.NONE:
        sentence = say(
            "The DMARC record of %(policy_domain)s asks for its policy on %(percentage)s %% of mail only.",
            policy_domain=policy_domain,
            percentage=int(percentage[1]),
        )
        next_step = say("Remove pct=; RFC 9989 no longer has it.")
        # Under reject, RFC 7489 still quarantines the rest: that is enforcement, though not all that was asked for.
        kind = warning if policy is Policy.REJECT and int(percentage[1]) > 0 else absent
        yield kind("bimi.dmarc_sampled", evidence, sentence, next_step)


def _evidence(domain: DomainName, record: DmarcRecord) -> Evidence:
    return Evidence(f"_dmarc.{domain} TXT", record.text)
