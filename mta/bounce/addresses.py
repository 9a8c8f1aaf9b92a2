"""Addresses in bounces: in fields with a type, and in texts for people."""

import re
from typing import Final

from mailtypes.address import EmailAddress
from mailtypes.errors import InputSyntaxError

# A local part and a domain as they stand in texts. Both are bounded, so that looking for one is linear.
# Quoted local parts are those of mobile carriers, which once sold addresses with two dots in a row.
ADDRESS: Final = re.compile(
    r"(?:(?<![\w.+=&@-])[\w.+=&!#$%'*/?^{|}~-]{1,64}|\"[^\s\"\\<>@]{1,62}\")@(?:[\w-]{1,63}\.){1,10}[\w-]{1,63}(?![\w@-])"
)
# VERP: the recipient in the local part of the return path, its @ written as = (https://cr.yp.to/proto/verp.txt).
_VERP: Final = re.compile(r"[+-]([\w.!#$%&'*/?^{|}~+-]{1,64})=((?:[\w-]{1,63}\.){1,10}[^\W\d_]{2,63})\Z")
_XTEXT: Final = re.compile(r"\+([0-9A-F]{2})")
_UNICODE: Final = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")


def clean_address(text: str) -> str:
    """The address in ``text`` without brackets, quotes or source route; ``""`` where there is none."""
    bare = text.strip().strip("<>' \t")
    if not (bare.startswith('"') and '"@' in bare):
        bare = bare.strip("<>\"' \t")
    if bare.startswith("@") and ":" in bare:  # RFC 5321 appendix C: a source route
        bare = bare.partition(":")[2]
    local_part, at, domain = bare.rpartition("@")
    if not at or not local_part or not domain or len(bare) > 320 or any(letter.isspace() for letter in bare):
        return ""
    return bare


def typed_address(value: str, other: str = "") -> str:
    """The address of a field such as ``rfc822; user@example.com`` (RFC 3464 section 2.1.2), ``""`` where none is.

    ``other`` is the same recipient in another field: whether plus signs are xtext (RFC 3461 section 4) cannot be
    told from the address alone, since ``a+2B@b.test`` may be a plain one. Type ``utf-8`` is of RFC 6533 section 3.
    """
    kind, semicolon, after = value.partition(";")
    bare = after.rpartition(";")[2] if semicolon else value
    address = clean_address(bare) or next(iter(addresses_in(bare)), "")
    if not address or not semicolon:
        return address
    if kind.strip().lower() == "utf-8":
        return _UNICODE.sub(_unescaped, address)
    decoded = _XTEXT.sub(lambda match: chr(int(match[1], 16)), address)
    if address.count("+") != len(_XTEXT.findall(address)) or address == other or not decoded.isprintable():
        return address
    return clean_address(decoded) or address if decoded.isascii() else address


def _unescaped(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code) if 0x20 < code <= 0x10FFFF and not 0xD800 <= code < 0xE000 else match[0]


def same_mailbox(one: str, other: str) -> bool:
    """Whether two spellings mean one mailbox (by the key of ``EmailAddress`` where both can be read)."""
    return address_key(one) == address_key(other)


def address_key(text: str) -> str:
    """The folded form of an address; of what is none, its lower-case letters."""
    try:
        return EmailAddress.parse(text).key
    except InputSyntaxError:
        return text.strip().lower()


def addresses_in(text: str) -> list[str]:
    """The addresses in a text, in their order."""
    return [match[0].strip("'") for match in ADDRESS.finditer(text)]


def address_in_return_path(return_path: str) -> str:
    """The recipient that a return path of the VERP form names, ``""`` where it names none.

    Where the local part has several hyphens, nobody can tell at which of them the recipient begins; the first counts.
    """
    match = _VERP.search(return_path.rpartition("@")[0])
    return "" if match is None else clean_address(f"{match[1].rpartition('+')[2]}@{match[2]}")
