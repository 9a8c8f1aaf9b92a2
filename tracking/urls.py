"""The layout of the URLs on a tracking host, written and read in one place.

``https://<tracking host>/o/<token>.gif`` pixel, ``/c/<token>`` click, ``/u/<token>`` unsubscribe, ``/b/<token>`` back
again, ``/p/<token>`` preferences, ``/s/<token>`` sign-up form, ``/v/<token>`` confirmation of a sign-up.
"""

from urllib.parse import urlsplit

from mailtypes.errors import InputSyntaxError
from tracking.tokens import TokenKind

_KIND_OF_PREFIX = {
    "/o/": TokenKind.PIXEL,
    "/c/": TokenKind.CLICK,
    "/u/": TokenKind.UNSUBSCRIBE,
    "/p/": TokenKind.PREFERENCES,
    "/b/": TokenKind.UNDO,
    "/s/": TokenKind.FORM,
    "/v/": TokenKind.CONFIRM,
}


class BaseUrlSyntaxError(InputSyntaxError):
    """A text that cannot stand before the path of a tracking URL."""


def parse_base(text: str) -> str:
    """A tracking host's base URL without a trailing slash; raise ``BaseUrlSyntaxError`` where it is none.

    It has to be ``https://host[:port]``: RFC 8058 section 3.1 asks for HTTPS, and the layout for the root.
    """
    base = text.removesuffix("/")
    fault = _fault_of_base(base)
    if fault:
        raise BaseUrlSyntaxError(fault, source=text, next_step="Write it as https://links.example.com.")
    return base


def pixel_url(base: str, token: str) -> str:
    """Where the pixel of a delivery is fetched; ``base`` as ``parse_base`` returned it."""
    return f"{base}/o/{token}.gif"


def click_url(base: str, token: str) -> str:
    """What stands in the mail instead of a link's target."""
    return f"{base}/c/{token}"


def unsubscribe_url(base: str, token: str) -> str:
    """The page to unsubscribe on, and the address of the one-click POST (RFC 8058)."""
    return f"{base}/u/{token}"


def preferences_url(base: str, token: str) -> str:
    """The page on which contacts choose what they get."""
    return f"{base}/p/{token}"


def undo_path(token: str) -> str:
    """Where an unsubscribe is taken back; for a form on the same host."""
    return f"/b/{token}"


def form_url(base: str, token: str) -> str:
    """A sign-up form, and where it is sent to."""
    return f"{base}/s/{token}"


def confirmation_url(base: str, token: str) -> str:
    """The page that a sign-up is confirmed on."""
    return f"{base}/v/{token}"


def read_path(path: str) -> tuple[TokenKind, str] | None:
    """The kind that the path asks for and the token in it, or ``None`` for a path of another layout.

    The kind inside the token has to be the same; who reads the token compares them.
    """
    kind = _KIND_OF_PREFIX.get(path[:3])
    token = path[3:].removesuffix(".gif") if kind is TokenKind.PIXEL else path[3:]
    if kind is None or not token or "/" in token:
        return None
    return kind, token


def _fault_of_base(base: str) -> str:
    if not base.isascii() or any(not character.isprintable() or character in ' <>,"\\' for character in base):
        return "the URL has a character that is not allowed in one"
    try:
        parts = urlsplit(base)
        usable_port = parts.port != 0
    except ValueError as error:
        return f"not a URL: {error}"
    if parts.scheme != "https" or not base.startswith("https://"):
        return "the URL does not begin with https://"
    if not parts.hostname or not usable_port or "@" in parts.netloc:
        return "the URL has no host name that can be used"
    if base != f"https://{parts.netloc}":
        return "the URL has something behind the host name"
    return ""
