"""Sender domains: added, told what to publish, verified."""

import asyncio
import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509
from sqlalchemy import Connection

from dns_checks.audit import (
    AuditReport,
    AuditRequest,
    AuditTerms,
    DraftOverlay,
    ExpectedKey,
    SendingPractice,
    Verdict,
    WhatIf,
    run_audit,
    what_if,
)
from dns_checks.bimi import check_svg
from dns_checks.dkim.keys import parse_key_record
from dns_checks.dnsbl_lists import BlockList
from dns_checks.driver import Resolver
from dns_checks.evaluation import Asker, Fetcher
from dns_checks.publish import DmarcStep, PublishRequest, RecordToPublish, dmarc_plan, records_to_publish
from dns_checks.zone import Zone
from mailtypes.auth import Finding
from mailtypes.clock import Clock, as_datetime
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.questions import DnsQuestion, Found, HttpAnswer, HttpFetch, HttpFetched, RecordType, TxtRecord
from mailtypes.saying import say
from postwright.keyrings import KeyRing
from postwright.services.errors import NotFoundError, RefusedError
from postwright.services.publication import (
    DomainChanges,
    changed_columns,
    dmarc_step_of,
    logo_of,
    tls_policy_of,
    with_purpose,
)
from postwright.services.signing_keys import keys_to_audit, make_key
from postwright.store import domains, events, workspaces
from postwright.store.database import Database
from postwright.store.domains import DkimKey, SenderDomain

_SELECTOR = "pw1"
_AUDIT_VERSION = 1
MAX_LOGO_OCTETS = 32 * 1024
"""The size that mailbox providers ask logos to keep to; a larger one is judged, but not kept for showing."""


@dataclass(frozen=True, slots=True)
class PublicHosts:
    """The names of this install that a sender's records point to.

    ``report_local_part`` stands before the @ of the addresses for reports at our return-path hosts; none where empty.
    """

    mail_host: DomainName
    tracking_target: DomainName
    report_local_part: str = ""


@dataclass(frozen=True, slots=True)
class AuditMeans:
    """What audits have at hand beside the DNS; by default nothing, and what needs it stays unknown.

    ``http`` fetches policies, logos and certificates. ``mark_roots`` are the trusted issuers of mark certificates.
    ``trusts_resolver`` believes the AD bit. ``block_lists`` are asked about addresses and domain. ``within`` bounds an
    audit.
    """

    http: Fetcher | None = None
    mark_roots: tuple[x509.Certificate, ...] = ()
    trusts_resolver: bool = False
    block_lists: tuple[BlockList, ...] = ()
    within: timedelta = timedelta(seconds=30)


class _LogoKeeper:
    """Fetches as ``inner`` does, and keeps the one valid logo that an audit comes across."""

    def __init__(self, inner: Fetcher) -> None:
        self._inner = inner
        self.logo: bytes | None = None

    async def fetch(self, fetch: HttpFetch) -> HttpAnswer:
        """What ``inner`` answers."""
        answer = await self._inner.fetch(fetch)
        # An audit also fetches a policy and a certificate; neither is a valid logo.
        body = answer.body if isinstance(answer, HttpFetched) and answer.status == 200 else b""
        if body and len(body) <= MAX_LOGO_OCTETS and check_svg(body).valid:
            self.logo = body
        return answer


# What every campaign holds to, whoever writes it: the composer, pre-flight and the engine see to it.
_PRACTICE = SendingPractice(offers_tls=True, valid_format=True)


