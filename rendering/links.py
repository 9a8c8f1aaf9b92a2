"""The links of a template, numbered by their place in its source, so that every layout numbers them alike."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from html import unescape

from liquid.lex import compile_liquid_rules

from mailtypes.errors import Span
from rendering.liquid_blocks import readable_end
from rendering.markup import MASK, Attribute, Tag, scan
from rendering.merge import ADDRESS_FIELDS

OPT_OUT_ATTRIBUTE = "data-pw-track"
_LINK_TAGS = frozenset(
    {
        "a",
        "area",
        "mj-button",
        "mj-image",
        "mj-carousel-image",
        "mj-navbar-link",
        "mj-social-element",
        "v:rect",
        "v:roundrect",
        "v:shape",
    }
)
_LIQUID = compile_liquid_rules()
_ADDRESS_FIELD = re.compile(rf"\{{\{{-?\s*(?:{'|'.join(ADDRESS_FIELDS)})\s*-?\}}\}}")
_WEB_ADDRESS = re.compile(r"https?://", re.IGNORECASE)


class Tracking(StrEnum):
    """Whether a link becomes a ``LinkSlot``, or why not."""

    TRACKED = "tracked"
    OPTED_OUT = "opted-out"
    DYNAMIC = "dynamic"  # its address has merge values or branches in it


@dataclass(frozen=True, slots=True)
class Link:
    """A web link of the template. ``number`` follows the place in the source and never depends on the contact.

    ``url`` is the target as the author wrote it (with its Liquid where it is dynamic); ``span`` its place.
    """

    number: int
    url: str
    span: Span
    tracking: Tracking


@dataclass(frozen=True, slots=True)
class Edit:
    """``source[start:end]`` is replaced before compiling: by the marker of link ``number``, or by nothing."""

    start: int
    end: int
    number: int | None


def mask_liquid(source: str) -> str:
    """The source with every character of a Liquid tag masked, so that its markup can be scanned; same length."""
    masked: list[str] = []
    comment_depth = 0
    position = 0
    for match in _LIQUID.finditer(source, 0, readable_end(source)):
        name = match["name"] if match.lastgroup == "TAG" else None
        if name == "comment":
            comment_depth += 1
        if match.lastgroup == "RAW" and not comment_depth:
            inside = match.span("raw")
            masked += [MASK * (inside[0] - match.start()), match["raw"], MASK * (match.end() - inside[1])]
        elif comment_depth or match.lastgroup != "content":
            masked.append(MASK * (match.end() - match.start()))
        else:
            masked.append(match[0])
        if name == "endcomment" and comment_depth:
            comment_depth -= 1
        position = match.end()
    masked.append(source[position:])
    return "".join(masked)


def find_links(source: str) -> tuple[tuple[Link, ...], tuple[Edit, ...]]:
    """The web links of a template body in order, and what has to be replaced in it before it is compiled."""
    links: list[Link] = []
    edits: list[Edit] = []
    masked = mask_liquid(source)
    for item in scan(masked):
        if not isinstance(item, Tag) or item.closing or item.name not in _LINK_TAGS:
            continue
        opted_out, attribute = _opt_out(item, masked)
        for href in (attribute for attribute in item.attributes if attribute.name == "href"):
            link = _link(len(links) + 1, href, source, masked)
            if link is None:
                continue
            if opted_out and link.tracking is Tracking.TRACKED:
                link = Link(link.number, link.url, link.span, Tracking.OPTED_OUT)
            links.append(link)
            if link.tracking is Tracking.TRACKED:
                edits.append(Edit(href.value_start, href.value_end, link.number))
        if attribute is not None and MASK not in masked[attribute.start : attribute.end]:
            edits.append(Edit(attribute.start, attribute.end, None))
    return tuple(links), tuple(sorted(edits, key=lambda edit: edit.start))


def _opt_out(tag: Tag, masked: str) -> tuple[bool, Attribute | None]:
    for attribute in tag.attributes:
        if attribute.name == OPT_OUT_ATTRIBUTE:
            return masked[attribute.value_start : attribute.value_end].strip().lower() == "off", attribute
    return False, None


def _link(number: int, href: Attribute, source: str, masked: str) -> Link | None:
    written = source[href.value_start : href.value_end].strip()
    shown = masked[href.value_start : href.value_end].strip()
    span = Span(href.value_start, href.value_end)
    if MASK in shown:
        is_web = shown.startswith(MASK) or _WEB_ADDRESS.match(shown)
        if not is_web or _ADDRESS_FIELD.fullmatch(written):
            return None
        return Link(number, written, span, Tracking.DYNAMIC)
    if not _WEB_ADDRESS.match(shown):
        return None
    return Link(number, unescape(written), span, Tracking.TRACKED)


def cut(text: str, start: int, edits: tuple[Edit, ...]) -> Iterator[tuple[str, int, int | None]]:
    """A stretch of the source that begins at ``start``, cut at the edits: (text, place, link number or ``None``)."""
    position = start
    end = start + len(text)
    for edit in edits:
        if start <= edit.start and edit.end <= end:
            yield text[position - start : edit.start - start], position, None
            if edit.number is not None:
                yield "", edit.start, edit.number
            position = edit.end
    yield text[position - start :], position, None
