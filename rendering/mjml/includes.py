"""``mj-include``: parts that come from the template library, by name, and from nowhere else.

The caller hands in what turns a name into a source; nothing here reads a file or the web. An included MJML document
gives its head to the document's head and the inside of its body to the place of the include; a fragment stands where
the include stood; ``type="html"`` and ``type="css"`` are wrapped in ``mj-raw`` and ``mj-style``.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape

from mailtypes.errors import Span
from mailtypes.saying import say
from rendering.links import mask_liquid
from rendering.markup import MASK, Tag, scan
from rendering.source import TemplateSyntaxError

Resolver = Callable[[str], str | None]
"""The source of the template of a name, or ``None`` where the library has none."""

_DOCUMENT = re.compile(r"<mjml[\s>]", re.IGNORECASE)
_NOT_A_NAME = re.compile(r"[a-z][a-z0-9+.-]*:|/|\.\.?[/\\]|\\", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class IncludeLimits:
    """How far includes may go: nesting, number in all, characters of the expanded source."""

    depth: int = 8
    includes: int = 100
    characters: int = 500_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where a stretch of the expanded source came from: ``name`` is empty for the template itself."""

    start: int
    name: str
    source_start: int


@dataclass(frozen=True, slots=True)
class Expanded:
    """A source without includes. ``names`` are the templates that it holds, in the order of their first use."""

    text: str
    stretches: tuple[Stretch, ...]
    names: tuple[str, ...]

    def origin(self, position: int) -> tuple[str, int]:
        """The template (empty: the including one itself) and the place in it of a place in ``text``."""
        index = bisect_right([stretch.start for stretch in self.stretches], position) - 1
        stretch = self.stretches[max(0, index)]
        return stretch.name, stretch.source_start + position - stretch.start


@dataclass(frozen=True, slots=True)
class _Piece:
    """Characters that were taken from ``[start, start + len(text))`` of the template ``name``."""

    text: str
    name: str
    start: int


@dataclass(frozen=True, slots=True)
class _Wish:
    """One ``mj-include`` tag."""

    path: str
    kind: str
    inline: bool
    span: Span


def expand_includes(source: str, resolve: Resolver, limits: IncludeLimits | None = None) -> Expanded:
    """Put the named templates in; raises ``TemplateSyntaxError`` with the place of the include that cannot be.

    Includes in comments (MJML's and Liquid's) are left alone. ``limits`` bound what hostile templates can ask for.
    """
    expander = _Expander(resolve, limits or IncludeLimits())
    body = expander.expand(source, "", ())
    head = expander.head_pieces
    if head:
        body = _with_head(body, head)
    text = "".join(piece.text for piece in body)
    stretches: list[Stretch] = []
    position = 0
    for piece in body:
        if piece.text:
            stretches.append(Stretch(position, piece.name, piece.start))
        position += len(piece.text)
    return Expanded(text, tuple(stretches) or (Stretch(0, "", 0),), tuple(expander.names))


class _Expander:
    def __init__(self, resolve: Resolver, limits: IncludeLimits) -> None:
        self._resolve = resolve
        self._limits = limits
        self._characters = 0
        self._includes = 0
        self.head_pieces: list[_Piece] = []
        self.names: dict[str, None] = {}

    def expand(self, source: str, name: str, chain: tuple[str, ...]) -> list[_Piece]:
        self._characters += len(source)
        pieces: list[_Piece] = []
        position = 0
        for wish in _wishes(source):
            pieces.append(_Piece(source[position : wish.span.start], name, position))
            pieces += self._included(source, wish, chain)
            position = wish.span.end
        pieces.append(_Piece(source[position:], name, position))
        return pieces

    def _included(self, source: str, wish: _Wish, chain: tuple[str, ...]) -> list[_Piece]:
        found = self._found(source, wish, chain)
        self.names.setdefault(wish.path)
        if wish.kind == "html":
            return [_generated("<mj-raw>", wish), _Piece(found, wish.path, 0), _generated("</mj-raw>", wish)]
        if wish.kind == "css":
            opening = '<mj-style inline="inline">' if wish.inline else "<mj-style>"
            return [_generated(opening, wish), _Piece(found, wish.path, 0), _generated("</mj-style>", wish)]
        inside = self.expand(found, wish.path, (*chain, wish.path))
        if not _DOCUMENT.search(found):
            return inside
        self.head_pieces += _inside_of(inside, "mj-head")
        return _inside_of(inside, "mj-body")

    def _found(self, source: str, wish: _Wish, chain: tuple[str, ...]) -> str:
        limits = self._limits
        self._includes += 1
        if MASK in wish.path or not wish.path:
            raise _refused(source, wish, say("an include needs a fixed name"), say('Write <mj-include path="name" />.'))
        if _NOT_A_NAME.match(wish.path):
            raise _refused(
                source,
                wish,
                say("'%(path)s' is no name of a template", path=wish.path[:100]),
                say(
                    "Store the part in the template library and include it by its name; files and the web are not read."
                ),
            )
        if wish.path in chain:
            circle = " includes ".join(f"'{name}'" for name in (*chain[chain.index(wish.path) :], wish.path))
            raise _refused(
                source, wish, say("includes go in a circle: %(circle)s", circle=circle), say("Remove one of them.")
            )
        if len(chain) >= limits.depth or self._includes > limits.includes:
            raise _refused(
                source,
                wish,
                say(
                    "more than %(depth)s includes in one another or %(includes)s in all",
                    depth=limits.depth,
                    includes=limits.includes,
                ),
                say("Put the text here instead."),
            )
        found = self._resolve(wish.path)
        if found is None:
            raise _refused(
                source,
                wish,
                say("there is no template '%(path)s'", path=wish.path[:100]),
                say("Store it in the template library first."),
            )
        if self._characters + len(found) > limits.characters:
            raise _refused(
                source,
                wish,
                say(
                    "with its includes the template is longer than %(characters)s characters",
                    characters=f"{limits.characters:,}",
                ),
                say("Shorten it."),
            )
        if wish.kind != "mjml":
            self._characters += len(found)
        return found


