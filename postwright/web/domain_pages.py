"""Sender domains: the list, and the overview of one with its verdict, records, requirements and findings."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dns_checks.publish import RecordToPublish
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say
from postwright.services.errors import Problem, RefusedError
from postwright.store.domains import SenderDomain
from postwright.web.domain_audit import Advice, Alarm, Audit, advice_on, alarms_of
from postwright.web.domain_draft_pages import DomainDraftPages
from postwright.web.domain_frame import DomainFrame
from postwright.web.domain_history_pages import DomainHistoryPages
from postwright.web.domain_key_pages import DomainKeyPages
from postwright.web.domain_logo_pages import DomainLogoPages
from postwright.web.domain_records import published
from postwright.web.domain_report_pages import DomainReportPages
from postwright.web.domain_requirements import provider_sums, requirement_table
from postwright.web.gate import ForbiddenError
from postwright.web.hrefs import domain_href
from postwright.web.site import Site, go_to, visitor_of
from postwright.web.warm_up_pages import WarmUpPages


@dataclass(frozen=True, slots=True)
class DomainLine:
    """A domain in the list."""

    domain: SenderDomain
    audit: Audit | None
    advice: Advice
    alarms: list[Alarm]


class DomainPages:
    """Pages of sender domains."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._frame = DomainFrame(site)
        self._domains = site.services.sender_domains

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/domains", self.list, methods=["GET"])
        router.add_api_route("/domains", self.add, methods=["POST"])
        router.add_api_route("/domains/{name}", self.show, methods=["GET"])
        router.add_api_route("/domains/{name}/verify", self.verify, methods=["POST"])
        for pages in (DomainDraftPages, DomainKeyPages, DomainReportPages, DomainLogoPages, DomainHistoryPages):
            pages(self._site, self._frame).add_to(router)
        WarmUpPages(self._site, self._frame).add_to(router)

    async def list(self, request: Request) -> Response:
        """All sender domains."""
        return await self._list_page(request)

    async def _list_page(self, request: Request, name: str = "", problems: tuple[Problem, ...] = ()) -> Response:
        found = await self._domains.list(visitor_of(request).workspace_id)
        context = {"rows": [await self._line(domain) for domain in found], "name": name, "problems": problems}
        return self._site.page(request, "domains", context, status=409 if problems else 200)

    async def _line(self, domain: SenderDomain) -> DomainLine:
        audit = Audit.of(domain)
        alarms = alarms_of(domain, await self._domains.keys(domain), audit)
        return DomainLine(domain, audit, advice_on(domain, audit), alarms)

    async def add(self, request: Request) -> Response:
        """Add a domain; for admins."""
        visitor = visitor_of(request)
        if not visitor.is_admin:
            raise ForbiddenError(say("Only an admin can add a sender domain."))
        name = str(request.state.form.get("name", ""))[:300].strip()
        try:
            domain = await self._domains.add(visitor.workspace_id, name)
        except RefusedError as error:
            return await self._list_page(request, name, error.problems)
        except InputSyntaxError as error:
            return await self._list_page(request, name, (Problem.of(error, "domain_name", "name"),))
        return go_to(f"{domain_href(domain.name)}?done=domain")

    async def show(self, request: Request, name: str) -> Response:
        """One domain."""
        return await self._page(request, await self._frame.domain(request, name))

    async def verify(self, request: Request, name: str) -> Response:
        """Audit the domain now."""
        domain = await self._frame.domain(request, name)
        try:
            await self._domains.verify(domain.workspace_id, domain.name)
        except RefusedError as error:
            return await self._page(request, domain, error.problems)
        return go_to(f"{domain_href(domain.name)}?done=verified")

    async def _page(self, request: Request, domain: SenderDomain, problems: tuple[Problem, ...] = ()) -> Response:
        keys, (records, refused) = await asyncio.gather(self._domains.keys(domain), self._records(domain))
        audit = Audit.of(domain)
        context = {
            "audit": audit,
            "advice": advice_on(domain, audit),
            "alarms": alarms_of(domain, keys, audit),
            "records": published(records, domain, keys, audit),
            "lines": requirement_table(audit.requirements) if audit else [],
            "sums": provider_sums(audit.requirements) if audit else [],
        }
        return self._frame.page(request, "", domain, context, problems or refused)

    async def _records(self, domain: SenderDomain) -> tuple[Sequence[RecordToPublish], tuple[Problem, ...]]:
        try:
            return await self._domains.records(domain), ()
        except RefusedError as error:
            return (), error.problems
        except InputSyntaxError as error:
            return (), (Problem.of(error, "published_record"),)