class SenderDomains:
    """Sender domains of all workspaces."""

    def __init__(
        self,
        database: Database,
        resolver: Resolver,
        clock: Clock,
        master: KeyRing,
        hosts: PublicHosts,
        means: AuditMeans | None = None,
    ) -> None:
        self._database = database
        self._resolver = resolver
        self._clock = clock
        self._master = master
        self._hosts = hosts
        self._means = means or AuditMeans()

    async def add(self, workspace_id: int, name_text: str) -> SenderDomain:
        """Add a domain with a fresh DKIM key; adding it again gives the one that is there."""
        name = DomainName.parse(name_text)
        if len(name.labels) < 2:
            raise RefusedError("domain_name", say("'%(name)s' is not a domain to send from.", name=name), field="name")
        now = self._clock.now()
        found = await self._database.read(lambda connection: domains.find_domain(connection, workspace_id, name.ascii))
        if found is not None:
            return found
        hosts = (f"bounce.{name}", f"links.{name}")
        # The key is made before the transaction, since it takes a tenth of a second; its seal names the domain's id.
        domain_id = await self._database.write(
            lambda connection: domains.add_domain(connection, workspace_id, name.ascii, hosts, now)
        )
        await self._add_key(workspace_id, domain_id)
        return await self.get(workspace_id, name.ascii)

    async def _add_key(self, workspace_id: int, domain_id: int) -> None:
        key = await asyncio.to_thread(make_key, self._master, workspace_id, domain_id, _SELECTOR, self._clock.now())
        await self._database.write(lambda connection: domains.add_key(connection, key))

    async def get(self, workspace_id: int, name_text: str) -> SenderDomain:
        """The domain of that name; raises ``NotFoundError``."""
        name = DomainName.parse(name_text).ascii
        found = await self._database.read(lambda connection: domains.find_domain(connection, workspace_id, name))
        if found is None:
            raise NotFoundError("sender domain")
        return found

    async def list(self, workspace_id: int) -> Sequence[SenderDomain]:
        """All sender domains by name."""
        return await self._database.read(lambda connection: domains.list_domains(connection, workspace_id))

    async def keys(self, domain: SenderDomain) -> Sequence[DkimKey]:
        """The DKIM keys of a domain; one is made where a process died between domain and key."""
        found = await self._database.read(lambda connection: domains.list_keys(connection, domain.id))
        if not found:
            await self._add_key(domain.workspace_id, domain.id)
            found = await self._database.read(lambda connection: domains.list_keys(connection, domain.id))
        return found

    async def change(self, workspace_id: int, name_text: str, changes: DomainChanges) -> SenderDomain:
        """Change what is to be published for a domain; raises ``RefusedError`` naming every field that is wrong."""
        domain = await self.get(workspace_id, name_text)
        now = self._clock.now()

        def store(connection: Connection) -> None:
            domains.change_domain(connection, domain.id, lambda found: changed_columns(found, changes))
            data = {"domain": domain.name, "changed": sorted(changes)}
            events.append(connection, [events.NewEvent(workspace_id, "domain_changed", now, data=data)], now)

        await self._database.write(store)
        return await self.get(workspace_id, name_text)

    def report_address(self, domain: SenderDomain) -> str | None:
        """Where reports on a domain go: the address that was set, else ours at its return-path host.

        That host lies within the domain, so nobody has to agree to it (RFC 9990 section 4), and its mail comes to us.
        """
        local_part = self._hosts.report_local_part
        return domain.report_address or (f"{local_part}@{domain.return_path_host}" if local_part else None)

    async def records(self, domain: SenderDomain) -> Sequence[RecordToPublish]:
        """What to put into the DNS for a domain, with what is published there taken into account."""
        name, return_path = DomainName(domain.name), DomainName(domain.return_path_host)
        spf, dmarc, tls_reports = await asyncio.gather(
            self._published(return_path.ascii, "v=spf1"),
            self._published(f"_dmarc.{name}", "v=dmarc1"),
            self._published(f"_smtp._tls.{name}", "v=tlsrptv1"),
        )
        address = self.report_address(domain)
        step = dmarc_step_of(domain, dmarc, address)
        request = PublishRequest(
            domain=name,
            return_path_host=return_path,
            egress_addresses=tuple(await self._egress(domain.workspace_id)),
            keys=_expected(await self.keys(domain)),
            mail_hosts=(self._hosts.mail_host,),
            tracking_host=DomainName(domain.tracking_host),
            tracking_target=self._hosts.tracking_target,
            existing_spf=spf,
            existing_dmarc=step.record if step is not None else dmarc,
            report_address=address,
            logo=logo_of(domain),
            tls_policy=tls_policy_of(domain),
        )
        return with_purpose(records_to_publish(request), step, None if domain.report_address else tls_reports)

    async def dmarc_steps(self, domain: SenderDomain, report_address: str | None = None) -> Sequence[DmarcStep]:
        """The way of a domain's DMARC policy from none to reject, and where the domain stands on it."""
        published = await self._published(f"_dmarc.{domain.name}", "v=dmarc1")
        return dmarc_plan(published, report_address or self.report_address(domain))

    async def _published(self, name: str, version: str) -> str | None:
        answer = await self._resolver.ask(DnsQuestion(name, RecordType.TXT))
        records = answer.records if isinstance(answer, Found) else ()
        texts = [record.joined.decode("ascii", "replace") for record in records if isinstance(record, TxtRecord)]
        return next((text for text in texts if text.replace(";", " ").split(" ")[0].lower() == version), None)

    async def verify(self, workspace_id: int, name_text: str) -> tuple[SenderDomain, AuditReport]:
        """Audit a domain now and keep the result; keys that are visible become active.

        A verified domain stays verified while the world is silent; it fails only where something is really absent.
        """
        domain = await self.get(workspace_id, name_text)
        keys = await self.keys(domain)
        http = _LogoKeeper(self._means.http) if self._means.http is not None else None
        request = await self._request(domain, keys)
        report = await run_audit(request, self._resolver, http, within=self._means.within)
        await self._keep(domain, keys, report, http.logo if http is not None else None)
        return await self.get(workspace_id, name_text), report

    async def what_if(self, workspace_id: int, name_text: str, draft: Zone) -> WhatIf:
        """What would break and what would heal if ``draft`` were published (``DraftOverlay``); nothing is kept."""
        domain = await self.get(workspace_id, name_text)
        request = await self._request(domain, await self.keys(domain))
        before, after = await asyncio.gather(
            self._audit(request, self._resolver), self._audit(request, DraftOverlay(draft, self._resolver))
        )
        return what_if(before, after)

    async def _audit(self, request: AuditRequest, resolver: Asker) -> AuditReport:
        return await run_audit(request, resolver, self._means.http, within=self._means.within)

    async def _request(self, domain: SenderDomain, keys: Sequence[DkimKey]) -> AuditRequest:
        egress = await self._egress(domain.workspace_id)
        return AuditRequest(
            domain=DomainName(domain.name),
            return_path_host=DomainName(domain.return_path_host),
            egress_addresses=tuple(egress),
            keys=_expected(keys_to_audit(keys)),
            mail_hosts=(self._hosts.mail_host,),
            tracking_host=DomainName(domain.tracking_host),
            ehlo_names={address: name for address, name in egress.items() if name is not None},
            practice=_PRACTICE,
            terms=AuditTerms(
                now=as_datetime(self._clock.now()),
                mark_roots=self._means.mark_roots,
                trusts_resolver=self._means.trusts_resolver,
                block_lists=self._means.block_lists,
            ),
        )

    async def _keep(
        self, domain: SenderDomain, keys: Sequence[DkimKey], report: AuditReport, logo: bytes | None
    ) -> None:
        now = self._clock.now()
        state = {
            Verdict.VERIFIED: "verified",
            Verdict.NOT_VERIFIED: "failing" if domain.verified_at else "pending",
            Verdict.UNKNOWN: domain.state,
        }[report.verdict]
        audit = json.dumps(audit_document(report, logo), ensure_ascii=False)

        def store(connection: Connection) -> None:
            domains.save_audit(connection, domain.id, state, audit, now)
            if report.facts.dkim is Finding.PRESENT:
                for key in keys_to_audit(keys):
                    if key.state in {"made", "published"}:
                        domains.set_key_state(connection, key.id, "active", now)
            if state != domain.state:
                change = {"domain": domain.name, "before": domain.state, "after": state}
                event = events.NewEvent(domain.workspace_id, "domain_state_changed", now, data=change)
                events.append(connection, [event], now)

        await self._database.write(store)

    async def _egress(self, workspace_id: int) -> dict[IPv4Address | IPv6Address, DomainName | None]:
        """The addresses that mail leaves from, with the names said in EHLO."""
        sources = await self._database.read(lambda connection: workspaces.list_egress_sources(connection, workspace_id))
        if not sources:
            raise RefusedError(
                "no_egress",
                say("No address to send from is configured."),
                next_step=say("Set [[deliver.egress]] in the configuration and run: postwright init"),
            )
        return {ip_address(source.ip): _host_name(source.ehlo) for source in sources}


def _expected(keys: Sequence[DkimKey]) -> tuple[ExpectedKey, ...]:
    kept = ((key.selector, parse_key_record(key.public_record).public_key) for key in keys if key.state != "retired")
    return tuple(ExpectedKey(selector, public) for selector, public in kept if public is not None)


def _host_name(text: str) -> DomainName | None:
    """An address literal may be said in EHLO too (RFC 5321 section 4.1.3)."""
    try:
        return DomainName.parse(text)
    except DomainSyntaxError:
        return None


def audit_document(report: AuditReport, logo: bytes | None = None) -> dict[str, object]:
    """A report as JSON, for storing and for the API; ``logo`` is the SVG file that was found valid (base64)."""
    return {
        "version": _AUDIT_VERSION,
        "verdict": str(report.verdict),
        "facts": asdict(report.facts),
        "findings": [asdict(finding) for finding in report.findings],
        "requirements": [asdict(requirement) for requirement in report.requirements],
        "logo": base64.b64encode(logo).decode() if logo is not None else None,
    }
