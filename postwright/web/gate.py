"""The one door to the pages: who is looking, may they, and what is shown where something is wrong.

Everything is shut unless it is opened here: a page without a session is never asked, a form without the session's
token is never read, and a viewer's form goes nowhere.
"""

import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dns_checks.reports import MAX_OCTETS as MAX_REPORT
from mailtypes.errors import InputSyntaxError, SurroundingsError
from postwright.services.errors import NotFoundError, Problem, RefusedError, TooManyTriesError
from postwright.store.public_ids import PublicIdSyntaxError
from postwright.web.headers import secure
from postwright.web.site import Site, Visitor

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
CSRF_FIELD = "csrf_token"
MAX_FORM = 64 * 1024
_IMPORTS = "/imports"
_REPORTS = re.compile(r"/domains/[^/]+/reports")
_MAX_FIELDS = 30
_log = logging.getLogger("postwright.web")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ForbiddenError(Exception):
    """Understood and refused; the sentence tells why."""


class _SignInNeededError(Exception):
    pass


class Gate:
    """Lets requests in, and dresses every answer."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._https = site.services.secure_cookies

    @property
    def cookie_name(self) -> str:
        """The prefix binds the cookie to this host and to https (RFC 6265bis section 4.1.3.2)."""
        return "__Host-postwright" if self._https else "postwright"

    def route_class(self) -> type[APIRoute]:
        """Routes whose handlers stand behind this gate."""
        gate = self

        class GatedRoute(APIRoute):
            def get_route_handler(self) -> Handler:
                inner = super().get_route_handler()

                async def handle(request: Request) -> Response:
                    return await gate.answer(request, inner)

                return handle

        return GatedRoute

    async def answer(self, request: Request, inner: Callable[[Request], Awaitable[Response]]) -> Response:
        """What ``inner`` answers, or the page that tells why not."""
        try:
            await self._admit(request)
            response = await inner(request)
        except _SignInNeededError:
            response = self._to_sign_in(request)
        except Exception as error:
            response = self._error_page(request, error)
        finally:
            form = getattr(request.state, "form", None)
            if form is not None:
                await form.close()  # uploads lie in temporary files
        return self.dressed(response)

    def dressed(self, response: Response) -> Response:
        """The answer with the headers that all have."""
        secure(response.headers, https=self._https)
        return response

    async def recognise(self, request: Request) -> Visitor | None:
        """Who is looking, for the page too; ``None`` where nobody has signed in."""
        token = request.cookies.get(self.cookie_name)
        signed_in = await self._site.services.accounts.session(token) if token else None
        if signed_in is None:
            return None
        request.state.visitor = Visitor(signed_in)
        return Visitor(signed_in)

    async def _admit(self, request: Request) -> None:
        if request.url.path == SIGN_IN:
            if request.method == "POST":
                _check_same_origin(request)
                request.state.form = await self._form(request)
            return
        visitor = await self.recognise(request)
        if visitor is None:
            raise _SignInNeededError
        if request.method in {"GET", "HEAD"}:
            return
        request.state.form = form = await self._form(request)
        given = form.get(CSRF_FIELD)
        if not isinstance(given, str) or not secrets.compare_digest(
            given.encode(), visitor.signed_in.csrf_token.encode()
        ):
            raise ForbiddenError("The form was made for another session. Please open the page again and repeat it.")
        if not visitor.may_change and request.url.path != SIGN_OUT:
            raise ForbiddenError("You are here as a viewer, so you can look at everything and change nothing.")

    async def _form(self, request: Request) -> Any:
        # Without a length nobody could say beforehand how much would be read; browsers always send it with forms.
        limit = MAX_FORM + self._largest_file(request.url.path)
        length = request.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            raise HTTPException(411)
        if int(length) > limit:
            raise HTTPException(413)
        return await request.form(max_files=1, max_fields=_MAX_FIELDS)

    def _largest_file(self, path: str) -> int:
        if path == _IMPORTS:
            return self._site.services.max_upload
        return min(MAX_REPORT, self._site.services.max_upload) if _REPORTS.fullmatch(path) else 0

    def _to_sign_in(self, request: Request) -> Response:
        if request.url.path.endswith((".json", ".part")):
            return Response(status_code=403)  # a script asks: it loads the page again, which leads to the form
        wanted = request.url.path if request.method == "GET" else "/"
        back = f"?next={quote(wanted, safe='/')}" if wanted != "/" else ""
        return RedirectResponse(SIGN_IN + back, 303)

    def _error_page(self, request: Request, error: Exception) -> Response:
        match error:
            case NotFoundError() | PublicIdSyntaxError() | RequestValidationError():
                return self.error(request, 404)
            case ForbiddenError():
                return self.error(request, 403, str(error))
            case TooManyTriesError():
                response = self.error(request, 429, str(error))
                response.headers["Retry-After"] = str(int(error.wait.total_seconds()))
                return response
            case RefusedError():
                return self.error(request, 409, problems=error.problems)
            case InputSyntaxError():
                return self.error(request, 400, problems=(Problem.of(error, "syntax"),))
            case HTTPException():
                return self.error(request, error.status_code)
            case SurroundingsError():
                _log.error("%s %s: %s", request.method, request.url.path, error)
                return self.error(request, 503)
        _log.exception("%s %s failed", request.method, request.url.path, exc_info=error)
        return self.error(request, 500)

    def error(self, request: Request, status: int, sentence: str = "", problems: tuple[Problem, ...] = ()) -> Response:
        """The page that tells what is wrong and what to do next."""
        title, default, next_step = _ERRORS.get(status, _ERRORS[500 if status >= 500 else 400])
        context = {
            "title": title,
            "status": status,
            "sentence": sentence or ("" if problems else default),
            "next_step": "" if problems else next_step,
            "problems": problems,
        }
        return self._site.page(request, "error", context, status=status)


_ERRORS: dict[int, tuple[str, str, str]] = {
    400: ("That did not work", "The request could not be understood.", "Go back and try again."),
    403: ("That is not allowed", "This is not open to you.", "Ask an admin of your workspace."),
    404: (
        "There is no such page",
        "It may have been mistyped, or it belongs to another workspace.",
        "Look for it in the lists.",
    ),
    405: ("That did not work", "This page does not take such a request.", "Go back and try again."),
    409: ("That cannot be done now", "It cannot be done as things stand; nothing was changed.", "Go back and look."),
    411: ("That did not work", "The length of the request is missing.", "Try again with a browser."),
    413: ("That is too large", "More was sent than this page takes.", "Send a smaller file."),
    429: ("Too many tries", "Too many tries in a short time.", "Wait a quarter of an hour, then sign in again."),
    500: (
        "Something went wrong on our side",
        "It has been written to the log of the server. Nothing that was stored is lost.",
        "Try again; if it stays, an admin finds the cause in the log.",
    ),
    503: (
        "Something that we need is not there",
        "A file, the database or the network did not answer. Nothing that was stored is lost.",
        "Try again in a minute; if it stays, an admin finds the cause in the log.",
    ),
}


def _check_same_origin(request: Request) -> None:
    """Nobody else's page may sign somebody in (login CSRF): Fetch Metadata where sent, else the Origin header."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        allowed = site in {"same-origin", "none"}
    else:
        origin = urlsplit(request.headers.get("Origin", ""))
        allowed = origin.scheme in {"http", "https"} and origin.netloc == request.headers.get("Host", "")
    if not allowed:
        raise ForbiddenError("The form came from another place than this page. Please sign in here.")
