"""References within an SVG file: targets that are missing, loops, and ``use`` elements that multiply the drawing."""

from collections.abc import Iterator
from typing import Final

from dns_checks.bimi.excerpt import excerpt
from dns_checks.bimi.svg_document import XLINK_NAMESPACE, XML_NAMESPACE, Element, SvgDocument
from dns_checks.bimi.svg_rules import Fault, reference_of
from mailtypes.saying import say

MAX_DRAWN_ELEMENTS: Final = 50_000


def reference_faults(document: SvgDocument) -> Iterator[Fault]:
    """Ids that occur twice, references to nothing, loops, and a drawing that grows out of all bounds."""
    ids: dict[str, int] = {}
    for element in document.elements:
        for name in _ids_of(element):
            if name in ids:
                yield Fault(
                    "svg.duplicate_id",
                    element,
                    say("The id '%(name)s' occurs twice.", name=excerpt(name)),
                    say("Give each element an id of its own."),
                    is_error=False,
                )
            ids.setdefault(name, element.number)
    for element in document.elements:
        for attribute in element.attributes:
            target = reference_of(attribute)
            if target is not None and target.startswith("#") and target[1:] not in ids:
                yield Fault(
                    "svg.dangling_reference",
                    element,
                    say(
                        "%(attribute)s= points to '%(target)s', which is not in the file.",
                        attribute=excerpt(attribute.name),
                        target=excerpt(target),
                    ),
                    say("Point to an id that exists, or remove the attribute."),
                    attribute,
                    is_error=False,
                )
    yield from _expansion_faults(document, ids)


def _ids_of(element: Element) -> set[str]:
    return {value for value in (element.value("id"), element.value("id", XML_NAMESPACE)) if value}


def _expansion_faults(document: SvgDocument, ids: dict[str, int]) -> Iterator[Fault]:
    """Walk the drawing as a renderer would, each element once: depth first, children and what ``use`` points to."""
    edges = [[*element.children, *_used_by(element, ids)] for element in document.elements]
    drawn = [0] * len(edges)  # 0: not yet seen, -1: being walked, otherwise how many elements it is drawn as
    path: list[tuple[int, int]] = [(0, 0)]
    drawn[0] = -1
    while path:
        number, at = path.pop()
        if at == len(edges[number]):
            drawn[number] = min(MAX_DRAWN_ELEMENTS + 1, 1 + sum(max(0, drawn[target]) for target in edges[number]))
            continue
        path.append((number, at + 1))
        target = edges[number][at]
        if drawn[target] == -1:
            sentence = say("This use draws itself, over and over.")
            yield Fault("svg.use_loop", document.elements[number], sentence, say("Point to another element."))
        elif drawn[target] == 0:
            drawn[target] = -1
            path.append((target, 0))
    if drawn[0] > MAX_DRAWN_ELEMENTS:
        yield Fault(
            "svg.use_expansion",
            document.root,
            say(
                "Its use elements multiply the drawing to more than %(max_drawn_elements)s elements.",
                max_drawn_elements=MAX_DRAWN_ELEMENTS,
            ),
            say("Draw the shapes once, without use within use."),
        )


def _used_by(element: Element, ids: dict[str, int]) -> list[int]:
    if not element.is_svg or element.name != "use":
        return []
    target = (element.value("href", XLINK_NAMESPACE) or element.value("href") or "").strip()
    return [ids[target[1:]]] if target.startswith("#") and target[1:] in ids else []
