"""The plain text part, written from the HTML: paragraphs, lists, table cells in order, links with their address.

Text keeps its logical order, so right-to-left text stays right-to-left; a line of it that begins with a Latin word gets
a right-to-left mark in front, without which mail programs would turn it round. Lines are not wrapped: mail programs do.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from urllib.parse import unquote

from rendering.markup import VOID_TAGS, Tag, Text, scan

_MAX_DEPTH = 500
_SKIPPED = frozenset({"head", "style", "script", "title", "noscript", "template", "svg"})
_NEW_LINE = frozenset({"div", "tr", "li", "dt", "dd", "section", "article", "header", "footer", "figure", "address"})
_PARAGRAPH = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "blockquote", "pre"})
_SPACE = re.compile(r"[ \t\n\r\f\u00a0]+")
_HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.IGNORECASE)
# A joiner, a space and a hyphen that nobody sees; the marks that steer right-to-left text and join letters stay.
_INVISIBLE = re.compile("[\u00ad\u034f\u200b\u2060\ufeff]")
_STRONG = re.compile(r"[^\W\d_]")
_RIGHT_TO_LEFT_MARK = "\u200f"
_BAR = " | "
_WEB_ADDRESS = re.compile(r"\s*https?:", re.IGNORECASE)
_OTHER_ADDRESS = re.compile(r"\s*(?:mailto|tel|sms):([^?]*)", re.IGNORECASE)


def html_to_text(html: str, address_of: Callable[[str], tuple[str, str]]) -> str:
    """The text of a whole HTML document, ending in a line feed.

    ``address_of`` is given an ``href`` and returns the address to print (empty for none) and the one that the
    author wrote, which is not printed twice where it is the link's text as well.
    """
    writer = _Writer(address_of)
    for item in scan(html, conditional=False):
        if isinstance(item, Text):
            writer.add_text(unescape(html[item.start : item.end]))
        elif isinstance(item, Tag) and item.closing:
            writer.close_tag(item.name)
        elif isinstance(item, Tag):
            values = {a.name: unescape(html[a.value_start : a.value_end]) for a in reversed(item.attributes)}
            writer.open_tag(item.name, values)
    return writer.text()


def shown_address(href: str) -> str:
    """What a reader of plain text can use of ``href``: a web address, a mail address, a number; else nothing."""
    if _WEB_ADDRESS.match(href):
        return href
    other = _OTHER_ADDRESS.match(href)
    return unquote(other[1]).strip() if other else ""


def is_web_address(href: str) -> bool:
    """Whether ``href`` begins with http: or https:."""
    return _WEB_ADDRESS.match(href) is not None


@dataclass(frozen=True, slots=True)
class _Open:
    """An open tag: whether its inside is hidden, and which way its text runs."""

    name: str
    hidden: bool
    right_to_left: bool


class _Writer:
    """Every step takes time in proportion to what it writes, whatever was written before."""

    def __init__(self, address_of: Callable[[str], tuple[str, str]]) -> None:
        self._address_of = address_of
        self._pieces: list[str] = []
        self._open: list[_Open] = []
        self._open_names: Counter[str] = Counter()
        self._link: tuple[str, int] | None = None  # links do not nest: a second one ends the first
        self._lists: list[int | None] = []  # the number of the next item, None in a list of bullets
        self._tables: list[bool] = []  # whether the table has headings, so that its cells need a bar between them
        self._line_ends = 0  # at the end of what is written, blanks not counted
        self._line_begin = 0  # the piece that begins the line
        self._direction_open = True  # nothing in the line says yet which way it runs

    def text(self) -> str:
        self._end_link()
        lines = [line.strip() for line in "".join(self._pieces).split("\n")]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"

    def open_tag(self, tag: str, attributes: dict[str, str]) -> None:
        hidden = (
            self._hidden
            or tag in _SKIPPED
            or "hidden" in attributes
            or _HIDDEN.search(attributes.get("style", "")) is not None
        )
        direction = attributes.get("dir", "").strip().lower()
        right_to_left = direction == "rtl" if direction in ("rtl", "ltr") else self._right_to_left
        if tag not in VOID_TAGS and len(self._open) < _MAX_DEPTH:
            self._open.append(_Open(tag, hidden, right_to_left))
            self._open_names[tag] += 1
        if not hidden:
            self._begin(tag, attributes)

    def close_tag(self, tag: str) -> None:
        if not self._open_names[tag]:
            return
        was_hidden = self._hidden
        while True:
            closed = self._open.pop().name
            self._open_names[closed] -= 1
            if closed == tag:
                break
        if was_hidden:
            return
        if tag == "a":
            self._end_link()
        elif tag in ("td", "th"):
            self._end_cell()
        elif tag in ("ul", "ol") and self._lists:
            self._lists.pop()
        elif tag == "table" and self._tables:
            self._tables.pop()
        elif tag == "tr":
            self._drop_bar()
        self._break_line(tag)

    def add_text(self, data: str) -> None:
        if self._hidden:
            return
        text = _SPACE.sub(" ", _INVISIBLE.sub("", data))
        if text.startswith(" ") and self._at_space():
            text = text[1:]
        if not text:
            return
        if self._direction_open and self._right_to_left and (strong := _STRONG.search(text)) is not None:
            self._direction_open = False
            if unicodedata.bidirectional(strong[0]) == "L":
                # Mail programs take a line's direction from its first strong character (Unicode UAX 9 section 3.3.1).
                self._pieces.insert(self._line_begin, _RIGHT_TO_LEFT_MARK)
                if self._link is not None and self._link[1] >= self._line_begin:
                    self._link = (self._link[0], self._link[1] + 1)
        self._append(text)

    @property
    def _hidden(self) -> bool:
        return bool(self._open) and self._open[-1].hidden

    @property
    def _right_to_left(self) -> bool:
        return bool(self._open) and self._open[-1].right_to_left

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        self._break_line(tag)
        if tag == "br":
            self._append("\n")
        elif tag == "hr":
            self._append("\n\n---\n\n")
        elif tag in ("ul", "ol"):
            start = attributes.get("start", "1")
            first = int(start) if start.isascii() and start.isdigit() and len(start) < 7 else 1
            self._lists.append(first if tag == "ol" else None)
        elif tag == "li":
            self._append(self._bullet())
        elif tag == "table":
            self._tables.append(False)
        elif tag == "th" and self._tables:
            self._tables[-1] = True
        elif tag == "img":
            self.add_text(attributes.get("alt", ""))
        elif tag == "a":
            self._end_link()
            self._link = (attributes.get("href", ""), len(self._pieces))

    def _bullet(self) -> str:
        number = self._lists[-1] if self._lists else None
        if number is None:
            return "- "
        self._lists[-1] = number + 1
        return f"{number}. "

    def _end_cell(self) -> None:
        if self._tables and self._tables[-1]:
            self._append(_BAR)
        else:
            self.add_text(" ")

    def _drop_bar(self) -> None:
        if self._pieces and self._pieces[-1] == _BAR:
            self._pieces[-1] = " "

    def _end_link(self) -> None:
        if self._link is None:
            return
        (href, begin), self._link = self._link, None
        shown, written = self._address_of(href)
        label = "".join(self._pieces[begin:]).strip().strip(_RIGHT_TO_LEFT_MARK)
        if not shown:
            return
        if label in ("", written, shown):
            ends = "".join(self._pieces[begin:])
            self._pieces[begin:] = [shown if label else ends.rstrip(" ") + shown]
            self._line_ends = 0
        elif shown not in label:
            self._append(f" ({shown})" if not self._at_space() else f"({shown})")

    def _break_line(self, tag: str) -> None:
        if tag in _PARAGRAPH and not (tag in ("ul", "ol") and len(self._lists) > 0):
            self._break(2)
        elif tag in _NEW_LINE or tag in _PARAGRAPH:
            self._break(1)

    def _break(self, count: int) -> None:
        if self._pieces and self._line_ends < count:
            self._append("\n" * (count - self._line_ends))

    def _append(self, text: str) -> None:
        self._pieces.append(text)
        shown = text.rstrip(" ")
        if not shown:
            return
        ends = len(shown) - len(shown.rstrip("\n"))
        self._line_ends = self._line_ends + ends if ends == len(shown) else ends
        if ends:
            self._line_begin = len(self._pieces)
            self._direction_open = True

    def _at_space(self) -> bool:
        return not self._pieces or self._pieces[-1][-1:].isspace()
