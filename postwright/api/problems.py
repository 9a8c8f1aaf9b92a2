"""Everything that goes wrong as problem details (RFC 9457), with one stable type for each code."""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from mailtypes.errors import InputSyntaxError, StorageError, StorageFullError
from postwright.api.callers import MissingScopeError, NotAuthenticatedError
from postwright.api.description import described
from postwright.api.edge import MAX_IN_FLIGHT, ApiEdge, edge_of, is_api
from postwright.api.limits import RateLimitedError
from postwright.api.representations import ProblemDocument, ProblemItem, RefusedRecipient
from postwright.services.errors import NotFoundError, Problem, RefusedError, TooManyTriesError
from postwright.services.submissions import KeyInFlightError, KeyReusedError

MEDIA_TYPE = "application/problem+json"
CONFLICTS = frozenset({"wrong_state", "name_taken", "not_a_draft", "template_changed", "bulk_closed"})
"""Refusals that come from the state of the thing and not from the request: 409."""
_STORAGE_PAUSE, _FULL_PAUSE = 5, 60  # seconds until another try is worth while
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LOG = logging.getLogger(__name__)

Handler = Callable[[Request, Exception], Response | Awaitable[Response]]


def problem(
    scope: Scope,
    status: int,
    code: str,
    detail: str,
    errors: Sequence[ProblemItem] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """One answer with problem details; ``code`` gives type and title."""
    document = problem_document(scope, status, code, detail, errors)
    content = document.model_dump(exclude_none=True)
    return JSONResponse(content, status, dict(headers or {}), media_type=MEDIA_TYPE)


def problem_document(
    scope: Scope, status: int, code: str, detail: str, errors: Sequence[ProblemItem] = ()
) -> ProblemDocument:
    """The document alone."""
    return ProblemDocument(
        type=f"/problems/{re.sub(r'[^a-z0-9]+', '-', code.lower())}",
        title=re.sub(r"[_.]+", " ", code).capitalize(),
        status=status,
        detail=detail,
        instance=f"/requests/{edge_of(scope).request_id}",
        errors=list(errors) or [ProblemItem(code=code, detail=detail)],
    )


class NobodyAcceptedError(Exception):
    """A request that sends would have sent to nobody; who was refused and why."""

    def __init__(self, refused: Sequence[RefusedRecipient]) -> None:
        super().__init__("None of the recipients can be sent to; nothing was kept.")
        self.refused = refused


def install_error_handlers(app: FastAPI, *, max_in_flight: int = MAX_IN_FLIGHT) -> None:
    """Give ``/v1`` its errors, request ids, body bounds and the description of them.

    Call it last: handlers that are there already keep answering for all other paths. ``max_in_flight`` is how many
    octets of requests the process holds at once.
    """
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, _for_api(handler, _handler_before(app, kind)))
    app.add_middleware(ApiEdge, on_unexpected=_unexpected, max_in_flight=max_in_flight)
    describe = app.openapi
    app.openapi = lambda: described(describe())  # type: ignore[method-assign]


def _handler_before(app: FastAPI, kind: type[Exception]) -> Handler | None:
    known = cast(Mapping[Any, Handler], app.exception_handlers)
    return next((known[parent] for parent in kind.__mro__ if parent in known), None)


def _for_api(handler: Handler, before: Handler | None) -> Handler:
    async def answer(request: Request, error: Exception) -> Response:
        chosen = handler if is_api(request.scope) else before
        if chosen is None:
            raise error
        found = chosen(request, error)
        return found if isinstance(found, Response) else await found

    return answer


async def _unexpected(scope: Scope, receive: Receive, send: Send) -> None:
    detail = "Something unforeseen went wrong. The log has it under the id of this request."
    await problem(scope, 500, "internal_error", detail)(scope, receive, send)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    items = [ProblemItem.of(item) for item in error.problems]
    is_conflict = all(item.code in CONFLICTS for item in error.problems)
    first = error.problems[0]
    return problem(request.scope, 409 if is_conflict else 422, first.code, first.sentence, items)


def _not_found(request: Request, error: Exception) -> Response:
    return problem(request.scope, 404, "not_found", str(error))


def _bad_syntax(request: Request, error: Exception) -> Response:
    assert isinstance(error, InputSyntaxError)
    code = _CAMEL.sub("_", type(error).__name__.removesuffix("Error")).lower()
    item = ProblemItem.of(Problem.of(error, code))
    return problem(request.scope, 422, code, error.message, [item])


def _too_many_tries(request: Request, error: Exception) -> Response:
    assert isinstance(error, TooManyTriesError)
    wait = str(max(1, round(error.wait.total_seconds())))
    return problem(request.scope, 429, "too_many_tries", str(error), headers={"Retry-After": wait})


def _rate_limited(request: Request, error: Exception) -> Response:
    assert isinstance(error, RateLimitedError)
    return problem(request.scope, 429, "rate_limited", str(error), headers={"Retry-After": str(error.wait)})


def _key_reused(request: Request, error: Exception) -> Response:
    item = ProblemItem(
        code="idempotency_key_reused",
        detail=str(error),
        field="Idempotency-Key",
        next_step="Take a new key for each different request.",
    )
    return problem(request.scope, 422, item.code, str(error), [item])


