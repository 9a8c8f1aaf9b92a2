from tracking.pixel import PIXEL, PIXEL_HEADERS


def test_the_pixel_is_a_gif_of_one_transparent_pixel() -> None:
    assert len(PIXEL) == 43
    assert PIXEL[:6] == b"GIF89a"
    assert PIXEL[6:10] == b"\x01\x00\x01\x00"
    flags = PIXEL[10]
    assert flags & 0x80
    colour_table_octets = 3 * 2 ** ((flags & 7) + 1)
    control = PIXEL[13 + colour_table_octets :]
    assert control[:3] == b"\x21\xf9\x04"
    assert control[3] & 1, "transparency is on"
    transparent = control[6]
    image = control[8:]
    assert image[0] == 0x2C
    assert image[5:9] == b"\x01\x00\x01\x00"
    assert _lzw_codes(image[12:14], image[10]) == [4, transparent, 5]  # clear, the pixel, end
    assert image[14:] == b"\x00\x3b"


def _lzw_codes(data: bytes, minimum_code_size: int) -> list[int]:
    width = minimum_code_size + 1
    bits = int.from_bytes(data, "little")
    return [bits >> place & (1 << width) - 1 for place in range(0, 3 * width, width)]


def test_the_pixel_is_never_cached_and_its_length_is_right() -> None:
    headers = dict(PIXEL_HEADERS)
    assert headers[b"content-length"] == b"43"
    assert headers[b"content-type"] == b"image/gif"
    assert b"no-store" in headers[b"cache-control"]
    assert all(name == name.lower() for name in headers)
