"""The rules of SVG Tiny Portable/Secure on each element and attribute (draft-svg-tiny-ps-abrotman section 2)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from dns_checks.bimi.excerpt import excerpt
from dns_checks.bimi.profile import ELEMENTS
from dns_checks.bimi.svg_document import XLINK_NAMESPACE, XML_NAMESPACE, Attribute, Element, SvgDocument

_FLATTEN: Final = "Flatten the drawing to plain filled paths."
_FORBIDDEN: Final[Mapping[str, tuple[str, str, str]]] = {
    **dict.fromkeys(("script", "handler", "listener"), ("svg.script", "a logo holds no scripts", "Remove it.")),
    **dict.fromkeys(
        ("animate", "animateColor", "animateMotion", "animateTransform", "discard", "mpath", "set"),
        ("svg.animation", "a logo does not move", "Remove it; keep the state that the logo should have."),
    ),
    **dict.fromkeys(
        ("image", "feImage"),
        ("svg.bitmap", "a logo holds no pictures, neither embedded nor linked", "Trace the picture to vector paths."),
    ),
    **dict.fromkeys(
        ("animation", "audio", "video", "prefetch", "iframe", "embed", "object", "canvas"),
        ("svg.multimedia", "a logo holds no other media", "Remove it."),
    ),
    "a": ("svg.link", "a logo holds no links", "Remove the a element and keep what is within it."),
    "foreignObject": ("svg.foreign_object", "a logo holds nothing but SVG", "Remove it."),
    "style": ("svg.style", "style sheets are not allowed", "Write each property as an attribute: fill=, stroke=."),
    **dict.fromkeys(
        ("clipPath", "filter", "marker", "mask", "pattern"),
        ("svg.element_not_allowed", "it is not part of SVG Tiny Portable/Secure", _FLATTEN),
    ),
    "symbol": ("svg.element_not_allowed", "it is not part of SVG Tiny Portable/Secure", "Use a g within defs."),
    "tspan": ("svg.element_not_allowed", "it is not part of SVG Tiny Portable/Secure", "Turn text into paths."),
}
_NOT_IN_PROFILE: Final = (
    "svg.element_not_allowed",
    "it is not part of SVG Tiny Portable/Secure",
    "Remove it, or export as SVG Tiny 1.2.",
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
                f"There is text within <{element.name}>, where it is not drawn: '{excerpt(element.text.strip())}'.",
                "Remove the text.",
                is_error=False,
            )


def _foreign(element: Element) -> Fault:
    return Fault(
        "svg.foreign_element",
        element,
        f"The element <{excerpt(element.name)}> is not SVG, but of the namespace '{excerpt(element.namespace)}'.",
        "Remove it; drawing programs do so on 'plain SVG' or 'optimised SVG'.",
    )


def _placement(element: Element, parent: Element | None) -> Iterator[Fault]:
    if element.name not in ELEMENTS:
        code, why, next_step = _FORBIDDEN.get(element.name, _NOT_IN_PROFILE)
        yield Fault(code, element, f"The element <{excerpt(element.name)}> is not allowed: {why}.", next_step)
    elif parent is not None and parent.name in ELEMENTS and element.name not in ELEMENTS[parent.name].children:
        yield Fault(
            "svg.element_misplaced",
            element,
            f"The element <{element.name}> is not allowed within <{parent.name}>.",
            "Move it to an element that may hold it, or remove it.",
        )


def _attribute_faults(element: Element, attribute: Attribute) -> Iterator[Fault]:
    name = attribute.name
    if not attribute.namespace and name.lower().startswith("on"):
        yield _script(element, attribute, f"The attribute {excerpt(name)}= runs a script")
        return
    if not attribute.namespace and name == "style":
        why, next_step = "The attribute style= is not allowed.", "Write each property as an attribute: fill=, stroke=."
        yield Fault("svg.style", element, why, next_step, attribute)
        return
    target = reference_of(attribute)
    if target is not None and not target.startswith("#"):
        yield _outside(element, attribute, target)
        return
    if element.name in ELEMENTS and not (element.parent is None and name in _CHECKED_ON_ROOT):
        yield from _against_profile(element, attribute)


def _script(element: Element, attribute: Attribute, sentence: str) -> Fault:
    return Fault("svg.script", element, f"{sentence}: a logo holds no scripts.", "Remove the attribute.", attribute)


def _outside(element: Element, attribute: Attribute, target: str) -> Fault:
    if _BLANKS.sub("", target).lower().startswith(("javascript:", "vbscript:")):
        return _script(element, attribute, f"The attribute {excerpt(attribute.name)}= runs a script")
    return Fault(
        "svg.external_reference",
        element,
        f"The attribute {excerpt(attribute.name)}= leads out of the file to '{excerpt(target)}'.",
        "Point to an id within the file (#name), or remove the attribute.",
        attribute,
    )


def _against_profile(element: Element, attribute: Attribute) -> Iterator[Fault]:
    rule = ELEMENTS[element.name]
    name = profile_name(attribute)
    if name not in rule.attributes:
        next_step = "Remove it."
        if attribute.name == "href" and not attribute.namespace and "href" in rule.attributes:
            next_step = "Write xlink:href, and declare xmlns:xlink on the svg element."
        sentence = f"The attribute {excerpt(attribute.name)}= is not allowed on <{element.name}>."
        yield Fault("svg.attribute_not_allowed", element, sentence, next_step, attribute)
        return
    allowed = rule.attributes[name]
    if allowed is not None and " ".join(attribute.value.split()) not in allowed:
        yield Fault(
            "svg.attribute_value",
            element,
            f"The value {name}='{excerpt(attribute.value)}' is not allowed on <{element.name}>.",
            f"Use one of: {', '.join(sorted(allowed))}.",
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