def _key_in_flight(request: Request, error: Exception) -> Response:
    item = ProblemItem(
        code="idempotency_key_in_flight",
        detail=str(error),
        field="Idempotency-Key",
        next_step="Ask again in a moment; the first request's answer comes back.",
    )
    return problem(request.scope, 409, item.code, str(error), [item], headers={"Retry-After": "1"})


def _nobody_accepted(request: Request, error: Exception) -> Response:
    assert isinstance(error, NobodyAcceptedError)
    items = [
        ProblemItem(code=item.code, detail=item.reason, field=item.field, next_step=item.next_step)
        for item in error.refused[:100]
    ]
    document = problem_document(request.scope, 422, "nobody_accepted", str(error), items)
    told = document.model_copy(update={"refused": list(error.refused)})
    return JSONResponse(told.model_dump(exclude_none=True), 422, media_type=MEDIA_TYPE)


def _storage(request: Request, error: Exception) -> Response:
    full = isinstance(error, StorageFullError)
    _LOG.error("request %s: %s", edge_of(request.scope).request_id, error)
    # A connection that was lost at the commit leaves open whether it took place; a full disk does not.
    detail = (
        "There is no room left to store this; nothing of it was kept."
        if full
        else "The database cannot take this now. Look whether it was stored before you send it again."
    )
    pause = str(_FULL_PAUSE if full else _STORAGE_PAUSE)
    code = "storage_full" if full else "storage_unavailable"
    return problem(request.scope, 503, code, detail, headers={"Retry-After": pause})


def _not_authenticated(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotAuthenticatedError)
    # RFC 6750 section 3.1: no error code where no key was shown.
    challenge = 'Bearer realm="postwright"' + (', error="invalid_token"' if error.was_shown else "")
    next_step = "Send the header 'Authorization: Bearer pw_live_...' with a key of this workspace."
    item = ProblemItem(code="not_authenticated", detail=str(error), next_step=next_step)
    return problem(request.scope, 401, "not_authenticated", str(error), [item], headers={"WWW-Authenticate": challenge})


def _missing_scope(request: Request, error: Exception) -> Response:
    assert isinstance(error, MissingScopeError)
    challenge = f'Bearer realm="postwright", error="insufficient_scope", scope="{error.scope}"'
    item = ProblemItem(
        code="missing_scope", detail=str(error), next_step=f"Use a key that was made with the scope '{error.scope}'."
    )
    return problem(request.scope, 403, "missing_scope", str(error), [item], headers={"WWW-Authenticate": challenge})


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    details = {
        404: ("unknown_path", f"There is nothing at {request.url.path[:200]}."),
        405: ("method_not_allowed", f"{request.method} cannot be used here."),
        400: ("unreadable_body", "The body cannot be read as what its Content-Type says."),
        413: ("body_too_large", error.detail),
        415: ("unsupported_media_type", error.detail),
        503: ("overloaded", error.detail),
    }
    phrase = HTTPStatus(error.status_code).phrase
    code, detail = details.get(error.status_code, (phrase.lower().replace(" ", "_"), error.detail))
    next_step = getattr(error, "next_step", "")
    items = [ProblemItem(code=code, detail=detail, next_step=next_step)] if next_step else []
    return problem(request.scope, error.status_code, code, detail, items, headers=error.headers)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    items = fault_items(error)
    first = items[0]
    detail = f"{first.field}: {first.detail}" if first.field else first.detail
    return problem(request.scope, 422, "invalid_request", detail, items)


def fault_items(error: RequestValidationError) -> list[ProblemItem]:
    """The first hundred faults of a request as problems."""
    return [_invalid_item(fault, error.body) for fault in error.errors()[:100]]


def _invalid_item(fault: Mapping[str, Any], body: object) -> ProblemItem:
    """One fault that pydantic found; its input is not repeated, since it may be a secret."""
    where, *path = fault["loc"]
    code = str(fault["type"])
    if code == "json_invalid" and isinstance(body, str):
        before = body[: int(path[0])]
        place = f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"
        return ProblemItem(code=code, detail=f"The body is not JSON: {fault['ctx']['error']}.", place=place)
    pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return ProblemItem(
        code=code,
        detail=str(fault["msg"]).removeprefix("Value error, ") + ".",
        field=".".join(str(part) for part in path) or None,
        pointer=f"#{pointer}" if where == "body" else None,
    )


_HANDLERS: dict[type[Exception], Handler] = {
    RefusedError: _refused,
    NotFoundError: _not_found,
    InputSyntaxError: _bad_syntax,
    TooManyTriesError: _too_many_tries,
    RateLimitedError: _rate_limited,
    KeyReusedError: _key_reused,
    KeyInFlightError: _key_in_flight,
    NobodyAcceptedError: _nobody_accepted,
    StorageError: _storage,
    NotAuthenticatedError: _not_authenticated,
    MissingScopeError: _missing_scope,
    HTTPException: _http,
    RequestValidationError: _invalid,
}
