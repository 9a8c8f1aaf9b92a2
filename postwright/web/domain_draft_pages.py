"""What if: an audit of a sender domain as it would be with a draft of its zone published."""

from dataclasses import replace

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dns_checks.audit import WhatIf
from dns_checks.publish import as_zone_text
from dns_checks.zone import Zone, ZoneSyntaxError
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import begun, say
from postwright.services.errors import Problem, RefusedError
from postwright.store.domains import SenderDomain
from postwright.web.domain_frame import DomainFrame
from postwright.web.site import Site

_TAB = "/what-if"
MAX_DRAFT = 16_000
"""Characters; with the rest of the form less than the gate lets in, whatever the script of its comments."""


class DomainDraftPages:
    """The tab of drafts."""

    def __init__(self, site: Site, frame: DomainFrame) -> None:
        self._frame = frame
        self._domains = site.services.sender_domains

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/domains/{name}/what-if", self.form, methods=["GET"])
        router.add_api_route("/domains/{name}/what-if", self.judge, methods=["POST"])

    async def form(self, request: Request, name: str) -> Response:
        """The form; empty, or (``?from=records``) with the records to publish."""
        domain = await self._frame.domain(request, name)
        draft = ""
        if request.query_params.get("from") == "records":
            try:
                draft = as_zone_text(tuple(await self._domains.records(domain)))
            except RefusedError as error:
                return self._page(request, domain, draft, problems=error.problems)
            except InputSyntaxError as error:
                return self._page(request, domain, draft, problems=(Problem.of(error, "published_record"),))
        return self._page(request, domain, draft)

    async def judge(self, request: Request, name: str) -> Response:
        """What would break and what would heal; nothing is stored."""
        domain = await self._frame.domain(request, name)
        draft = str(request.state.form.get("draft", "")).replace("\r\n", "\n")
        if len(draft) > MAX_DRAFT:
            problem = Problem(
                "draft_too_long",
                say(
                    "The draft has %(count)s characters; %(max_draft)s are read.",
                    count=f"{len(draft):,}",
                    max_draft=f"{MAX_DRAFT:,}",
                ),
                next_step=say("Paste only the records that change."),
            )
            return self._page(request, domain, draft[:MAX_DRAFT], problems=(problem,))
        if not draft.strip():
            problem = Problem(
                "no_draft", say("There is no draft yet."), next_step=say("Paste one record or more, a line each.")
            )
            return self._page(request, domain, draft, problems=(problem,))
        try:
            found = await self._domains.what_if(domain.workspace_id, domain.name, Zone.parse(draft))
        except ZoneSyntaxError as error:
            excerpt = error.explain().split("\n")[1:3] if error.span is not None else []
            return self._page(request, domain, draft, (_fault(error),), excerpt="\n".join(excerpt))
        except RefusedError as error:
            return self._page(request, domain, draft, error.problems)
        return self._page(request, domain, draft, found=found)

    def _page(
        self,
        request: Request,
        domain: SenderDomain,
        draft: str,
        problems: tuple[Problem, ...] = (),
        *,
        found: WhatIf | None = None,
        excerpt: str = "",
    ) -> Response:
        context = {"draft": draft, "found": found, "excerpt": excerpt, "max_draft": MAX_DRAFT}
        return self._frame.page(request, _TAB, domain, context, problems)


def _fault(error: ZoneSyntaxError) -> Problem:
    problem = Problem.of(error, "draft")
    return replace(problem, sentence=say("%(sentence)s.", sentence=begun(problem.sentence)))
