"""Finds the block tag that was opened and never closed; the Liquid engine only says which end it missed."""

import re

from mailtypes.errors import Span

_TAG = re.compile(r"\{%-?\s*(\w+)(?:[^%]|%(?!\}))*%\}")
_BLOCKS = frozenset({"if", "unless", "case", "for", "capture", "comment", "raw"})
_OPAQUE = frozenset({"comment", "raw"})  # nothing inside them is a tag


def unclosed_block(source: str) -> tuple[str, Span] | None:
    """The innermost block of ``source`` without its end, as its name and the place of its tag; ``None`` for none."""
    opened: list[tuple[str, Span]] = []
    for tag in _TAG.finditer(source):
        name = tag[1]
        inside = opened[-1][0] if opened else ""
        if inside in _OPAQUE and name != f"end{inside}":
            continue
        if name in _BLOCKS:
            opened.append((name, Span(tag.start(), tag.end())))
        elif opened and name == f"end{inside}":
            opened.pop()
    return opened[-1] if opened else None
