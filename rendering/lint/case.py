"""What the checks look at, worked out once for a mail, and the form in which they tell what they found."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from mailtypes.errors import Span
from rendering.links import mask_liquid
from rendering.lint.css_reading import SheetPart, read_sheet
from rendering.lint.finding import Severity
from rendering.lint.page import Element, Page, Run, read_page
from rendering.lint.subject import ImageFact, LintSubject
from rendering.markup import MASK, RawText, Tag, scan

READ_LIMIT = 150_000
"""How many characters of the HTML and of the source are looked at: half as much again as Gmail shows."""
_PARSED_CSS = 60_000
_RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_LTR = re.compile("[A-Za-z\u00c0-\u024f\u0370-\u052f]")
_CSS_LINE_END = re.compile("\r\n|[\n\r\f]")
_RTL_LANGUAGES = frozenset({"he", "iw", "ar", "fa", "ur", "yi", "ps", "sd", "dv", "ckb"})
_WORD = re.compile(r"[^\W_][\w'’״׳-]*")


@dataclass(frozen=True, slots=True)
class Hit:
    """What a check found. ``at`` is an element or a run of the page, or a place in ``part`` of the template."""

    message: str
    at: Element | Run | Span | None = None
    part: str = "body"
    measured: float | None = None
    limit: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A check with its stable ``code``; ``source`` says where the rule or its figure comes from."""

    code: str
    severity: Severity
    why: str
    mend: str
    source: str
    check: "Callable[[Case], Iterator[Hit]]"


@dataclass(frozen=True, slots=True)
class Image:
    """An image of the page; width and height in pixels as shown, ``None`` where nothing tells."""

    element: Element
    address: str
    fact: ImageFact
    width: float | None
    height: float | None
    hidden: bool


class Case:
    """One mail under the lint. Everything is worked out once, when a check first asks for it."""

    def __init__(self, subject: LintSubject) -> None:
        self.subject = subject
        self.html = subject.html[:READ_LIMIT]
        self.source = (subject.source or subject.html)[:READ_LIMIT]
        self.is_marketing = subject.sender.stream == "marketing"
        self.is_mjml = subject.body_format == "mjml" and bool(subject.source)

    @cached_property
    def page(self) -> Page:
        """The HTML as read."""
        return read_page(self.html)

    @property
    def is_cut(self) -> bool:
        """Whether the mail is longer than what is read of it."""
        return max(len(self.subject.html), len(self.subject.source)) > READ_LIMIT or self.page.is_cut

    @cached_property
    def masked_source(self) -> str:
        """The source without its Liquid, same length."""
        return mask_liquid(self.source) if "{" in self.source else self.source

    @cached_property
    def _source_items(self) -> tuple[Tag | RawText, ...]:
        items = scan(self.masked_source, conditional=False)
        return tuple(item for item in items if isinstance(item, (Tag, RawText)))

    @cached_property
    def source_styles(self) -> tuple[Span, ...]:
        """The style blocks that the author wrote, as places in the source."""
        return tuple(
            Span(item.start, item.end)
            for item in self._source_items
            if isinstance(item, RawText) and item.tag in {"style", "mj-style"}
        )

    @cached_property
    def sheet_parts(self) -> tuple[tuple[Span, SheetPart], ...]:
        """The at-rules and errors of the author's style blocks, each with its block; a bounded part is read."""
        found: list[tuple[Span, SheetPart]] = []
        left = _PARSED_CSS
        for span in self.source_styles:
            css = self.masked_source[span.start : min(span.end, span.start + left)]
            left -= len(css)
            found += [(span, part) for part in read_sheet(css)]
        return tuple(found)

    def place_in(self, block: Span, line: int, column: int) -> Span:
        """The place of a line and a column (from 1) of a style block."""
        lines = _CSS_LINE_END.split(self.masked_source[block.start : block.end], maxsplit=line - 1)
        start = block.end - len(lines[-1]) + column - 1
        start = min(max(start, block.start), block.end)
        return Span(start, min(start + 1, block.end))

    @cached_property
    def source_tags(self) -> tuple[Tag, ...]:
        """The start tags of the source."""
        return tuple(item for item in self._source_items if isinstance(item, Tag) and not item.closing)

    @cached_property
    def text(self) -> str:
        """All visible text."""
        return " ".join(run.text.strip() for run in self.page.runs)

    @cached_property
    def words(self) -> int:
        """How many words the visible text has."""
        return len(_WORD.findall(self.text))

    @cached_property
    def is_rtl(self) -> bool:
        """Whether the mail is mostly in a right-to-left script; without text, whether its locale is."""
        rtl, ltr = direction_letters(self.text)
        if rtl + ltr >= 10:
            return rtl >= ltr / 2
        return language_of(self.subject.locale) in _RTL_LANGUAGES

    @cached_property
    def blocks(self) -> Mapping[int, list[Run]]:
        """The visible runs by the index of their nearest block element."""
        found: dict[int, list[Run]] = {}
        for run in self.page.runs:
            found.setdefault(self.page.computed_of(run).block, []).append(run)
        return found

    @cached_property
    def links(self) -> tuple[Element, ...]:
        """The links, hidden ones left out."""
        return tuple(
            element
            for element in self.page.elements
            if element.name in {"a", "area"}
            and not element.computed.hidden
            and "href" in element.attributes
            and "mj-carousel-thumbnail" not in element.attributes.get("class", "")  # MJML's own, to nowhere
        )

    @cached_property
    def link_texts(self) -> Mapping[int, str]:
        """The visible text of each link by its element's index."""
        return self._texts_of_links(self.page.runs)

    @cached_property
    def hidden_link_texts(self) -> Mapping[int, str]:
        """The text of links that is not shown, by the link's index."""
        return self._texts_of_links(self.page.hidden_runs)

    def _texts_of_links(self, runs: list[Run]) -> dict[int, str]:
        found: dict[int, list[str]] = {}
        for run in runs:
            link = self.page.computed_of(run).link
            if link is not None:
                found.setdefault(link, []).append(run.text.strip())
        return {index: " ".join(texts) for index, texts in found.items()}

    @cached_property
    def linked_images(self) -> Mapping[int, list[Element]]:
        """The images in each link by its element's index."""
        found: dict[int, list[Element]] = {link.index: [] for link in self.links}
        for element in self.page.elements:
            if element.name == "img" and element.computed.link in found:
                found[element.computed.link].append(element)
        return {link: images for link, images in found.items() if images}

    @cached_property
    def images(self) -> tuple[Image, ...]:
        """The images that a reader sees: no pixels, nothing hidden."""
        found = (_image(element, self.subject.images) for element in self.page.elements if element.name == "img")
        return tuple(image for image in found if not image.hidden)

    @cached_property
    def preheader(self) -> str:
        """The line beside the subject: as given, or the hidden text that the HTML begins with."""
        if self.subject.preheader.strip():
            return self.subject.preheader.strip()
        first_visible = self.page.runs[0].start if self.page.runs else len(self.html)
        hidden = (run.text for run in self.page.hidden_runs if run.start < first_visible)
        return re.sub("[\u034f\u00ad\u200b-\u200f\u2060\ufeff\u00a0\\s]+", " ", " ".join(hidden)).strip()

    def span_of(self, at: Element | Run | Span | None) -> Span | None:
        """The place in the source of what was found on the page."""
        if at is None or isinstance(at, Span):
            return at
        element = at if isinstance(at, Element) else self.page.elements[at.owner] if at.owner >= 0 else None
        place = element.computed.place if element is not None else None
        if place is not None and place < len(self.subject.places):
            return self.subject.places[place]
        if not self.subject.source or self.subject.source == self.subject.html:
            return Span(at.start, at.end) if element is None else Span(element.start, element.end)
        return None

    @cached_property
    def _line_starts(self) -> list[int]:
        return line_starts(self.source)

    def line_and_column(self, span: Span, part: str) -> tuple[int, int]:
        """Line and column, from 1, of a place in the body or in another part."""
        if part == "body":
            starts = self._line_starts
        else:
            starts = line_starts(self.subject.subject if part == "subject" else self.subject.preheader)
        line = bisect_right(starts, span.start)
        return line, span.start - starts[line - 1] + 1


