"""The plain text part, written from the HTML: paragraphs, lists, table cells in order, links with their address.

Text keeps its logical order, so right-to-left text stays right-to-left. Lines are not wrapped: mail programs do.
"""

import re
from collections.abc import Callable
from html import unescape

from rendering.markup import Tag, Text, scan

_MAX_DEPTH = 500
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
_SKIPPED = frozenset({"head", "style", "script", "title", "noscript", "template", "svg"})
_NEW_LINE = frozenset({"div", "tr", "li", "dt", "dd", "section", "article", "header", "footer", "figure", "address"})
_PARAGRAPH = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "blockquote", "pre"})
_SPACE = re.compile(r"[ \t\n\r\f\u00a0]+")
_HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.IGNORECASE)
_SHOWN_SCHEMES = ("http:", "https:")


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
    """``href`` where a reader of plain text can use it: web addresses only."""
    return href if href.strip().lower().startswith(_SHOWN_SCHEMES) else ""


class _Writer:
    def __init__(self, address_of: Callable[[str], tuple[str, str]]) -> None:
        self._address_of = address_of
        self._pieces: list[str] = []
        self._open: list[tuple[str, bool]] = []  # tag, whether its inside is hidden
        self._links: list[tuple[str, int]] = []

    def text(self) -> str:
        lines = [line.strip() for line in "".join(self._pieces).split("\n")]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"

    def open_tag(self, tag: str, attributes: dict[str, str]) -> None:
        hidden = self._hidden or tag in _SKIPPED or _HIDDEN.search(attributes.get("style", "")) is not None
        if tag not in _VOID and len(self._open) < _MAX_DEPTH:
            self._open.append((tag, hidden))
        if not hidden:
            self._begin(tag, attributes)

    def close_tag(self, tag: str) -> None:
        if not any(name == tag for name, _ in self._open):
            return
        was_hidden = self._hidden
        while self._open.pop()[0] != tag:
            pass
        if was_hidden:
            return
        if tag == "a":
            self._end_link()
        elif tag in ("td", "th"):
            self.add_text(" ")
        self._break_line(tag)

    def add_text(self, data: str) -> None:
        if self._hidden:
            return
        text = _SPACE.sub(" ", data)
        if text.startswith(" ") and self._at_space():
            text = text[1:]
        if text:
            self._pieces.append(text)

    @property
    def _hidden(self) -> bool:
        return bool(self._open) and self._open[-1][1]

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        self._break_line(tag)
        if tag == "br":
            self._pieces.append("\n")
        elif tag == "hr":
            self._pieces.append("\n\n---\n\n")
        elif tag == "li":
            self._pieces.append("- ")
        elif tag == "img":
            self.add_text(attributes.get("alt", ""))
        elif tag == "a":
            self._links.append((attributes.get("href", ""), len(self._pieces)))

    def _end_link(self) -> None:
        if not self._links:
            return
        href, begin = self._links.pop()
        shown, written = self._address_of(href)
        label = "".join(self._pieces[begin:]).strip()
        if not shown:
            return
        if label in ("", written, shown):
            self._pieces[begin:] = [shown]
        else:
            self._pieces.append(f" ({shown})" if not self._at_space() else f"({shown})")

    def _break_line(self, tag: str) -> None:
        if tag in _PARAGRAPH:
            self._break(2)
        elif tag in _NEW_LINE:
            self._break(1)

    def _break(self, count: int) -> None:
        tail = "".join(self._pieces[-4:]).rstrip(" ")
        present = len(tail) - len(tail.rstrip("\n"))
        if self._pieces and present < count:
            self._pieces.append("\n" * (count - present))

    def _at_space(self) -> bool:
        return not self._pieces or self._pieces[-1][-1].isspace()
