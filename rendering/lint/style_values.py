"""Declarations, colours and lengths of CSS, as far as mail needs them."""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from rendering.lint.css_reading import read_colour, read_declarations

_SIMPLE = re.compile(r"[^\"'()\\/{}\[\]]*\Z")
_LENGTH = re.compile(
    r"\s*(-?\d{1,6}(?:\.\d{1,6})?|-?\.\d{1,6})\s*(px|pt|em|rem|%|)\s*(?:!important\s*)?\Z", re.IGNORECASE
)
_PICTURE = re.compile(r"url\(|gradient\(|image-set\(|var\(", re.IGNORECASE)
_BARE_HEX = re.compile(r"[0-9a-f]{6}\Z", re.IGNORECASE)
_MAX_STYLE = 20_000
_MAX_COLOUR = 64
_NAMED_SIZES = MappingProxyType(
    {"xx-small": 9.0, "x-small": 10.0, "small": 13.0, "medium": 16.0, "large": 18.0, "x-large": 24.0, "xx-large": 32.0}
)


class Colour(NamedTuple):
    """Red, green, blue from 0 to 1; ``known`` is false where a picture, a gradient or transparency decides."""

    red: float
    green: float
    blue: float
    known: bool = True

    @property
    def luminance(self) -> float:
        """Relative luminance (WCAG 2.2)."""
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in self[:3])
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    @property
    def name(self) -> str:
        """As in CSS: ``#rrggbb``."""
        return "#" + "".join(f"{round(255 * part):02x}" for part in self[:3])


BLACK = Colour(0, 0, 0)
WHITE = Colour(1, 1, 1)
UNKNOWN = Colour(0, 0, 0, known=False)


def contrast(one: Colour, other: Colour) -> float:
    """The contrast ratio of two colours, from 1 to 21 (WCAG 2.2, success criterion 1.4.3)."""
    lighter, darker = sorted((one.luminance, other.luminance), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@lru_cache(maxsize=2048)
def declarations(style: str) -> Mapping[str, str]:
    """Property to value of a ``style`` attribute, both in lower case; what cannot be read is left out.

    Longer ones than any mail has are cut. ``!important`` counts as it does in CSS.
    """
    style = style[:_MAX_STYLE].lower()
    found: dict[str, str] = {}
    important: set[str] = set()
    pairs = _simple_pairs(style) if _SIMPLE.match(style) else read_declarations(style)
    for name, value, weighty in pairs:
        if name not in important or weighty:
            found[name] = value
        if weighty:
            important.add(name)
    return MappingProxyType(found)


def _simple_pairs(style: str) -> list[tuple[str, str, bool]]:
    pairs = []
    for piece in style.split(";"):
        name, colon, value = piece.partition(":")
        if colon and name.strip() and value.strip():
            kept = value.replace("!important", "").strip()
            pairs.append((name.strip(), kept, "!important" in value))
    return pairs


@lru_cache(maxsize=2048)
def colour(text: str) -> Colour | None:
    """A CSS colour (or one of HTML without its ``#``); ``None`` where the text is none or shows what is behind."""
    text = text.strip()
    if len(text) > _MAX_COLOUR:
        return None
    parts = read_colour(text)
    if parts is None and _BARE_HEX.match(text):
        parts = read_colour("#" + text)
    if parts is None or parts[3] == 0:
        return None
    return Colour(*parts[:3]) if parts[3] >= 1 else UNKNOWN


@lru_cache(maxsize=2048)
def background_colour(text: str) -> Colour | None:
    """What a ``background`` shows behind text: its colour, ``UNKNOWN`` under a picture, ``None`` for nothing."""
    if _PICTURE.search(text):
        return UNKNOWN
    if (whole := colour(text)) is not None or "(" in text:
        return whole
    return next((found for word in text.split()[:12] if (found := colour(word)) is not None), None)


def length(text: str, font_px: float = 16.0, whole: float | None = None) -> float | None:
    """A length in pixels; ``None`` where it is none or a percentage of an unknown ``whole``."""
    match = _LENGTH.match(text)
    if match is None:
        return None
    number, unit = float(match[1]), match[2].lower()
    if unit == "%":
        return None if whole is None else number * whole / 100
    return number * {"": 1.0, "px": 1.0, "pt": 4 / 3, "em": font_px, "rem": 16.0}[unit]


def font_size(text: str, inherited: float) -> float | None:
    """A ``font-size`` in pixels."""
    return _NAMED_SIZES.get(text) or length(text, inherited, whole=inherited)


def horizontal_padding(style: Mapping[str, str], name: str = "padding") -> tuple[float, float]:
    """The left and the right ``padding`` (or ``margin``) of a style, in pixels; 0 where it gives none."""
    left = right = 0.0
    parts = style.get(name, "").split()
    if 0 < len(parts) <= 4:
        values = [length(part) or 0.0 for part in parts]
        right = values[1] if len(values) > 1 else values[0]
        left = values[3] if len(values) > 3 else right
    given_left, given_right = style.get(f"{name}-left"), style.get(f"{name}-right")
    left = left if given_left is None else length(given_left) or 0.0
    right = right if given_right is None else length(given_right) or 0.0
    return left, right
