"""What an MJML attribute may hold, as values that judge a text and say what they ask for.

The grammar is that of the MJML documentation (https://documentation.mjml.io/), made no stricter than mail clients
are: hexadecimal colours with an alpha digit and the modern way to write ``rgb()`` count as colours.
"""

import difflib
import re
from dataclasses import dataclass
from typing import Protocol

from mailtypes.saying import joined, say

_COLOUR_NAMES = frozenset(
    {
        "aliceblue", "antiquewhite", "aqua", "aquamarine", "azure", "beige", "bisque", "black", "blanchedalmond",
        "blue", "blueviolet", "brown", "burlywood", "cadetblue", "chartreuse", "chocolate", "coral", "cornflowerblue",
        "cornsilk", "crimson", "cyan", "darkblue", "darkcyan", "darkgoldenrod", "darkgray", "darkgreen", "darkgrey",
        "darkkhaki", "darkmagenta", "darkolivegreen", "darkorange", "darkorchid", "darkred", "darksalmon",
        "darkseagreen", "darkslateblue", "darkslategray", "darkslategrey", "darkturquoise", "darkviolet", "deeppink",
        "deepskyblue", "dimgray", "dimgrey", "dodgerblue", "firebrick", "floralwhite", "forestgreen", "fuchsia",
        "gainsboro", "ghostwhite", "gold", "goldenrod", "gray", "green", "greenyellow", "grey", "honeydew", "hotpink",
        "indianred", "indigo", "ivory", "khaki", "lavender", "lavenderblush", "lawngreen", "lemonchiffon", "lightblue",
        "lightcoral", "lightcyan", "lightgoldenrodyellow", "lightgray", "lightgreen", "lightgrey", "lightpink",
        "lightsalmon", "lightseagreen", "lightskyblue", "lightslategray", "lightslategrey", "lightsteelblue",
        "lightyellow", "lime", "limegreen", "linen", "magenta", "maroon", "mediumaquamarine", "mediumblue",
        "mediumorchid", "mediumpurple", "mediumseagreen", "mediumslateblue", "mediumspringgreen", "mediumturquoise",
        "mediumvioletred", "midnightblue", "mintcream", "mistyrose", "moccasin", "navajowhite", "navy", "oldlace",
        "olive", "olivedrab", "orange", "orangered", "orchid", "palegoldenrod", "palegreen", "paleturquoise",
        "palevioletred", "papayawhip", "peachpuff", "peru", "pink", "plum", "powderblue", "purple", "rebeccapurple",
        "red", "rosybrown", "royalblue", "saddlebrown", "salmon", "sandybrown", "seagreen", "seashell", "sienna",
        "silver", "skyblue", "slateblue", "slategray", "slategrey", "snow", "springgreen", "steelblue", "tan", "teal",
        "thistle", "tomato", "turquoise", "violet", "wheat", "white", "whitesmoke", "yellow", "yellowgreen",
        "transparent", "inherit", "initial", "currentcolor", "none",
    }
)  # fmt: skip
# The names are those of CSS Color Module Level 4 section 6.1, and the keywords.
_HEX_COLOUR = re.compile(r"#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})", re.IGNORECASE)
_BARE_HEX = re.compile(r"(?:[0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)
_COLOUR_FUNCTION = re.compile(r"(?:rgb|hsl)a?\([0-9.,%/ a-z]{3,60}\)", re.IGNORECASE)
_NUMBER = re.compile(r"-?(?:\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})")


class ValueKind(Protocol):
    """Judges the value of an attribute."""

    def fault(self, value: str) -> tuple[str, str] | None:
        """What is asked for and the nearest right value (or nothing), where ``value`` is wrong."""


@dataclass(frozen=True, slots=True)
class FreeText:
    """Anything."""

    def fault(self, _: str) -> tuple[str, str] | None:
        """Never."""
        return None


@dataclass(frozen=True, slots=True)
class Colour:
    """A name, ``#rgb``, ``#rrggbb`` (with or without alpha), ``rgb()``, ``hsl()``."""

    def fault(self, value: str) -> tuple[str, str] | None:
        """Where it is no colour."""
        text = value.strip()
        if text.lower() in _COLOUR_NAMES or _HEX_COLOUR.fullmatch(text) or _COLOUR_FUNCTION.fullmatch(text):
            return None
        near = f"#{text}" if _BARE_HEX.fullmatch(text) else _nearest(text.lower(), _COLOUR_NAMES)
        return say("a colour such as #1a2b3c, rgb(26, 43, 60) or navy"), near


@dataclass(frozen=True, slots=True)
class Length:
    """One to ``most`` numbers with one of ``units`` (an empty unit: the bare number); 0 needs no unit."""

    units: tuple[str, ...]
    most: int = 1
    words: tuple[str, ...] = ()
    negative: bool = False

    def fault(self, value: str) -> tuple[str, str] | None:
        """Where a number or its unit is wrong."""
        text = value.strip()
        if text.lower() in self.words:
            return None
        pieces = text.split()
        if 1 <= len(pieces) <= self.most and all(self._is_right(piece) for piece in pieces):
            return None
        bare = bool(pieces) and len(pieces) <= self.most and all(_NUMBER.fullmatch(piece) for piece in pieces)
        near = " ".join(piece + self.units[0] if piece != "0" else piece for piece in pieces) if bare else ""
        return self._asked(), near if near and not (near.startswith("-") and not self.negative) else ""

    def _is_right(self, piece: str) -> bool:
        number = _NUMBER.match(piece)
        if number is None or (number[0].startswith("-") and not self.negative):
            return False
        return piece[number.end() :].lower() in self.units or float(number[0]) == 0 == len(piece[number.end() :])

    def _asked(self) -> str:
        units = joined((unit or say("no unit") for unit in self.units), " or ")
        words = joined((say(", or %(word)s", word=word) for word in self.words), "") if self.words else ""
        several = say("one to %(most)s numbers", most=self.most) if self.most > 1 else say("a number")
        return say("%(several)s in %(units)s%(words)s", several=several, units=units, words=words)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few words."""

    words: tuple[str, ...]

    def fault(self, value: str) -> tuple[str, str] | None:
        """Where it is none of them."""
        if value.strip() in self.words:
            return None
        shown = [word for word in self.words if word]
        return say("one of %(shown)s", shown=", ".join(shown)), _nearest(value.strip().lower(), shown)


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """Digits only."""

    def fault(self, value: str) -> tuple[str, str] | None:
        """Where there is anything else."""
        text = value.strip()
        if text.isascii() and text.isdigit():
            return None
        return say("a whole number without unit"), text.removesuffix("px") if text[:-2].isdigit() else ""


def _nearest(text: str, known: "frozenset[str] | list[str]") -> str:
    return next(iter(difflib.get_close_matches(text[:40], sorted(known), 1)), "")
