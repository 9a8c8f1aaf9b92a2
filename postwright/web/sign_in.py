"""Signing in and out, and changing to another workspace."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from postwright.services.accounts import WorkspaceChoiceError
from postwright.services.errors import NotFoundError, RefusedError
from postwright.store.audit_log import NewAuditEntry
from postwright.web.form_numbers import read_number
from postwright.web.gate import SIGN_IN, SIGN_OUT, WORKSPACE, Gate
from postwright.web.site import Site, go_to, local_address, visitor_of

_MARK_LASTS = 180 * 24 * 3600  # seconds


@dataclass(frozen=True, slots=True)
class _Texts:
    """What the form shows: where it leads, what was wrong, what was typed, and workspaces to choose from."""

    wanted: str
    fault: str = ""
    address: str = ""
    workspaces: Sequence[tuple[int, str]] = ()


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
        router.add_api_route(WORKSPACE, self.change_workspace, methods=["POST"])

    async def form(self, request: Request) -> Response:
        """The form."""
        return self._page(request, _Texts(local_address(request.query_params.get("next", "/"))), status=200)

    async def sign_in(self, request: Request) -> Response:
        """Check the password; the same sentence whatever was wrong."""
        form = request.state.form
        address, password, wanted = (str(form.get(name, "")) for name in ("address", "password", "next"))
        came_from = request.client.host if request.client else ""
        mark = request.cookies.get(self._gate.mark_name, "")
        accounts, chosen = self._site.services.accounts, read_number(str(form.get("workspace", ""))) or 0
        try:
            token = await accounts.sign_in(address, password, came_from, mark=mark, workspace_id=chosen)
        except WorkspaceChoiceError as error:
            texts = _Texts(local_address(wanted), error.problems[0].sentence, address[:254], error.workspaces)
            return self._page(request, texts, status=200)
        except RefusedError as error:
            texts = _Texts(local_address(wanted), error.problems[0].sentence, address[:254])
            return self._page(request, texts, status=403)
        response = go_to(local_address(wanted))
        self._set_cookie(response, self._gate.cookie_name, token)
        self._set_cookie(response, self._gate.mark_name, await accounts.mark_of(token), _MARK_LASTS)
        await self._write_down(request, token)
        return response

    async def change_workspace(self, request: Request) -> Response:
        """Go on in another workspace, on its home page: what was looked at belongs to the one before."""
        chosen = read_number(str(request.state.form.get("workspace", "")))
        if chosen is None:
            raise NotFoundError("workspace")
        token = await self._site.services.account_changes.change_workspace(visitor_of(request).signed_in, chosen)
        response = go_to("/")
        self._set_cookie(response, self._gate.cookie_name, token)
        await self._write_down(request, token)
        return response

    async def _write_down(self, request: Request, token: str) -> None:
        """That somebody came, in the log of the workspace that the session is for."""
        signed_in = await self._site.services.accounts.session(token)
        if signed_in is None:
            return
        origin, path = request.client.host if request.client else "", request.url.path
        entry = NewAuditEntry(signed_in.workspace_id, 0, signed_in.address, "web", f"POST {path}", path, 303, origin)
        await self._site.services.audit_log.note(entry)

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

    def _set_cookie(self, response: Response, name: str, value: str, max_age: int | None = None) -> None:
        secure = self._site.services.secure_cookies
        response.set_cookie(name, value, max_age, path="/", secure=secure, httponly=True, samesite="lax")

    def _page(self, request: Request, texts: _Texts, *, status: int) -> Response:
        return self._site.page(request, "sign_in", asdict(texts), status=status)
