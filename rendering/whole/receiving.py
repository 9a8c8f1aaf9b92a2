"""A message that a client submitted by SMTP: checked, and where tracking is wished for, its texts rewritten.

What is not rewritten stays byte for byte.
"""

import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from mailtypes.errors import InputSyntaxError, Span
from rendering.segments import Piece
from rendering.transfer import SOFT_BREAK
from rendering.whole.charsets import codec_of
from rendering.whole.content import TrackingWish, WholeContent, static_size
from rendering.whole.header_reading import header_end
from rendering.whole.mime_reading import ContentType, Leaf, UnclearError, find_leaves
from rendering.whole.slotted_text import (
    MAX_LINKS,
    MAX_TEXT,
    NumberedLinks,
    Slotting,
    TooManyLinksError,
    encode_pieces,
    html_pieces,
    plain_pieces,
)

MAX_LINE: Final = 998  # RFC 5322 section 2.1.1
_MAX_ENCODED: Final = 8 * MAX_TEXT  # octets: a character of two octets has six in quoted-printable
_MAX_TEXTS: Final = 2 * MAX_TEXT  # characters, of all parts together
_HEADER: Final = re.compile(rb"[!-9;-~]+[ \t]*:[^\r\n]*\r\n(?:(?:[!-9;-~]+[ \t]*:|[ \t])[^\r\n]*\r\n)*")
_BARE: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n|\x00")
_OWN_FIELDS: Final = re.compile(
    rb"^content-(?:type|transfer-encoding)[ \t]*:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", re.IGNORECASE | re.MULTILINE
)
_INLINE_PGP: Final = re.compile(r"^-----BEGIN PGP (?:SIGNED )?MESSAGE-----", re.MULTILINE)
_NAMES: Final = {b"\x00": "a NUL octet", b"\r": "a carriage return without line feed", b"\n": "a bare line feed"}


class MessageSyntaxError(InputSyntaxError):
    """Octets that are no message as it goes over SMTP; ``line`` is the faulty line, counted from 1."""

    def __init__(
        self, message: str, *, line: int, source: str = "", span: Span | None = None, next_step: str = ""
    ) -> None:
        super().__init__(f"line {line}: {message}", source=source, span=span, next_step=next_step)
        self.line = line


def receive_whole(content: bytes, tracking: TrackingWish) -> WholeContent:
    """The stored content of a submitted message (CRLF line ends, dots not stuffed).

    Without tracking the octets stay as they are. With it, texts that are no attachments get slots, are written anew
    in quoted-printable UTF-8, and nothing else changes; the placeholder ``{{ unsubscribe_url }}`` has no meaning
    here. What is signed or encrypted, and what cannot be read for sure, is left alone, and ``remarks`` say so.
    Raises ``MessageSyntaxError``: NUL, CR or LF alone, a line beyond 998 octets, no header.
    """
    _check(content)
    if not (tracking.opens or tracking.clicks):
        return WholeContent(content, (), len(content))
    try:
        leaves = find_leaves(content)
    except UnclearError as reason:
        return WholeContent(content, (), len(content), (f"The message is sent untracked: {reason}.",))
    return _Rewriting(content, tracking).rewritten(leaves)


def _check(content: bytes) -> None:
    ends = content.count(b"\r\n")
    if content.count(b"\n") != ends or content.count(b"\r") != ends or b"\x00" in content:
        bare = _BARE.search(content)
        assert bare is not None  # the counts differ
        step = "End lines with CR LF, and send what is no text in base64."
        raise _error(content, bare.start(), f"there is {_NAMES[bare[0]]}", step)
    position = 0
    while len(content) - position > MAX_LINE:
        line_end = content.rfind(b"\n", position, position + MAX_LINE + 2)
        if line_end < 0:
            step = "Send the text in quoted-printable or base64, and fold long header fields."
            raise _error(content, position, f"the line is longer than {MAX_LINE} octets", step)
        position = line_end + 1
    end = header_end(content)
    header = _HEADER.match(content, 0, end)
    if header is None or header.end() != end:
        step = "Begin with header fields such as 'Subject: ...', and put an empty line behind them."
        raise _error(content, header.end() if header else 0, "the header has a line that is no field", step)


def _error(content: bytes, position: int, message: str, next_step: str) -> MessageSyntaxError:
    start = content.rfind(b"\n", 0, position) + 1
    shown = max(start, position - 100)
    source = content[shown : position + 100].decode("latin-1").replace("\r", " ").replace("\n", " ")
    span = Span(position - shown, min(position - shown + 1, len(source)))
    line = content.count(b"\n", 0, position) + 1
    return MessageSyntaxError(message, line=line, source=source, span=span, next_step=next_step)


class _LeftAloneError(Exception):
    """Why a part stays as it is, as half a sentence."""


@dataclass(slots=True)
class _Text:
    """A text part that can be rewritten."""

    leaf: Leaf
    is_html: bool
    text: str


