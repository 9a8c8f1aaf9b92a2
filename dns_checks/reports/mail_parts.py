"""A mail as a tree of parts (RFC 5322, RFC 2045, RFC 2046), read leniently, in linear time and within limits.

The standard library's parser recurses once for each nested part and reads parameters in quadratic time, which is
nothing for a mailbox that anybody can write to.
"""

import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from dns_checks.reports.report import ReportSyntaxError
from mailtypes.saying import say

MAX_PARTS: Final = 200
MAX_DEPTH: Final = 10
_MAX_HEADER: Final = 512 * 1024
_MAX_FIELDS: Final = 2_000
_MAX_PARAMETERS_TEXT: Final = 4_096

_HEADER_END: Final = re.compile(rb"\r?\n\r?\n")
_FIELD: Final = re.compile(r"([\x21-\x39\x3b-\x7e]{1,100})[ \t]*:(.*)", re.DOTALL)
_FOLDING: Final = re.compile(r"\n(?=[ \t])")
_TYPE: Final = re.compile(r"\s*([^\s;/]+/[^\s;/]+)")
_PARAMETER: Final = re.compile(r';\s*([^\s=;]+?)(?:\*0?\*?)?\s*=\s*("(?:[^"\\]|\\.)*"|[^;\s]*)')
_NOT_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/]+")


@dataclass(frozen=True, slots=True)
class MailPart:
    """A mail or a part of one. ``fields`` are lower-case names and values as sent, folded, with plain LF."""

    fields: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    content_type: str = "text/plain"
    parameters: Mapping[str, str] = field(default_factory=dict)
    parts: tuple["MailPart", ...] = ()

    def value(self, name: str) -> str:
        """The value of the first field of that name, unfolded; ``""`` where there is none."""
        return _FOLDING.sub("", next((value for key, value in self.fields if key == name), "")).strip()

    @property
    def file_name(self) -> str:
        """The name that the sender gave the part, whatever it is worth."""
        disposition = _parameters(self.value("content-disposition"))
        name = disposition.get("filename") or self.parameters.get("name", "")
        return name.rpartition("''")[2].strip()

    def content(self) -> bytes:
        """The body without its transfer encoding (RFC 2045 section 6); what is no base64 in it is skipped."""
        encoding = self.value("content-transfer-encoding").lower()
        if encoding == "base64":
            return _decode_base64(self.body)
        if encoding == "quoted-printable":
            return binascii.a2b_qp(self.body)
        return self.body

    def leaves(self) -> Iterator["MailPart"]:
        """The parts that hold no others, in their order."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()


def read_mail(octets: bytes) -> MailPart:
    """Take a mail apart; raise ``ReportSyntaxError`` where it has no header, or too many parts or levels."""
    mail = _Reader().read(octets, 1)
    if not mail.fields:
        raise ReportSyntaxError(
            say("This is no report: neither gzip, zip, XML, JSON nor a mail."),
            say("Give the file that was attached to the report's mail, or the whole mail."),
            place=(1, 1),
        )
    return mail


def parse_fields(text: str) -> tuple[tuple[str, str], ...]:
    """The header fields of a text; lines that are none are passed over."""
    found = []
    for block in re.split(r"\n(?![ \t])", text.replace("\r\n", "\n")):
        match = _FIELD.match(block)
        if match:
            found.append((match[1].lower(), match[2].removeprefix(" ")))
        if len(found) > _MAX_FIELDS:
            raise ReportSyntaxError(say("There are more than %(max_fields)s header fields.", max_fields=_MAX_FIELDS))
    return tuple(found)


class _Reader:
    def __init__(self) -> None:
        self._parts = 0

    def read(self, octets: bytes, depth: int) -> MailPart:
        self._parts += 1
        if self._parts > MAX_PARTS or depth > MAX_DEPTH:
            raise ReportSyntaxError(
                say(
                    "The mail has more than %(max_parts)s parts or %(max_depth)s levels of them.",
                    max_parts=MAX_PARTS,
                    max_depth=MAX_DEPTH,
                )
            )
        header, body = _split_header(octets)
        fields = parse_fields(header)
        leaf = MailPart(fields, body)
        described = leaf.value("content-type")
        match = _TYPE.match(described)
        content_type = match[1].lower() if match else "text/plain"
        parameters = _parameters(described)
        whole = MailPart(fields, body, content_type, parameters)
        return MailPart(fields, body, content_type, parameters, self._parts_of(whole, depth))

    def _parts_of(self, whole: MailPart, depth: int) -> tuple[MailPart, ...]:
        if whole.content_type in {"message/rfc822", "message/global"}:
            return (self.read(whole.content(), depth + 1),)
        boundary = whole.parameters.get("boundary", "")
        if not whole.content_type.startswith("multipart/") or not boundary:
            return ()
        return tuple(self.read(segment, depth + 1) for segment in _segments(whole.body, boundary))


def _split_header(octets: bytes) -> tuple[str, bytes]:
    if octets.startswith((b"\n", b"\r\n")):
        return "", octets.split(b"\n", 1)[1]
    end = _HEADER_END.search(octets, 0, _MAX_HEADER + 4)
    if end is None and len(octets) > _MAX_HEADER:
        raise ReportSyntaxError(
            say("This is no mail: its header has more than %(max_header)s octets.", max_header=_MAX_HEADER)
        )
    header = octets if end is None else octets[: end.start()]
    return header.decode("utf-8", "replace"), b"" if end is None else octets[end.end() :]


def _segments(body: bytes, boundary: str) -> Iterator[bytes]:
    """What lies between the delimiter lines (RFC 2046 section 5.1.1); a missing last one is forgiven."""
    delimiter = re.compile(rb"^--" + re.escape(boundary.encode("utf-8")) + rb"(--)?[ \t]*\r?$", re.MULTILINE)
    start: int | None = None
    for found in delimiter.finditer(body):
        if start is not None:
            yield _without_line_end(body[start : found.start()])
        if found[1]:
            return
        start = found.end() + 1
    if start is not None:
        yield body[start:]


def _without_line_end(segment: bytes) -> bytes:
    # The line end before a delimiter belongs to the delimiter.
    return segment.removesuffix(b"\n").removesuffix(b"\r")


def _parameters(value: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(value[:_MAX_PARAMETERS_TEXT]):
        text = match[2]
        if text.startswith('"'):
            text = re.sub(r"\\(.)", r"\1", text[1:].removesuffix('"'))
        found.setdefault(match[1].lower(), text)
    return found


def _decode_base64(octets: bytes) -> bytes:
    letters = _NOT_BASE64.sub(b"", octets.partition(b"=")[0])
    kept = letters[:-1] if len(letters) % 4 == 1 else letters
    return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))
