"""External report destinations: whether they agreed to get a domain's reports (RFC 9990, "Verifying External
Destinations")."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from dns_checks.dmarc.record import DmarcRecord, is_policy_record, parse_record
from dns_checks.dmarc.tree_walk import WalkStep, walk
from dns_checks.rdata import is_dns_name
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.questions import Absent, DnsAnswer, DnsEvaluation, DnsQuestion, RecordType, TxtRecord, Unanswered
from mailtypes.saying import say

_MAILTO = re.compile(r"mailto:[^?]*@(?P<host>[^?@]+)", re.IGNORECASE)
_MAX_HOSTS = 10  # each may cost a tree walk and a query


class Consent(StrEnum):
    """Whether reports may go there: ``internal`` needs no consent."""

    INTERNAL = "internal"
    GIVEN = "given"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ReportDestination:
    """One host that reports are to go to, with the URIs that name it.

    ``question`` is the name of the consent record where one is needed, ``answer`` what was found there or why it
    could not be found out. ``replacements`` are the report URIs that the destination puts in place of ours.
    """

    host: DomainName
    uris: tuple[str, ...]
    consent: Consent
    question: str = ""
    answer: str = ""
    replacements: tuple[str, ...] = ()


def check_destinations(policy_domain: DomainName, record: DmarcRecord) -> DnsEvaluation[tuple[ReportDestination, ...]]:
    """Every host in ``rua`` and ``ruf`` of the record at ``policy_domain``, at most ten; in the order written."""
    known: dict[DomainName, WalkStep] = {}
    destinations = []
    for host, uris in list(_by_host((*record.rua, *record.ruf)).items())[:_MAX_HOSTS]:
        destinations.append((yield from _check(policy_domain, host, uris, known)))
    return tuple(destinations)


def host_of(uri: str) -> DomainName | None:
    """The host that a report URI leads to; ``None`` where it names none."""
    match = _MAILTO.match(uri)
    try:
        return DomainName.parse(match["host"] if match else urlsplit(uri).hostname or "")
    except (DomainSyntaxError, ValueError):
        return None


def _by_host(uris: Iterable[str]) -> dict[DomainName, tuple[str, ...]]:
    hosts: dict[DomainName, tuple[str, ...]] = {}
    for uri in dict.fromkeys(uris):
        host = host_of(uri)
        if host is not None:
            hosts[host] = (*hosts.get(host, ()), uri)
    return hosts


def _check(
    policy_domain: DomainName, host: DomainName, uris: tuple[str, ...], known: dict[DomainName, WalkStep]
) -> DnsEvaluation[ReportDestination]:
    if host == policy_domain:
        return ReportDestination(host, uris, Consent.INTERNAL)
    ours = yield from walk(policy_domain, known)
    theirs = yield from walk(host, known)
    if ours.organizational_domain is None or theirs.organizational_domain is None:
        cause = ours.unanswered or theirs.unanswered
        return ReportDestination(
            host, uris, Consent.UNKNOWN, answer=say("the organizational domain is unknown: %(cause)s", cause=cause)
        )
    if ours.organizational_domain == theirs.organizational_domain:
        return ReportDestination(host, uris, Consent.INTERNAL)
    name = f"{policy_domain.ascii}._report._dmarc.{host.ascii}"
    if not is_dns_name(name):
        return ReportDestination(host, uris, Consent.MISSING, name, say("such a name cannot exist in the DNS"))
    answer = yield DnsQuestion(name, RecordType.TXT)
    return _read_answer(ReportDestination(host, uris, Consent.MISSING, name), answer)


def _read_answer(asked: ReportDestination, answer: DnsAnswer) -> ReportDestination:
    if isinstance(answer, Unanswered):
        return ReportDestination(asked.host, asked.uris, Consent.UNKNOWN, asked.question, answer.cause)
    if isinstance(answer, Absent):
        return ReportDestination(asked.host, asked.uris, Consent.MISSING, asked.question, say("no such record"))
    texts = [record.joined.decode("latin-1") for record in answer.records if isinstance(record, TxtRecord)]
    consents = [text for text in texts if is_policy_record(text) and len(text) <= 4096]
    if not consents:
        return ReportDestination(
            asked.host, asked.uris, Consent.MISSING, asked.question, say("no record with v=DMARC1")
        )
    records = [parse_record(text) for text in consents]
    replacements = tuple(dict.fromkeys(uri for record in records for uri in (*record.rua, *record.ruf)))
    if any(host_of(uri) != asked.host for uri in replacements):
        # The same section: a replacement elsewhere stops the reports to both addresses.
        cause = say("the record sends reports on to another host: %(consents)s", consents=consents[0])
        return ReportDestination(asked.host, asked.uris, Consent.MISSING, asked.question, cause, replacements)
    return ReportDestination(asked.host, asked.uris, Consent.GIVEN, asked.question, consents[0], replacements)
