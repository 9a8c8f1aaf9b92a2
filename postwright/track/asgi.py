"""The endpoints behind the hosts named in mails: pixel, click, pages. Raw ASGI, since it is the hottest of HTTP.

GET and HEAD never unsubscribe: scanners fetch every link. A forged token gets a plain page; the pixel always answers
with the image.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs

from prometheus_client import CONTENT_TYPE_LATEST, Counter, generate_latest

from mailtypes.errors import StorageError
from postwright.services.engagement import Engagement
from postwright.track.desk import TrackDesk
from postwright.track.pages import Page, invalid_page
from postwright.track.recipient_desk import MAX_FORM_OCTETS, Asking, RecipientDesk, Shown
from postwright.track.visitors import Visitors
from tracking.links import redirect_location
from tracking.pixel import PIXEL, PIXEL_HEADERS
from tracking.tokens import TokenKind
from tracking.unsubscribe import MAX_ONE_CLICK_OCTETS
from tracking.urls import read_path
from tracking.verdicts.features import HONEYPOT_LINK

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_Answer: TypeAlias = tuple[int, list[tuple[bytes, bytes]], bytes]

_LOG = logging.getLogger(__name__)
_NO_STORE = (b"cache-control", b"no-store")
_PIXEL_ANSWER: _Answer = (200, list(PIXEL_HEADERS), PIXEL)
_NOTHING_ANSWER: Final[_Answer] = (
    200,
    [(b"content-type", b"text/plain; charset=utf-8"), _NO_STORE, (b"x-robots-tag", b"noindex")],
    b"",
)
"""For the link that no reader sees: it leads nowhere."""
_PIXEL_START: Final = {"type": "http.response.start", "status": 200, "headers": list(PIXEL_HEADERS)}
_PIXEL_BODY: Final = {"type": "http.response.body", "body": PIXEL}
_INTERNAL: Final = frozenset({"/ask", "/metrics"})
_METHODS = {
    TokenKind.PIXEL: ("GET", "HEAD"),
    TokenKind.CLICK: ("GET", "HEAD"),
    TokenKind.FORM: ("GET", "HEAD", "POST", "OPTIONS"),
}
_READ_SECONDS: Final = 15.0
"""How long a form may take to come in: whoever sends it an octet at a time would hold a connection for ever."""
_METHODS_OF_PAGES: Final = ("GET", "HEAD", "POST")
_ANYBODY: Final = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"content-type"),
]
"""Forms stand on pages of others, and there are no cookies that their scripts could use."""
_REASONS: Final = {
    400: b"This request does not ask for anything.\n",
    408: b"The request took too long.\n",
    413: b"The request is too large.\n",
}

_REQUESTS = Counter("postwright_track_requests_total", "Requests to the tracking hosts", ["what"])
_PIXELS, _CLICKS = (_REQUESTS.labels(what) for what in ("pixel", "click"))
_POSTS = {
    kind: _REQUESTS.labels(what)
    for kind, what in (
        (TokenKind.UNSUBSCRIBE, "unsubscribe"),
        (TokenKind.UNDO, "undo"),
        (TokenKind.PREFERENCES, "preferences"),
        (TokenKind.FORM, "sign_up"),
        (TokenKind.CONFIRM, "confirm"),
    )
}


class TrackApplication:
    """The ASGI application of the role ``track``.

    ``desk`` has what lives as long as the server does: the journal, and what the proxy asks for. Without one, visits
    go straight into the database. ``recipients`` answers for the pages; without one there is the unsubscribe page
    alone.
    """

    def __init__(
        self,
        engagement: Engagement,
        desk: TrackDesk | None = None,
        visitors: Visitors | None = None,
        recipients: RecipientDesk | None = None,
    ) -> None:
        self._engagement = engagement
        self._desk = desk
        self._visitors = visitors or Visitors()
        self._recipients = recipients or RecipientDesk(engagement)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (or the server's lifespan questions)."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        if path.startswith("/o/") and scope["method"] == "GET":
            await self._pixel(path, scope)
            await send(_PIXEL_START)
            await send(_PIXEL_BODY)
            return
        try:
            status, headers, body = await self._answer(path, scope, receive)
        except StorageError:
            _LOG.exception("an event could not be stored")
            status, headers, body = 503, [(b"retry-after", b"5")], b"Please try again in a moment.\n"
        if all(name != b"content-length" for name, _ in headers):
            headers = [*headers, (b"content-length", b"%d" % len(body))]
        if scope["method"] == "HEAD":
            body = b""
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, path: str, scope: Scope, receive: Receive) -> _Answer:
        if path == "/healthz":
            return 200, [_NO_STORE], b"ok\n"
        if path in _INTERNAL and self._desk is not None and self._visitors.is_internal(scope):
            return await self._internal(self._desk, path, scope)
        asked = read_path(path)
        if asked is None:
            return _unknown(scope)
        kind, token = asked
        method: str = scope["method"]
        allowed = _METHODS.get(kind, _METHODS_OF_PAGES)
        if method not in allowed:
            return 405, [(b"allow", ", ".join(allowed).encode())], b""
        if kind is TokenKind.PIXEL:
            return _PIXEL_ANSWER  # by HEAD
        if method == "OPTIONS":
            return 204, [*_ANYBODY, _NO_STORE], b""
        if kind is not TokenKind.CLICK:
            return await self._page(kind, token, scope, receive)
        return await self._click(token, scope)

    async def _pixel(self, path: str, scope: Scope) -> None:
        """Record an open where the token is genuine; whatever happens, the image is owed."""
        asked = read_path(path)
        claims = None if asked is None else self._engagement.claims(asked[1], TokenKind.PIXEL)
        if claims is None:
            return
        _PIXELS.inc()
        try:
            await self._engagement.opened(claims, self._visitors.read(scope))
        except StorageError:
            _LOG.exception("an open could not be stored")

    async def _click(self, token: str, scope: Scope) -> _Answer:
        claims = self._engagement.claims(token, TokenKind.CLICK)
        if claims is None:
            return _unknown(scope)
        _CLICKS.inc()
        if claims.link == HONEYPOT_LINK:
            await self._engagement.found_honeypot(claims, self._visitors.read(scope))
            return _NOTHING_ANSWER
        target = await self._engagement.clicked(claims, self._visitors.read(scope), is_fetch=scope["method"] == "GET")
        if target is None:
            return _unknown(scope)
        return 302, [(b"location", _location(target)), _NO_STORE, (b"referrer-policy", b"no-referrer")], b""

    async def _internal(self, desk: TrackDesk, path: str, scope: Scope) -> _Answer:
        """What only the proxy in front and the monitoring on this side of it are told."""
        if path == "/metrics":
            return 200, [(b"content-type", CONTENT_TYPE_LATEST.encode()), _NO_STORE], generate_latest()
        domains = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=8).get("domain", [])
        if len(domains) == 1 and await desk.hosts.has(domains[0]):
            return 200, [_NO_STORE], b"ours\n"
        return 404, [_NO_STORE], b"not ours\n"

    async def _page(self, kind: TokenKind, token: str, scope: Scope, receive: Receive) -> _Answer:
        """A page that recipients see; only a POST changes anything."""
        body: bytes | None = None
        if scope["method"] == "POST":
            try:
                async with asyncio.timeout(_READ_SECONDS):
                    most = MAX_ONE_CLICK_OCTETS if kind is TokenKind.UNSUBSCRIBE else MAX_FORM_OCTETS
                    body = await _read(receive, most)
            except TimeoutError:
                return 408, [_NO_STORE, (b"connection", b"close")], _REASONS[408]
            if body is None:
                return 413, [], _REASONS[413]
            _POSTS[kind].inc()
        asking = Asking(
            token,
            body,
            _header(scope, b"content-type"),
            self._visitors.read(scope).address,
            _header(scope, b"accept-language"),
        )
        shown = await self._recipients.answer(kind, asking)
        if kind is TokenKind.FORM and asking.is_json:
            return _json(shown)
        return (shown.status, [], _REASONS[shown.status]) if shown.page is None else _page(shown.status, shown.page)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            starting = message["type"] == "lifespan.startup"
            if self._desk is not None:
                await (self._desk.open() if starting else self._desk.close())
            await send({"type": f"{message['type']}.complete"})
            if not starting:
                return


@lru_cache(maxsize=10_000)
def _location(target: str) -> bytes:
    return redirect_location(target).encode("ascii")


def _unknown(scope: Scope) -> _Answer:
    return _page(404, invalid_page(_header(scope, b"accept-language")))


def _page(status: int, page: Page) -> _Answer:
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        _NO_STORE,
        (b"content-security-policy", page.policy.encode("ascii")),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-robots-tag", b"noindex"),
    ]
    return status, headers, page.html.encode()


def _json(shown: Shown) -> _Answer:
    headers = [(b"content-type", b"application/json"), _NO_STORE, *_ANYBODY]
    return shown.status, headers, b'{"status":"%s"}\n' % shown.word.encode("ascii")


def _header(scope: Scope, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")


async def _read(receive: Receive, most: int) -> bytes | None:
    """The body, ``None`` where it has more octets than ``most``."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += bytes(message.get("body", b""))
        if len(body) > most:
            return None
        if not message.get("more_body", False):
            return body
