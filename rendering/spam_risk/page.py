"""One pass over the HTML: what a reader sees, what is hidden from him, where links lead, which pictures there are.

Style sheets are not resolved: only inline styles and old attributes count. Receivers' filters do little more, and
mail is inlined before it is sent.
"""

import re
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from html import unescape

from rendering.markup import Comment, RawText, Tag, Text, scan
from rendering.spam_risk.styles import BLACK, PLAIN, WHITE, Colour, contrast, read_colour, read_size, read_style

_MAX_DEPTH = 500
_MAX_MARKS = 2_000
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
_SKIPPED = frozenset({"head", "style", "script", "title", "noscript", "template", "svg"})
_SAME_LINE = frozenset(
    {
        *("a", "b", "i", "u", "em", "strong", "font", "span", "small", "big", "sub", "sup", "s", "strike", "tt"),
        *("code", "abbr", "center", "wbr", "img"),
    }
)
_SPACE = re.compile(r"[ \t\r\n\f\u00a0]+")
_TINY = 7.0
"""Pixels; MJML's and others' spacer cells are set in 1 px or 0 px, but hold no text."""
_LINK_BLUE: Colour = (0, 0, 238)
_FONT_SIZES = {"1": 10.0, "2": 13.0, "3": 16.0, "4": 18.0, "5": 24.0, "6": 32.0, "7": 48.0}


@dataclass(frozen=True, slots=True)
class Mark:
    """Something found: its offset in the HTML, and a text that shows it."""

    offset: int
    text: str


@dataclass(slots=True)
class Link:
    """An anchor: where it leads, and what the reader sees of it."""

    offset: int
    href: str
    text: str = ""


@dataclass(slots=True)
class Page:
    """What the pass found. ``text`` is what is seen; ``offsets`` pair its stretches with their places in the HTML."""

    source: str
    text: str = ""
    offsets: list[tuple[int, int]] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    marks: dict[str, list[Mark]] = field(default_factory=dict)
    lengths: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, offset: int, text: str, length: int = 1) -> None:
        """Note one more of a kind; ``lengths`` counts all, ``marks`` keeps the first."""
        self.lengths[kind] += length
        marks = self.marks.setdefault(kind, [])
        if len(marks) < _MAX_MARKS:
            marks.append(Mark(offset, text[:80]))

    def html_offset(self, position: int) -> int:
        """Where a position of ``text`` stands in the HTML; entities before it on the stretch can shift it a little."""
        index = bisect_right(self.offsets, (position, len(self.source))) - 1
        if index < 0:
            return 0
        begin, offset = self.offsets[index]
        return min(offset + position - begin, len(self.source))


@dataclass(frozen=True, slots=True)
class _Frame:
    name: str
    is_hidden: bool
    is_skipped: bool
    size: float | None
    colour: Colour
    background: Colour | None  # None where a picture lies behind


_ROOT = _Frame("", False, False, None, BLACK, WHITE)


def read_page(html: str) -> Page:
    """Read a document; takes time in proportion to its length, whatever is in it."""
    reader = _Reader(Page(html))
    for item in scan(html, conditional=False):
        match item:
            case Text():
                reader.text(item)
            case Tag(closing=True):
                reader.close(item.name)
            case Tag():
                reader.open(item)
            case RawText(tag="script"):
                reader.page.add("script", item.start, html[item.start : item.start + 80])
            case Comment():
                reader.comment(item)
    return reader.finished()


