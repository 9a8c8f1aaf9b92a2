"""All checks that belong to an audit, independent of each other, and the evaluator that runs them in order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dns_checks.audit.report import (
    AuditFinding,
    AuditRequest,
    CheckOutcome,
    Verdict,
    facts_of,
    verdict_of,
)
from dns_checks.audit.requirements import RequirementResult, evaluate_requirements
from dns_checks.audit.sending import (
    check_dmarc,
    check_key,
    check_return_path,
    check_spf,
    check_tracking_host,
    check_unnamed_keys,
)
from dns_checks.audit.surroundings import (
    check_address,
    check_bimi,
    check_block_list,
    check_dane,
    check_mx,
    check_tls_policy,
    check_tls_reports,
)
from mailtypes.auth import AuthFacts
from mailtypes.domain import DomainName
from mailtypes.questions import DnsEvaluation, Evaluation

Check: TypeAlias = DnsEvaluation[CheckOutcome] | Evaluation[CheckOutcome]


@dataclass(frozen=True, slots=True)
class AuditReport:
    """All findings on one domain, the facts that others weigh, and the verdict (``DECIDING`` says by what).

    ``requirements`` is the table provider x requirement; ``outcomes`` has the findings by check.
    """

    domain: DomainName
    findings: tuple[AuditFinding, ...]
    facts: AuthFacts
    verdict: Verdict
    requirements: tuple[RequirementResult, ...] = ()
    outcomes: tuple[CheckOutcome, ...] = ()


def audit_domain(request: AuditRequest) -> Evaluation[AuditReport]:
    """All checks one after the other; ``run_audit`` runs them at once."""
    outcomes: tuple[CheckOutcome, ...] = ()
    for check in checks(request):
        outcomes += ((yield from check),)
    return combine(request, outcomes)


def checks(request: AuditRequest) -> Sequence[Check]:
    """The checks that belong to ``request``, independent of each other; their outcomes go to ``combine``."""
    domain, host = request.domain, request.return_path_host
    found: list[Check] = [check_spf(request), *_key_checks(request), check_dmarc(request)]
    if request.is_sender:
        found.append(check_return_path(request))
    if request.tracking_host is not None:
        found.append(check_tracking_host(request.tracking_host))
    found += [check_mx(one) for one in dict.fromkeys((domain, host))]
    found += [check_address(request, address) for address in request.egress_addresses]
    if request.terms.now is not None:
        found.append(check_bimi(request, request.terms.now))
    found += [check_tls_policy(domain), check_tls_reports(domain), check_dane(request)]
    found += [check_block_list(request, one) for one in request.terms.block_lists]
    return found


def _key_checks(request: AuditRequest) -> list[Check]:
    of_keys: list[Check] = [check_key(request.domain, key.selector, key) for key in request.keys]
    known = {key.selector for key in request.keys}
    of_keys += [check_key(request.domain, one) for one in dict.fromkeys(request.selectors) if one not in known]
    return of_keys or [check_unnamed_keys(request.domain)]


def combine(request: AuditRequest, outcomes: Iterable[CheckOutcome]) -> AuditReport:
    """The report from the outcomes of all checks, in whatever order they were run."""
    gathered = tuple(outcomes)
    findings = tuple(finding for outcome in gathered for finding in outcome.findings)
    return AuditReport(
        domain=request.domain,
        findings=findings,
        facts=facts_of(request, gathered),
        verdict=verdict_of(request, findings),
        requirements=evaluate_requirements(request, gathered),
        outcomes=gathered,
    )
