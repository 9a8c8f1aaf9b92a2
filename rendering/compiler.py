"""From the text of one layout to its encoded pieces: MJML, CSS, slots by place, plain text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from mailtypes.errors import Span
from mailtypes.saying import say
from rendering.css import CssError, inline_css
from rendering.layout import Layout
from rendering.links import Edit, Link, cut
from rendering.markers import MarkerKind, Markers
from rendering.markup import Comment, scan
from rendering.merge import PREFERENCES_FIELD, UNSUBSCRIBE_FIELD, Content, Merge, Value
from rendering.mjml_engine import MjmlError, mjml_to_html
from rendering.places import NoPlaceError, Place, PlaceMap
from rendering.plain_text import html_to_text, is_web_address, shown_address
from rendering.segments import (
    HoneypotSlot,
    LinkSlot,
    MergeSlot,
    Part,
    Piece,
    PixelSlot,
    PreferencesSlot,
    SlotOrigin,
    UnsubscribeSlot,
)
from rendering.source import BodyFormat, TemplateSyntaxError

_PLACE_BY_KIND = {
    MarkerKind.MERGE: Place.PLAIN,
    MarkerKind.MERGE_URL: Place.PLAIN_URL,
    MarkerKind.MERGE_URL_PATH: Place.PLAIN_URL_PATH,
    MarkerKind.MERGE_URL_PART: Place.PLAIN_URL_PART,
}
_SPECIAL = {UNSUBSCRIBE_FIELD: MarkerKind.UNSUBSCRIBE, PREFERENCES_FIELD: MarkerKind.PREFERENCES}
_SLOT_OF: dict[MarkerKind, type[UnsubscribeSlot | PreferencesSlot]] = {
    MarkerKind.UNSUBSCRIBE: UnsubscribeSlot,
    MarkerKind.PREFERENCES: PreferencesSlot,
}
_BODY_START = re.compile(r"<body\b[^>]*>", re.IGNORECASE)
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
_PREHEADER_STYLE = (
    "display:none;font-size:1px;line-height:1px;max-height:0;max-width:0;opacity:0;overflow:hidden;mso-hide:all"
)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parsed parts of a template, as the compiler needs them."""

    body: Merge
    body_format: BodyFormat
    preheader: Merge
    plain_text: Merge | None
    links: tuple[Link, ...]
    edits: tuple[Edit, ...]
    markers: Markers


@dataclass(slots=True)
class _Assembled:
    """The text of a layout with markers, and which stretch of it came from where in the source."""

    text: str = ""
    stretches: list[tuple[int, int]] = field(default_factory=list)  # (place in the text, place in the source)

    def source_position(self, position: int) -> int:
        start, source_start = max((s for s in self.stretches if s[0] <= position), default=(0, 0))
        return source_start + position - start


@dataclass(frozen=True, slots=True)
class LayoutKey:
    """The marks of a layout, part by part."""

    body: str
    preheader: str
    plain_text: str


def compile_layout(parts: Parts, key: LayoutKey) -> Layout:
    """Compile one layout. Deterministic; raises ``TemplateSyntaxError`` where an engine refuses it."""
    html, origins = _whole_html(parts, key)
    pieces = _html_pieces(parts, html, origins)
    if parts.plain_text is None:
        plain = html_to_text(html, lambda href: _plain_address(parts, href))
    else:
        plain, written = _author_text(parts, parts.plain_text, key.plain_text, len(origins))
        origins += [SlotOrigin(slot.field, parts.plain_text.source, slot.span) for slot in written]
    return Layout(Part(_plain_pieces(parts, plain), origins), Part(pieces, origins), parts.links, plain + html)


def compile_html(parts: Parts, key: LayoutKey) -> Part:
    """Compile the HTML part alone."""
    html, origins = _whole_html(parts, key)
    return Part(_html_pieces(parts, html, origins), origins)