class _Reader:
    def __init__(self, page: Page) -> None:
        self.page = page
        self._pieces: list[str] = []
        self._length = 0
        self._stack: list[_Frame] = [_ROOT]
        self._open: Counter[str] = Counter()
        self._link: Link | None = None

    def finished(self) -> Page:
        self.page.text = "".join(self._pieces)
        return self.page

    def text(self, item: Text) -> None:
        frame = self._stack[-1]
        if frame.is_skipped:
            return
        text = unescape(self.page.source[item.start : item.end])
        letters = len(_SPACE.sub("", text))
        # A size of nothing hides text, and not the insides: MJML's cells have it, and set another one for their text.
        if frame.is_hidden or frame.size == 0:
            if letters:
                self.page.add("hidden", item.start, text.strip(), letters)
            return
        self._write(_SPACE.sub(" ", text), item.start)
        if self._link is not None and len(self._link.text) < 500:
            self._link.text += text
        if letters:
            self._look(frame, item.start, text, letters)

    def _look(self, frame: _Frame, offset: int, text: str, letters: int) -> None:
        if frame.size is not None and frame.size < _TINY:
            self.page.add("tiny", offset, text.strip(), letters)
        if frame.size is not None and frame.size >= 24:
            self.page.add("large", offset, text.strip(), letters)
        if frame.background is not None and contrast(frame.colour, frame.background) < 1.15:
            self.page.add("camouflaged", offset, text.strip(), letters)
        if frame.colour[0] >= 200 and max(frame.colour[1:]) <= 60:
            self.page.add("red", offset, text.strip(), letters)

    def comment(self, item: Comment) -> None:
        source = self.page.source
        inside = source[item.start : min(item.end, item.start + 80)]
        before = source[item.start - 1 : item.start]
        if before.isalpha() and source[item.end : item.end + 1].isalpha():
            self.page.add("comment_in_word", item.start, source[max(0, item.start - 10) : item.end + 10][:80])
        elif inside.startswith("<!--"):
            self.page.add("comment", item.start, inside)

    def open(self, tag: Tag) -> None:
        source = self.page.source
        values = {a.name: unescape(source[a.value_start : a.value_end]) for a in reversed(tag.attributes)}
        self._note(tag, values)
        if tag.name not in _SAME_LINE:
            self._write("\n", tag.start)
        if tag.name in _VOID or len(self._stack) >= _MAX_DEPTH:
            return
        self._stack.append(_frame(tag.name, self._stack[-1], values))
        self._open[tag.name] += 1

    def close(self, name: str) -> None:
        if name == "a":
            self._link = None
        if not self._open[name]:
            return
        while True:
            closed = self._stack.pop().name
            self._open[closed] -= 1
            if closed == name:
                break
        if name in ("td", "th"):
            self._write(" ", 0)
        elif name not in _SAME_LINE:
            self._write("\n", 0)

    def _note(self, tag: Tag, values: dict[str, str]) -> None:
        name = tag.name
        if name in ("a", "area") and values.get("href"):
            self._link = Link(tag.start, values["href"].strip())
            self.page.links.append(self._link)
        elif name == "img" and not self._stack[-1].is_hidden:
            self._picture(tag, values)
        elif name in ("form", "iframe", "object", "embed", "applet"):
            self.page.add("form" if name == "form" else "embedded", tag.start, f"<{name}>")
        if any(attribute.startswith("on") for attribute in values):
            self.page.add("script", tag.start, f"<{name} {next(a for a in values if a.startswith('on'))}=…>")

    def _picture(self, tag: Tag, values: dict[str, str]) -> None:
        source = values.get("src", "").strip()
        if source[:5].lower() == "data:":
            self.page.add("data_image", tag.start, source[:40])
        sizes = [read_size(values.get(side, "").strip()) for side in ("width", "height")]
        if any(size is not None and size <= 2 for size in sizes):
            self.page.add("pixel", tag.start, source)
        else:
            self.page.add("image", tag.start, source)
            self.page.lengths["alt"] += len(values.get("alt", ""))

    def _write(self, text: str, offset: int) -> None:
        if not text or (text.isspace() and self._pieces and self._pieces[-1].endswith(text)):
            return
        if not text.isspace():
            self.page.offsets.append((self._length, offset))
        self._pieces.append(text)
        self._length += len(text)


def _frame(name: str, outer: _Frame, values: dict[str, str]) -> _Frame:
    style = read_style(values["style"]) if "style" in values else PLAIN
    size, colour = style.size, style.colour
    if name == "font":
        size = size if size is not None else _FONT_SIZES.get(values.get("size", "").strip())
        colour = colour or read_colour(values.get("color", ""))
    elif name == "body":
        colour = colour or read_colour(values.get("text", ""))
    elif name == "a":
        colour = colour or _LINK_BLUE
    background = style.background or read_colour(values.get("bgcolor", ""))
    has_image = style.has_image or "background" in values
    return _Frame(
        name,
        outer.is_hidden or style.is_hidden,
        outer.is_skipped or name in _SKIPPED,
        outer.size if size is None else size,
        colour or outer.colour,
        None if has_image else background or outer.background,
    )
