"""A message made ready for the rules: its texts folded, its page read, and places found again."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple
from urllib.parse import urlsplit

from rendering.spam_risk.message import ScoredMessage
from rendering.spam_risk.page import Page, read_page
from rendering.spam_risk.risk import Part, Place

MOST_TEXT = 200_000
MOST_HTML = 2_000_000
_EXCERPT = 60
_FOLD = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)} | {0xA0: 0x20, 0x2019: 0x27}
_MOST_LINKS = 2_000
_HEBREW = re.compile("[\u05d0-\u05ea]")
_PLAIN_LINK = re.compile(r"https?://[^\s<>\"]{1,2000}")
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>\"]{1,2000}|[\w.+-]{1,64}@[\w.-]{1,255}")


@dataclass(frozen=True, slots=True)
class Found:
    """Where a feature was found: a half-open range of one part's scored text (or of the HTML source)."""

    part: Part
    start: int
    end: int
    excerpt: str = ""
    in_source: bool = False


class Target(NamedTuple):
    """A web link: its place, where it leads, and what the reader sees of it (nothing in plain text)."""

    found: Found
    url: str
    host: str
    port: int | None
    text: str


@dataclass(frozen=True, slots=True)
class SubjectMatter:
    """``text`` is what a reader sees: the page's text, or the plain part where there is no HTML.

    ``folded`` has the same length, its Latin letters in lower case; ``prose`` also has blanks for addresses.
    """

    message: ScoredMessage
    page: Page | None
    text: str
    folded: str
    prose: str
    subject: str
    is_cut: bool
    has_hebrew: bool
    links: tuple[Target, ...]

    @classmethod
    def of(cls, message: ScoredMessage) -> "SubjectMatter":
        """Read the page and fold the texts."""
        page = None if message.html is None else read_page(message.html[:MOST_HTML])
        whole = (message.plain_text or "") if page is None else page.text
        text = whole[:MOST_TEXT]
        folded = text.translate(_FOLD)
        prose = _without_addresses(folded)
        is_cut = len(whole) > MOST_TEXT or len(message.html or "") > MOST_HTML
        subject = (message.subject or "").translate(_FOLD)
        has_hebrew = _HEBREW.search(subject) is not None or _HEBREW.search(text) is not None
        links = tuple(_targets_in_text(folded, text) if page is None else _targets_of_page(page))
        return cls(message, page, text, folded, prose, subject, is_cut, has_hebrew, links)

    def place_of(self, found: Found) -> Place:
        """Line and column in the part's own source, with an excerpt."""
        if found.part == "subject":
            return Place("subject", 1, found.start + 1, found.excerpt or self._excerpt(self.written_subject, found))
        if self.page is None or found.part == "plain_text":
            source = self.message.plain_text or ""
            return _placed("plain_text", source, found.start, found.excerpt or self._excerpt(source, found))
        offset = found.start if found.in_source else self.page.html_offset(found.start)
        excerpt = found.excerpt or self._excerpt(self.page.source if found.in_source else self.text, found)
        return _placed("html", self.page.source, offset, excerpt)

    @property
    def written_subject(self) -> str:
        """The subject as its author wrote it; empty where there is none."""
        return self.message.subject or ""

    @property
    def text_part(self) -> Part:
        """The part that ``text`` is of."""
        return "plain_text" if self.page is None else "html"

    @staticmethod
    def _excerpt(source: str, found: Found) -> str:
        return shortened(source[found.start : max(found.end, found.start + 1)])


def shortened(text: str) -> str:
    """One line of bounded length."""
    line = " ".join(text[: _EXCERPT * 2].split())
    return line if len(line) <= _EXCERPT else line[: _EXCERPT - 1] + "…"


def _without_addresses(folded: str) -> str:
    if "@" not in folded and "http" not in folded and "www." not in folded:
        return folded
    return _ADDRESS.sub(lambda match: " " * len(match[0]), folded)


def _targets_in_text(folded: str, text: str) -> Iterator[Target]:
    for match in islice(_PLAIN_LINK.finditer(folded), _MOST_LINKS):
        url = text[match.start() : match.end()]
        yield Target(Found("plain_text", *match.span()), url, *_authority(url), "")


def _targets_of_page(page: Page) -> Iterator[Target]:
    for link in page.links[:_MOST_LINKS]:
        if link.href[:8].lower().startswith(("http:", "https:", "//")):
            found = Found("html", link.offset, link.offset + 1, link.href[:60], in_source=True)
            yield Target(found, link.href, *_authority(link.href), link.text)


def _authority(url: str) -> tuple[str, int | None]:
    """Host and port; a port of -1 where there is none that can be read."""
    try:
        parts = urlsplit(url[:2_000])
        return parts.hostname or "", parts.port
    except ValueError:
        return "", -1


def _placed(part: Part, source: str, offset: int, excerpt: str) -> Place:
    offset = min(offset, len(source))
    line = source.count("\n", 0, offset) + 1
    return Place(part, line, offset - (source.rfind("\n", 0, offset) + 1) + 1, excerpt)
