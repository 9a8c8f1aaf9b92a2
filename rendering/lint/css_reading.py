"""CSS read by tinycss2, which is known here alone."""

from dataclasses import dataclass

import tinycss2  # type: ignore[import-untyped]
from tinycss2.color3 import parse_color  # type: ignore[import-untyped]

from mailtypes.saying import say

_MAX_BRACKETS = 200  # writing nested blocks back is recursive


@dataclass(frozen=True, slots=True)
class SheetPart:
    """An at-rule or an error of a style sheet.

    ``name`` is the at-rule's, in lower case and empty for an error; ``message`` the error's. ``line`` and ``column``
    count from 1. ``inner`` is the name of the first at-rule within, which stands at ``inner_line``, ``inner_column``.
    """

    name: str
    message: str
    line: int
    column: int
    inner: str = ""
    inner_line: int = 0
    inner_column: int = 0


def read_sheet(css: str) -> tuple[SheetPart, ...]:
    """The at-rules and the errors of a style sheet in order; plain rules are left out."""
    parts = []
    for node in tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True):
        if node.type == "error":
            parts.append(SheetPart("", node.message, node.source_line, node.source_column))
        elif node.type == "qualified-rule" and (stray := _stray(node)) is not None:
            parts.append(SheetPart("", say("there is a bracket too many"), stray.source_line, stray.source_column))
        elif node.type == "at-rule":
            name = node.lower_at_keyword
            inner = next((token for token in node.content or () if token.type == "at-keyword"), None)
            place = (inner.value, inner.source_line, inner.source_column) if inner is not None else ("", 0, 0)
            parts.append(SheetPart(name, "", node.source_line, node.source_column, *place))
    return tuple(parts)


def _stray(rule: tinycss2.ast.QualifiedRule) -> tinycss2.ast.ParseError | None:
    return next((token for token in rule.prelude if token.type == "error"), None)


def read_declarations(style: str) -> list[tuple[str, str, bool]]:
    """Property, value and whether it is ``!important``, of the inside of a ``style`` attribute."""
    if sum(map(style.count, "([{")) > _MAX_BRACKETS:
        return []
    return [
        (item.lower_name, tinycss2.serialize(item.value).strip(), item.important)
        for item in tinycss2.parse_blocks_contents(style, skip_comments=True, skip_whitespace=True)
        if item.type == "declaration"
    ]


def read_colour(text: str) -> tuple[float, float, float, float] | None:
    """Red, green, blue and alpha from 0 to 1; ``None`` for what is no colour of its own."""
    parsed = parse_color(text)
    if parsed is None or isinstance(parsed, str):
        return None
    return float(parsed.red), float(parsed.green), float(parsed.blue), float(parsed.alpha)
