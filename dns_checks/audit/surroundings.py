"""The checks of what surrounds a sender domain, each by its own module: shown, and never what verification hangs on."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from dns_checks import bimi
from dns_checks.audit.report import Address, AuditFinding, AuditRequest, CheckOutcome
from dns_checks.dmarc import bundled_suffixes
from dns_checks.dnsbl import Listable, Listing, check_list, findings_of
from dns_checks.dnsbl_lists import BlockList
from dns_checks.findings import info, present
from dns_checks.mail_hosts import check_mail_hosts
from dns_checks.mta_sts import check_mta_sts
from dns_checks.ptr import check_ptr
from dns_checks.tls_rpt import check_tls_rpt
from dns_checks.tlsa import check_tlsa
from mailtypes.auth import Finding
from mailtypes.domain import DomainName
from mailtypes.questions import DnsEvaluation, Evaluation
from mailtypes.saying import say


def check_mx(domain: DomainName) -> DnsEvaluation[CheckOutcome]:
    """Whether mail to ``domain`` finds a host: replies for the sender domain, bounces for the return-path host."""
    found = yield from check_mail_hosts(domain)
    return CheckOutcome(f"mx {domain}", found.findings)


def check_address(request: AuditRequest, address: Address) -> DnsEvaluation[CheckOutcome]:
    """The reverse name of a sending address, and whether it is one of the sender's own."""
    found = yield from check_ptr(address, request.ehlo_names.get(address))
    findings = found.findings
    if found.fcrdns is Finding.PRESENT:
        findings += (_judge_owner(request.domain, address, found.confirmed, findings),)
    return CheckOutcome(f"ptr {address}", findings)


def _judge_owner(
    domain: DomainName, address: Address, names: Sequence[str], findings: Sequence[AuditFinding]
) -> AuditFinding:
    """Apple asks for a reverse name with the sender's domain."""
    organization = bundled_suffixes().registered(domain) or domain
    evidence = findings[0].evidence
    if any(DomainName(name).is_within(organization) for name in names):
        return present(
            "ptr.own_domain",
            evidence,
            say(
                "The reverse name of %(address)s is one of %(organization)s.",
                address=address,
                organization=organization,
            ),
        )
    sentence = say(
        "The reverse name of %(address)s is not one of %(organization)s; Apple advises that it is.",
        address=address,
        organization=organization,
    )
    step = say(
        "If the address is yours alone, let its PTR record name a host below %(organization)s.",
        organization=organization,
    )
    return info("ptr.other_domain", evidence, sentence, step)


def check_bimi(request: AuditRequest, now: datetime) -> Evaluation[CheckOutcome]:
    """The logo."""
    terms = request.terms
    found = yield from bimi.evaluate(request.domain, terms.bimi_selector, roots=terms.mark_roots, now=now)
    return CheckOutcome(f"bimi {request.domain}", found.findings)


def check_tls_policy(domain: DomainName) -> Evaluation[CheckOutcome]:
    """MTA-STS."""
    found = yield from check_mta_sts(domain)
    return CheckOutcome(f"mta_sts {domain}", found.findings)


def check_tls_reports(domain: DomainName) -> DnsEvaluation[CheckOutcome]:
    """TLS reporting."""
    found = yield from check_tls_rpt(domain)
    return CheckOutcome(f"tls_rpt {domain}", found.findings)


def check_dane(request: AuditRequest) -> DnsEvaluation[CheckOutcome]:
    """TLSA records of the domain's mail hosts."""
    found = yield from check_tlsa(request.domain, trusts_resolver=request.terms.trusts_resolver)
    return CheckOutcome(f"tlsa {request.domain}", found.findings)


def check_block_list(request: AuditRequest, block_list: BlockList) -> DnsEvaluation[CheckOutcome]:
    """What one block list says about the addresses and the domain."""
    subjects: tuple[Listable, ...] = (*request.egress_addresses, request.domain)
    answers = yield from check_list(block_list, subjects)
    findings = findings_of(answers)
    if len(answers) > 1 and len({(answer.listing, answer.cause) for answer in answers}) == 1:
        # One line where the list says the same of all.
        named = " and ".join(str(answer.subject) for answer in answers)
        if answers[0].listing is Listing.NOT_LISTED:
            findings = (
                replace(
                    findings[0],
                    sentence=say("%(block_list)s lists none of %(named)s.", block_list=block_list.name, named=named),
                ),
            )
        elif answers[0].listing is Listing.UNKNOWN:
            sentence = say(
                "Whether %(block_list)s lists %(named)s could not be found out: %(cause)s.",
                block_list=block_list.name,
                named=named,
                cause=answers[0].cause,
            )
            findings = (replace(findings[0], sentence=sentence),)
    return CheckOutcome(f"dnsbl {block_list.zone}", findings)
