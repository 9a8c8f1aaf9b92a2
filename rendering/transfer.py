"""Content transfer encodings (RFC 2045 section 6) for text that is joined from pieces.

Quoted-printable here has one more law than the RFC asks: relaxed DKIM body canonicalization (RFC 6376 section
3.4.4) changes nothing in it, since no line ends in white space, no white space is doubled and no tab is bare; nor
does SMTP's dot-stuffing (RFC 5321 section 4.5.2), since no line begins with a dot.

A piece always begins at the left margin: what stands before a slot ends in a soft line break, and so does the
value in the slot. So the pieces join without knowing each other.

Base64 turns three octets into four characters, so behind a slot the phase shifts. ``Base64Piece`` holds a static
piece encoded in all three phases; only the few octets around a slot are encoded for each recipient.
"""

import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

MAX_LINE = 76  # RFC 2045 section 6.7 rule 5, without CRLF
_PLAIN_VALUE = re.compile(r"(?!\.)[!-<>-~]+(?: [!-<>-~]+)*\Z")
# What is not printable ASCII, "=", a space behind a space, a space at the end of a line. Written so that every match
# begins with one class, which the regex engine finds a third quicker than alternatives.
_TO_ENCODE = re.compile(rb"[^\n!-<>-~](?:(?<! )|(?<=  )|(?=\n|\Z))")
SOFT_BREAK = b"=\r\n"


def quoted_printable(text: str, *, slot_follows: bool) -> bytes:
    """A static piece, with LF line ends in ``text`` as CRLF; ends in a soft break where a slot goes on the line."""
    encoded = _TO_ENCODE.sub(_octet, text.encode("utf-8", "replace")).split(b"\n")
    lines = [_fold(line, MAX_LINE) + b"\r\n" for line in encoded[:-1]]
    last = encoded[-1]
    if last:
        lines.append(_fold(last, MAX_LINE - 1) + SOFT_BREAK if slot_follows else _fold(last, MAX_LINE))
    return b"".join(lines)


def quoted_printable_value(text: str) -> bytes:
    """The value of a slot with the soft break behind it; nothing for an empty value."""
    if len(text) < MAX_LINE and _PLAIN_VALUE.match(text):
        return text.encode("ascii") + SOFT_BREAK
    return quoted_printable(text, slot_follows=True)


def base64_lines(data: bytes) -> bytes:
    """``data`` in base64, in lines of 76 characters with CRLF (RFC 2045 section 6.8)."""
    encoded = binascii.b2a_base64(data, newline=False)
    if len(encoded) <= MAX_LINE:
        return encoded and encoded + b"\r\n"
    lines = [encoded[start : start + MAX_LINE] for start in range(0, len(encoded), MAX_LINE)]
    lines.append(b"")
    return b"\r\n".join(lines)


@dataclass(frozen=True, slots=True)
class Base64Piece:
    """A static piece of at least three octets, for each phase: octets that fill the quantum, lines, what is left."""

    phases: tuple[tuple[bytes, bytes, bytes], ...]

    @classmethod
    def of(cls, data: bytes) -> "Base64Piece":
        """Encode in all three phases."""
        return cls(tuple(cls._phase(data, filling) for filling in range(3)))

    @staticmethod
    def _phase(data: bytes, filling: int) -> tuple[bytes, bytes, bytes]:
        end = len(data) - (len(data) - filling) % 3
        return data[:filling], base64_lines(data[filling:end]), data[end:]


def join_base64(pieces: Iterable[Base64Piece | bytes]) -> list[bytes]:
    """Encode a sequence of static pieces and values: the encoded lines of the whole, in pieces."""
    out: list[bytes] = []
    pending = b""
    for piece in pieces:
        if isinstance(piece, bytes):
            pending += piece
            continue
        head, lines, tail = piece.phases[-len(pending) % 3]
        out += (base64_lines(pending + head), lines)
        pending = tail
    out.append(base64_lines(pending))
    return out


def base64_size(octets: int) -> int:
    """The length of ``base64_lines`` for that many octets."""
    characters = -(-octets // 3) * 4
    return characters + 2 * -(-characters // MAX_LINE)


def _octet(match: re.Match[bytes]) -> bytes:
    return b"=%02X" % match[0][0]


def _fold(line: bytes, limit: int) -> bytes:
    """Break a line without line ends so that none is longer than ``limit`` and none begins with a dot."""
    rest = _without_leading_dot(line)
    if len(rest) <= limit:
        return rest
    folded: list[bytes] = []
    while len(rest) > limit:
        cut = MAX_LINE - 1
        escape = rest.rfind(b"=", cut - 2, cut)  # an =XX stays whole
        cut = escape if escape >= 0 else cut
        folded.append(rest[:cut])
        rest = _without_leading_dot(rest[cut:])
    folded.append(rest)
    return (SOFT_BREAK).join(folded)


def _without_leading_dot(line: bytes) -> bytes:
    return b"=2E" + line[1:] if line.startswith(b".") else line
