"""The endpoints behind the hosts named in mails: pixel, click, unsubscribe. Raw ASGI, since it is the hottest of HTTP.

GET and HEAD never unsubscribe: scanners fetch every link. A forged token gets a plain page; the pixel always answers
with the image.
"""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from mailtypes.errors import StorageError
from postwright.services.engagement import Engagement
from postwright.track.pages import Page, done_page, invalid_page, unsubscribe_page
from tracking.links import redirect_location
from tracking.pixel import PIXEL, PIXEL_HEADERS
from tracking.tokens import TokenClaims, TokenKind
from tracking.unsubscribe import MAX_ONE_CLICK_OCTETS, is_one_click
from tracking.urls import read_path

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_Answer: TypeAlias = tuple[int, list[tuple[bytes, bytes]], bytes]

_LOG = logging.getLogger(__name__)
_NO_STORE = (b"cache-control", b"no-store")
_PIXEL_ANSWER: _Answer = (200, list(PIXEL_HEADERS), PIXEL)
_METHODS = {
    TokenKind.PIXEL: ("GET", "HEAD"),
    TokenKind.CLICK: ("GET", "HEAD"),
    TokenKind.UNSUBSCRIBE: ("GET", "HEAD", "POST"),
    TokenKind.PREFERENCES: ("GET", "HEAD", "POST"),
}


class TrackApplication:
    """The ASGI application of the role ``track``."""

    def __init__(self, engagement: Engagement) -> None:
        self._engagement = engagement

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (or the server's lifespan questions)."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            return
        try:
            status, headers, body = await self._answer(scope, receive)
        except StorageError:
            _LOG.exception("an event could not be stored")
            status, headers, body = 503, [(b"retry-after", b"5")], b"Please try again in a moment.\n"
        if all(name != b"content-length" for name, _ in headers):
            headers = [*headers, (b"content-length", b"%d" % len(body))]
        if scope["method"] == "HEAD":
            body = b""
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> _Answer:
        path: str = scope["path"]
        if path == "/healthz":
            return 200, [_NO_STORE], b"ok\n"
        asked = read_path(path)
        if asked is None:
            return _page(404, invalid_page())
        kind, token = asked
        method: str = scope["method"]
        if method not in _METHODS[kind]:
            return 405, [(b"allow", ", ".join(_METHODS[kind]).encode())], b""
        claims = self._engagement.claims(token, kind)
        if kind is TokenKind.PIXEL:
            return await self._pixel(claims, method)
        if claims is None:
            return _page(404, invalid_page())
        if kind is TokenKind.CLICK:
            return await self._click(claims, method)
        return await self._unsubscribe(claims, method, scope, receive)

    async def _pixel(self, claims: TokenClaims | None, method: str) -> _Answer:
        if claims is not None and method == "GET":
            try:
                await self._engagement.opened(claims)
            except StorageError:
                _LOG.exception("an open could not be stored")  # the image is owed all the same
        return _PIXEL_ANSWER

    async def _click(self, claims: TokenClaims, method: str) -> _Answer:
        target = await self._engagement.clicked(claims, is_fetch=method == "GET")
        if target is None:
            return _page(404, invalid_page())
        location = redirect_location(target).encode("ascii")
        return 302, [(b"location", location), _NO_STORE, (b"referrer-policy", b"no-referrer")], b""

    async def _unsubscribe(self, claims: TokenClaims, method: str, scope: Scope, receive: Receive) -> _Answer:
        page = await self._engagement.unsubscribe_page(claims)
        if page is None:
            return _page(404, invalid_page())
        if method != "POST":
            return _page(200, unsubscribe_page(page))
        body = await _read(receive)
        if body is None:
            return 413, [], b"The request is too large.\n"
        one_click = is_one_click(_header(scope, b"content-type"), body)
        if not one_click and body.strip() != b"confirm=yes":
            return 400, [], b"This request does not ask to unsubscribe.\n"
        await self._engagement.unsubscribe(claims, "one_click" if one_click else "page")
        return _page(200, done_page(page))


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


def _header(scope: Scope, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")


async def _read(receive: Receive) -> bytes | None:
    """The body, ``None`` where it is larger than any that we want."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += bytes(message.get("body", b""))
        if len(body) > MAX_ONE_CLICK_OCTETS:
            return None
        if not message.get("more_body", False):
            return body


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