def line_starts(text: str) -> list[int]:
    """Where the lines of a text begin."""
    return [0, *(match.end() for match in re.finditer("\n", text))]


def direction_letters(text: str) -> tuple[int, int]:
    """How many letters of right-to-left and of left-to-right scripts a text has."""
    return len(_RTL.findall(text)), len(_LTR.findall(text))


def language_of(tag: str) -> str:
    """The language of a tag such as ``he-IL``; empty for none."""
    language = re.split("[-_]", tag.strip().lower(), maxsplit=1)[0]
    return "" if language in {"und", "x"} or MASK in language else language


def words_of(text: str) -> list[str]:
    """The words of a text."""
    return _WORD.findall(text)


def shortened(text: str, limit: int = 60) -> str:
    """A text of the mail as it stands in a finding."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _image(element: Element, facts: Mapping[str, ImageFact]) -> Image:
    address = element.attributes.get("src", "").strip()
    fact = facts.get(address, _NOTHING_KNOWN)
    width, height = (_pixels(element, side) for side in ("width", "height"))
    if width is None and height is None:
        width, height = fact.width, fact.height
    if fact.width and fact.height:
        width = width if width is not None or height is None else height * fact.width / fact.height
        height = height if height is not None or width is None else width * fact.height / fact.width
    tiny = (width is not None and width <= 2) or (height is not None and height <= 2)
    return Image(element, address, fact, width, height, element.computed.hidden or tiny)


_NOTHING_KNOWN = ImageFact()
_PIXELS = re.compile(r"\s*(\d{1,5}(?:\.\d{1,3})?)\s*(?:px)?\s*\Z")


def _pixels(element: Element, side: str) -> float | None:
    for text in (element.attributes.get(side, ""), element.style.get(side, "")):
        if match := _PIXELS.match(text):
            return float(match[1])
    return None
