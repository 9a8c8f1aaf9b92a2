"""The logotype extension of a certificate (RFC 9399): a small reader of DER, and the logos that are embedded."""

import base64
import binascii
import hashlib
import hmac
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say

LOGOTYPE_OID: Final = "1.3.6.1.5.5.7.1.12"

_SEQUENCE: Final = 0x30
_OCTET_STRING: Final = 0x04
_OBJECT_IDENTIFIER: Final = 0x06
_IA5_STRING: Final = 0x16
_DIRECT: Final = 0xA0  # LogotypeInfo: direct [0] LogotypeData
_SUBJECT_LOGO: Final = 0xA2  # LogotypeExtn: subjectLogo [2] EXPLICIT LogotypeInfo
_MAX_LOGOS: Final = 10
_MAX_LOGO_OCTETS: Final = 1_048_576

# Stronger than SHA-1 only: the mark certificate requirements ask for SHA-256 or better.
_HASHES: Final[dict[bytes, Callable[[bytes], Any]]] = {
    bytes.fromhex("608648016503040201"): hashlib.sha256,
    bytes.fromhex("608648016503040202"): hashlib.sha384,
    bytes.fromhex("608648016503040203"): hashlib.sha512,
}


class LogotypeSyntaxError(InputSyntaxError):
    """Octets that are not a logotype extension, or one whose logo cannot be read."""


@dataclass(frozen=True, slots=True)
class Logotype:
    """One logo of the certificate's subject: the ``octets`` of the SVG file, and whether the certificate's own hash
    fits them; ``None`` where it has no hash of SHA-256 or better.
    """

    media_type: str
    octets: bytes
    hash_matches: bool | None


@dataclass(frozen=True, slots=True)
class _Item:
    tag: int
    content: bytes


def subject_logos(extension: bytes) -> tuple[Logotype, ...]:
    """The logos that the extension holds as ``data:`` addresses; raise ``LogotypeSyntaxError`` for anything else.

    Logos that are only linked are left out: nothing is fetched on a certificate's word.
    """
    for part in _items(_one(extension, _SEQUENCE)):
        if part.tag == _SUBJECT_LOGO:
            data = _one(part.content, _DIRECT)
            images = next((item for item in _items(data) if item.tag == _SEQUENCE), None)
            found = [_read_image(item) for item in _items(images.content)] if images else []
            return tuple(logo for logo in found if logo is not None)
    raise LogotypeSyntaxError(say("the extension names no logo of the subject"))


def with_line_feeds(octets: bytes) -> bytes:
    """An SVG file with LF for every line end, the form in which two copies of a logo are compared."""
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _read_image(image: _Item) -> Logotype | None:
    """LogotypeImage, whose first part is LogotypeDetails: media type, hashes, addresses."""
    parts = _items(_checked(image, _SEQUENCE))
    details = _items(_checked(parts[0], _SEQUENCE)) if parts else []
    kinds = [item.tag for item in details]
    if kinds != [_IA5_STRING, _SEQUENCE, _SEQUENCE]:
        raise LogotypeSyntaxError(say("the logo's details are not a media type, hashes and addresses"))
    media_type = details[0].content.decode("ascii", "replace")
    for address in _items(details[2].content):
        if address.content[:5].lower() == b"data:":
            embedded = _read_data_address(address.content)
            octets = _unpack(embedded)
            # The rule (RFC 6170 section 5.2, kept by RFC 9399) is the unpacked file with LF as its line end; issuers
            # also hash the file as it is, or packed. All three say the same of the logo.
            candidates = (with_line_feeds(octets), octets, embedded)
            return Logotype(media_type, octets, _hash_matches(details[1].content, candidates))
    return None


def _hash_matches(hashes: bytes, candidates: tuple[bytes, ...]) -> bool | None:
    results = []
    for item in _items(hashes):
        parts = _items(_checked(item, _SEQUENCE))
        if [part.tag for part in parts] != [_SEQUENCE, _OCTET_STRING]:
            raise LogotypeSyntaxError(say("a hash is not an algorithm and a value"))
        algorithm = _items(parts[0].content)
        if not algorithm or algorithm[0].tag != _OBJECT_IDENTIFIER:
            raise LogotypeSyntaxError(say("a hash names no algorithm"))
        make = _HASHES.get(algorithm[0].content)
        if make is not None:
            results.append(any(hmac.compare_digest(make(one).digest(), parts[1].content) for one in candidates))
    return all(results) if results else None


def _read_data_address(address: bytes) -> bytes:
    """RFC 2397, with base64 as RFC 9399 section 7 asks for SVG."""
    head, comma, body = address.partition(b",")
    if not comma or not head.lower().endswith(b";base64"):
        raise LogotypeSyntaxError(say("the embedded logo is not in base64"))
    if len(body) > 2 * _MAX_LOGO_OCTETS:
        raise LogotypeSyntaxError(say("the embedded logo is larger than anything that we read"))
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise LogotypeSyntaxError(say("the embedded logo is not valid base64")) from error


def _unpack(octets: bytes) -> bytes:
    """The logo without gzip, if it is packed; bounded, so that a small file cannot become a large one."""
    if not octets.startswith(b"\x1f\x8b"):
        return octets
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(octets, _MAX_LOGO_OCTETS)
    except zlib.error as error:
        raise LogotypeSyntaxError(say("the embedded logo is packed, but not validly")) from error
    if not unpacker.eof:
        raise LogotypeSyntaxError(say("the embedded logo is cut short, or larger than anything that we read"))
    return unpacked


def _items(octets: bytes) -> list[_Item]:
    return list(_read_items(octets))


def _read_items(octets: bytes) -> Iterator[_Item]:
    """X.690 section 10: definite lengths in the fewest octets, and tags of one octet, which suffice here."""
    at, count = 0, 0
    while at < len(octets):
        count += 1
        if count > _MAX_LOGOS * 10:
            raise LogotypeSyntaxError(say("there are more parts than any logo needs"))
        if len(octets) - at < 2 or octets[at] & 0x1F == 0x1F:
            raise LogotypeSyntaxError(say("the extension is not DER"))
        tag, length, start = octets[at], octets[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(octets[start : start + size], "big")
            if not 1 <= size <= 4 or length < (0x80 if size == 1 else 1 << 8 * (size - 1)):
                raise LogotypeSyntaxError(say("a length in the extension is not DER"))
            start += size
        if start + length > len(octets):
            raise LogotypeSyntaxError(say("the extension is cut short"))
        yield _Item(tag, octets[start : start + length])
        at = start + length


def _one(octets: bytes, tag: int) -> bytes:
    """The content of the single item that ``octets`` are."""
    items = _items(octets)
    if len(items) != 1:
        raise LogotypeSyntaxError(say("a part of the extension is missing, or followed by another"))
    return _checked(items[0], tag)


def _checked(item: _Item, tag: int) -> bytes:
    if item.tag != tag:
        raise LogotypeSyntaxError(
            say(
                "a part of the extension has the tag %(tag)s where %(tag_2)s belongs",
                tag=f"{item.tag:#04x}",
                tag_2=f"{tag:#04x}",
            )
        )
    return item.content
