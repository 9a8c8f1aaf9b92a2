"""The compiled HTML as a reader's mail program sees it: elements, runs of text, and the styles they inherit.

Only ``style`` attributes and HTML's own attributes count, as in the many clients that drop style sheets; the insides
of Outlook's conditional comments are left out. One pass, in proportion to the length; nesting beyond a bound is flat.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from types import MappingProxyType
from typing import NamedTuple

from rendering.lint.marking import place_number
from rendering.lint.style_values import (
    BLACK,
    UNKNOWN,
    WHITE,
    Colour,
    background_colour,
    colour,
    declarations,
    font_size,
)
from rendering.markup import RawText, Tag, Text, scan

MAX_DEPTH = 150
MAX_ELEMENTS = 12_000
"""A mail as long as Gmail shows has some 2,000; reading ends here."""
_VOID_WORDS = "area base br col embed hr img input link meta source track wbr"
_VOID = frozenset(_VOID_WORDS.split())
_NO_TEXT = frozenset(["head", "title", "style", "script", "noscript", "template", "svg", "object", "xml"])
_ENDS_PARAGRAPH_WORDS = "address blockquote div dl h1 h2 h3 h4 h5 h6 hr ol p pre section table ul"
_ENDS_PARAGRAPH = frozenset(_ENDS_PARAGRAPH_WORDS.split())
_ENDED_BY = {
    **dict.fromkeys(_ENDS_PARAGRAPH, frozenset({"p"})),
    "li": frozenset({"li", "p"}),
    "td": frozenset({"td", "th", "p"}),
    "th": frozenset({"td", "th", "p"}),
    "tr": frozenset({"td", "th", "tr", "p"}),
}
_BLOCKS = _ENDS_PARAGRAPH | {"body", "li", "td", "th", "caption", "center", "article", "header", "footer", "main", "dt"}
_HEADING_PX = {"h1": 32.0, "h2": 24.0, "h3": 18.7, "h4": 16.0, "h5": 13.3, "h6": 10.7}
_DIRECTIONS = frozenset({"ltr", "rtl", "auto"})
_INLINE = frozenset({"span", "bdo", "a", "b", "strong", "em", "i", "font"})
_SPACE = re.compile(r"\s+")
_NO_STYLE: Mapping[str, str] = MappingProxyType({})
_LINK_BLUE = Colour(0, 0, 0.93)
_HIDING = re.compile(
    r"(?:display|mso-hide|visibility)\s*:\s*(?:none|all|hidden)|max-height\s*:\s*0|opacity\s*:\s*0\b(?!\.)"
)


class Computed(NamedTuple):
    """What an element hands on to its insides.

    ``direction`` is ``ltr``, ``rtl``, ``auto`` or empty where nothing says it within the body; ``root_direction`` that
    of ``html`` and ``body``, which web clients drop. ``place`` is the number of the nearest marked tag, ``block``
    the index of the nearest block element.
    """

    ink: Colour = BLACK
    paper: Colour = WHITE
    paper_declared: bool = False
    font_px: float = 16.0
    bold: bool = False
    direction: str = ""
    root_direction: str = ""
    isolated: bool = False
    align: str = ""
    hidden: bool = False
    in_body: bool = False
    place: int | None = None
    link: int | None = None
    block: int = -1


@dataclass(frozen=True, slots=True)
class Element:
    """A start tag; ``start`` and ``end`` are its place in the HTML, ``parent`` an index or -1."""

    index: int
    name: str
    attributes: Mapping[str, str]
    style: Mapping[str, str]
    computed: Computed
    parent: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Run:
    """Text between two tags, with its space collapsed; ``order`` counts the visible characters before it."""

    text: str
    owner: int
    order: int
    start: int
    end: int


@dataclass(slots=True)
class Page:
    """All elements, and the visible and the hidden runs of text, in order; ``style_blocks`` as (start, end)."""

    html: str
    elements: list[Element] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    hidden_runs: list[Run] = field(default_factory=list)
    style_blocks: list[tuple[int, int]] = field(default_factory=list)
    characters: int = 0
    is_cut: bool = False

    def computed_of(self, run: Run) -> Computed:
        """The styles that a run is shown in."""
        return self.elements[run.owner].computed if run.owner >= 0 else Computed()


def read_page(html: str) -> Page:
    """Read a whole document or a part of one; never fails."""
    return _Reader(html).read()


class _Reader:
    def __init__(self, html: str) -> None:
        self._page = Page(html)
        self._open: list[Element] = []
        self._counts: Counter[str] = Counter()

    def read(self) -> Page:
        html = self._page.html
        for item in scan(html, conditional=False):
            if isinstance(item, Text):
                self._add_text(html[item.start : item.end], item.start, item.end)
            elif isinstance(item, RawText):
                if item.tag == "style":
                    self._page.style_blocks.append((item.start, item.end))
            elif isinstance(item, Tag):
                if item.closing:
                    self._close(item.name)
                elif len(self._page.elements) < MAX_ELEMENTS:
                    self._open_tag(item)
                else:
                    self._page.is_cut = True
                    break
        return self._page

    def _add_text(self, text: str, start: int, end: int) -> None:
        if "&" in text:
            text = unescape(text)
        text = _SPACE.sub(" ", text)
        if not text.strip():
            return
        owner = self._open[-1] if self._open else None
        if owner is not None and self._counts and any(self._counts[name] for name in _NO_TEXT):
            return
        page = self._page
        run = Run(text, owner.index if owner else -1, page.characters, start, end)
        if owner is not None and (owner.computed.hidden or owner.computed.font_px <= 1):
            page.hidden_runs.append(run)
        else:
            page.runs.append(run)
            page.characters += len(text.strip())

    def _open_tag(self, tag: Tag) -> None:
        ended = _ENDED_BY.get(tag.name)
        while ended and self._open and self._open[-1].name in ended:
            self._pop()
        parent = self._open[-1] if self._open else None
        html = self._page.html
        attributes = {
            a.name: unescape(value) if "&" in (value := html[a.value_start : a.value_end]) else value
            for a in reversed(tag.attributes)
        }
        style = declarations(attributes["style"]) if attributes.get("style") else _NO_STYLE
        index = len(self._page.elements)
        inherited = parent.computed if parent else Computed()
        computed = _computed(inherited, index, tag.name, attributes, style)
        parent_index = parent.index if parent else -1
        element = Element(index, tag.name, attributes, style, computed, parent_index, tag.start, tag.end)
        self._page.elements.append(element)
        if tag.name not in _VOID and not tag.self_closing and len(self._open) < MAX_DEPTH:
            self._open.append(element)
            self._counts[tag.name] += 1

    def _close(self, name: str) -> None:
        if not self._counts[name]:
            return
        while self._pop() != name:
            pass

    def _pop(self) -> str:
        name = self._open.pop().name
        self._counts[name] -= 1
        return name


def _computed(
    above: Computed, index: int, name: str, attributes: Mapping[str, str], style: Mapping[str, str]
) -> Computed:
    """The styles of an element; the object of the one above where nothing differs."""
    changes: dict[str, object] = {}
    _from_name(changes, index, name)
    if name == "a" and "href" in attributes:
        changes.update(link=index, ink=_LINK_BLUE)
    if attributes:
        _from_attributes(changes, name, attributes)
    if style:
        _from_style(changes, above, name, style, attributes)
    return above._replace(**changes) if changes else above  # type: ignore[arg-type]


def _from_name(changes: dict[str, object], index: int, name: str) -> None:
    if name in _BLOCKS:
        changes["block"] = index
    if name == "body":
        changes["in_body"] = True
    elif name in _HEADING_PX:
        changes.update(bold=True, font_px=_HEADING_PX[name])
    elif name in {"b", "strong", "th"}:
        changes["bold"] = True
    elif name == "center":
        changes["align"] = "center"
    elif name == "bdi":
        changes["isolated"] = True


def _from_attributes(changes: dict[str, object], name: str, attributes: Mapping[str, str]) -> None:
    if (place := place_number(attributes)) is not None:
        changes["place"] = place
    if (found := attributes.get("bgcolor")) and (paper := colour(found.lower())) is not None:
        changes.update(paper=paper, paper_declared=True)
    if attributes.get("background"):
        changes["paper"] = UNKNOWN
    if name == "font" and (ink := colour(attributes.get("color", "").lower())) is not None:
        changes["ink"] = ink
    if (direction := attributes.get("dir", "").lower()) in _DIRECTIONS:
        changes["root_direction" if name in {"html", "body"} else "direction"] = direction
        changes["isolated"] = name in _INLINE
    if "hidden" in attributes:
        changes["hidden"] = True
    align = attributes.get("align", "").lower()
    if align and name != "table":  # a table's own align places the table
        changes["align"] = align


def _from_style(
    changes: dict[str, object], above: Computed, name: str, style: Mapping[str, str], attributes: Mapping[str, str]
) -> None:
    _colours(changes, style)
    if (text := style.get("font-size")) and (size := font_size(text, above.font_px)) is not None:
        changes["font_px"] = size
    if weight := style.get("font-weight"):
        changes["bold"] = weight in {"bold", "bolder", "600", "700", "800", "900"}
    if style.get("direction") in _DIRECTIONS:
        changes["root_direction" if name in {"html", "body"} else "direction"] = style["direction"]
    if style.get("unicode-bidi", "").startswith(("isolate", "embed", "plaintext")):
        changes["isolated"] = True
    if align := style.get("text-align"):
        changes["align"] = align
    if _HIDING.search(attributes.get("style", "").lower()) and _hides(style):
        changes["hidden"] = True


def _colours(changes: dict[str, object], style: Mapping[str, str]) -> None:
    if (text := style.get("color")) and (ink := colour(text)) is not None:
        changes["ink"] = ink
    for property_name in ("background", "background-color"):
        if (text := style.get(property_name)) and (paper := background_colour(text)) is not None:
            changes.update(paper=paper, paper_declared=True)
    picture = style.get("background-image")
    if picture and ("url(" in picture or "gradient(" in picture):
        changes["paper"] = UNKNOWN


def _hides(style: Mapping[str, str]) -> bool:
    return (
        style.get("display") == "none"
        or style.get("visibility") == "hidden"
        or style.get("opacity") == "0"
        or style.get("mso-hide") == "all"
        or (style.get("max-height") in {"0", "0px"} and style.get("overflow") == "hidden")
    )
