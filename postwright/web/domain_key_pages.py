"""The DKIM keys of a sender domain and their rotation."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from mailtypes.saying import say
from postwright.services.errors import Problem, RefusedError
from postwright.store.domains import SenderDomain
from postwright.web.domain_frame import DomainFrame
from postwright.web.domain_keys import key_stories, why_not_now
from postwright.web.hrefs import domain_href
from postwright.web.site import Site, go_to

_TAB = "/keys"


class DomainKeyPages:
    """The tab of the keys."""

    def __init__(self, site: Site, frame: DomainFrame) -> None:
        self._site = site
        self._frame = frame

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/domains/{name}/keys", self.show, methods=["GET"])
        router.add_api_route("/domains/{name}/keys/rotate", self.rotate, methods=["POST"])

    async def show(self, request: Request, name: str) -> Response:
        """All keys."""
        return await self._page(request, await self._frame.domain(request, name))

    async def rotate(self, request: Request, name: str) -> Response:
        """Make the next key; for admins."""
        domain = await self._frame.domain_for_admin(request, name, say("replace a signing key"))
        with_ed25519 = request.state.form.get("ed25519") == "yes"
        try:
            await self._site.services.key_rotation.rotate(domain, with_ed25519=with_ed25519)
        except RefusedError as error:
            return await self._page(request, domain, error.problems)
        return go_to(f"{domain_href(domain.name)}{_TAB}?done=rotation")

    async def _page(self, request: Request, domain: SenderDomain, problems: tuple[Problem, ...] = ()) -> Response:
        keys = await self._site.services.sender_domains.keys(domain)
        context = {
            "stories": key_stories(domain, keys, self._site.now()),
            "why_not_now": why_not_now(keys),
            "has_ed25519": any(key.algorithm == "ed25519" and key.state == "active" for key in keys),
        }
        return self._frame.page(request, _TAB, domain, context, problems)