def _whole_html(parts: Parts, key: LayoutKey) -> tuple[str, list[SlotOrigin]]:
    """The HTML with a marker for each slot, and where the merge values of body and preheader come from."""
    body_slots = parts.body.slots(key.body)
    preheader_slots = parts.preheader.slots(key.preheader)
    origins = [SlotOrigin(slot.field, parts.body.source, slot.span) for slot in body_slots]
    origins += [SlotOrigin(slot.field, parts.preheader.source, slot.span) for slot in preheader_slots]
    assembled = _assemble_body(parts, key.body)
    html = _to_html(parts, assembled)
    _check_no_slot_lost(parts, assembled, html, body_slots)
    return _with_preheader(html, _preheader(parts, key.preheader, len(body_slots))), origins


def _assemble_body(parts: Parts, key: str) -> _Assembled:
    out: list[str] = []
    assembled = _Assembled()
    length = index = 0
    for mark in key:
        element = parts.body.elements[mark]
        if isinstance(element, Value):
            stretch = _marker(parts.markers, element, index)
            index += not element.special
            assembled.stretches.append((length, element.span.start))
            out.append(stretch)
            length += len(stretch)
            continue
        for text, place, number in cut(element.text, element.start, parts.edits):
            stretch = text if number is None else parts.markers.make(MarkerKind.LINK, number)
            assembled.stretches.append((length, place))
            out.append(stretch)
            length += len(stretch)
    assembled.text = _lf("".join(out))
    return assembled


def _marker(markers: Markers, value: Value, index: int) -> str:
    return markers.make(_SPECIAL[value.field]) if value.special else markers.make(MarkerKind.MERGE, index)


def _to_html(parts: Parts, assembled: _Assembled) -> str:
    html = assembled.text
    try:
        if parts.body_format == "mjml":
            html = mjml_to_html(html)
        html = _lf(inline_css(html))
    except MjmlError as error:
        span = error.span and _source_span(parts, assembled, error.span)
        raise TemplateSyntaxError(
            error.message, source=parts.body.source, span=span, next_step=error.next_step
        ) from error
    except CssError as error:
        raise TemplateSyntaxError(
            say("the style sheets cannot be read: %(error)s", error=error),
            source=parts.body.source,
            next_step=say("Check the brackets and semicolons of the style sheets and style attributes."),
        ) from error
    return html if html.endswith("\n") else html + "\n"


def _source_span(parts: Parts, assembled: _Assembled, span: Span) -> Span:
    length = len(parts.body.source)
    start = min(assembled.source_position(span.start), length)
    end = min(assembled.source_position(max(span.start, span.end - 1)) + 1, length)
    return Span(start, max(start, end))


def _check_no_slot_lost(parts: Parts, assembled: _Assembled, html: str, slots: Sequence[Value]) -> None:
    """MJML computes with some attributes (widths) and drops what is no number; a value must not vanish unseen."""
    kept = {number for _, _, kind, number in parts.markers.find(html) if kind is MarkerKind.MERGE}
    lost = set(range(len(slots))) - kept
    if not lost:
        return
    comments = [item for item in scan(assembled.text) if isinstance(item, Comment)]
    for start, _, kind, number in parts.markers.find(assembled.text):
        in_comment = any(comment.start <= start < comment.end for comment in comments)
        if kind is MarkerKind.MERGE and number in lost and not in_comment:
            raise TemplateSyntaxError(
                say("the value of %(field)s does not reach the compiled mail", field=slots[number].field),
                source=parts.body.source,
                span=slots[number].span,
                next_step=say(
                    "MJML reckons with this attribute and needs a fixed number there; choose with if instead."
                ),
            )


def _preheader(parts: Parts, key: str, first_index: int) -> str:
    index = first_index
    pieces: list[str] = []
    for element in map(parts.preheader.elements.__getitem__, key):
        if isinstance(element, Content):
            pieces.append(escape(_lf(element.text)))
        else:
            pieces.append(parts.markers.make(MarkerKind.MERGE, index))
            index += 1
    return "".join(pieces).strip()


def _with_preheader(html: str, preheader: str) -> str:
    if not preheader:
        return html
    body = _BODY_START.search(html)
    place = body.end() if body else 0
    return f'{html[:place]}<div style="{_PREHEADER_STYLE}">{preheader}</div>{html[place:]}'


