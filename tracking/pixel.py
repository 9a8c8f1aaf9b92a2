"""The tracking pixel: a transparent GIF of one by one pixel, and the header fields that it is served with."""

from typing import Final

PIXEL: Final[bytes] = bytes.fromhex(
    "474946383961"  # GIF89a
    "0100 0100 80 00 00"  # logical screen 1 x 1, global colour table of two
    "000000 ffffff"  # the two colours
    "21f904 01 0000 00 00"  # graphic control: colour 0 is transparent
    "2c 0000 0000 0100 0100 00"  # image of 1 x 1 at 0, 0
    "02 02 4401 00"  # LZW: clear, colour 0, end
    "3b"
)
"""43 octets (GIF89a specification)."""

# An answer from a cache would hide that the mail was opened again (RFC 9111 section 5.2.2); `no-cache` and
# `Pragma` are for old proxies.
PIXEL_HEADERS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"content-type", b"image/gif"),
    (b"content-length", b"%d" % len(PIXEL)),
    (b"cache-control", b"no-store, no-cache, must-revalidate, private, max-age=0"),
    (b"pragma", b"no-cache"),
    (b"expires", b"0"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"referrer-policy", b"no-referrer"),
)
"""Names in lower case, as ASGI and HTTP/2 want them."""
