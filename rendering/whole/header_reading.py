"""Header fields of a message, read and removed without looking at its body (RFC 5322 section 2.2)."""

import re
from collections.abc import Iterable
from functools import lru_cache

_BEFORE_FOLD = re.compile(r"\r\n(?=[ \t])")
_FIELD_VALUE = rb"([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)"


def header_fields(octets: bytes, names: Iterable[str]) -> dict[str, list[str]]:
    """The values of the named fields, unfolded and stripped, in their order; each name as given is a key.

    Names are compared without regard to case. Octets that are no UTF-8 become U+FFFD.
    """
    asked = tuple(names)
    found: dict[str, list[str]] = {name.lower(): [] for name in asked}
    for match in _pattern(tuple(found)).finditer(octets, 0, header_end(octets)):
        value = match[2].decode("utf-8", "replace")
        found[match[1].decode("ascii").lower()].append(_BEFORE_FOLD.sub("", value).strip())
    return {name: found[name.lower()] for name in asked}


def without_header_fields(octets: bytes, names: Iterable[str]) -> bytes:
    """The message without these fields; a name that ends in ``*`` stands for all that begin so."""
    end = header_end(octets)
    header = octets[:end]
    kept = _pattern(tuple(name.lower() for name in names), rb"(?:\r\n|\Z)").sub(b"", header)
    return octets if len(kept) == len(header) else kept + octets[end:]


def header_end(octets: bytes) -> int:
    """Where the header's last line ends, CRLF included: the empty line begins here, or the octets end."""
    if octets.startswith(b"\r\n"):
        return 0
    found = octets.find(b"\r\n\r\n")
    return len(octets) if found < 0 else found + 2


@lru_cache(maxsize=64)
def _pattern(names: tuple[str, ...], end: bytes = b"") -> re.Pattern[bytes]:
    alternatives = b"|".join(
        re.escape(name.removesuffix("*").encode("ascii")) + (rb"[!-9;-~]*" if name.endswith("*") else b"")
        for name in names
    )
    return re.compile(rb"^(" + (alternatives or rb"(?!)") + rb")[ \t]*:" + _FIELD_VALUE + end, re.I | re.M)
