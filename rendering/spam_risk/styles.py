"""What an inline style or an old attribute says about size, colour and visibility."""

import re
from dataclasses import dataclass
from functools import lru_cache

_DECLARATION = re.compile(r"\s*([a-z-]{1,40})\s*:\s*([^;]{0,200})")
_SIZE = re.compile(r"([0-9]{1,5}(?:\.[0-9]{0,4})?|\.[0-9]{1,4})(px|pt|em|rem|%)?(?![0-9.])")
_PIXELS = {"px": 1.0, "pt": 4 / 3, "em": 16.0, "rem": 16.0, "%": 0.16, None: 1.0}
_RGB = re.compile(r"rgba?\(\s*([0-9]{1,3})\s*,\s*([0-9]{1,3})\s*,\s*([0-9]{1,3})")
_HEX = re.compile(r"#?([0-9a-f]{6}|[0-9a-f]{3})\Z")
_NAMES = {
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "red": (255, 0, 0),
    "lime": (0, 255, 0),
    "green": (0, 128, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
    "silver": (192, 192, 192),
    "navy": (0, 0, 128),
    "snow": (255, 250, 250),
    "ivory": (255, 255, 240),
}

Colour = tuple[int, int, int]
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Style:
    """What is said; ``None`` where nothing is. ``size`` in CSS pixels, relative units against 16."""

    is_hidden: bool = False
    size: float | None = None
    colour: Colour | None = None
    background: Colour | None = None
    has_image: bool = False


PLAIN = Style()


@lru_cache(maxsize=4096)
def read_style(text: str) -> Style:
    """An inline style; what cannot be read says nothing."""
    said = {match[1]: match[2].strip() for match in _DECLARATION.finditer(text[:4_000].lower())}
    size = read_size(said.get("font-size", ""))
    back = said.get("background", "") + " " + said.get("background-image", "")
    background = said.get("background-color") or said.get("background", "").split(" ")[0]
    is_hidden = (
        said.get("display", "").startswith("none")
        or said.get("visibility", "").startswith("hidden")
        or said.get("mso-hide", "").startswith("all")
        or said.get("max-height", "").startswith("0")
        or said.get("opacity", "").split("!")[0].strip() in ("0", "0.0")
    )
    return Style(is_hidden, size, read_colour(said.get("color", "")), read_colour(background), "url(" in back)


@lru_cache(maxsize=4096)
def read_size(text: str) -> float | None:
    """A length in pixels."""
    match = _SIZE.match(text)
    return None if match is None else float(match[1]) * _PIXELS[match[2]]


@lru_cache(maxsize=4096)
def read_colour(text: str) -> Colour | None:
    """A colour as ``#rgb``, ``#rrggbb``, ``rgb()`` or one of the common names."""
    text = text.partition("!")[0].strip().lower()
    if match := _RGB.match(text):
        return min(int(match[1]), 255), min(int(match[2]), 255), min(int(match[3]), 255)
    if match := _HEX.match(text):
        digits = match[1] if len(match[1]) == 6 else "".join(digit * 2 for digit in match[1])
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
    return _NAMES.get(text)


@lru_cache(maxsize=4096)
def contrast(one: Colour, other: Colour) -> float:
    """The contrast ratio of WCAG 2.2, from 1 (the same) to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
