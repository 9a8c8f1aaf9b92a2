"""The rules of SVG Tiny Portable/Secure on each element and attribute (draft-svg-tiny-ps-abrotman section 2)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from dns_checks.bimi.excerpt import excerpt
from dns_checks.bimi.profile import ELEMENTS
from dns_checks.bimi.svg_document import XLINK_NAMESPACE, XML_NAMESPACE, Attribute, Element, SvgDocument
from mailtypes.saying import say

_FLATTEN: Final = say("Flatten the drawing to plain filled paths.")
_FORBIDDEN: Final[Mapping[str, tuple[str, str, str]]] = {
    **dict.fromkeys(
        ("script", "handler", "listener"), ("svg.script", say("a logo holds no scripts"), say("Remove it."))
    ),
    **dict.fromkeys(
        ("animate", "animateColor", "animateMotion", "animateTransform", "discard", "mpath", "set"),
        ("svg.animation", say("a logo does not move"), say("Remove it; keep the state that the logo should have.")),
    ),
    **dict.fromkeys(
        ("image", "feImage"),
        (
            "svg.bitmap",
            say("a logo holds no pictures, neither embedded nor linked"),
            say("Trace the picture to vector paths."),
        ),
    ),
    **dict.fromkeys(
        ("animation", "audio", "video", "prefetch", "iframe", "embed", "object", "canvas"),
        ("svg.multimedia", say("a logo holds no other media"), say("Remove it.")),
    ),
    "a": ("svg.link", say("a logo holds no links"), say("Remove the a element and keep what is within it.")),
    "foreignObject": ("svg.foreign_object", say("a logo holds nothing but SVG"), say("Remove it.")),
    "style": (
        "svg.style",
        say("style sheets are not allowed"),
        say("Write each property as an attribute: fill=, stroke=."),
    ),
    **dict.fromkeys(
        ("clipPath", "filter", "marker", "mask", "pattern"),
        ("svg.element_not_allowed", say("it is not part of SVG Tiny Portable/Secure"), _FLATTEN),
    ),
    "symbol": (
        "svg.element_not_allowed",
        say("it is not part of SVG Tiny Portable/Secure"),
        say("Use a g within defs."),
    ),
    "tspan": (
        "svg.element_not_allowed",
        say("it is not part of SVG Tiny Portable/Secure"),
        say("Turn text into paths."),
    ),
}
_NOT_IN_PROFILE: Final = (
    "svg.element_not_allowed",
    say("it is not part of SVG Tiny Portable/Secure"),
    say("Remove it, or export as SVG Tiny 1.2."),
)
_WITH_TEXT: Final = frozenset({"desc", "metadata", "text", "textArea", "title"})
_UNFETCHED: Final = frozenset({"about", "class", "content", "datatype", "glyph-name", "id", "lang"}) | frozenset(
    {"property", "rel", "resource", "rev", "role", "typeof", "unicode"}
)
_CHECKED_ON_ROOT: Final = frozenset({"version", "baseProfile", "x", "y"})
_CSS_ESCAPE: Final = re.compile(r"\\([0-9a-fA-F]{1,6})\s?|\\(.)", re.DOTALL)
_CSS_URL: Final = re.compile(r"url\(\s*[\"']?\s*([^)\"']*)", re.IGNORECASE)
_BLANKS: Final = re.compile(r"[\x00-\x20]+")


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken rule; ``attribute`` where the fault is in one, ``is_error`` false for mere advice.

    ``place`` (line and column) is given only where the fault is in no element.
    """

    code: str
    element: Element
    sentence: str
    next_step: str
    attribute: Attribute | None = None
    is_error: bool = True
    place: tuple[int, int] | None = None


def element_faults(document: SvgDocument) -> Iterator[Fault]:
    """What is wrong with the elements and attributes, in document order."""
    for element in document.elements:
        parent = None if element.parent is None else document.elements[element.parent]
        if not element.is_svg:
            if parent is None or parent.is_svg:  # the outermost of a foreign tree stands for all of it
                yield _foreign(element)
            continue
        yield from _placement(element, parent)
        for attribute in element.attributes:
            yield from _attribute_faults(element, attribute)
        if element.text.strip() and element.name in ELEMENTS and element.name not in _WITH_TEXT:
            yield Fault(
                "svg.stray_text",
                element,
                say(
                    "There is text within <%(element)s>, where it is not drawn: '%(strip)s'.",
                    element=element.name,
                    strip=excerpt(element.text.strip()),
                ),
                say("Remove the text."),
                is_error=False,
            )


def _foreign(element: Element) -> Fault:
    return Fault(
        "svg.foreign_element",
        element,
        say(
            "The element <%(element)s> is not SVG, but of the namespace '%(namespace)s'.",
            element=excerpt(element.name),
            namespace=excerpt(element.namespace),
        ),
        say("Remove it; drawing programs do so on 'plain SVG' or 'optimised SVG'."),
    )


