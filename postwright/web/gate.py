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
from postwright.services.template_texts import MAX_BODY
from postwright.store.audit_log import NewAuditEntry
from postwright.store.public_ids import PublicIdSyntaxError
from postwright.web.headers import secure
from postwright.web.language import N_, chosen_speech, gettext, speak
from postwright.web.site import Site, Visitor

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
WORKSPACE = "/workspace"
PREFERENCES = "/preferences"
WELCOME = "/welcome"
CSRF_FIELD = "csrf_token"
MAX_FORM = 64 * 1024
_OWN = frozenset({SIGN_OUT, WORKSPACE, PREFERENCES, "/settings/password", "/settings/sessions/end"})
"""What a viewer may change: what is the viewer's own."""
_IMPORTS = "/imports"
_SUPPRESSIONS = "/suppressions/import"
_REPORTS = re.compile(r"/domains/[^/]+/reports")
_DRAFTS = re.compile(r"/templates/[^/]+/(?:check|check\.json|frame|save|test)")
_LOOKS = re.compile(r"/templates/[^/]+/(?:check|check\.json|frame)")
"""A draft is posted with every pause of the typing to be looked at, which changes nothing."""
_LARGEST_DRAFT = 6 * MAX_BODY
"""A letter of Hebrew is six octets of a form."""
_MAX_FIELDS = 30
_WIDE_FORMS = re.compile(r"/imports/[^/]+/mapping|/segments(?:/.*)?")
_MOST_FIELDS = 300
"""A file of contacts has up to a hundred columns, each with a use and a name; a segment up to twenty conditions."""
_log = logging.getLogger("postwright.web")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ForbiddenError(Exception):
    """Understood and refused; the sentence tells why."""


class _SignInNeededError(Exception):
    pass


def check_may_change(visitor: Visitor) -> None:
    """Raises ``ForbiddenError`` for viewers; pages that are nothing but a form ask it, too."""
    if not visitor.may_change:
        raise ForbiddenError(gettext("You are here as a viewer, so you can look at everything and change nothing."))


class Gate:
    """Lets requests in, and dresses every answer."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._https = site.services.secure_cookies

    @property
    def cookie_name(self) -> str:
        """The prefix binds the cookie to this host and to https (RFC 6265bis section 4.1.3.2)."""
        return "__Host-postwright" if self._https else "postwright"

    @property
    def mark_name(self) -> str:
        """The cookie by which a browser is known from an earlier sign-in; it opens nothing."""
        return f"{self.cookie_name}-known"

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
        speak(chosen_speech(request.cookies, request.headers.get("Accept-Language", "")))
        try:
            await self._admit(request)
            response = await inner(request)
            await self._write_down(request, response.status_code)
        except _SignInNeededError:
            response = self._to_sign_in(request)
        except Exception as error:
            response = self._error_page(request, error)
            await self._write_down(request, response.status_code)
        finally:
            form = getattr(request.state, "form", None)
            if form is not None:
                await form.close()  # uploads lie in temporary files
        return self.dressed(response)

    async def _write_down(self, request: Request, status: int) -> None:
        """Every request that was to change something, with its answer; never what it contained."""
        visitor = getattr(request.state, "visitor", None)
        if visitor is None or request.method in {"GET", "HEAD"} or request.url.path == PREFERENCES:
            return
        if _LOOKS.fullmatch(request.url.path):
            return
        route = getattr(request.scope.get("route"), "path", request.url.path)
        signed_in = visitor.signed_in
        origin = request.client.host if request.client else ""
        action, target = f"{request.method} {route}", request.url.path
        await self._site.services.audit_log.note(
            NewAuditEntry(signed_in.workspace_id, 0, signed_in.address, "web", action, target, status, origin)
        )

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
        if "\x00" in request.scope["path"] or "%00" in request.url.query:
            raise HTTPException(400)
        if request.url.path in {SIGN_IN, WELCOME}:
            if request.method == "POST":
                _check_same_origin(request)
                request.state.form = await self._form(request)
            return
        visitor = await self.recognise(request)
        if visitor is None and request.url.path == PREFERENCES:
            _check_same_origin(request)
            request.state.form = await self._form(request)
            return
        if visitor is None:
            raise _SignInNeededError
        if request.method in {"GET", "HEAD"}:
            return
        request.state.form = form = await self._form(request)
        given = form.get(CSRF_FIELD)
        if not isinstance(given, str) or not secrets.compare_digest(
            given.encode(), visitor.signed_in.csrf_token.encode()
        ):
            raise ForbiddenError(
                gettext("The form was made for another session. Please open the page again and repeat it.")
            )
        if request.url.path not in _OWN:
            check_may_change(visitor)

    async def _form(self, request: Request) -> Any:
        # Without a length nobody could say beforehand how much would be read; browsers always send it with forms.
        limit = MAX_FORM + self._largest_file(request.url.path)
        length = request.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            raise HTTPException(411)
        if int(length) > limit:
            raise HTTPException(413)
        fields = _MOST_FIELDS if _WIDE_FORMS.fullmatch(request.url.path) else _MAX_FIELDS
        form = await request.form(max_files=1, max_fields=fields)
        if any("\x00" in text for pair in form.multi_items() for text in pair if isinstance(text, str)):
            raise HTTPException(400)  # PostgreSQL stores none, and nobody types one
        return form

    def _largest_file(self, path: str) -> int:
        if path in (_IMPORTS, _SUPPRESSIONS):
            return self._site.services.max_upload
        if _DRAFTS.fullmatch(path):
            return _LARGEST_DRAFT
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
        texts = _ERRORS.get(status, _ERRORS[500 if status >= 500 else 400])
        title, default, next_step = (gettext(text) for text in texts)
        context = {
            "title": title,
            "status": status,
            "sentence": sentence or ("" if problems else default),
            "next_step": "" if problems else next_step,
            "problems": problems,
        }
        return self._site.page(request, "error", context, status=status)


_ERRORS: dict[int, tuple[str, str, str]] = {
    400: (N_("That did not work"), N_("The request could not be understood."), N_("Go back and try again.")),
    403: (N_("That is not allowed"), N_("This is not open to you."), N_("Ask an admin of your workspace.")),
    404: (
        N_("There is no such page"),
        N_("It may have been mistyped, or it belongs to another workspace."),
        N_("Look for it in the lists."),
    ),
    405: (N_("That did not work"), N_("This page does not take such a request."), N_("Go back and try again.")),
    409: (
        N_("That cannot be done now"),
        N_("It cannot be done as things stand; nothing was changed."),
        N_("Go back and look."),
    ),
    411: (N_("That did not work"), N_("The length of the request is missing."), N_("Try again with a browser.")),
    413: (N_("That is too large"), N_("More was sent than this page takes."), N_("Send a smaller file.")),
    429: (
        N_("Too many tries"),
        N_("Too many tries in a short time."),
        N_("Wait a quarter of an hour, then sign in again."),
    ),
    500: (
        N_("Something went wrong on our side"),
        N_("It has been written to the log of the server. Nothing that was stored is lost."),
        N_("Try again; if it stays, an admin finds the cause in the log."),
    ),
    503: (
        N_("Something that we need is not there"),
        N_("A file, the database or the network did not answer. Nothing that was stored is lost."),
        N_("Try again in a minute; if it stays, an admin finds the cause in the log."),
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
        raise ForbiddenError(gettext("The form came from another place than this page. Please sign in here."))
