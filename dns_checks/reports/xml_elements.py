"""XML as the children of its root, one after another: bounded, without entities, and blind to namespaces."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from dns_checks.reports.report import Remarks, ReportSyntaxError
from mailtypes.saying import say

MAX_DEPTH: Final = 32
MAX_ELEMENTS: Final = 2_500_000
MAX_ELEMENTS_OF_CHILD: Final = 20_000
MAX_TEXT: Final = 4_096
_MAX_ATTRIBUTES: Final = 100
_JUNK_AFTER_ROOT: Final = 9  # expat's XML_ERROR_JUNK_AFTER_DOC_ELEMENT

_DECLARATION: Final = re.compile(r"\s*<\?xml[^>]{0,500}\?>")
_DECLARED_ENCODING: Final = re.compile(rb"""\s*<\?xml[^>]{0,200}encoding\s*=\s*["']([A-Za-z0-9_.-]{1,40})""")
_SINGLE_OCTET: Final = {"windows-1252": "cp1252", "cp1252": "cp1252", "iso-8859-1": "latin-1", "latin1": "latin-1"}
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_STRAY_AMPERSAND: Final = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")


@dataclass(slots=True)
class Element:
    """An element: its local name in lower case, its line, attributes, children, and its own text without margins."""

    name: str
    line: int
    attributes: dict[str, str]
    children: list["Element"] = field(default_factory=list)
    text: str = ""

    def child(self, *names: str) -> "Element | None":
        """The first child with one of these names; earlier names are preferred."""
        return next((child for name in names for child in self.children if child.name == name), None)

    def all(self, name: str) -> list["Element"]:
        """All children of that name."""
        return [child for child in self.children if child.name == name]

    def value(self, name: str) -> str:
        """The text of the first child of that name; ``""`` where there is none."""
        found = self.child(name)
        return found.text if found else ""


def read_children(octets: bytes, root: str, take: Callable[[Element], None], remarks: Remarks) -> None:
    """Hand every child of the root element, which must be named ``root``, to ``take`` as soon as it is complete.

    Prefixes and namespaces are passed over, since many senders get them wrong. Raises ``ReportSyntaxError`` for what
    is not well-formed (``malformed``), for any declaration of a document type's own, and beyond the limits.
    """
    reader = _Reader(root, take, remarks)
    try:
        reader.parser.Parse(octets, True)
    except expat.ExpatError as error:
        if error.code == _JUNK_AFTER_ROOT and reader.closed:
            remarks.add("xml.junk", say("Something follows the end of the document."), error.lineno)
            return
        message = expat.ErrorString(error.code) or say("not XML")
        raise ReportSyntaxError(
            say("The report is not well-formed XML: %(message)s.", message=message),
            place=(error.lineno, error.offset + 1),
            malformed=True,
        ) from error
    except (ValueError, LookupError) as error:  # encodings that are not known, or not of single octets
        raise ReportSyntaxError(say("The encoding of the XML is not known."), place=(1, 1), malformed=True) from error


def mended(octets: bytes) -> bytes:
    """The same document as UTF-8 without what senders often get wrong: wrong encodings, control characters, bare &."""
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = octets.decode("utf-16", "replace")
    else:
        declared = _DECLARED_ENCODING.match(octets)
        name = declared[1].decode("ascii").lower() if declared else "utf-8"
        text = octets.removeprefix(b"\xef\xbb\xbf").decode(_SINGLE_OCTET.get(name, "utf-8"), "replace")
    text = _NOT_XML.sub("", text)
    without = _DECLARATION.match(text)
    text = _STRAY_AMPERSAND.sub("&amp;", text[without.end() :] if without else text)
    return text.encode("utf-8", "replace")


class _Reader:
    """The handlers of one expat parser, which stop it by a ``ReportSyntaxError``."""

    def __init__(self, root: str, take: Callable[[Element], None], remarks: Remarks) -> None:
        self._root = root
        self._take = take
        self._remarks = remarks
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self._elements = self._elements_of_child = 0
        self.closed = False
        # Without a namespace separator expat takes prefixes for parts of names, bound or not.
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._doctype

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(":")[2].lower()
        depth = len(self._open)
        if depth == 0 and local != self._root:
            raise self._refusal(say("The document is <%(local)s>, not <%(root)s>.", local=local[:60], root=self._root))
        if depth == 1:
            self._elements_of_child = 0
        self._elements += 1
        self._elements_of_child += 1
        if depth >= MAX_DEPTH:
            raise self._refusal(say("Elements are nested more than %(max_depth)s deep.", max_depth=MAX_DEPTH))
        if self._elements > MAX_ELEMENTS or self._elements_of_child > MAX_ELEMENTS_OF_CHILD:
            raise self._refusal(say("There are more elements than any report has."))
        if len(attributes) > _MAX_ATTRIBUTES:
            raise self._refusal(
                say("An element has more than %(max_attributes)s attributes.", max_attributes=_MAX_ATTRIBUTES)
            )
        element = Element(local, self.parser.CurrentLineNumber, attributes)
        if depth > 1:  # children of the root are handed on, not collected
            self._open[-1].children.append(element)
        self._open.append(element)
        self._texts.append([])

    def _end(self, _name: str) -> None:
        element = self._open.pop()
        text = "".join(self._texts.pop()).strip()
        if len(text) > MAX_TEXT:
            sentence = say(
                "The text of <%(name)s> is cut to %(max_text)s characters.", name=element.name[:60], max_text=MAX_TEXT
            )
            self._remarks.add("xml.long_text", sentence, element.line)
        element.text = text[:MAX_TEXT]
        if len(self._open) == 1:
            self._take(element)
        self.closed = not self._open

    def _text(self, data: str) -> None:
        self._texts[-1].append(data)

    def _doctype(self, _name: str, _system: str | None, _public: str | None, has_internal_subset: bool) -> None:
        # Raising here stops expat before it reads a declaration; outside ones it never fetches.
        if has_internal_subset:
            raise self._refusal(say("There is a document type declaration in which entities could be declared."))
        self._remarks.add("xml.doctype", say("There is a document type declaration."), self.parser.CurrentLineNumber)

    def _refusal(self, message: str) -> ReportSyntaxError:
        place = self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1
        return ReportSyntaxError(message, place=place)
