"""Numbers on the tags of a template, so that what was compiled from a tag leads back to it.

MJML components carry the number as a ``css-class``, tags of HTML as an attribute; both come through the compilers.
Sizes are not measured on marked mail.
"""

import re
from collections.abc import Iterator, Mapping

from mailtypes.errors import Span
from rendering.links import mask_liquid
from rendering.markup import MASK, Tag, scan
from rendering.source import BodyFormat

PLACE_ATTRIBUTE = "data-pw-at"
_CLASS_PREFIX = "pw-at-"
_CLASS = re.compile(rf"(?:\A|\s){_CLASS_PREFIX}(\d{{1,7}})\b")
_NUMBER = re.compile(r"\d{1,7}\Z")
# Components that hand their css-class to the HTML; mj-raw and those of the head have none.
_COMPONENT_WORDS = (
    "accordion accordion-element accordion-text accordion-title body button carousel carousel-image column divider "
    "group hero image navbar navbar-link section social social-element spacer table text wrapper"
)
_COMPONENTS = frozenset(f"mj-{name}" for name in _COMPONENT_WORDS.split())
_NOT_MARKED = frozenset({"html", "head", "meta", "title", "link", "base", "style", "script", "xml"})


def mark_components(source: str, body_format: BodyFormat) -> tuple[str, tuple[Span, ...]]:
    """The source with a number on each of its tags, and the place of the tag of each number.

    Nothing else of the source is changed; a tag that cannot be marked without changing the mail is left alone.
    """
    pieces: list[str] = []
    places: list[Span] = []
    position = 0
    for tag, where, text in _insertions(mask_liquid(source), body_format):
        pieces += [source[position:where], text.format(len(places))]
        places.append(Span(tag.start, tag.end))
        position = where
    return "".join(pieces) + source[position:], tuple(places)


def place_number(attributes: Mapping[str, str]) -> int | None:
    """The number that an element of the compiled HTML carries."""
    given = attributes.get(PLACE_ATTRIBUTE)
    if given is not None and _NUMBER.match(given):
        return int(given)
    classes = attributes.get("class")
    found = _CLASS.search(classes) if classes and _CLASS_PREFIX in classes else None
    return int(found[1]) if found else None


def _insertions(masked: str, body_format: BodyFormat) -> Iterator[tuple[Tag, int, str]]:
    in_head = classes_by_default = False
    for tag in scan(masked, conditional=False):
        if not isinstance(tag, Tag):
            continue
        if body_format == "mjml" and tag.name == "mj-head":
            in_head = not tag.closing and not tag.self_closing
        elif in_head:  # a class given to all: one on the component itself would take its place
            classes_by_default |= any(attribute.name == "css-class" for attribute in tag.attributes)
        elif not tag.closing and (found := _insertion(tag, masked, classes_by_default)):
            yield tag, *found


def _insertion(tag: Tag, masked: str, classes_by_default: bool) -> tuple[int, str] | None:
    after_name = tag.start + 1 + len(tag.name)
    if MASK in masked[tag.start : after_name + 1] or tag.name in _NOT_MARKED:
        return None
    if not tag.name.startswith("mj-"):
        return None if tag.name == "mjml" else (after_name, f' {PLACE_ATTRIBUTE}="{{}}"')
    if tag.name not in _COMPONENTS:
        return None
    for attribute in tag.attributes:
        if attribute.name == "css-class":
            return (attribute.value_start, f"{_CLASS_PREFIX}{{}} ") if attribute.quote else None
    return None if classes_by_default else (after_name, f' css-class="{_CLASS_PREFIX}{{}}"')