@dataclass(slots=True)
class _Rewriting:
    content: bytes
    tracking: TrackingWish
    links: NumberedLinks = field(default_factory=NumberedLinks)
    remarks: list[str] = field(default_factory=list)
    characters: int = 0

    def rewritten(self, leaves: tuple[Leaf, ...]) -> WholeContent:
        texts = [text for leaf in leaves if (text := self._text(leaf)) is not None]
        try:
            pieces = self._pieces(texts)
        except TooManyLinksError:
            remark = f"The message is sent untracked: it has more than {MAX_LINKS} links."
            return WholeContent(self.content, (), len(self.content), (*self.remarks, remark))
        out: list[bytes] = []
        position = 0
        for text, slotted in zip(texts, pieces, strict=True):
            if all(isinstance(piece, str) for piece in slotted):
                continue
            header, body = self._entity(text, slotted)
            out += (self.content[position : text.leaf.start], header, b"\r\n", body)
            position = text.leaf.end
        octets = b"".join((*out, self.content[position:]))
        return WholeContent(octets, self.links.table(), static_size(octets), tuple(self.remarks))

    def _pieces(self, texts: list[_Text]) -> list[list[Piece]]:
        """The HTML first, since plain texts have the links that it has."""
        pieces: dict[int, list[Piece]] = {}
        for number, text in enumerate(texts):
            if text.is_html:
                slotting = Slotting.of_received(self.tracking, pixel=not pieces)
                pieces[number] = html_pieces(text.text, slotting, self.links)
        for number, text in enumerate(texts):
            if not text.is_html:
                slotting = Slotting.of_received(self.tracking, pixel=False)
                pieces[number] = plain_pieces(text.text, slotting, self.links)
        return [pieces[number] for number in range(len(texts))]

    def _text(self, leaf: Leaf) -> _Text | None:
        name = "text/plain" if leaf.content_type is None else leaf.content_type.name
        readable = name in ("text/html", "text/plain") and not leaf.is_attachment
        if not leaf.is_protected and (not readable or _is_unlike_text(leaf.content_type)):
            return None
        try:
            return _Text(leaf, name == "text/html", self._decoded(leaf).replace("\r\n", "\n"))
        except _LeftAloneError as reason:
            self.remarks.append(f"A part ({name[:80]}) is sent as it came: {reason}.")
            return None

    def _decoded(self, leaf: Leaf) -> str:
        if leaf.is_protected:
            raise _LeftAloneError("it is signed or encrypted")
        charset = "" if leaf.content_type is None else leaf.content_type.parameter("charset")
        codec = codec_of(charset)
        decode = _TRANSFER_DECODERS.get(leaf.transfer_encoding)
        if codec is None or decode is None:
            raise _LeftAloneError("its character set or transfer encoding is not known")
        if leaf.end - leaf.body > _MAX_ENCODED:
            raise _LeftAloneError(f"it has more than {_MAX_ENCODED} octets")
        try:
            text = decode(self.content[leaf.body : leaf.end]).decode(codec)
        except ValueError as error:  # binascii.Error and UnicodeDecodeError
            raise _LeftAloneError("its text does not fit its character set or transfer encoding") from error
        self.characters += len(text)
        if len(text) > MAX_TEXT or self.characters > _MAX_TEXTS:
            raise _LeftAloneError(f"a text has more than {MAX_TEXT} characters, or all have twice as many")
        if _INLINE_PGP.search(text):
            raise _LeftAloneError("it is signed or encrypted")
        return text

    def _entity(self, text: _Text, pieces: list[Piece]) -> tuple[bytes, bytes]:
        leaf = text.leaf
        encoding, body = encode_pieces(pieces)
        header = _OWN_FIELDS.sub(b"", self.content[leaf.start : leaf.header_end])
        described = _in_utf8(leaf.content_type)
        header += f"{described}\r\nContent-Transfer-Encoding: {encoding}\r\n".encode("ascii")
        # A message ends in CRLF; a soft break adds nothing to the text.
        at_end = leaf.end == len(self.content) and not body.endswith((b"\r\n", b"\x00"))
        return header, body + SOFT_BREAK if at_end else body


def _is_unlike_text(content_type: ContentType | None) -> bool:
    """With a name it is a file; a character set in the way of RFC 2231 is not read."""
    names = [] if content_type is None else [name for name, _ in content_type.parameters]
    return any(name.startswith(("name", "charset*")) for name in names)


def _in_utf8(content_type: ContentType | None) -> str:
    """The Content-Type field with its other parameters as they were (format=flowed, for instance)."""
    if content_type is None:
        return "Content-Type: text/plain; charset=utf-8"
    others = [
        segment.strip()
        for segment in content_type.segments[1:]
        if segment.strip() and segment.partition("=")[0].strip().lower() != "charset"
    ]
    return ";\r\n ".join([f"Content-Type: {content_type.name}; charset=utf-8", *others])


def _identity(body: bytes) -> bytes:
    return body


def _from_base64(body: bytes) -> bytes:
    return binascii.a2b_base64(body)


_TRANSFER_DECODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    **dict.fromkeys(("", "7bit", "8bit", "binary"), _identity),
    "quoted-printable": binascii.a2b_qp,
    "base64": _from_base64,
}
