"""What the headers of image files say, and nothing made up where they are cut short or lie."""

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rendering.lint import ImageFact, read_image


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    exif = b"\xff\xe1" + struct.pack(">H", 2 + 30) + b"Exif\x00\x00" + b"\xff\xc0" * 12  # holds what looks like a frame
    tables = b"\xff\xc4" + struct.pack(">H", 2 + 4) + b"\x00" * 4
    frame = b"\xff\xff\xc2" + struct.pack(">HBHHB", 17, 8, height, width, 3) + b"\x00" * 9  # with a fill byte
    return b"\xff\xd8" + exif + tables + frame + b"\xff\xd9"


def webp(kind: bytes, data: bytes) -> bytes:
    body = b"WEBP" + kind + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


LOSSY = b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", 320, 0x4000 | 200) + b"\x00" * 8
LOSSLESS = b"\x2f" + struct.pack("<I", 319 | 199 << 14) + b"\x00" * 8
EXTENDED = b"\x00" * 4 + (319).to_bytes(3, "little") + (199).to_bytes(3, "little")
FILES = {
    "png": png(320, 200),
    "jpg": jpeg(320, 200),
    "gif": b"GIF89a" + struct.pack("<HH", 320, 200) + b"\x00\x00\x00;",
    "bmp": b"BM" + b"\x00" * 12 + struct.pack("<Iii", 40, 320, -200) + b"\x00" * 28,
}


@pytest.mark.parametrize("name", FILES)
def test_format_and_size_are_read(name: str) -> None:
    assert read_image(FILES[name]) == ImageFact(320, 200, len(FILES[name]), name)


@pytest.mark.parametrize("octets", [webp(b"VP8 ", LOSSY), webp(b"VP8L", LOSSLESS), webp(b"VP8X", EXTENDED)])
def test_webp_in_its_three_forms(octets: bytes) -> None:
    assert read_image(octets) == ImageFact(320, 200, len(octets), "webp")


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"></svg>', "svg"),
        (b"\x00\x00\x00\x20ftypavif\x00\x00\x00\x00", "avif"),
        (png(0, 200), "png"),
        (png(320, 200)[:20], "png"),
        (b"\xff\xd8\xff\xe1\xff\xff" + b"\x00" * 40, "jpg"),
    ],
)
def test_what_the_header_does_not_say_is_not_known(octets: bytes, name: str) -> None:
    assert read_image(octets) == ImageFact(None, None, len(octets), name)


@pytest.mark.parametrize("octets", [b"", b"<!doctype html><svg></svg>", b"RIFFxxxxWAVE", b"not found", b"<p><svg>"])
def test_what_is_no_image(octets: bytes) -> None:
    assert read_image(octets) is None


@given(st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFFxxxxWEBP", b"BM"]), st.binary())
@settings(max_examples=150)
def test_nothing_breaks_it(begin: bytes, rest: bytes) -> None:
    found = read_image(begin + rest)
    assert found is None or (found.width is None) == (found.height is None)
