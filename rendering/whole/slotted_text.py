"""Literal HTML and plain text as pieces with slots for links, the recipient's own addresses and the pixel."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from typing import Final

from rendering.links import OPT_OUT_ATTRIBUTE
from rendering.markers import MarkerKind, Markers
from rendering.markup import Attribute, Comment, Tag, Text, scan
from rendering.merge import ADDRESS_FIELDS, UNSUBSCRIBE_FIELD
from rendering.plain_text import html_to_text, is_web_address, shown_address
from rendering.segments import HoneypotSlot, LinkSlot, Piece, PixelSlot, PreferencesSlot, UnsubscribeSlot
from rendering.transfer import base64_lines, base64_size, quoted_printable
from rendering.whole.content import TrackingWish, address_token

MAX_LINKS: Final = 2_000
MAX_TEXT: Final = 500_000
"""Characters of a text that is looked at, as many as a template has."""

LINK_TAGS: Final = frozenset({"a", "area", "v:rect", "v:roundrect", "v:shape"})
_PLACEHOLDER: Final = re.compile(rf"\{{\{{-?\s*({'|'.join(ADDRESS_FIELDS)})\s*-?\}}\}}")
_SLOT_OF: Final[dict[MarkerKind, type[UnsubscribeSlot | PreferencesSlot]]] = {
    MarkerKind.UNSUBSCRIBE: UnsubscribeSlot,
    MarkerKind.PREFERENCES: PreferencesSlot,
}
# What a redirect can lead to: no control characters, of a length that browsers take.
_WEB_ADDRESS: Final = re.compile("https?://[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{1,4000}\\Z", re.IGNORECASE)
_WRITTEN_ADDRESS: Final = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_CLOSING_PUNCTUATION: Final = frozenset(".,;:!?)]}'*_")
_MOST_CLOSING: Final = 8

Edit = tuple[int, int, list[Piece]]


class TooManyLinksError(Exception):
    """More links than ``MAX_LINKS``."""


@dataclass(slots=True)
class NumberedLinks:
    """The tracked links of one message: numbers from 1 by their place, whatever part they stand in."""

    urls: list[str] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _opted_out: set[str] = field(default_factory=set)

    def add(self, url: str) -> int:
        """The number of one more link; ``TooManyLinksError``."""
        if len(self.urls) >= MAX_LINKS:
            raise TooManyLinksError
        self.urls.append(url)
        self._numbers.setdefault(url, len(self.urls))
        return len(self.urls)

    def leave_alone(self, url: str) -> None:
        """The author wants this address untracked, in plain text as well."""
        self._opted_out.add(url)

    def number_of(self, url: str) -> int | None:
        """The number of the first link to an address; ``None`` where it is not tracked."""
        return None if url in self._opted_out else self._numbers.get(url)

    def table(self) -> tuple[tuple[int, str], ...]:
        """The numbers with their addresses."""
        return tuple(enumerate(self.urls, 1))


@dataclass(frozen=True, slots=True)
class Slotting:
    """Which slots a text gets; ``pages`` has the placeholders of the ``ADDRESS_FIELDS`` replaced.

    ``honeypot``: one for the link that no reader sees, where there are tracked links for it to tell of.
    """

    clicks: bool
    pixel: bool
    pages: bool
    honeypot: bool

    @classmethod
    def of_draft(cls, wish: TrackingWish) -> "Slotting":
        """For texts that are written for Postwright."""
        return cls(wish.clicks, wish.opens, True, wish.clicks)

    @classmethod
    def of_received(cls, wish: TrackingWish, *, pixel: bool) -> "Slotting":
        """For texts that any mail program wrote."""
        return cls(wish.clicks, wish.opens and pixel, False, wish.clicks and pixel)


def html_pieces(html: str, slotting: Slotting, links: NumberedLinks) -> list[Piece]:
    """``html`` cut at its slots; found links are added to ``links``."""
    edits: list[Edit] = []
    body_end = len(html.rstrip("\n"))
    comment_end = 0
    for item in scan(html):
        if isinstance(item, Text) and slotting.pages:
            edits += _placeholders(html, item)
        elif isinstance(item, Comment):
            comment_end = item.end
        elif isinstance(item, Tag) and item.closing and item.name == "body" and item.start >= comment_end:
            body_end = item.start
        elif isinstance(item, Tag) and not item.closing and item.name in LINK_TAGS:
            edits += _link_edits(html, item, slotting, links)
    if slotting.pixel:
        edits.append((body_end, body_end, [PixelSlot()]))
    if slotting.honeypot and links.urls:
        edits.append((body_end, body_end, [HoneypotSlot()]))
    return _cut(html, edits)


def plain_pieces(text: str, slotting: Slotting, links: NumberedLinks) -> list[Piece]:
    """``text`` cut at the addresses that the HTML's ``links`` have, and at the placeholders."""
    edits: list[Edit] = []
    if slotting.pages:
        edits += [(m.start(), m.end(), [_page_slot(m[1], markup=False)]) for m in _PLACEHOLDER.finditer(text)]
    if slotting.clicks and links.urls:
        stretches = [piece for piece in _stretches(text, edits) if "://" in text[piece[0] : piece[1]]]
        for start, end in stretches:
            edits += _address_edits(text, start, end, links)
    return _cut(text, edits)


