"""Sender domains: the list, the records to publish, what the last audit found."""

import json
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dns_checks.publish import RecordToPublish
from mailtypes.errors import InputSyntaxError
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.store.domains import SenderDomain
from postwright.web.gate import ForbiddenError
from postwright.web.hrefs import domain_href
from postwright.web.site import Site, go_to, visitor_of

_TOPICS = {
    "spf": "SPF",
    "dkim": "DKIM",
    "dmarc": "DMARC",
    "return_path": "Return path",
    "tracking": "Links and unsubscribe",
    "ptr": "Reverse names",
    "mx": "Mail hosts",
    "mta_sts": "MTA-STS",
    "tls_rpt": "TLS reports",
    "tlsa": "DANE",
    "bimi": "BIMI",
    "dnsbl": "Block lists",
}
_WORST_FIRST = ("absent", "unknown", "present")


@dataclass(frozen=True, slots=True)
class PublishedRecord:
    """A record to publish, and what the last audit saw in its place."""

    record: RecordToPublish
    state: str
    seen: str


class DomainPages:
    """Pages of sender domains."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._domains = site.services.sender_domains

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/domains", self.list, methods=["GET"])
        router.add_api_route("/domains", self.add, methods=["POST"])
        router.add_api_route("/domains/{name}", self.show, methods=["GET"])
        router.add_api_route("/domains/{name}/verify", self.verify, methods=["POST"])

    async def list(self, request: Request) -> Response:
        """All sender domains."""
        return await self._list_page(request)

    async def _list_page(self, request: Request, name: str = "", problems: tuple[Problem, ...] = ()) -> Response:
        found = await self._domains.list(visitor_of(request).workspace_id)
        rows = [(domain, _findings(domain)) for domain in found]
        context = {"rows": rows, "name": name, "problems": problems, "topics": _TOPICS}
        return self._site.page(request, "domains", context, status=409 if problems else 200)

    async def add(self, request: Request) -> Response:
        """Add a domain; for admins."""
        visitor = visitor_of(request)
        if not visitor.is_admin:
            raise ForbiddenError("Only an admin can add a sender domain.")
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
        return await self._page(request, await self._domain(request, name))

    async def verify(self, request: Request, name: str) -> Response:
        """Audit the domain now."""
        domain = await self._domain(request, name)
        try:
            await self._domains.verify(domain.workspace_id, domain.name)
        except RefusedError as error:
            return await self._page(request, domain, error.problems)
        return go_to(f"{domain_href(domain.name)}?done=verified")

    async def _page(self, request: Request, domain: SenderDomain, problems: tuple[Problem, ...] = ()) -> Response:
        records: list[PublishedRecord] = []
        findings = _findings(domain)
        try:
            records = [_published(record, findings) for record in await self._domains.records(domain)]
        except RefusedError as error:
            problems = problems or error.problems
        except InputSyntaxError as error:
            problems = problems or (Problem.of(error, "published_record"),)
        context = {
            "domain": domain,
            "records": records,
            "groups": [
                (title, [finding for finding in findings if finding["code"].partition(".")[0] == topic])
                for topic, title in _TOPICS.items()
            ],
            "has_findings": bool(findings),
            "problems": problems,
        }
        return self._site.page(request, "domain", context)

    async def _domain(self, request: Request, name: str) -> SenderDomain:
        try:
            return await self._domains.get(visitor_of(request).workspace_id, name)
        except InputSyntaxError as error:
            raise NotFoundError("sender domain") from error


def _findings(domain: SenderDomain) -> list[dict[str, Any]]:
    """The findings of the last audit as it was stored."""
    found = json.loads(domain.audit)["findings"] if domain.audit else []
    return [finding for finding in found if isinstance(finding, dict)]


def _published(record: RecordToPublish, findings: list[dict[str, Any]]) -> PublishedRecord:
    """The record with the state that the last audit gave it; a domain has several DKIM records, told by their names."""
    about = [
        finding
        for finding in findings
        if str(finding["code"]).partition(".")[0] == record.topic
        and finding["severity"] != "warning"
        and (record.topic != "dkim" or any(str(record.name) in str(one["question"]) for one in finding["evidence"]))
    ]
    states = {str(finding["state"]) for finding in about}
    state = next((state for state in _WORST_FIRST if state in states), "unknown")
    answers = [str(one["answer"]) for finding in about for one in finding["evidence"]]
    return PublishedRecord(record, state, answers[0] if answers else "")
