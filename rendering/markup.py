"""A scanner that says what each stretch of HTML (or MJML) is: text, a tag with its attributes, CSS, a comment.

It repairs nothing and builds no tree; it is used to find the place of merge values and of links, in the author's
source as well as in the compiled HTML. The insides of Outlook's conditional comments are markup too and are
scanned like the rest.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

MASK = "\ue000"
"""Stands for each character of a Liquid tag in a masked source; ignored in tag and attribute names."""

_TAG_OPEN = re.compile(r"<(/?)([A-Za-z\ue000][^\s/>]*)")
_ATTRIBUTE = re.compile(
    r"""[\s/]*(?P<name>[^\s"'<>/=]+)(?:\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"'<>`]+)))?"""
)
_TAG_CLOSE = re.compile(r"[\s/]*>")
_BLANK = re.compile(r"[\s/]*")
_CONDITIONAL = re.compile(r"<!--\[if[^\]]{0,200}\]>(?P<revealed><!-->|-->)?", re.IGNORECASE)
VOID_TAGS = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
"""Elements without an inside (HTML Living Standard section 13.1.2)."""
_RAW_TAGS = frozenset({"style", "script", "mj-style", "xml"})


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute; ``[value_start, value_end)`` is its value without quotes, ``quote`` is empty where it has none."""

    name: str
    start: int
    end: int
    value_start: int
    value_end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A start tag or an end tag, from ``<`` to past ``>``; names in lower case."""

    name: str
    closing: bool
    self_closing: bool
    start: int
    end: int
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """Character data."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class RawText:
    """The inside of ``style`` or ``script``."""

    tag: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment that nobody reads, a declaration, or the frame of a conditional comment."""

    start: int
    end: int


Item = Tag | Text | RawText | Comment


def scan(html: str, *, conditional: bool = True) -> Iterator[Item]:
    """The items of ``html`` in order; never fails, and takes time in proportion to the length.

    The insides of conditional comments come after the comment itself; without ``conditional`` they are left out.
    """
    return _scan(html, 0, len(html), conditional)


def _scan(html: str, start: int, stop: int, conditional: bool) -> Iterator[Item]:
    position = text_start = start
    while (position := html.find("<", position, stop)) >= 0:
        item = _markup_at(html, position, stop)
        if item is None:  # a lone "<" is text
            position += 1
            continue
        if text_start < position:
            yield Text(text_start, position)
        yield item
        position = item.end
        if isinstance(item, Tag):
            yield from (raw := list(_raw_text_after(html, item, stop)))
            position = raw[-1].end if raw else position
        elif conditional and isinstance(item, Comment) and (inside := _conditional_inside(html, item)):
            yield from _scan(html, *inside, False)  # comments do not nest
        text_start = position
    if text_start < stop:
        yield Text(text_start, stop)


def _markup_at(html: str, position: int, stop: int) -> Tag | Comment | None:
    if html.startswith("<!--", position):
        conditional = _CONDITIONAL.match(html, position, stop)
        if conditional and conditional["revealed"]:  # <!--[if !mso]><!--> shows what follows to everyone
            return Comment(position, conditional.end())
        return Comment(position, _past(html, "-->", position + 4, stop))
    if html.startswith("<![CDATA[", position):
        return Comment(position, _past(html, "]]>", position, stop))
    if html.startswith(("<!", "<?"), position):
        return Comment(position, _past(html, ">", position, stop))
    return _tag_at(html, position, stop)


def _past(html: str, mark: str, position: int, stop: int) -> int:
    found = html.find(mark, position, stop)
    return stop if found < 0 else found + len(mark)


def _tag_at(html: str, position: int, stop: int) -> Tag | None:
    opening = _TAG_OPEN.match(html, position, stop)
    if opening is None:
        return None
    name = opening[2].replace(MASK, "").lower()
    attributes: list[Attribute] = []
    position_now = opening.end()
    while not (close := _TAG_CLOSE.match(html, position_now, stop)):
        match = _ATTRIBUTE.match(html, position_now, stop)
        if match is None:  # a stray quote: skip it
            if position_now >= stop:
                return Tag(name, bool(opening[1]), False, position, stop, tuple(attributes))
            position_now = _BLANK.match(html, position_now, stop).end() + 1  # type: ignore[union-attr]
            continue
        attributes.append(_attribute(match))
        position_now = match.end()
    self_closing = "/" in close[0]
    return Tag(name, bool(opening[1]), self_closing, position, close.end(), tuple(attributes))


def _attribute(match: re.Match[str]) -> Attribute:
    kind, quote = next(
        (pair for pair in (("double", '"'), ("single", "'"), ("bare", "")) if match[pair[0]] is not None), ("name", "")
    )
    value = (match.end(), match.end()) if kind == "name" else match.span(kind)
    name = match["name"].replace(MASK, "").lower()
    return Attribute(name, match.start("name"), match.end(), *value, quote)


def _raw_text_after(html: str, tag: Tag, stop: int) -> Iterator[RawText]:
    if tag.closing or tag.self_closing or tag.name not in _RAW_TAGS:
        return
    closing = re.compile(rf"</{re.escape(tag.name)}", re.IGNORECASE).search(html, tag.end, stop)
    end = closing.start() if closing else stop
    if end > tag.end:
        yield RawText(tag.name, tag.end, end)


def _conditional_inside(html: str, comment: Comment) -> tuple[int, int] | None:
    match = _CONDITIONAL.match(html, comment.start, comment.end)
    if match is None or match["revealed"]:
        return None
    end = html.rfind("<![endif]", match.end(), comment.end)
    return match.end(), end if end >= 0 else max(match.end(), comment.end - len("-->"))
