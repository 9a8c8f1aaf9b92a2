"""Signing in and out."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from postwright.services.errors import RefusedError
from postwright.web.gate import SIGN_IN, SIGN_OUT, Gate
from postwright.web.site import Site, go_to, local_address, visitor_of


class SignInPages:
    """The form, and the cookie that it leads to."""

    def __init__(self, site: Site, gate: Gate) -> None:
        self._site = site
        self._gate = gate

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(SIGN_IN, self.form, methods=["GET"])
        router.add_api_route(SIGN_IN, self.sign_in, methods=["POST"])
        router.add_api_route(SIGN_OUT, self.sign_out, methods=["POST"])

    async def form(self, request: Request) -> Response:
        """The form."""
        return self._page(request, local_address(request.query_params.get("next", "/")))

    async def sign_in(self, request: Request) -> Response:
        """Check the password; the same sentence whatever was wrong."""
        form = request.state.form
        address, password, wanted = (str(form.get(name, "")) for name in ("address", "password", "next"))
        came_from = request.client.host if request.client else ""
        try:
            token = await self._site.services.accounts.sign_in(address, password, came_from)
        except RefusedError as error:
            return self._page(request, local_address(wanted), str(error), address[:254])
        response = go_to(local_address(wanted))
        response.set_cookie(
            self._gate.cookie_name,
            token,
            path="/",
            secure=self._site.services.secure_cookies,
            httponly=True,
            samesite="lax",
        )
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session on the server, and let the browser forget it."""
        await self._site.services.accounts.sign_out(visitor_of(request).signed_in)
        response = go_to(SIGN_IN)
        response.delete_cookie(
            self._gate.cookie_name,
            path="/",
            secure=self._site.services.secure_cookies,
            httponly=True,
            samesite="lax",
        )
        return response

    def _page(self, request: Request, wanted: str, fault: str = "", address: str = "") -> Response:
        context = {"wanted": wanted, "fault": fault, "address": address}
        return self._site.page(request, "sign_in", context, status=403 if fault else 200)
