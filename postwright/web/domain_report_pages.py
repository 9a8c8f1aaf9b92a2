"""DMARC of a sender domain: the plan from none to reject, and what reports say of its mail and of TLS."""

import asyncio

from fastapi import APIRouter, Query
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from dns_checks.reports import MAX_OCTETS
from mailtypes.clock import DAY
from mailtypes.saying import joined, say
from postwright.services.errors import Problem, RefusedError
from postwright.services.reports import TakenReport
from postwright.store.domains import SenderDomain
from postwright.web.domain_frame import DomainFrame
from postwright.web.domain_sources import PERIODS, sources_over_time, stored_reports, tls_sum, unread_reports
from postwright.web.hrefs import domain_href
from postwright.web.site import Site, go_to, visitor_of

_TAB = "/reports"
_DAYS = 28
_LATEST = 8


class DomainReportPages:
    """The tab of DMARC and the reports."""

    def __init__(self, site: Site, frame: DomainFrame) -> None:
        self._site = site
        self._frame = frame
        self._reports = site.services.reports

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/domains/{name}/reports", self.show, methods=["GET"])
        router.add_api_route("/domains/{name}/reports", self.take, methods=["POST"])

    async def show(self, request: Request, name: str, days: int = Query(_DAYS)) -> Response:
        """The plan and the sources of the last ``days`` days."""
        return await self._page(request, await self._frame.domain(request, name), days if days in PERIODS else _DAYS)

    async def take(self, request: Request, name: str) -> Response:
        """Store a report from a file; for admins."""
        domain = await self._frame.domain_for_admin(request, name, say("add reports"))
        file = request.state.form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            problem = Problem(
                "no_file", say("There is no file."), "file", "", say("Choose a report: XML, JSON, gzip, zip or a mail.")
            )
            return await self._page(request, domain, problems=(problem,))
        workspace_id = visitor_of(request).workspace_id
        try:
            taken = await self._reports.take(workspace_id, await file.read(), file.filename, file.content_type or "")
        except RefusedError as error:
            return await self._page(request, domain, problems=error.problems)
        if taken.problem is not None:
            return await self._page(request, domain, problems=(_kept(file.filename, taken.problem),))
        return go_to(f"{domain_href(domain.name)}{_TAB}?done={_done(taken, domain)}")

    async def _page(
        self, request: Request, domain: SenderDomain, days: int = _DAYS, problems: tuple[Problem, ...] = ()
    ) -> Response:
        now = self._site.now()
        workspace_id, name = domain.workspace_id, domain.name
        steps, over_time, reports, unread = await asyncio.gather(
            self._site.services.sender_domains.dmarc_steps(domain),
            sources_over_time(self._reports, workspace_id, name, days, now),
            stored_reports(self._reports, workspace_id, name),
            unread_reports(self._reports, workspace_id),
        )
        context = {
            "steps": steps,
            "over_time": over_time,
            "tls": tls_sum(reports, now - days * DAY),
            "latest": reports[:_LATEST],
            "unread": unread,
            "report_count": len(reports),
            "days": days,
            "periods": list(PERIODS),
            "max_report": min(MAX_OCTETS, self._site.services.max_upload),
        }
        return self._frame.page(request, _TAB, domain, context, problems)


def _kept(file_name: str, problem: Problem) -> Problem:
    shown = file_name[:200]
    return Problem(
        problem.code,
        say("“%(name)s” could not be read: %(sentence)s", name=shown, sentence=problem.sentence),
        place=problem.place,
        next_step=joined([part for part in (problem.next_step, say("The file is kept.")) if part], " "),
    )


def _done(taken: TakenReport, domain: SenderDomain) -> str:
    if not taken.is_new:
        return "report_known"
    about = taken.report.domain
    is_ours = about == domain.name or domain.name.endswith("." + about)
    return "report" if is_ours else "report_elsewhere"
