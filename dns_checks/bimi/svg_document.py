"""Reading an SVG file into a list of elements with their places; bounded, and without ever resolving anything."""

import re
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from dns_checks.bimi.excerpt import excerpt
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say

SVG_NAMESPACE: Final = "http://www.w3.org/2000/svg"
XLINK_NAMESPACE: Final = "http://www.w3.org/1999/xlink"
XML_NAMESPACE: Final = "http://www.w3.org/XML/1998/namespace"

MAX_OCTETS: Final = 524_288
MAX_ELEMENTS: Final = 10_000
MAX_DEPTH: Final = 100
MAX_ATTRIBUTES: Final = 100  # of one element; the profile names at most 60 for any

_LONGEST_SOURCE: Final = 200

_ATTRIBUTE: Final = re.compile(rb"""\s+([^\s=<>"'/]+)\s*=\s*("[^"]*"|'[^']*')""")
_TAG_NAME: Final = re.compile(rb"<[^\s/>]+")
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")


class SvgSyntaxError(InputSyntaxError):
    """Octets that cannot be read as an SVG file, or that we refuse to read; ``code`` is that of the finding."""

    def __init__(self, code: str, message: str, next_step: str, place: tuple[int, int] | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.code = code
        self.place = place


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute that is no namespace declaration; ``number`` counts them within the element."""

    namespace: str
    name: str
    value: str
    number: int


@dataclass(slots=True)
class Element:
    """One element; ``parent`` is its number in the document (``None`` for the root), ``depth`` 1 for the root."""

    number: int
    parent: int | None
    depth: int
    namespace: str
    name: str
    attributes: tuple[Attribute, ...]
    line: int
    column: int
    octet: int
    children: list[int] = field(default_factory=list)
    text: str = ""

    @property
    def is_svg(self) -> bool:
        """Whether the element is of the SVG namespace."""
        return self.namespace == SVG_NAMESPACE

    def value(self, name: str, namespace: str = "") -> str | None:
        """The value of an attribute, or ``None``."""
        return next((a.value for a in self.attributes if a.name == name and a.namespace == namespace), None)


@dataclass(frozen=True, slots=True)
class Instruction:
    """A processing instruction."""

    target: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class SvgDocument:
    """The elements in document order (the root is the first), and the processing instructions."""

    octets: bytes
    elements: tuple[Element, ...]
    instructions: tuple[Instruction, ...]

    @property
    def root(self) -> Element:
        """The outermost element."""
        return self.elements[0]

    def place_of(self, element: Element, attribute: Attribute | None = None) -> tuple[int, int]:
        """Line and column, 1-based, of an element's start tag or of one of its attributes."""
        place = element.line, element.column
        if attribute is None or b"\0" in self.octets[:4]:  # UTF-16: the tag's octets are not those looked for
            return place
        position = self._octet_of(element, attribute.number)
        if position is None:
            return place
        before = self.octets[element.octet : position]
        lines = _LINE_END.split(before)
        last = len(lines[-1].decode("utf-8", "replace"))
        return (element.line + len(lines) - 1, last + 1) if len(lines) > 1 else (element.line, element.column + last)

    def source_of(self, element: Element, attribute: Attribute | None = None) -> str:
        """The beginning of an element's start tag, or an attribute, much as the file has it."""
        if attribute is not None:
            return f'{attribute.name}="{attribute.value}"'
        end = self.octets.find(b">", element.octet, element.octet + _LONGEST_SOURCE)
        return self.octets[element.octet : end + 1 if end >= 0 else element.octet + _LONGEST_SOURCE].decode(
            "utf-8", "replace"
        )

    def _octet_of(self, element: Element, number: int) -> int | None:
        tag = _TAG_NAME.match(self.octets, element.octet)
        position = tag.end() if tag else None
        seen = 0
        while position is not None:
            found = _ATTRIBUTE.match(self.octets, position)
            if found is None:
                return None
            if found[1] != b"xmlns" and not found[1].startswith(b"xmlns:"):
                if seen == number:
                    return found.start(1)
                seen += 1
            position = found.end()
        return None


def read_document(octets: bytes) -> SvgDocument:
    """Read an SVG file; raise ``SvgSyntaxError`` where it is not well-formed, or holds what must never be read.

    Refused unread: compressed files, files over ``MAX_OCTETS``, and at its first character any document type
    declaration, since only there can entities be declared.
    """
    if octets.startswith(b"\x1f\x8b"):
        raise SvgSyntaxError(
            "svg.compressed",
            say("The file is compressed with gzip, which not every receiver unpacks."),
            say("Publish the plain .svg file and let the web server compress it on the way."),
        )
    if len(octets) > MAX_OCTETS:
        raise SvgSyntaxError(
            "svg.too_large_to_read",
            say(
                "The file has %(count)s octets, more than the %(max_octets)s that are read.",
                count=len(octets),
                max_octets=MAX_OCTETS,
            ),
            say("Simplify the drawing until the file is below 32 KB."),
        )
    reader = _Reader(octets)
    try:
        reader.parser.Parse(octets, True)
    except expat.ExpatError as error:
        message = expat.ErrorString(error.code) or say("not XML")
        raise _malformed(
            say("The file is not well-formed XML: %(message)s.", message=message), (error.lineno, error.offset + 1)
        ) from error
    except (ValueError, LookupError) as error:  # an encoding that is not known, or not of single octets
        raise _malformed(
            say("The file's encoding cannot be read: %(error)s.", error=excerpt(str(error))), None
        ) from error
    return SvgDocument(octets, tuple(reader.elements), tuple(reader.instructions))


def _malformed(message: str, place: tuple[int, int] | None) -> SvgSyntaxError:
    return SvgSyntaxError("svg.malformed", message, say("Save the file anew from a drawing program, as UTF-8."), place)


class _Reader:
    """The handlers of one expat parser, which stop it by an ``SvgSyntaxError``."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.elements: list[Element] = []
        self.instructions: list[Instruction] = []
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.ordered_attributes = True
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.ProcessingInstructionHandler = self._instruct
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype

    def _place(self) -> tuple[int, int]:
        return self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1

    def _start(self, name: str, attributes: list[str]) -> None:
        if len(self.elements) >= MAX_ELEMENTS:
            raise self._refusal(
                "svg.too_many_elements",
                say("There are more than %(max_elements)s elements.", max_elements=MAX_ELEMENTS),
            )
        if len(self._open) >= MAX_DEPTH:
            raise self._refusal(
                "svg.too_deep", say("Elements are nested more than %(max_depth)s deep.", max_depth=MAX_DEPTH)
            )
        if len(attributes) > 2 * MAX_ATTRIBUTES:
            raise self._refusal(
                "svg.too_many_attributes",
                say("An element has more than %(max_attributes)s attributes.", max_attributes=MAX_ATTRIBUTES),
            )
        namespace, _, local_name = name.rpartition(" ")
        parent = self._open[-1] if self._open else None
        line, column = self._place()
        element = Element(
            number=len(self.elements),
            parent=None if parent is None else parent.number,
            depth=len(self._open) + 1,
            namespace=namespace,
            name=local_name,
            attributes=tuple(
                _attribute(key, value, number)
                for number, (key, value) in enumerate(zip(attributes[::2], attributes[1::2], strict=True))
            ),
            line=line,
            column=column,
            octet=self.parser.CurrentByteIndex,
        )
        if parent is not None:
            parent.children.append(element.number)
        self.elements.append(element)
        self._open.append(element)
        self._texts.append([])

    def _end(self, _name: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())

    def _text(self, data: str) -> None:
        self._texts[-1].append(data)

    def _instruct(self, target: str, _data: str) -> None:
        if len(self.instructions) < MAX_ELEMENTS:
            self.instructions.append(Instruction(target, *self._place()))

    def _refuse_doctype(
        self, _name: str, _system_id: str | None, _public_id: str | None, _has_internal_subset: bool
    ) -> None:
        # Raising here stops the parser before it reads a single declaration: no entity ever comes to be. Expat tells
        # the place where the declaration goes on, so its beginning is looked for.
        before = self._octets[: max(0, self.parser.CurrentByteIndex)]
        start = before.rfind(b"<!DOCTYPE")
        lines = _LINE_END.split(before[:start]) if start >= 0 else []
        place = (len(lines), len(lines[-1].decode("utf-8", "replace")) + 1) if lines else self._place()
        raise SvgSyntaxError(
            "svg.doctype",
            say("There is a document type declaration, in which entities could be declared."),
            say("Remove everything from <!DOCTYPE to its closing >."),
            place,
        )

    def _refusal(self, code: str, message: str) -> SvgSyntaxError:
        return SvgSyntaxError(code, message, say("Simplify the drawing and save it anew."), self._place())


def _attribute(key: str, value: str, number: int) -> Attribute:
    namespace, _, name = key.rpartition(" ")
    return Attribute(namespace, name, value, number)
