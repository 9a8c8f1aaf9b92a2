"""Canonicalisation of header fields and bodies (RFC 6376 section 3.4), in time linear in the input.

Messages come as SMTP carries them: lines end with CRLF. Every search below looks at an octet a bounded number of
times, so that a hostile body (200,000 spaces on one line) costs no more than a friendly one of the same length.
"""

import re
from enum import StrEnum

_SPACES = re.compile(rb" {2,}")
_CRLF_PAIRS_REVERSED = re.compile(rb"(?:\n\r)*")
_CRLF = b"\r\n"


class Canonicalization(StrEnum):
    """The two algorithms of RFC 6376 section 3.4."""

    SIMPLE = "simple"
    RELAXED = "relaxed"


def header_field(algorithm: Canonicalization, field: bytes) -> bytes:
    """One header field, folded or not, without its final CRLF; returned without a final CRLF as well."""
    return field if algorithm is Canonicalization.SIMPLE else relaxed_header_field(field)


def relaxed_header_field(field: bytes) -> bytes:
    """RFC 6376 section 3.4.2: name in lower case, unfolded, runs of WSP to one space, none around the colon."""
    name, _, value = field.partition(b":")
    unfolded = value.replace(b"\r\n", b"")
    return name.rstrip(b" \t").lower() + b":" + _squeeze(unfolded).strip(b" ")


def body(algorithm: Canonicalization, octets: bytes) -> bytes:
    """A whole body in canonical form."""
    return simple_body(octets) if algorithm is Canonicalization.SIMPLE else relaxed_body(octets)


def simple_body(octets: bytes) -> bytes:
    """RFC 6376 section 3.4.3: exactly one CRLF at the end; an empty body is one CRLF."""
    return octets[: _end_without_empty_lines(octets)] + _CRLF


def relaxed_body(octets: bytes) -> bytes:
    """RFC 6376 section 3.4.4: WSP at line ends gone, other runs one space, no empty lines at the end.

    An empty body stays empty. A body that is canonical already is returned as it is.
    """
    if is_relaxed_body(octets):
        return octets
    # Runs become one space first; what then stands before a CRLF is at most one space. Both passes are linear,
    # which the obvious pattern "[ \t]+\r\n" is not.
    squeezed = _squeeze(octets).replace(b" \r\n", _CRLF)
    if squeezed.endswith(b" "):
        squeezed = squeezed[:-1]
    stripped = squeezed[: _end_without_empty_lines(squeezed)]
    return stripped + _CRLF if stripped else b""


def is_relaxed_body(message: bytes, start: int = 0) -> bool:
    """Whether ``message[start:]`` is a body in relaxed canonical form already; copies nothing.

    Composed mail (base64, quoted-printable) nearly always is, which spares the hot path every substitution.
    """
    if len(message) == start:
        return True
    if not message.endswith(_CRLF, start) or message.endswith(b"\r\n\r\n", start) or len(message) == start + 2:
        return False
    if message.find(b"\t", start) >= 0:
        return False
    # One search for a doubled space and for a space before CRLF; base64 has no space at all. rfind takes half the
    # time of find for two octets.
    return message.find(b" ", start) < 0 or message.replace(b"\r", b" ").rfind(b"  ", start) < 0


def _squeeze(octets: bytes) -> bytes:
    """Every run of WSP as one space; single spaces, the common case, cost no substitution."""
    return _SPACES.sub(b" ", octets.replace(b"\t", b" "))


def _end_without_empty_lines(octets: bytes) -> int:
    """Where the body ends when the CRLF pairs at its end are taken away."""
    tail = octets[len(octets.rstrip(_CRLF)) :]
    pairs = _CRLF_PAIRS_REVERSED.match(tail[::-1])
    return len(octets) - (pairs.end() if pairs else 0)