def written_text(html: list[Piece], links: NumberedLinks) -> list[Piece]:
    """The plain text part that is written from the HTML's pieces; its links have the same numbers."""
    static = "".join(piece for piece in html if isinstance(piece, str))
    markers = Markers(static)
    marked = "".join(piece if isinstance(piece, str) else _marker(markers, piece) for piece in html)

    def address_of(href: str) -> tuple[str, str]:
        found = next(markers.find(href), None)
        if found is None:
            return shown_address(href), href
        start, end, kind, number = found
        if kind is MarkerKind.LINK and (start, end) == (0, len(href)):
            return href, links.urls[number - 1]
        return (href if start == 0 or is_web_address(href) else ""), href

    text = html_to_text(marked, address_of)
    edits: list[Edit] = [
        (start, end, [LinkSlot(number, markup=False) if kind is MarkerKind.LINK else _SLOT_OF[kind](markup=False)])
        for start, end, kind, number in markers.find(text)
    ]
    return _cut(text, edits)


def encode_pieces(pieces: list[Piece]) -> tuple[str, bytes]:
    """The Content-Transfer-Encoding of a text and its body in stored form.

    A text with slots is quoted-printable, where pieces and values join freely; another has the smaller encoding.
    """
    last = len(pieces) - 1
    quoted = b"".join(
        quoted_printable(piece, slot_follows=number < last) if isinstance(piece, str) else _token(piece)
        for number, piece in enumerate(pieces)
    )
    if last > 0 or (pieces and not isinstance(pieces[0], str)):
        return "quoted-printable", quoted
    # RFC 2046 section 4.1.1: text has CRLF line ends before it is encoded.
    octets = "".join(map(str, pieces)).replace("\n", "\r\n").encode("utf-8", "replace")
    if len(quoted) <= base64_size(len(octets)):
        return "quoted-printable", quoted
    return "base64", base64_lines(octets)


def _link_edits(html: str, tag: Tag, slotting: Slotting, links: NumberedLinks) -> Iterator[Edit]:
    opted_out = False
    for attribute in tag.attributes:
        if attribute.name == OPT_OUT_ATTRIBUTE:
            opted_out = html[attribute.value_start : attribute.value_end].strip().lower() == "off"
            yield attribute.start, attribute.end, []
            break
    for attribute in tag.attributes:
        if attribute.name != "href":
            continue
        value = html[attribute.value_start : attribute.value_end]
        if slotting.pages and _PLACEHOLDER.search(value):
            yield _quoted(attribute, list(_with_placeholders(value)))
            continue
        url = unescape(value.strip())
        if not _WEB_ADDRESS.match(url):
            continue
        if opted_out:
            links.leave_alone(url)
        elif slotting.clicks:
            yield _quoted(attribute, [LinkSlot(links.add(url), markup=True)])


def _quoted(attribute: Attribute, value: list[Piece]) -> Edit:
    """The value in double quotes, which no address has, whatever quotes the author took."""
    width = len(attribute.quote)
    return attribute.value_start - width, attribute.value_end + width, ['"', *value, '"']


def _with_placeholders(value: str) -> Iterator[Piece]:
    position = 0
    for match in _PLACEHOLDER.finditer(value):
        yield value[position : match.start()].replace('"', "&quot;")
        yield _page_slot(match[1], markup=True)
        position = match.end()
    yield value[position:].replace('"', "&quot;")


def _placeholders(html: str, item: Text) -> Iterator[Edit]:
    for match in _PLACEHOLDER.finditer(html, item.start, item.end):
        yield match.start(), match.end(), [_page_slot(match[1], markup=True)]


def _address_edits(text: str, start: int, end: int, links: NumberedLinks) -> Iterator[Edit]:
    for match in _WRITTEN_ADDRESS.finditer(text, start, end):
        length = len(match[0])
        for closing in range(min(_MOST_CLOSING, length) + 1):
            number = links.number_of(match[0][: length - closing])
            if number is not None:
                yield match.start(), match.end() - closing, [LinkSlot(number, markup=False)]
                break
            if match[0][length - closing - 1] not in _CLOSING_PUNCTUATION:
                break


def _stretches(text: str, edits: list[Edit]) -> Iterator[tuple[int, int]]:
    position = 0
    for start, end, _ in edits:
        yield position, start
        position = end
    yield position, len(text)


def _cut(text: str, edits: list[Edit]) -> list[Piece]:
    pieces: list[Piece] = []
    run: list[str] = []
    position = 0
    for start, end, instead in sorted(edits, key=lambda edit: edit[0]):
        run.append(text[position:start])
        position = end
        for piece in instead:
            if isinstance(piece, str):
                run.append(piece)
                continue
            pieces += filter(None, ("".join(run),))
            pieces.append(piece)
            run = []
    pieces += filter(None, ("".join((*run, text[position:])),))
    return pieces


def _marker(markers: Markers, slot: Piece) -> str:
    if isinstance(slot, LinkSlot):
        return markers.make(MarkerKind.LINK, slot.number)
    return next((markers.make(kind) for kind, its_slot in _SLOT_OF.items() if isinstance(slot, its_slot)), "")


def _page_slot(field_name: str, *, markup: bool) -> UnsubscribeSlot | PreferencesSlot:
    return UnsubscribeSlot(markup) if field_name == UNSUBSCRIBE_FIELD else PreferencesSlot(markup)


def _token(slot: Piece) -> bytes:
    assert isinstance(slot, LinkSlot | UnsubscribeSlot | PreferencesSlot | PixelSlot | HoneypotSlot)
    return address_token(slot)
