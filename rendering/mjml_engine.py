"""MJML to HTML by mjml-python (MRML), and clear words for what that engine refuses.

The engine checks little; what it refuses it tells in parser's words, without a place or with a place in octets.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator

from mjml import mjml2html

from mailtypes.errors import Span
from rendering.css import INLINE_ONLY
from rendering.markup import VOID_TAGS, Comment, RawText, Tag, scan

_POSITION = re.compile(r"at position (\d+):(\d+)")
_NOT_SUPPORTED = {
    "mj-html-attributes": "Write the attributes on the tags themselves.",
    "mj-selector": "Write the attributes on the tags themselves.",
    "mj-include": "Includes are put in from the template library before compiling; here is no library.",
}
_TEXT_ONLY = frozenset({"mj-title", "mj-preview"})
_IMAGE = re.compile(r"<img\b[^<>]*>")
_HAS_ALT = re.compile(r"\salt(?=[\s=/>])", re.IGNORECASE)


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
        return with_alternative_texts(mjml2html(_with_marked_sheets(text)))
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
    unclosed = _unclosed(text, lambda name: name.startswith("mj"))
    if unclosed is not None:
        name = unclosed.name
        if unclosed.closing:
            return MjmlError(f"</{name}> closes nothing", Span(unclosed.start, unclosed.end), f"Open <{name}> before.")
        return MjmlError(f"<{name}> is never closed", Span(unclosed.start, unclosed.end), f"Write </{name}> after it.")
    lone = re.search(r"<(?![A-Za-z/!?])", text)
    if lone is not None:
        return MjmlError("a lone < in the text", _span(lone.start(), 1), "Write &lt; instead.")
    found = next(_written_otherwise(text), None)
    return found if found is not None else _in_the_engines_words(text, reason)


def _in_the_engines_words(text: str, reason: str) -> MjmlError:
    position = _POSITION.search(reason)
    if position is not None:
        octets = text.encode()
        start, end = (len(octets[: int(place)].decode("utf-8", "ignore")) for place in position.groups())
        if reason.startswith("unexpected element"):
            name = text[start:end].lstrip("</")
            return MjmlError(f"{name} cannot stand here", Span(start, max(start, end)), "Remove it, or move it.")
        return MjmlError(
            f"the MJML engine cannot read this: {reason.partition(' in ')[0]}",
            Span(start, max(start, end)),
            "Look for a tag in the wrong place or a quote that is missing.",
        )
    return MjmlError(f"the MJML engine refuses the template: {reason}", None, "Look for tags that are not closed.")


def _written_otherwise(text: str) -> Iterator[MjmlError]:
    """What HTML allows and the engine's stricter reader does not, with how to write it."""
    open_tags: list[str] = []
    for item in scan(text, conditional=False):
        if isinstance(item, Comment):
            yield from _strange_comment(text, item)
        elif isinstance(item, RawText) and (at := text.find("<", item.start, item.end)) >= 0:
            yield MjmlError("a < among the styles", _span(at, 1), "Remove it; CSS needs none.")
        elif isinstance(item, Tag):
            if not item.closing:
                yield from _strange_tag(text, item, open_tags)
            _track(open_tags, item)
    end = text.rfind("</mjml>") + len("</mjml>")
    if end >= len("</mjml>") and (rest := text[end:].strip()):
        yield MjmlError("nothing can stand after </mjml>", _span(text.index(rest, end), len(rest)), "Remove it.")
    judged = [_unclosed(text, lambda name: name not in VOID_TAGS, conditional) for conditional in (False, True)]
    unclosed = judged[0] or judged[1]
    if unclosed is not None and not unclosed.closing:
        yield MjmlError(
            f"<{unclosed.name}> is never closed",
            Span(unclosed.start, unclosed.end),
            f"Write </{unclosed.name}> where it ends, inside of the same component; MJML closes no tag by itself.",
        )
    elif unclosed is not None:
        yield MjmlError(
            f"</{unclosed.name}> closes nothing",
            Span(unclosed.start, unclosed.end),
            f"Remove it, or open <{unclosed.name}> before.",
        )


def _track(open_tags: list[str], tag: Tag) -> None:
    if tag.closing:
        if open_tags and open_tags[-1] == tag.name:
            open_tags.pop()
    elif not tag.self_closing and tag.name.startswith("mj") and tag.name != "mj-style":
        open_tags.append(tag.name)


def _strange_comment(text: str, item: Comment) -> Iterator[MjmlError]:
    written = text[item.start : item.end]
    if written.startswith(("<?", "<!")) and not written.startswith(("<!--", "<![")):
        yield MjmlError("nothing can stand before <mjml>", Span(item.start, item.end), "Remove the declaration.")
    elif written.startswith("<!--") and (at := written.find("--", 4, -3)) >= 0 and not written.startswith("<!--["):
        yield MjmlError("two hyphens inside of a comment", _span(item.start + at, 2), "Write one hyphen, or a dash.")


def _strange_tag(text: str, tag: Tag, open_tags: list[str]) -> Iterator[MjmlError]:
    span = Span(tag.start, tag.end)
    if open_tags and open_tags[-1] in _TEXT_ONLY:
        yield MjmlError(f"<{tag.name}> cannot stand inside of {open_tags[-1]}", span, "Write plain text there.")
    position = tag.start + 1 + len(tag.name)
    for attribute in tag.attributes:
        place = Span(attribute.start, attribute.end)
        if attribute.start == position:
            yield MjmlError("two attributes without a space between them", place, "Put a space before it.")
        if not attribute.quote and attribute.value_end > attribute.value_start:
            value = text[attribute.value_start : attribute.value_end]
            yield MjmlError(
                f"the value of {attribute.name} has no quotes", place, f'Write {attribute.name}="{value[:60]}".'
            )
        position = attribute.end


def _with_marked_sheets(text: str) -> str:
    """The engine forgets which sheets are ``inline="inline"``: a comment at their begin keeps it for the inliner."""
    pieces: list[str] = []
    position = 0
    for item in scan(text, conditional=False):
        if not isinstance(item, Tag) or item.name != "mj-style" or item.closing or item.self_closing:
            continue
        if any(a.name == "inline" and text[a.value_start : a.value_end] == "inline" for a in item.attributes):
            pieces += (text[position : item.end], INLINE_ONLY)
            position = item.end
    return "".join((*pieces, text[position:]))


def with_alternative_texts(html: str) -> str:
    """The engine's HTML with an empty ``alt`` on each image that has none, as the official engine writes it.

    Without one, screen readers read the file's name aloud.
    """
    return _IMAGE.sub(lambda match: match[0] if _HAS_ALT.search(match[0]) else f'<img alt=""{match[0][4:]}', html)


def _unclosed(text: str, counts: Callable[[str], bool], conditional: bool = False) -> Tag | None:
    """The first tag that ``counts`` without its partner."""
    open_tags: list[Tag] = []
    numbers: Counter[str] = Counter()
    for item in scan(text, conditional=conditional):
        if not isinstance(item, Tag) or not counts(item.name) or item.self_closing:
            continue
        if not item.closing:
            open_tags.append(item)
            numbers[item.name] += 1
        elif open_tags and open_tags[-1].name == item.name:
            numbers[open_tags.pop().name] -= 1
        elif numbers[item.name]:
            return open_tags[-1]
        else:
            return item
    return open_tags[-1] if open_tags else None


def _span(start: int, length: int) -> Span:
    return Span(start, start + length)
