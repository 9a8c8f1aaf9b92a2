"""What an image file says of itself in its first octets: format, width and height. Reads headers, never pixels."""

import re
from collections.abc import Callable

from rendering.lint.subject import ImageFact

_MOST_SEGMENTS = 200
_SVG = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--[^>]{0,500}-->\s*)?"
    rb"(?:<!DOCTYPE svg[^>]{0,300}>\s*)?<svg[\s>]"
)
_NO_FRAME = frozenset({0xC4, 0xC8, 0xCC})  # Huffman tables, an extension, arithmetic conditioning
_Size = tuple[int | None, int | None]
_UNKNOWN: _Size = (None, None)


def read_image(octets: bytes) -> ImageFact | None:
    """The facts of a whole file; ``None`` where it is no image of a known format.

    Width and height are ``None`` where the header does not say them plainly (SVG, AVIF, a file that is cut short).
    """
    for image_format, begins, size in _FORMATS:
        if begins(octets):
            width, height = size(octets)
            if not width or not height:
                width = height = None
            return ImageFact(width, height, len(octets), image_format)
    return None


def _png(octets: bytes) -> _Size:
    # PNG (third edition) section 11.2.1: IHDR is the first chunk.
    if octets[12:16] != b"IHDR" or len(octets) < 24:
        return _UNKNOWN
    return int.from_bytes(octets[16:20], "big"), int.from_bytes(octets[20:24], "big")


def _gif(octets: bytes) -> _Size:
    # GIF89a section 18: the logical screen descriptor.
    return (_little(octets, 6, 2), _little(octets, 8, 2)) if len(octets) >= 10 else _UNKNOWN


def _bmp(octets: bytes) -> _Size:
    return (_little(octets, 18, 4), abs(_little(octets, 22, 4, signed=True))) if len(octets) >= 26 else _UNKNOWN


def _jpeg(octets: bytes) -> _Size:
    """ITU-T T.81 annex B: segments with their lengths until a start of frame."""
    place = 2
    for _ in range(_MOST_SEGMENTS):
        while octets[place : place + 2] == b"\xff\xff":  # fill bytes, each looked at once
            place += 1
        if octets[place : place + 1] != b"\xff" or place + 9 > len(octets):
            return _UNKNOWN
        marker = octets[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            height, width = (int.from_bytes(octets[place + at : place + at + 2], "big") for at in (5, 7))
            return width, height
        place += (
            2 if 0xD0 <= marker <= 0xD8 or marker == 0x01 else 2 + int.from_bytes(octets[place + 2 : place + 4], "big")
        )
    return _UNKNOWN


def _webp(octets: bytes) -> _Size:
    """RFC 9649: the extended header, a lossless or a lossy bit stream."""
    kind = octets[12:16]
    if kind == b"VP8X" and len(octets) >= 30:
        return _little(octets, 24, 3) + 1, _little(octets, 27, 3) + 1
    if kind == b"VP8L" and len(octets) >= 25 and octets[20] == 0x2F:
        bits = _little(octets, 21, 4)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and len(octets) >= 30 and octets[23:26] == b"\x9d\x01\x2a":
        return _little(octets, 26, 2) & 0x3FFF, _little(octets, 28, 2) & 0x3FFF
    return _UNKNOWN


def _little(octets: bytes, start: int, length: int, *, signed: bool = False) -> int:
    return int.from_bytes(octets[start : start + length], "little", signed=signed)


def _not_said(_: bytes) -> _Size:
    return _UNKNOWN


def _starts(*beginnings: bytes) -> Callable[[bytes], bool]:
    return lambda octets: octets.startswith(beginnings)


def _is_webp(octets: bytes) -> bool:
    return octets[:4] == b"RIFF" and octets[8:12] == b"WEBP"


def _is_avif(octets: bytes) -> bool:
    return octets[4:8] == b"ftyp" and octets[8:12] in {b"avif", b"avis"}


def _is_svg(octets: bytes) -> bool:
    return _SVG.match(octets[:2000]) is not None


_FORMATS: tuple[tuple[str, Callable[[bytes], bool], Callable[[bytes], _Size]], ...] = (
    ("png", _starts(b"\x89PNG\r\n\x1a\n"), _png),
    ("jpg", _starts(b"\xff\xd8\xff"), _jpeg),
    ("gif", _starts(b"GIF87a", b"GIF89a"), _gif),
    ("webp", _is_webp, _webp),
    ("avif", _is_avif, _not_said),
    ("bmp", _starts(b"BM"), _bmp),
    ("svg", _is_svg, _not_said),
)
