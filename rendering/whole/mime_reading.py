"""Finds the leaves of a MIME structure by their place in the octets, in one pass and within limits.

Nothing is copied or repaired. A structure that readers could take in two ways is not taken at all: ``UnclearError``
says why, and the message stays as it is. Signed and encrypted entities are leaves, whatever is in them, and so are
attached messages (RFC 2046 section 5.1.1 gives the delimiters, RFC 1847 the multiparts that may not change).
"""

import re
from dataclasses import dataclass, replace
from typing import Final

from rendering.whole.header_reading import header_fields

MAX_PARTS: Final = 500
MAX_DEPTH: Final = 20
_MAX_HEADER: Final = 64 * 1024
_MAX_BOUNDARY: Final = 200  # RFC 2046 section 5.1.1 has 70
_MAX_CONTENT_TYPE: Final = 4_096
_MAX_SEGMENT: Final = 900  # fits a line of its own

_HEADER_LINE: Final = re.compile(rb"(?:[!-9;-~]+[ \t]*:|[ \t])[^\r\n]*\r\n")
_PARAMETER: Final = re.compile(r'\s*([^\s=;"()]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"()]+))\s*\Z', re.DOTALL)
_TYPE: Final = re.compile(r"\s*([^\s/;\"()]+/[^\s/;\"()]+)\s*\Z")
_SEGMENT: Final = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*")*', re.DOTALL)
_PROTECTED: Final = frozenset(
    {
        *("multipart/signed", "multipart/encrypted"),
        *("application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted"),
    }
)


class UnclearError(Exception):
    """A structure that is too large or can be read in two ways; the text says which, as half a sentence."""


@dataclass(frozen=True, slots=True)
class ContentType:
    """A Content-Type. ``segments`` are its texts between semicolons as written, the type itself first."""

    name: str
    segments: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...]

    def parameter(self, name: str) -> str:
        """The value of a parameter, empty where it is missing."""
        return next((value for key, value in self.parameters if key == name), "")


@dataclass(frozen=True, slots=True)
class Leaf:
    """An entity without parts: its header is ``[start, header_end)``, its body ``[body, end)``.

    The CRLF before a delimiter belongs to it, even where it is the header's empty line: then ``end`` is before
    ``body``, which is empty.
    """

    start: int
    header_end: int
    body: int
    end: int
    content_type: ContentType | None
    transfer_encoding: str
    is_attachment: bool

    @property
    def is_protected(self) -> bool:
        """Whether a signature or encryption covers it."""
        return self.content_type is not None and self.content_type.name in _PROTECTED


def read_content_type(value: str) -> ContentType:
    """Take an unfolded value apart (RFC 2045 section 5.1); ``UnclearError`` where that is not sure."""
    segments: list[str] = []
    position = 0
    while len(value) <= _MAX_CONTENT_TYPE and value.isascii():
        match = _SEGMENT.match(value, position)
        assert match is not None  # it matches the empty text
        segments.append(match[0])
        position = match.end() + 1
        if match.end() >= len(value) or value[match.end()] != ";":
            break
    kind = _TYPE.match(segments[0]) if segments else None
    if kind is None or position <= len(value) or max(map(len, segments)) > _MAX_SEGMENT:
        raise UnclearError("a Content-Type cannot be read")
    parameters: list[tuple[str, str]] = []
    for segment in segments[1:]:
        found = _PARAMETER.match(segment)
        if found is None and segment.strip():
            raise UnclearError("a Content-Type cannot be read")
        if found is not None:
            quoted, plain = found[2], found[3]
            parameters.append((found[1].lower(), re.sub(r"\\(.)", r"\1", quoted) if plain is None else plain))
    names = [name for name, _ in parameters]
    if len(set(names)) < len(names):
        raise UnclearError("a Content-Type has a parameter twice")
    return ContentType(kind[1].lower(), tuple(segments), tuple(parameters))


def find_leaves(octets: bytes) -> tuple[Leaf, ...]:
    """The leaves of a message in their order; raises ``UnclearError``."""
    return _Walk(octets).leaves()


