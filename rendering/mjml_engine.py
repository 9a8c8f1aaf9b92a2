"""MJML to HTML by mjml-python (MRML), and clear words for what that engine refuses.

The engine checks little; what it refuses it tells in parser's words, without a place or with a place in octets.
"""

import re

from mjml import mjml2html

from mailtypes.errors import Span
from rendering.markup import Comment, Tag, scan

_POSITION = re.compile(r"at position (\d+):(\d+)")
_NOT_SUPPORTED = {
    "mj-html-attributes": "Write the attributes on the tags themselves.",
    "mj-selector": "Write the attributes on the tags themselves.",
    "mj-include": "Templates cannot read files; put the text here.",
}
_TEXT_TAGS = frozenset({"mj-text", "mj-button", "mj-raw", "mj-table", "mj-style", "mj-title", "mj-preview"})


class MjmlError(Exception):
    """MJML that the engine refuses: the reason, the place in the text it was given, the next step."""

    def __init__(self, message: str, span: Span | None, next_step: str) -> None:
        super().__init__(message)
        self.message = message
        self.span = span
        self.next_step = next_step


def mjml_to_html(text: str) -> str:
    """Compile a whole MJML document; raises ``MjmlError``."""
    refuse_unsupported(text)
    try:
        return mjml2html(text)
    except ValueError as error:
        raise _explained(text, str(error)) from error


def refuse_unsupported(text: str) -> None:
    """Raise ``MjmlError`` for what MJML knows and the engine does not."""
    for item in scan(text):
        if isinstance(item, Comment) and text.startswith("<![CDATA[", item.start):
            raise MjmlError("CDATA is not supported", _span(item.start, 9), "Write &lt; and &amp; instead.")
        if not isinstance(item, Tag):
            continue
        if item.name in _NOT_SUPPORTED:
            raise MjmlError(f"{item.name} is not supported", Span(item.start, item.end), _NOT_SUPPORTED[item.name])
        if item.name == "mj-raw" and any(
            a.name == "position" and text[a.value_start : a.value_end] == "file-start" for a in item.attributes
        ):
            next_step = "Nothing can stand before the document; remove it."
            raise MjmlError("mj-raw at the file's start is not supported", Span(item.start, item.end), next_step)


def _explained(text: str, reason: str) -> MjmlError:
    if "unable to find mjml element" in reason or not re.search(r"<mjml[\s>]", text):
        return MjmlError("this is not MJML", None, "An MJML template begins with <mjml> and has an <mj-body>.")
    unclosed = _unclosed(text)
    if unclosed is not None:
        name = unclosed.name
        if unclosed.closing:
            return MjmlError(f"</{name}> closes nothing", Span(unclosed.start, unclosed.end), f"Open <{name}> before.")
        return MjmlError(f"<{name}> is never closed", Span(unclosed.start, unclosed.end), f"Write </{name}> after it.")
    lone = re.search(r"<(?![A-Za-z/!?])", text)
    if lone is not None:
        return MjmlError("a lone < in the text", _span(lone.start(), 1), "Write &lt; instead.")
    position = _POSITION.search(reason)
    if position is not None:
        start, end = (len(text.encode()[: int(octets)].decode("utf-8", "ignore")) for octets in position.groups())
        return MjmlError(
            f"the MJML engine cannot read this: {reason.partition(' in ')[0]}",
            Span(start, max(start, end)),
            "Look for a tag in the wrong place or a quote that is missing.",
        )
    return MjmlError(f"the MJML engine refuses the template: {reason}", None, "Look for tags that are not closed.")


def _unclosed(text: str) -> Tag | None:
    """The first mj tag without its partner; HTML inside of text tags is not judged."""
    open_tags: list[Tag] = []
    for item in scan(text):
        if not isinstance(item, Tag) or not item.name.startswith("mj") or item.self_closing:
            continue
        if not item.closing:
            open_tags.append(item)
        elif open_tags and open_tags[-1].name == item.name:
            open_tags.pop()
        elif any(tag.name == item.name for tag in open_tags):
            return open_tags[-1]
        else:
            return item
    return open_tags[-1] if open_tags else None


def _span(start: int, length: int) -> Span:
    return Span(start, start + length)
