"""What is scored: a subject and the texts that a reader gets, from a rendered template or from a message file."""

import binascii
import quopri
import re
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header

from mailtypes.errors import InputSyntaxError
from rendering.whole.charsets import codec_of
from rendering.whole.header_reading import header_fields
from rendering.whole.mime_reading import Leaf, UnclearError, find_leaves

_MAX_OCTETS = 64 * 1024 * 1024
_MOST_SIGNATURES = 3
_MAX_SUBJECT = 2_000
_BARE_LF = re.compile(rb"\r\n|\r|\n")
_META_CHARSET = re.compile(rb"<meta[^<>]{0,200}?charset\s*=\s*[\"']?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_FIELD = re.compile(rb"[!-9;-~]{1,80}[ \t]*:")


class MessageFileError(InputSyntaxError):
    """A file that is no message."""


@dataclass(frozen=True, slots=True)
class ScoredMessage:
    """A mail to assess. ``None`` stands for a part that the mail does not have; an empty text is an empty part.

    A subject of ``None`` is not known yet and is not judged; an empty one is missing.
    ``charset_faults`` counts octets that are no text in the character set that the mail names.
    """

    subject: str | None
    html: str | None
    plain_text: str | None
    charset_faults: int = 0


def read_message(octets: bytes) -> ScoredMessage:
    """The scored parts of a message file (RFC 5322); attachments do not count.

    Line ends may be of any kind. A MIME structure that cannot be read is taken as one text, as a receiver's filter
    would. Raises ``MessageFileError`` where the octets begin with no header field, or are larger than 64 MiB.
    """
    if len(octets) > _MAX_OCTETS:
        raise MessageFileError("the message is larger than 64 MiB", next_step="Give the message without attachments.")
    if octets.startswith(b"From "):  # an mbox line before the header (RFC 4155)
        octets = octets.partition(b"\n")[2]
    if not _FIELD.match(octets):
        raise MessageFileError(
            "this is no message: it does not begin with a header field",
            next_step="Give an .eml file as it was sent, or a template (.mjml, .html).",
        )
    wire = _BARE_LF.sub(b"\r\n", octets)
    subject = _decoded_subject("".join(header_fields(wire, ["Subject"])["Subject"][:1]))
    return _of_texts(subject, _texts(wire, _MOST_SIGNATURES))


def _of_texts(subject: str, texts: list[tuple[str, str, int]]) -> ScoredMessage:
    by_kind: dict[str, list[str]] = {"html": [], "plain": []}
    for kind, text, _ in texts:
        by_kind[kind].append(text.replace("\r\n", "\n").replace("\r", "\n"))
    html, plain = ("\n".join(found) if found else None for found in by_kind.values())
    return ScoredMessage(subject, html, plain, sum(faults for _, _, faults in texts))


def _texts(octets: bytes, signatures: int) -> list[tuple[str, str, int]]:
    """Kind, text and faults of each text part; of ``signatures`` levels of signed parts what they sign is read too."""
    try:
        leaves = find_leaves(octets)
    except UnclearError:
        return [_unclear(octets)]
    found = []
    for leaf in leaves:
        kind = "text/plain" if leaf.content_type is None else leaf.content_type.name
        if kind == "multipart/signed" and signatures:
            found += _texts(_what_is_signed(octets, leaf), signatures - 1)
        elif kind in ("text/plain", "text/html") and not leaf.is_attachment:
            found.append((kind.removeprefix("text/"), *_text(octets, leaf)))
    return found


def _text(octets: bytes, leaf: Leaf) -> tuple[str, int]:
    body = _transfer_decoded(octets[leaf.body : max(leaf.body, leaf.end)], leaf.transfer_encoding)
    return _decoded(body, "" if leaf.content_type is None else leaf.content_type.parameter("charset"))


def _what_is_signed(octets: bytes, leaf: Leaf) -> bytes:
    """The first part of a multipart/signed (RFC 1847 section 2.1)."""
    boundary = "" if leaf.content_type is None else leaf.content_type.parameter("boundary")
    delimiter = b"\r\n--" + boundary.encode("utf-8", "replace")
    body = b"\r\n" + octets[leaf.body : max(leaf.body, leaf.end)]
    return body.partition(delimiter)[2].partition(b"\r\n")[2].partition(delimiter)[0]


def _unclear(octets: bytes) -> tuple[str, str, int]:
    body = octets.partition(b"\r\n\r\n")[2]
    text, faults = _decoded(body, "")
    return "html" if "<html" in text[:20_000].lower() else "plain", text, faults


def _transfer_decoded(body: bytes, encoding: str) -> bytes:
    if encoding == "quoted-printable":
        return quopri.decodestring(body)
    if encoding != "base64":
        return body
    clean = _NOT_BASE64.sub(b"", body)
    clean = clean[: len(clean) - (len(clean) % 4 == 1)]
    return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))


def _decoded(body: bytes, charset: str) -> tuple[str, int]:
    """The text, and how many characters could not be read in the character set that is named."""
    if not charset and (named := _META_CHARSET.search(body[:4_096])):
        charset = named[1].decode("ascii")
    text = body.decode(codec_of(charset) or "ascii", "replace")
    faults = text.count("\ufffd")
    if not faults:
        return text, 0
    try:
        return body.decode("utf-8"), faults
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace"), faults


def _decoded_subject(value: str) -> str:
    """RFC 2047 words as text; what is no such word stays as it is."""
    value = value[:_MAX_SUBJECT]
    try:
        words = decode_header(value)
    except (HeaderParseError, ValueError):
        return value
    return "".join(
        word if isinstance(word, str) else word.decode(codec_of(charset or "latin1") or "latin1", "replace")
        for word, charset in words
    )
