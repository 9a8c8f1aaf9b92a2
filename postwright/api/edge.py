"""The outermost layer of ``/v1``, in pure ASGI: request ids, bounded bodies, and no internals in an answer."""

import logging
import re
import secrets
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PREFIX = "/v1"
MAX_JSON = 4 * 1024 * 1024
"""Octets of a JSON body: the longest template, a million characters of three octets, fits."""
REQUEST_ID = "X-Request-Id"
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,100}\Z")
_SCOPE_KEY = "postwright.edge"
_LOG = logging.getLogger(__name__)


class BodyTooLargeError(HTTPException):
    """A body longer than its route takes; an ``HTTPException`` since FastAPI lets only those pass unharmed."""

    def __init__(self, limit: int) -> None:
        # The rest of the body is still on its way, so the connection cannot be used again.
        super().__init__(413, f"The body has more than {limit:,} octets.", {"Connection": "close"})


@dataclass(slots=True)
class RequestEdge:
    """What the edge knows about a request; a route that takes more than JSON raises ``body_limit`` before it reads."""

    request_id: str
    body_limit: int = MAX_JSON


def edge_of(scope: Scope) -> RequestEdge:
    """The edge's knowledge of the request; a new one where the middleware is missing."""
    edge: RequestEdge = scope.setdefault(_SCOPE_KEY, RequestEdge(new_request_id()))
    return edge


def is_api(scope: Scope) -> bool:
    """Whether a request is for ``/v1``."""
    path = str(scope["path"]).removeprefix(scope.get("root_path", ""))
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def new_request_id() -> str:
    """A request id for a client that sent none."""
    return f"req_{secrets.token_hex(16)}"


class ApiEdge:
    """Wraps an ASGI app; requests for other paths than ``/v1`` pass through untouched."""

    def __init__(self, app: ASGIApp, on_unexpected: ASGIApp) -> None:
        """``on_unexpected`` answers where something was raised that nobody foresaw."""
        self._app = app
        self._on_unexpected = on_unexpected

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not is_api(scope):
            await self._app(scope, receive, send)
            return
        headers = dict(reversed(scope["headers"]))  # the first of several
        given = headers.get(b"x-request-id", b"")
        edge = RequestEdge(given.decode("ascii") if _SANE_ID.match(given) else new_request_id())
        scope[_SCOPE_KEY] = edge
        answer = _Answer(send, edge.request_id)
        try:
            await self._app(scope, _bounded(receive, edge, headers.get(b"content-length", b"")), answer)
        except ClientDisconnect:
            _LOG.info("request %s: the client went away", edge.request_id)
        except Exception:
            _LOG.exception("request %s failed", edge.request_id)
            if answer.begun:
                raise
            await self._on_unexpected(scope, receive, answer)


class _Answer:
    """``send`` that adds what every answer of ``/v1`` carries."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID] = self._request_id
            headers.setdefault("Cache-Control", "no-store")
            headers.setdefault("X-Content-Type-Options", "nosniff")
        await self._send(message)


def _bounded(receive: Receive, edge: RequestEdge, content_length: bytes) -> Receive:
    """``receive`` that counts the body and stops at the limit: before the first octet where the length is told."""
    declared = int(content_length) if re.fullmatch(rb"\d{1,18}", content_length) else 0
    seen = 0

    async def receive_within_limit() -> Message:
        nonlocal seen
        if declared > edge.body_limit:
            raise BodyTooLargeError(edge.body_limit)
        message: dict[str, Any] = dict(await receive())
        seen += len(message.get("body", b""))
        if seen > edge.body_limit:
            raise BodyTooLargeError(edge.body_limit)
        return message

    return receive_within_limit
