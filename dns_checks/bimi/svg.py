"""A logo file against SVG Tiny Portable/Secure, as BIMI asks for it (draft-svg-tiny-ps-abrotman section 2)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dns_checks.bimi.excerpt import excerpt
from dns_checks.bimi.svg_document import SvgDocument, SvgSyntaxError, read_document
from dns_checks.bimi.svg_references import reference_faults
from dns_checks.bimi.svg_rules import Fault, element_faults
from dns_checks.findings import CheckFinding, Evidence, Severity
from mailtypes.auth import Finding
from mailtypes.saying import say

ADVISED_OCTETS: Final = 32_768
ADVISED_TITLE_LENGTH: Final = 64
MAX_FINDINGS: Final = 100

_NUMBER: Final = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_VIEW_BOX: Final = re.compile(rf"\s*({_NUMBER})" + rf"(?:\s*,\s*|\s+)({_NUMBER})" * 3 + r"\s*")
_LENGTH: Final = re.compile(rf"\s*({_NUMBER})\s*(px|pt|pc|cm|mm|in)?\s*")
_LONGEST_NUMBERS: Final = 200


@dataclass(frozen=True, slots=True)
class SvgFinding(CheckFinding):
    """One broken rule at its 1-based ``line`` and ``column``, which are ``None`` where it has no place."""

    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class SvgReport:
    """What is wrong with a logo file, in the order of the file; ``title`` is the name that the logo gives itself.

    ``octet_count`` is the size of the file as given.
    """

    findings: tuple[SvgFinding, ...]
    octet_count: int
    title: str | None = None

    @property
    def valid(self) -> bool:
        """Whether no rule is broken; advice does not count."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)


def check_svg(octets: bytes) -> SvgReport:
    """Check a logo file; never raises, whatever the octets. Every fault has its line and column where it has a place.

    At most ``MAX_FINDINGS`` are told. Sources: draft-svg-tiny-ps-abrotman; the size and the square are what mailbox
    providers ask for.
    """
    try:
        document = read_document(octets)
    except SvgSyntaxError as error:
        line, column = error.place or (None, None)
        fatal = SvgFinding(
            error.code, Severity.ERROR, Finding.ABSENT, (), error.message, error.next_step, line=line, column=column
        )
        return SvgReport((fatal,), len(octets))
    if not document.root.is_svg or document.root.name != "svg":
        return SvgReport((_finding(document, _not_svg(document)),), len(octets))
    faults = list(_faults(document))
    # Errors come first into the limited number, so that a flood of advice hides none of them.
    kept = sorted(faults, key=lambda fault: not fault.is_error)[:MAX_FINDINGS]
    findings = sorted((_finding(document, fault) for fault in kept), key=lambda one: (one.line or 0, one.column or 0))
    if len(faults) > MAX_FINDINGS:
        findings.append(
            SvgFinding(
                "svg.more_findings",
                Severity.INFO,
                Finding.ABSENT,
                (),
                say("There are %(count)s more findings that are not told here.", count=len(faults) - MAX_FINDINGS),
                say("Mend these first, then check again."),
            )
        )
    return SvgReport(tuple(findings), len(octets), _title(document))


def _finding(document: SvgDocument, fault: Fault) -> SvgFinding:
    line, column = fault.place or document.place_of(fault.element, fault.attribute)
    severity = Severity.ERROR if fault.is_error else Severity.WARNING
    source = document.source_of(fault.element, fault.attribute)
    evidence = () if fault.place else (Evidence(f"line {line}", excerpt(source)),)
    return SvgFinding(
        fault.code, severity, Finding.ABSENT, evidence, fault.sentence, fault.next_step, line=line, column=column
    )


def _faults(document: SvgDocument) -> Iterator[Fault]:
    yield from _size_faults(document)
    yield from _version_faults(document)
    yield from _view_box_faults(document)
    yield from _title_faults(document)
    yield from element_faults(document)
    yield from reference_faults(document)


def _not_svg(document: SvgDocument) -> Fault:
    root = document.root
    if root.name == "svg":
        what = say("The svg element is of the namespace '%(namespace)s'.", namespace=excerpt(root.namespace))
        return Fault("svg.namespace", root, what, say('Write <svg xmlns="http://www.w3.org/2000/svg" ...>.'))
    return Fault(
        "svg.not_svg",
        root,
        say("The file begins with <%(root)s>.", root=excerpt(root.name)),
        say("Publish an SVG file."),
    )


