"""The logo of a sender domain (BIMI) at the sizes in which mail programs show it."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from postwright.services.errors import NotFoundError
from postwright.web.domain_audit import Audit
from postwright.web.domain_frame import DomainFrame
from postwright.web.headers import UNTRUSTED_LOGO_POLICY
from postwright.web.site import Site

_SIZES = (24, 32, 40, 72)
"""Pixels: lists on phones, lists on desks, heads of mails, and a profile."""


class DomainLogoPages:
    """The tab of the logo, and the logo itself."""

    def __init__(self, _site: Site, frame: DomainFrame) -> None:
        self._frame = frame

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route("/domains/{name}/logo", self.show, methods=["GET"])
        router.add_api_route("/domains/{name}/logo.svg", self.logo, methods=["GET"])

    async def show(self, request: Request, name: str) -> Response:
        """The preview, or what is missing."""
        domain = await self._frame.domain(request, name)
        audit = Audit.of(domain)
        context = {"audit": audit, "findings": audit.about("bimi") if audit else [], "sizes": _SIZES}
        return self._frame.page(request, "/logo", domain, context)

    async def logo(self, request: Request, name: str) -> Response:
        """Somebody else's picture: it may load nothing and run nothing, opened by itself too."""
        audit = Audit.of(await self._frame.domain(request, name))
        if audit is None or audit.logo is None:
            raise NotFoundError("logo")
        headers = {"Content-Security-Policy": UNTRUSTED_LOGO_POLICY}
        return Response(audit.logo, media_type="image/svg+xml", headers=headers)
