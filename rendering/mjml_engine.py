"""MJML to HTML by mjml-python (MRML), and clear words for what that engine refuses.

The engine checks little; what it refuses it tells in parser's words, without a place or with a place in octets.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator

from mjml import mjml2html

from mailtypes.errors import Span
from mailtypes.saying import say
from rendering.css import INLINE_ONLY
from rendering.markup import VOID_TAGS, Comment, RawText, Tag, scan

_POSITION = re.compile(r"at position (\d+):(\d+)")
_NOT_SUPPORTED = {
    "mj-html-attributes": say("Write the attributes on the tags themselves."),
    "mj-selector": say("Write the attributes on the tags themselves."),
    "mj-include": say("Includes are put in from the template library before compiling; here is no library."),
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
            raise MjmlError(say("CDATA is not supported"), _span(item.start, 9), say("Write &lt; and &amp; instead."))
        if not isinstance(item, Tag):
            continue
        if item.name in _NOT_SUPPORTED:
            raise MjmlError(
                say("%(item)s is not supported", item=item.name), Span(item.start, item.end), _NOT_SUPPORTED[item.name]
            )
        if item.name == "mj-raw" and any(
            a.name == "position" and text[a.value_start : a.value_end] == "file-start" for a in item.attributes
        ):
            next_step = say("Nothing can stand before the document; remove it.")
            raise MjmlError(say("mj-raw at the file's start is not supported"), Span(item.start, item.end), next_step)


def _explained(text: str, reason: str) -> MjmlError:
    if "unable to find mjml element" in reason or not re.search(r"<mjml[\s>]", text):
        return MjmlError(
            say("this is not MJML"), None, say("An MJML template begins with <mjml> and has an <mj-body>.")
        )
    unclosed = _unclosed(text, lambda name: name.startswith("mj"))
    if unclosed is not None:
        name = unclosed.name
        if unclosed.closing:
            return MjmlError(
                say("</%(name)s> closes nothing", name=name),
                Span(unclosed.start, unclosed.end),
                say("Open <%(name)s> before.", name=name),
            )
        return MjmlError(
            say("<%(name)s> is never closed", name=name),
            Span(unclosed.start, unclosed.end),
            say("Write </%(name)s> after it.", name=name),
        )
    lone = re.search(r"<(?![A-Za-z/!?])", text)
    if lone is not None:
        return MjmlError(say("a lone < in the text"), _span(lone.start(), 1), say("Write &lt; instead."))
    found = next(_written_otherwise(text), None)
    return found if found is not None else _in_the_engines_words(text, reason)


def _in_the_engines_words(text: str, reason: str) -> MjmlError:
    position = _POSITION.search(reason)
    if position is not None:
        octets = text.encode()
        start, end = (len(octets[: int(place)].decode("utf-8", "ignore")) for place in position.groups())
        if reason.startswith("unexpected element"):
            name = text[start:end].lstrip("</")
            return MjmlError(
                say("%(name)s cannot stand here", name=name),
                Span(start, max(start, end)),
                say("Remove it, or move it."),
            )
        return MjmlError(
            say("the MJML engine cannot read this: %(reason)s", reason=reason.partition(" in ")[0]),
            Span(start, max(start, end)),
            say("Look for a tag in the wrong place or a quote that is missing."),
        )
    return MjmlError(
        say("the MJML engine refuses the template: %(reason)s", reason=reason),
        None,
        say("Look for tags that are not closed."),
    )


def _written_otherwise(text: str) -> Iterator[MjmlError]:
    """What HTML allows and the engine's stricter reader does not, with how to write it."""
    open_tags: list[str] = []
    for item in scan(text, conditional=False):
        if isinstance(item, Comment):
            yield from _strange_comment(text, item)
        elif isinstance(item, RawText) and (at := text.find("<", item.start, item.end)) >= 0:
            yield MjmlError(say("a < among the styles"), _span(at, 1), say("Remove it; CSS needs none."))
        elif isinstance(item, Tag):
            if not item.closing:
                yield from _strange_tag(text, item, open_tags)
            _track(open_tags, item)
    end = text.rfind("</mjml>") + len("</mjml>")
    if end >= len("</mjml>") and (rest := text[end:].strip()):
        yield MjmlError(
            say("nothing can stand after </mjml>"), _span(text.index(rest, end), len(rest)), say("Remove it.")
        )
    judged = [_unclosed(text, lambda name: name not in VOID_TAGS, conditional) for conditional in (False, True)]
    unclosed = judged[0] or judged[1]
    if unclosed is not None and not unclosed.closing:
        yield MjmlError(
            say("<%(unclosed)s> is never closed", unclosed=unclosed.name),
            Span(unclosed.start, unclosed.end),
            say(
                "Write </%(unclosed)s> where it ends, inside of the same component; MJML closes no tag by itself.",
                unclosed=unclosed.name,
            ),
        )
    elif unclosed is not None:
        yield MjmlError(
            say("</%(unclosed)s> closes nothing", unclosed=unclosed.name),
            Span(unclosed.start, unclosed.end),
            say("Remove it, or open <%(unclosed)s> before.", unclosed=unclosed.name),
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
        yield MjmlError(
            say("nothing can stand before <mjml>"), Span(item.start, item.end), say("Remove the declaration.")
        )
    elif written.startswith("<!--") and (at := written.find("--", 4, -3)) >= 0 and not written.startswith("<!--["):
        yield MjmlError(
            say("two hyphens inside of a comment"), _span(item.start + at, 2), say("Write one hyphen, or a dash.")
        )


def _strange_tag(text: str, tag: Tag, open_tags: list[str]) -> Iterator[MjmlError]:
    span = Span(tag.start, tag.end)
    if open_tags and open_tags[-1] in _TEXT_ONLY:
        yield MjmlError(
            say("<%(tag)s> cannot stand inside of %(open_tags)s", tag=tag.name, open_tags=open_tags[-1]),
            span,
            say("Write plain text there."),
        )
    position = tag.start + 1 + len(tag.name)
    for attribute in tag.attributes:
        place = Span(attribute.start, attribute.end)
        if attribute.start == position:
            yield MjmlError(say("two attributes without a space between them"), place, say("Put a space before it."))
        if not attribute.quote and attribute.value_end > attribute.value_start:
            value = text[attribute.value_start : attribute.value_end]
            yield MjmlError(
                say("the value of %(attribute)s has no quotes", attribute=attribute.name),
                place,
                say('Write %(attribute)s="%(value)s".', attribute=attribute.name, value=value[:60]),
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
