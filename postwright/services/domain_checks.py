"""Checks of any domain, ours or not: the whole audit, on request with the STARTTLS of its mail hosts."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, TypeAlias

from dns_checks.audit import AuditReport, AuditRequest, AuditTerms, DraftOverlay, run_audit
from dns_checks.evaluation import Asker
from dns_checks.findings import CheckFinding, Evidence, unknown
from dns_checks.zone import Zone, ZoneSyntaxError
from mailtypes.auth import Finding
from mailtypes.clock import MINUTE, Clock, Microseconds, as_datetime
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.saying import say
from postwright.services.errors import Problem, RefusedError
from postwright.services.sender_domains import AuditMeans
from postwright.starttls_probe import HostTls, StartTlsProbe

MAX_SELECTORS = 20
MAX_ADDRESSES = 20
MAX_ZONE = 256 * 1024
"""Characters of a draft zone."""
KEPT = MINUTE
"""How long an answer may be given again to those who do not ask for a fresh one."""
_MOST_KEPT = 200
_AT_ONCE = 8
LONGEST_PROBE = timedelta(seconds=45)
"""Within which all mail hosts of a domain have been spoken to, or it is left unknown."""
Probing: TypeAlias = Callable[[Asker], StartTlsProbe]
"""Makes a probe that looks names up with the given asker."""


@dataclass(frozen=True, slots=True)
class DomainCheck:
    """What to check, read and within bounds. ``zone`` is the text of a draft that is laid over live DNS."""

    domain: DomainName
    selectors: tuple[str, ...] = ()
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    zone: str = ""
    starttls: bool = False

    @classmethod
    def parse(
        cls,
        name: str,
        selectors: Sequence[str] = (),
        ips: Sequence[str] = (),
        zone: str = "",
        *,
        starttls: bool = False,
    ) -> "DomainCheck":
        """Read what somebody typed; raises ``RefusedError`` that names everything that is wrong, with its place."""
        problems: list[Problem] = []
        domain = _read_domain(name, "name", problems)
        read_selectors = [_read_selector(text, f"selectors.{at}", problems) for at, text in enumerate(selectors)]
        addresses = [_read_address(text, f"ips.{at}", problems) for at, text in enumerate(ips)]
        for field, given, most in (("selectors", selectors, MAX_SELECTORS), ("ips", ips, MAX_ADDRESSES)):
            if len(given) > most:
                problems.append(
                    Problem(
                        "too_many",
                        say("There are %(count)s; at most %(most)s are looked at.", count=len(given), most=most),
                        field,
                    )
                )
        if len(zone) > MAX_ZONE:
            sentence = say(
                "The draft has %(count)s characters; at most %(max_zone)s are read.",
                count=f"{len(zone):,}",
                max_zone=f"{MAX_ZONE:,}",
            )
            problems.append(Problem("zone_too_large", sentence, "zone", "", say("Leave out what does not change.")))
        if domain is None or problems:
            raise RefusedError.of(problems)
        return cls(
            domain,
            tuple(dict.fromkeys(one for one in read_selectors if one is not None)),
            tuple(dict.fromkeys(one for one in addresses if one is not None)),
            zone,
            starttls,
        )


@dataclass(frozen=True, slots=True)
class CheckedDomain:
    """What was found at ``checked_at``; ``mail_hosts`` is ``None`` where their STARTTLS was not asked for."""

    report: AuditReport
    checked_at: Microseconds
    mail_hosts: tuple[HostTls, ...] | None = None


class DomainChecks:
    """Checks domains, some at once, each in bounded time; keeps the answers for a minute."""

    def __init__(
        self, resolver: Asker, clock: Clock, means: AuditMeans | None = None, probing: Probing | None = None
    ) -> None:
        """Without ``probing`` nobody is spoken to, and a check that asks for STARTTLS is refused."""
        self._resolver = resolver
        self._clock = clock
        self._means = means or AuditMeans()
        self._probing = probing
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._kept: OrderedDict[DomainCheck, CheckedDomain] = OrderedDict()

    async def check(self, wanted: DomainCheck, *, fresh: bool = True) -> CheckedDomain:
        """Check a domain now, or without ``fresh`` take what was found less than a minute ago.

        Raises ``RefusedError`` where the draft is no zone file, and where STARTTLS cannot be asked for.
        """
        # What is kept is known by the draft's digest, not by the draft.
        key = replace(wanted, zone=hashlib.sha256(wanted.zone.encode("utf-8", "surrogatepass")).hexdigest())
        kept = self._kept.get(key)
        if kept is not None and not fresh and self._clock.now() - kept.checked_at < KEPT:
            return kept
        if wanted.starttls and self._probing is None:
            raise RefusedError("no_starttls_probe", say("Mail hosts are not spoken to from here."), field="starttls")
        asker = self._resolver
        if wanted.zone:
            asker = DraftOverlay(await asyncio.to_thread(_read_zone, wanted.zone), self._resolver)
        async with self._slots:
            report, mail_hosts = await asyncio.gather(self._audit(wanted, asker), self._spoken_to(wanted, asker))
        checked = CheckedDomain(report, self._clock.now(), mail_hosts)
        self._kept[key] = checked
        self._kept.move_to_end(key)
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return checked

    async def _audit(self, wanted: DomainCheck, asker: Asker) -> AuditReport:
        means = self._means
        terms = AuditTerms(
            now=as_datetime(self._clock.now()),
            mark_roots=means.mark_roots,
            trusts_resolver=means.trusts_resolver,
            block_lists=means.block_lists,
        )
        request = AuditRequest.of_any(wanted.domain, wanted.selectors, wanted.addresses, terms)
        return await run_audit(request, asker, means.http, within=means.within)

    async def _spoken_to(self, wanted: DomainCheck, asker: Asker) -> tuple[HostTls, ...] | None:
        if not wanted.starttls or self._probing is None:
            return None
        return await spoken_to(self._probing(asker), wanted.domain)


async def spoken_to(probe: StartTlsProbe, domain: DomainName) -> tuple[HostTls, ...]:
    """What the mail hosts of a domain do about STARTTLS, within ``LONGEST_PROBE``."""
    try:
        async with asyncio.timeout(LONGEST_PROBE.total_seconds()):
            return await probe.probe_domain(domain)
    except TimeoutError:
        evidence = (Evidence(f"{domain} MX, STARTTLS", "timeout"),)
        sentence = say("The mail hosts of %(domain)s did not all answer in time.", domain=domain)
        return (HostTls(domain.ascii, Finding.UNKNOWN, (unknown("starttls.unknown", evidence, sentence),)),)


def check_document(report: AuditReport, mail_hosts: Sequence[HostTls] | None = None) -> dict[str, Any]:
    """All that was found on one domain, and what providers ask; ``starttls`` is ``None`` where it was not asked for."""
    return {
        "domain": report.domain.ascii,
        "verdict": report.verdict,
        "dmarc_policy": report.facts.dmarc_policy,
        "findings": [finding_document(finding) for finding in report.findings],
        "requirements": [
            {
                "provider": one.provider,
                "code": one.code,
                "title": one.title,
                "senders": one.senders,
                "applies": one.applies,
                "state": one.state,
                "sentence": one.sentence,
                "next_step": one.next_step,
                "reply_codes": one.reply_codes,
                "findings": one.findings,
                "evidence": [asdict(item) for item in one.evidence],
            }
            for one in report.requirements
        ],
        "starttls": None if mail_hosts is None else [_host_document(host) for host in mail_hosts],
    }


def finding_document(finding: CheckFinding) -> dict[str, Any]:
    """One finding; ``mark`` has the record and the half-open range in it that is at fault."""
    mark = finding.mark
    document: dict[str, Any] = {
        "code": finding.code,
        "severity": finding.severity,
        "state": finding.state,
        "sentence": finding.sentence,
        "next_step": finding.next_step,
        "evidence": [asdict(one) for one in finding.evidence],
    }
    if mark is not None:
        document["mark"] = {"text": mark.text, "start": mark.span.start, "end": mark.span.end}
    for name in ("line", "column"):
        if hasattr(finding, name):
            document[name] = getattr(finding, name)
    return document


def _host_document(found: HostTls) -> dict[str, Any]:
    shown = found.certificate
    return {
        "host": found.host,
        "state": found.starttls,
        "tls_version": found.tls_version or None,
        "certificate": None
        if shown is None
        else {
            "names": shown.names,
            "expires_at": as_datetime(shown.expires_at).isoformat(),
            "is_trusted": not shown.chain_fault,
            "is_named": shown.is_named,
        },
        "findings": [finding_document(finding) for finding in found.findings],
    }


def _read_domain(text: str, field: str, problems: list[Problem]) -> DomainName | None:
    try:
        return DomainName.parse(text)
    except DomainSyntaxError as error:
        problems.append(Problem.of(error, "domain_syntax", field))
        return None


def _read_selector(text: str, field: str, problems: list[Problem]) -> str | None:
    """RFC 6376 section 3.1: labels, put before ``._domainkey.``."""
    found = _read_domain(text, field, problems)
    return None if found is None else found.ascii


def _read_address(text: str, field: str, problems: list[Problem]) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        sentence = say("'%(text)s' is not an IP address.", text=text[:100])
        problems.append(Problem("address_syntax", sentence, field, "", say("Write it as 192.0.2.7 or 2001:db8::7.")))
        return None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        sentence = say("'%(text)s' has a zone of its own machine; the world cannot see it.", text=text[:100])
        problems.append(Problem("address_syntax", sentence, field, "", say("Leave out what is behind the %.")))
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _read_zone(text: str) -> Zone:
    try:
        return Zone.parse(text)
    except ZoneSyntaxError as error:
        raise RefusedError.of([Problem.of(error, "zone_syntax", "zone")]) from error