class _Walk:
    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._open: list[bytes] = []  # delimiters without the leading CRLF, outermost first
        self._levels: dict[bytes, int] = {}
        self._found: list[Leaf] = []
        self._parts = 0

    def leaves(self) -> tuple[Leaf, ...]:
        leaf, position = self._enter(0)
        while self._open:
            found = self._next_delimiter(position)
            end, level, closing, position = found or (len(self._octets), -1, True, 0)
            if leaf is not None:
                self._found.append(replace(leaf, end=end))
                leaf = None
            self._close(level + (not closing))
            if not closing:
                leaf, position = self._enter(position)
        if leaf is not None:
            self._found.append(replace(leaf, end=len(self._octets)))
        return tuple(self._found)

    def _enter(self, start: int) -> tuple[Leaf | None, int]:
        """Read an entity's header: the leaf, if it is one, and where to look for the next delimiter."""
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise UnclearError(f"it has more than {MAX_PARTS} parts")
        header_end = self._header_end(start)
        fields = header_fields(
            self._octets[start:header_end], ("Content-Type", "Content-Transfer-Encoding", "Content-Disposition")
        )
        if any(len(values) > 1 for values in fields.values()):
            raise UnclearError("a part has a content field twice")
        described = "".join(fields["Content-Type"])
        content_type = _content_type(described) if described else None
        body = header_end + 2
        boundary = _boundary(content_type)
        if boundary is not None:
            self._open_multipart(boundary)
            return None, header_end
        encoding = "".join(fields["Content-Transfer-Encoding"]).strip().lower()
        disposition = "".join(fields["Content-Disposition"]).lower()
        attached = disposition.partition(";")[0].strip() not in ("", "inline") or "filename" in disposition
        return Leaf(start, header_end, body, body, content_type, encoding, attached), header_end

    def _header_end(self, start: int) -> int:
        """Where the empty line behind the header begins."""
        if self._octets.startswith(b"\r\n", start):
            return start
        found = self._octets.find(b"\r\n\r\n", start, start + _MAX_HEADER)
        if found < 0:
            raise UnclearError("a part has no end of its header, or a very long one")
        position = start
        while position < found + 2:
            line = _HEADER_LINE.match(self._octets, position)
            if line is None or self._octets.startswith(b"--", position):
                raise UnclearError("a part's header has a line that is no field")
            position = line.end()
        return found + 2

    def _open_multipart(self, boundary: bytes) -> None:
        delimiter = b"--" + boundary
        if len(self._open) >= MAX_DEPTH:
            raise UnclearError(f"its parts lie more than {MAX_DEPTH} levels deep")
        alike = {delimiter, delimiter + b"--", delimiter.removesuffix(b"--")}
        if not alike.isdisjoint(self._levels):
            raise UnclearError("two of its multiparts have the same boundary")
        self._levels[delimiter] = len(self._open)
        self._open.append(delimiter)

    def _close(self, level: int) -> None:
        while len(self._open) > max(level, 0):
            del self._levels[self._open.pop()]

    def _next_delimiter(self, position: int) -> tuple[int, int, bool, int] | None:
        """Where the delimiter's CRLF is, its level, whether it closes, and where the next entity begins."""
        while (position := self._octets.find(b"\r\n--", position)) >= 0:
            line_end = self._octets.find(b"\r\n", position + 2, position + _MAX_BOUNDARY + 100)
            line_end = len(self._octets) if line_end < 0 else line_end
            if line_end - position <= _MAX_BOUNDARY + 100:
                line = self._octets[position + 2 : line_end].rstrip(b" \t")
                if line in self._levels:
                    return position, self._levels[line], False, line_end + 2
                if line.endswith(b"--") and line[:-2] in self._levels:
                    return position, self._levels[line[:-2]], True, line_end
            position += 2
        return None


def _content_type(described: str) -> ContentType:
    """A multipart has to be clear; another entity that is not is a leaf of no known type."""
    try:
        return read_content_type(described)
    except UnclearError:
        if described.lower().startswith("multipart"):
            raise
        return ContentType("application/octet-stream", (described,), ())


def _boundary(content_type: ContentType | None) -> bytes | None:
    if content_type is None or not content_type.name.startswith("multipart/"):
        return None
    # In a digest the parts are messages of others (RFC 2046 section 5.1.5).
    if content_type.name in _PROTECTED or content_type.name == "multipart/digest":
        return None
    boundary = content_type.parameter("boundary").rstrip(" ")
    if not boundary.isascii() or not 1 <= len(boundary) <= _MAX_BOUNDARY:
        raise UnclearError("a multipart has no usable boundary")
    return boundary.encode("ascii")
