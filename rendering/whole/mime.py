"""MIME entities as a careful sender writes them (RFC 2045, RFC 2046, RFC 2183, RFC 2231, RFC 2387)."""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from rendering.segments import Piece
from rendering.whole.content import blob_token
from rendering.whole.draft import AttachmentRef, ContentSyntaxError
from rendering.whole.slotted_text import encode_pieces

_MAX_SEGMENT: Final = 60  # of a parameter: with its name and number below 78 characters
_MAX_FILE_NAME: Final = 500
_WORD: Final = r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]{1,127}"  # RFC 2045 section 5.1, lengths of RFC 6838 section 4.2
_TYPE: Final = re.compile(rf"\s*({_WORD})/({_WORD})")
_PARAMETER: Final = re.compile(rf'\s*;\s*({_WORD})\s*=\s*(?:({_WORD})|"((?:[^"\\\r\n]|\\[^\r\n])*)")')
_END: Final = re.compile(r"[\s;]*\Z")
_ONE_WORD: Final = re.compile(rf"{_WORD}\Z")
_QUOTABLE: Final = re.compile(r"[A-Za-z0-9 !#$&()+,./:;<=>@^_`{|}~\[\]-]*\Z")
_ATTRIBUTE_CHARACTERS: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`{|}~"
)
_CONTENT_ID: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]{1,200}\Z")
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Entity:
    """``header`` are the content fields, each ending in CRLF; ``body`` is in stored form."""

    header: bytes
    body: bytes


def text_entity(subtype: str, pieces: list[Piece]) -> Entity:
    """A text with slots, in UTF-8."""
    encoding, body = encode_pieces(pieces)
    header = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n"
    return Entity(header.encode("ascii"), body)


def multipart(subtype: str, entities: list[Entity], seed: str) -> Entity:
    """The entities in a multipart, or the one alone; the same ``seed`` gives the same boundary."""
    if len(entities) == 1:
        return entities[0]
    # "=_" cannot occur in quoted-printable or base64 (RFC 2045 section 6.7), so no part holds the boundary.
    boundary = "=_pw_" + hashlib.sha256(f"{subtype}\n{seed}".encode("utf-8", "replace")).hexdigest()[:32]
    # RFC 2387 section 3.1: a related has the type of its root.
    kind = ' type="text/html";\r\n' if subtype == "related" else ""
    header = f'Content-Type: multipart/{subtype};\r\n{kind} boundary="{boundary}"\r\n'.encode()
    opening = f"--{boundary}\r\n".encode()
    body = b"".join(opening + entity.header + b"\r\n" + entity.body + b"\r\n" for entity in entities)
    return Entity(header, body + f"--{boundary}--\r\n".encode())


def is_invitation(attachment: AttachmentRef, place: str) -> bool:
    """Whether the file is a form of the message: a calendar object with a method (RFC 6047 section 2.4)."""
    kind, parameters = _content_type(attachment, place)
    return kind == "text/calendar" and any(name == "method" for name, _ in parameters)


def attachment_entity(attachment: AttachmentRef, place: str, disposition: str = "attachment") -> Entity:
    """A file from a blob; ``place`` names it in errors, an empty ``disposition`` leaves that field out."""
    kind, parameters = _content_type(attachment, place)
    lines = [f"Content-Type: {kind}", *(_parameter(name, value) for name, value in parameters), "\r\n"]
    lines.append("Content-Transfer-Encoding: base64\r\n")
    if disposition:
        lines += [f"Content-Disposition: {disposition}", _file_name(attachment, place), "\r\n"]
    if attachment.content_id is not None:
        lines.append(f"Content-ID: <{_content_id(attachment.content_id, place)}>\r\n")
    return Entity("".join(lines).encode("ascii"), blob_token(attachment.blob_id))


def _content_type(attachment: AttachmentRef, place: str) -> tuple[str, list[tuple[str, str]]]:
    source = attachment.content_type
    match = _TYPE.match(source[:2_000])
    parameters: list[tuple[str, str]] = []
    position = match.end() if match else 0
    while match and (found := _PARAMETER.match(source, position)):
        value = found[2] if found[2] is not None else re.sub(r"\\(.)", r"\1", found[3])
        parameters.append((found[1].lower(), value))
        position = found.end()
    names = [name for name, _ in parameters]
    broken = match is None or not _END.match(source, position) or len(set(names)) < len(names)
    if broken or _CONTROLS.search(source) or any("*" in name for name in names):
        raise ContentSyntaxError(
            f"'{source[:100]}' is no content type",
            field=f"{place}.content_type",
            source=source,
            next_step="Write it as type/subtype, for instance application/pdf.",
        )
    assert match is not None
    kind = f"{match[1]}/{match[2]}".lower()
    if kind.startswith(("multipart/", "message/")):  # RFC 2046 sections 5.1 and 5.2.1: never in base64
        raise ContentSyntaxError(
            f"a file cannot be attached as {kind}",
            field=f"{place}.content_type",
            source=source,
            next_step="Attach it as application/octet-stream; an .eml in its name tells mail programs what it is.",
        )
    return kind, parameters


def _file_name(attachment: AttachmentRef, place: str) -> str:
    name = attachment.file_name.strip()
    control = _CONTROLS.search(name)
    if control is not None or len(name) > _MAX_FILE_NAME:
        raise ContentSyntaxError(
            f"a file name has at most {_MAX_FILE_NAME} characters and no control characters",
            field=f"{place}.file_name",
            source=name,
            next_step="Give it a shorter, plain name.",
        )
    return _parameter("filename", name) if name else ""


def _content_id(content_id: str, place: str) -> str:
    if not _CONTENT_ID.match(content_id):
        raise ContentSyntaxError(
            f"'{content_id[:100]}' is no content id",
            field=f"{place}.content_id",
            source=content_id,
            next_step="Write letters, digits, dots and at most an @, without angle brackets: logo@acme.",
        )
    return content_id


def _parameter(name: str, value: str) -> str:
    """A parameter on lines of its own, with the semicolon before it (RFC 2231 sections 3 and 4)."""
    if name != "filename" and _ONE_WORD.match(value):  # calendar programs know method=REQUEST best without quotes
        return f";\r\n {name}={value}"
    if _QUOTABLE.match(value) and len(value) <= _MAX_SEGMENT:
        return f';\r\n {name}="{value}"'
    segments: list[str] = []
    segment = "utf-8''"
    for character in value:
        written = "".join(
            chr(octet) if octet in _ATTRIBUTE_CHARACTERS else f"%{octet:02X}"
            for octet in character.encode("utf-8", "replace")
        )
        if len(segment) + len(written) > _MAX_SEGMENT:
            segments.append(segment)
            segment = ""
        segment += written
    segments.append(segment)
    if len(segments) == 1:
        return f";\r\n {name}*={segment}"
    return "".join(f";\r\n {name}*{number}*={text}" for number, text in enumerate(segments))
