"""What the Liquid engine tells badly or takes too long for: blocks and tags that were opened and never closed."""

import re

from mailtypes.errors import Span

_TAG_START = re.compile(r"\{%-?\s*(\w+)")
_BLOCKS = frozenset({"if", "unless", "case", "for", "capture", "comment", "raw"})
_OPAQUE = frozenset({"comment", "raw"})  # nothing inside them is a tag
_MOST_UNCLOSED = 100
_WIDE_TAG = re.compile(r"\{\{-?\s{200}|\{%-?\s{200}|\{%-?\s*(?:#|\w+)\s{200}")
_HIDING = tuple(
    (re.compile(rf"\{{%-?\s*{name}\s*-?%\}}"), re.compile(rf"\{{%-?\s*end{name}\s*-?%\}}")) for name in ("raw", "doc")
)


def readable_end(source: str) -> int:
    """How much of ``source`` the engine's lexer reads in linear time: all of it, but for hostile sources.

    For each opening without its end the lexer looks to the end of the source, and for a tag that begins with white
    space it tries every way to divide it. So at most ninety-nine openings may stand without an end, and no tag may have
    two hundred blanks in front.
    """
    wide = _WIDE_TAG.search(source)
    ends = [wide.start()] if wide else []
    for opening, closing in (("{{", "}}"), ("{%", "%}")):
        position = source.rfind(closing) + 1
        for _ in range(_MOST_UNCLOSED):
            position = source.find(opening, position)
            if position < 0:
                break
            position += len(opening)
        else:
            ends.append(position - len(opening))
    for opening_tag, closing_tag in _HIDING:
        last = max((match.end() for match in closing_tag.finditer(source)), default=0)
        unclosed = [match.start() for match in opening_tag.finditer(source, last)]
        ends += unclosed[_MOST_UNCLOSED - 1 : _MOST_UNCLOSED]
    return min(ends, default=len(source))


def unclosed_block(source: str) -> tuple[str, Span] | None:
    """The innermost block of ``source`` without its end, as its name and the place of its tag; ``None`` for none."""
    opened: list[tuple[str, Span]] = []
    for tag in _TAG_START.finditer(source):
        name, end = tag[1], source.find("%}", tag.end()) + 2
        if end < 2:
            break
        inside = opened[-1][0] if opened else ""
        if inside in _OPAQUE and name != f"end{inside}":
            continue
        if name in _BLOCKS:
            opened.append((name, Span(tag.start(), end)))
        elif opened and name == f"end{inside}":
            opened.pop()
    return opened[-1] if opened else None