def _placement(element: Element, parent: Element | None) -> Iterator[Fault]:
    if element.name not in ELEMENTS:
        code, why, next_step = _FORBIDDEN.get(element.name, _NOT_IN_PROFILE)
        yield Fault(
            code,
            element,
            say("The element <%(element)s> is not allowed: %(why)s.", element=excerpt(element.name), why=why),
            next_step,
        )
    elif parent is not None and parent.name in ELEMENTS and element.name not in ELEMENTS[parent.name].children:
        yield Fault(
            "svg.element_misplaced",
            element,
            say(
                "The element <%(element)s> is not allowed within <%(parent)s>.",
                element=element.name,
                parent=parent.name,
            ),
            say("Move it to an element that may hold it, or remove it."),
        )


def _attribute_faults(element: Element, attribute: Attribute) -> Iterator[Fault]:
    name = attribute.name
    if not attribute.namespace and name.lower().startswith("on"):
        yield _script(element, attribute, say("The attribute %(name)s= runs a script", name=excerpt(name)))
        return
    if not attribute.namespace and name == "style":
        why, next_step = (
            say("The attribute style= is not allowed."),
            say("Write each property as an attribute: fill=, stroke=."),
        )
        yield Fault("svg.style", element, why, next_step, attribute)
        return
    target = reference_of(attribute)
    if target is not None and not target.startswith("#"):
        yield _outside(element, attribute, target)
        return
    if element.name in ELEMENTS and not (element.parent is None and name in _CHECKED_ON_ROOT):
        yield from _against_profile(element, attribute)


def _script(element: Element, attribute: Attribute, sentence: str) -> Fault:
    return Fault(
        "svg.script",
        element,
        say("%(sentence)s: a logo holds no scripts.", sentence=sentence),
        say("Remove the attribute."),
        attribute,
    )


def _outside(element: Element, attribute: Attribute, target: str) -> Fault:
    if _BLANKS.sub("", target).lower().startswith(("javascript:", "vbscript:")):
        return _script(
            element, attribute, say("The attribute %(attribute)s= runs a script", attribute=excerpt(attribute.name))
        )
    return Fault(
        "svg.external_reference",
        element,
        say(
            "The attribute %(attribute)s= leads out of the file to '%(target)s'.",
            attribute=excerpt(attribute.name),
            target=excerpt(target),
        ),
        say("Point to an id within the file (#name), or remove the attribute."),
        attribute,
    )


def _against_profile(element: Element, attribute: Attribute) -> Iterator[Fault]:
    rule = ELEMENTS[element.name]
    name = profile_name(attribute)
    if name not in rule.attributes:
        next_step = say("Remove it.")
        if attribute.name == "href" and not attribute.namespace and "href" in rule.attributes:
            next_step = say("Write xlink:href, and declare xmlns:xlink on the svg element.")
        sentence = say(
            "The attribute %(attribute)s= is not allowed on <%(element)s>.",
            attribute=excerpt(attribute.name),
            element=element.name,
        )
        yield Fault("svg.attribute_not_allowed", element, sentence, next_step, attribute)
        return
    allowed = rule.attributes[name]
    if allowed is not None and " ".join(attribute.value.split()) not in allowed:
        yield Fault(
            "svg.attribute_value",
            element,
            say(
                "The value %(name)s='%(attribute)s' is not allowed on <%(element)s>.",
                name=name,
                attribute=excerpt(attribute.value),
                element=element.name,
            ),
            say("Use one of: %(allowed)s.", allowed=", ".join(sorted(allowed))),
            attribute,
        )


def profile_name(attribute: Attribute) -> str:
    """The attribute's name as the profile writes it; one that matches nothing where its namespace is another."""
    if attribute.namespace == XML_NAMESPACE:
        return f"xml:{attribute.name}"
    if attribute.namespace == XLINK_NAMESPACE and attribute.name == "href":
        return "href"
    if attribute.namespace or attribute.name == "href":
        return f"{attribute.namespace} {attribute.name}"
    return attribute.name


def reference_of(attribute: Attribute) -> str | None:
    """What the attribute refers to (``#name``, an address), or ``None`` where it is no reference.

    An empty ``xml:base`` leaves everything within the file; any other moves even ``#name`` out of it.
    """
    if attribute.name in {"href", "src"}:
        return attribute.value.strip()
    if attribute.namespace == XML_NAMESPACE:
        return attribute.value.strip() or None if attribute.name == "base" else None
    if attribute.name in _UNFETCHED:
        return None
    value = _CSS_ESCAPE.sub(_unescape, attribute.value) if "\\" in attribute.value else attribute.value
    targets = [target.strip() for target in _CSS_URL.findall(value)]
    outside = [target for target in targets if not target.startswith("#")]
    return next(iter(outside or targets), None)


def _unescape(match: re.Match[str]) -> str:
    if match[1] is None:
        return match[2] or ""
    code = int(match[1], 16)
    return chr(code) if code < 0x110000 else "\N{REPLACEMENT CHARACTER}"
