"""Where a merge value stands decides how it is escaped, so that no value breaks out of its place.

The place is read from the compiled HTML, not from the source: MJML puts one value of the source into several
places. Encoders raise ``ValueError`` with the reason where a value cannot stand in its place.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from enum import StrEnum
from html import escape
from urllib.parse import quote

from mailtypes.saying import say
from rendering.filters import BrokenLines, UrlEncoded
from rendering.markup import Attribute, Comment, RawText, Tag, Text, scan

_URL_ATTRIBUTES = frozenset(
    {"href", "src", "background", "action", "formaction", "cite", "longdesc", "poster", "data", "xlink:href", "srcset"}
)
_NO_PLACE_ATTRIBUTES = frozenset({"srcdoc", "http-equiv"})
# C0 and C1 controls but tab and line feed; they have no place in mail (RFC 5322 section 2.2).
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
MARKUP = re.compile("[&<>\"'\n\r\t\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CSS_VALUE = re.compile(r"[\w#%.,+ -]*(?:\b(?:rgb|rgba|hsl|hsla)\([\d.,% /]*\))?\s*\Z")
_URL_SCHEME = re.compile(r"(?:https?://[^\s/?#]|mailto:|tel:|sms:)", re.IGNORECASE)
_URL_SAFE = "!#$%&'()*+,/:;=?@[]~-._"
_PERCENT_ENCODED = re.compile(r"[A-Za-z0-9%+._~-]*\Z")
LOOK_BACK = 8_192
"""How far before a value its place is looked for, in characters; no address that works is longer."""
_IN_PATH = re.compile(r"[a-z]+://[^/?#]+/[^?#]*\Z", re.IGNORECASE)
_CSS_URL = re.compile(r"url\(\s*[\"']?[^()]*\Z", re.IGNORECASE)


class Place(StrEnum):
    """Where a value stands in HTML or in the plain part."""

    TEXT = "text"
    ATTRIBUTE = "attribute"
    URL = "url"
    URL_PATH = "url-path"
    URL_PART = "url-part"
    CSS = "css"
    CSS_URL = "css-url"
    COMMENT = "comment"
    PLAIN = "plain"
    PLAIN_URL = "plain-url"
    PLAIN_URL_PATH = "plain-url-path"
    PLAIN_URL_PART = "plain-url-part"


class NoPlaceError(Exception):
    """A merge value stands where none can be made safe (a tag's name, a script); the text says where."""


def url_place(before: str) -> Place:
    """The place of a value in a URL by what stands before it; other values in ``before`` count as ``https://x``."""
    if not before.strip():
        return Place.URL
    return Place.URL_PATH if _IN_PATH.match(before.strip()) else Place.URL_PART


class PlaceMap:
    """The places of a compiled HTML text; ``stand_in`` turns slot markers in a URL into ``https://x``."""

    def __init__(self, html: str, stand_in: Callable[[str], str]) -> None:
        self._html = html
        self._stand_in = stand_in
        self._stretches: list[tuple[int, int, Tag | Text | RawText | Comment | Attribute]] = []
        for item in scan(html):
            self._stretches.append((item.start, item.end, item))
            if isinstance(item, Tag):
                self._stretches.extend((a.value_start, a.value_end, a) for a in item.attributes if a.quote)
        self._stretches.sort(key=lambda stretch: stretch[0])
        self._starts = [start for start, _, _ in self._stretches]

    def attribute_at(self, position: int) -> Attribute | None:
        """The quoted attribute whose value holds the position."""
        item = self._innermost(position)
        return item if isinstance(item, Attribute) else None

    def place_at(self, position: int) -> Place:
        """The place at a position; ``NoPlaceError`` where no value may stand."""
        item = self._innermost(position)
        if isinstance(item, Text):
            return Place.TEXT
        if isinstance(item, Comment):
            return Place.COMMENT
        if isinstance(item, RawText):
            if "style" not in item.tag:
                raise NoPlaceError(say("inside of <%(tag)s>", tag=item.tag))
            return self._css_place(item.start, position)
        if isinstance(item, Attribute):
            return self._attribute_place(item, position)
        raise NoPlaceError(say("inside of a tag but not in a quoted attribute"))

    def _innermost(self, position: int) -> Tag | Text | RawText | Comment | Attribute | None:
        index = bisect_right(self._starts, position) - 1
        while index >= 0:
            _, end, item = self._stretches[index]
            if position < end:
                return item
            index -= 1
        return None

    def _attribute_place(self, attribute: Attribute, position: int) -> Place:
        if attribute.name in _NO_PLACE_ATTRIBUTES or attribute.name.startswith("on"):
            raise NoPlaceError(say("in the attribute %(attribute)s", attribute=attribute.name))
        if attribute.name == "style":
            return self._css_place(attribute.value_start, position)
        if attribute.name in _URL_ATTRIBUTES:
            if position - attribute.value_start > LOOK_BACK:
                return Place.URL_PART  # the strictest; a loop over values in one address would take quadratic time
            return url_place(self._stand_in(self._html[attribute.value_start : position]))
        return Place.ATTRIBUTE

    def _css_place(self, start: int, position: int) -> Place:
        before = self._html[max(start, position - LOOK_BACK) : position]
        found = _CSS_URL.search(before)
        if found is None:
            return Place.CSS
        in_url = self._stand_in(found[0][len("url(") :].lstrip(" \"'"))
        return Place.CSS_URL if not in_url.strip() else Place.URL_PART


def _text(value: str) -> str:
    if MARKUP.search(value) is None:
        return value
    cleaned = escape(_clean(value))
    return cleaned.replace("\n", "<br>\n") if isinstance(value, BrokenLines) else cleaned


def _attribute(value: str) -> str:
    return value if MARKUP.search(value) is None else escape(_clean(value))


def _plain(value: str) -> str:
    return value if MARKUP.search(value) is None else _clean(value)


def _clean(value: str) -> str:
    return _CONTROLS.sub("", value.replace("\r\n", "\n").replace("\r", "\n"))


def _plain_url(value: str) -> str:
    address = value.strip()
    if address and not _URL_SCHEME.match(address):
        raise ValueError(say("a link has to begin with https://, http://, mailto:, tel: or sms:"))
    return quote(address, safe=_URL_SAFE, errors="replace")


def _url(value: str) -> str:
    return escape(_plain_url(value))


def _url_part(value: str) -> str:
    if isinstance(value, UrlEncoded) and _PERCENT_ENCODED.match(value):
        return str(value)
    return quote(value, safe="", errors="replace")


def _url_path(value: str) -> str:
    return _url_part(value) if isinstance(value, UrlEncoded) else quote(value, safe="/", errors="replace")


def _css(value: str) -> str:
    if not _CSS_VALUE.match(value):
        raise ValueError(say("a value in CSS can be a colour, a number with its unit or a word"))
    return value


def _css_url(value: str) -> str:
    # Parentheses and quotes would end url(...); percent-encoded they mean the same to the server.
    return quote(_plain_url(value), safe="!#$%&*+,/:;=?@[]~-._").replace("&", "&amp;")


def _nothing(_: str) -> str:
    return ""


ENCODERS: Mapping[Place, Callable[[str], str]] = {
    Place.TEXT: _text,
    Place.ATTRIBUTE: _attribute,
    Place.URL: _url,
    Place.URL_PATH: _url_path,
    Place.URL_PART: _url_part,
    Place.CSS: _css,
    Place.CSS_URL: _css_url,
    Place.COMMENT: _nothing,
    Place.PLAIN: _plain,
    Place.PLAIN_URL: _plain_url,
    Place.PLAIN_URL_PATH: _url_path,
    Place.PLAIN_URL_PART: _url_part,
}
"""How a value is written at each place; a ``ValueError`` tells why it cannot stand there."""
