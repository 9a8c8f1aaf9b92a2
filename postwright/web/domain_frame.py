"""What the pages of one sender domain share: which domain it is, its head and its tabs."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say
from postwright.services.errors import NotFoundError, Problem
from postwright.store.domains import SenderDomain
from postwright.web.gate import ForbiddenError
from postwright.web.hrefs import domain_href
from postwright.web.language import N_, gettext
from postwright.web.site import Site, visitor_of

TABS = (
    ("", N_("Overview")),
    ("/what-if", N_("What if")),
    ("/keys", N_("DKIM keys")),
    ("/warm-up", "Warm-up"),
    ("/reports", N_("DMARC and reports")),
    ("/logo", N_("Logo")),
    ("/history", N_("History")),
)


class DomainFrame:
    """Finds the domain of a request and makes pages with its head."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def domain(self, request: Request, name: str) -> SenderDomain:
        """The sender domain in the address; raises ``NotFoundError``."""
        try:
            return await self._site.services.sender_domains.get(visitor_of(request).workspace_id, name)
        except InputSyntaxError as error:
            raise NotFoundError("sender domain") from error

    async def domain_for_admin(self, request: Request, name: str, what: str) -> SenderDomain:
        """The same for what only admins may do; raises ``ForbiddenError`` for others."""
        if not visitor_of(request).is_admin:
            raise ForbiddenError(say("Only an admin can %(what)s.", what=what))
        return await self.domain(request, name)

    def page(
        self,
        request: Request,
        tab: str,
        domain: SenderDomain,
        context: Mapping[str, Any],
        problems: tuple[Problem, ...] = (),
    ) -> Response:
        """The page of one tab, its template named after it; 409 where there are problems with what was asked for."""
        template = "domain" + tab.replace("/", "_").replace("-", "_")
        href = domain_href(domain.name)
        values = {
            "domain": domain,
            "tabs": [(href + place, gettext(title), place == tab) for place, title in TABS],
            "problems": problems,
            **context,
        }
        is_refused = bool(problems) and request.method == "POST"
        return self._site.page(request, template, values, status=409 if is_refused else 200)
