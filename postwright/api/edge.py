"""The outermost layer of ``/v1``, in pure ASGI: request ids, bounded bodies, and no internals in an answer."""

import asyncio
import logging
import re
import secrets
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PREFIX = "/v1"
MAX_JSON = 4 * 1024 * 1024
"""Octets of a JSON body: the longest template, a million characters of three octets, fits."""
MAX_IN_FLIGHT = 256 * 1024 * 1024
"""Octets of request bodies that a process holds at once, in memory or on disk; more wait outside."""
UNBOUNDED = 1 << 62
"""The body limit of streams, which hold no more than a chunk of it."""
STREAM_SHARE = 2 * 1024 * 1024
"""What a stream counts for among the octets in flight: a chunk and a line."""
PATIENCE = 60.0
"""Seconds that a body may take in any case; beyond them it has to come at ``SLOWEST`` octets a second."""
SLOWEST = 8 * 1024
REQUEST_ID = "X-Request-Id"
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,100}\Z")
_SCOPE_KEY = "postwright.edge"
_LOG = logging.getLogger(__name__)


class BodyTooLargeError(HTTPException):
    """A body longer than its route takes; an ``HTTPException`` since FastAPI lets only those pass unharmed."""

    def __init__(self, limit: int, next_step: str = "") -> None:
        # The rest of the body is still on its way, so the connection cannot be used again.
        super().__init__(413, f"The body has more than {limit:,} octets.", {"Connection": "close"})
        self.next_step = next_step


class OverloadedError(HTTPException):
    """Too many octets of other requests are being worked on."""

    def __init__(self) -> None:
        detail = "The server is working on as much as it can hold; nothing of this was kept."
        super().__init__(503, detail, {"Connection": "close", "Retry-After": "5"})


class SlowBodyError(HTTPException):
    """A body that comes so slowly that it would keep its share of what the process holds from others."""

    def __init__(self) -> None:
        super().__init__(408, "The body came too slowly; nothing of it was kept.", {"Connection": "close"})


@dataclass(slots=True)
class RequestEdge:
    """What the edge knows about a request; a route that takes more than JSON raises ``body_limit`` before it reads.

    ``too_large_step`` tells what to do about a body that is longer. ``headers`` go with the answer whatever it is.
    ``client_name`` is for the log.
    """

    request_id: str
    body_limit: int = MAX_JSON
    too_large_step: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    client_name: str = "-"


class InFlight:
    """Counts the octets of request bodies that a process holds."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held = 0

    def take(self, octets: int) -> None:
        """Count octets; raises ``OverloadedError`` where they are too many."""
        if self.held + octets > self._limit:
            raise OverloadedError
        self.held += octets

    def give_back(self, octets: int) -> None:
        """Let go of octets."""
        self.held -= octets


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

    def __init__(self, app: ASGIApp, on_unexpected: ASGIApp, max_in_flight: int = MAX_IN_FLIGHT) -> None:
        """``on_unexpected`` answers where something was raised that nobody foresaw."""
        self._app = app
        self._on_unexpected = on_unexpected
        self._in_flight = InFlight(max_in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not is_api(scope):
            await self._app(scope, receive, send)
            return
        headers = dict(reversed(scope["headers"]))  # the first of several
        given = headers.get(b"x-request-id", b"")
        edge = RequestEdge(given.decode("ascii") if _SANE_ID.match(given) else new_request_id())
        scope[_SCOPE_KEY] = edge
        answer = _Answer(send, edge)
        body = _Body(receive, edge, headers.get(b"content-length", b""), self._in_flight)
        began = asyncio.get_running_loop().time()
        try:
            await self._app(scope, body, answer)
        except ClientDisconnect:
            _LOG.info("request %s: the client went away", edge.request_id)
        except Exception:
            _LOG.exception("request %s failed", edge.request_id)
            if answer.status:
                raise
            await self._on_unexpected(scope, receive, answer)
        finally:
            body.release()
            took = round((asyncio.get_running_loop().time() - began) * 1000)
            told = (edge.request_id, edge.client_name, scope["method"], scope["path"][:200], answer.status, took)
            _LOG.info("request %s of %s: %s %r, %s, %d ms", *told)


class _Answer:
    """``send`` that adds what every answer of ``/v1`` carries."""

    def __init__(self, send: Send, edge: RequestEdge) -> None:
        self._send = send
        self._edge = edge
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID] = self._edge.request_id
            headers.setdefault("Cache-Control", "no-store")
            headers.setdefault("X-Content-Type-Options", "nosniff")
            headers.update(self._edge.headers)
        await self._send(message)


class _Body:
    """``receive`` that counts the body and stops at the limits: before the first octet where the length is told."""

    def __init__(self, receive: Receive, edge: RequestEdge, content_length: bytes, in_flight: InFlight) -> None:
        self._receive = receive
        self._edge = edge
        self._declared = int(content_length) if re.fullmatch(rb"\d{1,18}", content_length) else 0
        self._in_flight = in_flight
        self._seen = self._held = 0
        self._began = asyncio.get_running_loop().time()
        self._is_whole = False

    async def __call__(self) -> Message:
        self._check(self._declared)
        message: dict[str, Any] = dict(await self._next())
        self._is_whole = not message.get("more_body", False)
        self._seen += len(message.get("body", b""))
        self._check(self._seen)
        return message

    async def _next(self) -> Message:
        if self._is_whole or self._edge.body_limit == UNBOUNDED:
            return await self._receive()  # the end of the connection, or a stream, which has its own patience
        try:
            async with asyncio.timeout_at(self._began + PATIENCE + self._seen / SLOWEST):
                return await self._receive()
        except TimeoutError as error:
            raise SlowBodyError from error

    def _check(self, octets: int) -> None:
        limit = self._edge.body_limit
        if octets > limit:
            raise BodyTooLargeError(limit, self._edge.too_large_step)
        wanted = STREAM_SHARE if limit == UNBOUNDED else octets
        if wanted > self._held:
            self._in_flight.take(wanted - self._held)
            self._held = wanted

    def release(self) -> None:
        """Let go of what was counted."""
        self._in_flight.give_back(self._held)
        self._held = 0