def _wishes(source: str) -> Iterator[_Wish]:
    masked = mask_liquid(source)
    opened: tuple[Tag, dict[str, str]] | None = None
    for item in scan(masked, conditional=False):
        if not isinstance(item, Tag) or item.name != "mj-include":
            continue
        if item.closing:
            if opened is not None:
                yield _wish(opened[1], Span(opened[0].start, item.end))
            opened = None
            continue
        values = {a.name: unescape(masked[a.value_start : a.value_end]).strip() for a in reversed(item.attributes)}
        if opened is not None:
            yield _wish(opened[1], Span(opened[0].start, opened[0].end))
        opened = None if item.self_closing else (item, values)
        if item.self_closing:
            yield _wish(values, Span(item.start, item.end))
    if opened is not None:
        yield _wish(opened[1], Span(opened[0].start, opened[0].end))


def _wish(values: dict[str, str], span: Span) -> _Wish:
    kind = values.get("type", "").lower()
    return _Wish(
        values.get("path", ""), kind if kind in ("html", "css") else "mjml", values.get("css-inline") == "inline", span
    )


def _generated(text: str, wish: _Wish) -> _Piece:
    return _Piece(text, wish.path, 0)


def _inside_of(pieces: list[_Piece], tag: str) -> list[_Piece]:
    """What stands inside of the first ``tag`` of a document in pieces."""
    text = "".join(piece.text for piece in pieces)
    opening = closing = None
    for item in scan(mask_liquid(text), conditional=False):
        if isinstance(item, Tag) and item.name == tag:
            if item.closing and opening is not None:
                closing = item
            elif opening is None and not item.closing and not item.self_closing:
                opening = item
    if opening is None:
        return []
    return _cut_pieces(pieces, opening.end, closing.start if closing is not None else len(text))


def _cut_pieces(pieces: list[_Piece], start: int, end: int) -> list[_Piece]:
    cut: list[_Piece] = []
    position = 0
    for piece in pieces:
        first, last = max(start - position, 0), min(end - position, len(piece.text))
        if first < last:
            cut.append(_Piece(piece.text[first:last], piece.name, piece.start + first))
        position += len(piece.text)
    return cut


def _with_head(body: list[_Piece], head: list[_Piece]) -> list[_Piece]:
    """The pieces with ``head`` at the end of the document's head, or with a head of their own."""
    text = "".join(piece.text for piece in body)
    place = after_mjml = None
    empty_head = None
    for item in scan(mask_liquid(text), conditional=False):
        if isinstance(item, Tag) and item.name == "mjml" and not item.closing and after_mjml is None:
            after_mjml = item.end
        elif isinstance(item, Tag) and item.name == "mj-head":
            if item.closing:
                place = item.start
                break
            empty_head = item if item.self_closing else empty_head
    if place is not None:
        return _cut_pieces(body, 0, place) + head + _cut_pieces(body, place, len(text))
    before, after = (empty_head.start, empty_head.end) if empty_head is not None else (after_mjml or 0, after_mjml or 0)
    framed = [_Piece("<mj-head>", "", before), *head, _Piece("</mj-head>", "", before)]
    return _cut_pieces(body, 0, before) + framed + _cut_pieces(body, after, len(text))


def _refused(source: str, wish: _Wish, message: str, next_step: str) -> TemplateSyntaxError:
    return TemplateSyntaxError(message, source=source, span=wish.span, next_step=next_step)