def _size_faults(document: SvgDocument) -> Iterator[Fault]:
    if len(document.octets) > ADVISED_OCTETS:
        yield Fault(
            "svg.size",
            document.root,
            say(
                "The file has %(count)s octets; mailbox providers ask for at most %(advised_octets)s.",
                count=len(document.octets),
                advised_octets=ADVISED_OCTETS,
            ),
            say("Simplify the drawing and remove what the drawing program added."),
            is_error=False,
        )
    for instruction in document.instructions:
        if instruction.target.lower() == "xml-stylesheet":
            sentence, place = (
                say("A processing instruction names a style sheet."),
                (instruction.line, instruction.column),
            )
            yield Fault("svg.style", document.root, sentence, say("Remove <?xml-stylesheet ...?>."), place=place)


def _version_faults(document: SvgDocument) -> Iterator[Fault]:
    root = document.root
    for name, wanted, code in (("version", "1.2", "svg.version"), ("baseProfile", "tiny-ps", "svg.base_profile")):
        attribute = next((one for one in root.attributes if one.name == name and not one.namespace), None)
        if attribute is None or attribute.value.strip() != wanted:
            found = (
                say("is missing")
                if attribute is None
                else say("is '%(attribute)s'", attribute=excerpt(attribute.value))
            )
            yield Fault(
                code,
                root,
                say("The attribute %(name)s= %(found)s.", name=name, found=found),
                say('Write %(name)s="%(wanted)s" on the svg element.', name=name, wanted=wanted),
                attribute,
            )
    for attribute in root.attributes:
        if attribute.name in {"x", "y"} and not attribute.namespace:
            sentence = say(
                "The attribute %(attribute)s= is not allowed on the outermost svg element.", attribute=attribute.name
            )
            yield Fault("svg.root_position", root, sentence, say("Remove it."), attribute)


def _view_box_faults(document: SvgDocument) -> Iterator[Fault]:
    root = document.root
    attribute = next((one for one in root.attributes if one.name == "viewBox" and not one.namespace), None)
    if attribute is None:
        next_step = say('Add a square one, such as viewBox="0 0 100 100".')
        yield Fault("svg.view_box_missing", root, say("The svg element has no viewBox=."), next_step)
        return
    numbers = _numbers(attribute.value)
    if numbers is None or min(numbers[2:]) <= 0:
        sentence = say(
            "The viewBox '%(attribute)s' is not four numbers with width and height above zero.",
            attribute=excerpt(attribute.value),
        )
        yield Fault("svg.view_box_syntax", root, sentence, say('Write it as in viewBox="0 0 100 100".'), attribute)
    elif numbers[2] != numbers[3]:
        sentence = say(
            "The drawing is %(numbers)s wide and %(numbers_2)s high, not square.",
            numbers=f"{numbers[2]:g}",
            numbers_2=f"{numbers[3]:g}",
        )
        next_step = say("Make width and height of the viewBox equal and centre the logo in it.")
        yield Fault("svg.not_square", root, sentence, next_step, attribute)
    yield from _extent_faults(document)


def _numbers(text: str) -> tuple[float, ...] | None:
    match = _VIEW_BOX.fullmatch(text) if len(text) <= _LONGEST_NUMBERS else None
    numbers = tuple(float(number) for number in match.groups()) if match else None
    return numbers if numbers and all(abs(number) < 1e30 for number in numbers) else None


def _extent_faults(document: SvgDocument) -> Iterator[Fault]:
    """Width and height are better left away; relative or unequal ones draw a logo that is not square."""
    extents = [value for value in (document.root.value("width"), document.root.value("height")) if value is not None]
    lengths = [_LENGTH.fullmatch(extent[:_LONGEST_NUMBERS]) for extent in extents]
    same = {(float(length[1]), length[2] or "px") for length in lengths if length}
    if extents and (None in lengths or len(same) > 1 or len(extents) == 1):
        yield Fault(
            "svg.root_extent",
            document.root,
            say(
                "Width and height of the svg element are not two equal lengths: %(extents)s.",
                extents=excerpt(", ".join(extents)),
            ),
            say("Remove both: the viewBox gives the shape."),
            is_error=False,
        )


def _title(document: SvgDocument) -> str | None:
    elements = (document.elements[number] for number in document.root.children)
    return next((" ".join(one.text.split()) for one in elements if one.is_svg and one.name == "title"), None)


def _title_faults(document: SvgDocument) -> Iterator[Fault]:
    title = _title(document)
    if not title:
        what = say("There is no title.") if title is None else say("The title is empty.")
        next_step = say("Add <title>Name of the organisation</title> as the first element within svg.")
        yield Fault("svg.title_missing" if title is None else "svg.title_empty", document.root, what, next_step)
    elif len(title) > ADVISED_TITLE_LENGTH:
        what = say(
            "The title has %(count)s characters, advised are at most %(advised_title_length)s.",
            count=len(title),
            advised_title_length=ADVISED_TITLE_LENGTH,
        )
        yield Fault("svg.title_long", document.root, what, say("Shorten it to the name."), is_error=False)