def _html_pieces(parts: Parts, html: str, origins: Sequence[SlotOrigin]) -> list[Piece]:
    places = PlaceMap(html, parts.markers.stand_in)
    ends = list(_BODY_END.finditer(html))
    pixel_at = ends[-1].start() if ends else len(html.rstrip("\n"))
    pieces: list[Piece] = []
    position = 0
    pixel_set = False
    for start, end, kind, number in parts.markers.find(html):
        if start >= pixel_at and not pixel_set:
            pieces += [html[position:pixel_at], PixelSlot()]
            position, pixel_set = pixel_at, True
        pieces.append(html[position:start])
        pieces.append(_html_piece(parts, places, (start, end), (kind, number), origins))
        position = end
    if not pixel_set:
        pieces += [html[position:pixel_at], PixelSlot()]
        position = pixel_at
    pieces.append(html[position:])
    if any(isinstance(piece, LinkSlot) for piece in pieces):  # else there are no clicks to tell apart
        pieces.insert(pieces.index(PixelSlot()) + 1, HoneypotSlot())
    return pieces


def _html_piece(
    parts: Parts,
    places: PlaceMap,
    span: tuple[int, int],
    marker: tuple[MarkerKind, int],
    origins: Sequence[SlotOrigin],
) -> Piece:
    kind, number = marker
    if kind is MarkerKind.LINK:
        attribute = places.attribute_at(span[0])
        if attribute is not None and (attribute.name, attribute.value_start, attribute.value_end) == ("href", *span):
            return LinkSlot(number, markup=True)
        # The engine put the address into another one (share buttons): it stays as the author wrote it.
        return escape(parts.links[number - 1].url)
    try:
        place = places.place_at(span[0])
    except NoPlaceError as error:
        origin = origins[number] if kind is MarkerKind.MERGE else None
        raise TemplateSyntaxError(
            say("a merge value cannot stand %(error)s", error=error),
            source=origin.source if origin else parts.body.source,
            span=origin.span if origin else None,
            next_step=say("Put it into text or between the quotes of an attribute."),
        ) from error
    return MergeSlot(number, place) if kind is MarkerKind.MERGE else _SLOT_OF[kind](markup=True)


def _plain_address(parts: Parts, href: str) -> tuple[str, str]:
    markers = list(parts.markers.find(href))
    if not markers:
        return shown_address(href), href
    start, end, kind, number = markers[0]
    if kind is MarkerKind.LINK and (start, end) == (0, len(href)):
        return href, parts.links[number - 1].url
    for start, end, kind, number in reversed(markers):
        if kind is MarkerKind.LINK:  # inside of another address, as share buttons have it
            href = href[:start] + parts.links[number - 1].url + href[end:]
    if markers[0][0] > 0 and not is_web_address(href):
        return "", href  # mailto: and the like
    return parts.markers.as_url_kind(href), href


def _author_text(parts: Parts, plain_text: Merge, key: str, first_index: int) -> tuple[str, list[Value]]:
    slots: list[Value] = []
    pieces: list[str] = []
    for element in map(plain_text.elements.__getitem__, key):
        if isinstance(element, Content):
            pieces.append(element.text)
            continue
        pieces.append(_marker(parts.markers, element, first_index + len(slots)))
        if not element.special:
            slots.append(element)
    return _lf("".join(pieces)).rstrip("\n") + "\n", slots


def _plain_pieces(parts: Parts, text: str) -> list[Piece]:
    pieces: list[Piece] = []
    position = 0
    for start, end, kind, number in parts.markers.find(text):
        pieces.append(text[position:start])
        if kind is MarkerKind.LINK:
            pieces.append(LinkSlot(number, markup=False))
        elif kind in _SLOT_OF:
            pieces.append(_SLOT_OF[kind](markup=False))
        else:
            pieces.append(MergeSlot(number, _PLACE_BY_KIND[kind]))
        position = end
    pieces.append(text[position:])
    return pieces


def _lf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
