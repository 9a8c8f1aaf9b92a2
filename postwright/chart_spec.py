"""What a chart is to show, without a word on how it is drawn: series, marks, titles, units, colours of themes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType

X = date | datetime | float | str
_MOST_POINTS = 10_000
NARROW_WIDTH = 320
"""Points: what a phone shows beside the margins of a page, so that its drawing is hardly made smaller."""


class Theme(StrEnum):
    """Paper or night."""

    LIGHT = "light"
    DARK = "dark"


class Tone(StrEnum):
    """What a series means; colours are Okabe and Ito's, told apart by those who see fewer."""

    PLANNED = "planned"
    ACTUAL = "actual"
    SECOND = "second"
    THIRD = "third"
    GOOD = "good"
    ATTENTION = "attention"
    BAD = "bad"
    MUTED = "muted"


@dataclass(frozen=True, slots=True)
class Line:
    """A line, for what was planned or allowed; ``None`` leaves a gap. ``dashed`` for what is only expected."""

    label: str
    x: Sequence[X]
    y: Sequence[float | None]
    tone: Tone = Tone.PLANNED
    dashed: bool = False
    steps: bool = False


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars, for what happened; ``on`` names the bars that these stand upon."""

    label: str
    x: Sequence[X]
    y: Sequence[float]
    tone: Tone = Tone.ACTUAL
    on: str | None = None
    horizontal: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """Bounds."""

    label: str
    x: Sequence[X]
    low: Sequence[float]
    high: Sequence[float]
    tone: Tone = Tone.MUTED


@dataclass(frozen=True, slots=True)
class Intervals:
    """Values with the bounds that each of them lies within, for what is only known so far."""

    label: str
    x: Sequence[X]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    tone: Tone = Tone.ACTUAL


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at ``x``: a sign above the plot with a short text; its shape tells it apart as well."""

    x: X
    text: str
    tone: Tone = Tone.ATTENTION


Series = Line | Bars | Band | Intervals


class ChartError(ValueError):
    """A chart that cannot be drawn: series of unequal length, or nothing in them."""


@dataclass(frozen=True, slots=True)
class ChartSpec:
    """A chart. ``x_unit`` names the zone where x is a time. Colours follow ``theme``.

    Moments with a zone are drawn at the distances that they truly have, and told by that zone's clock; those without
    are drawn as they are. ``size`` is in points; a PNG has two pixels for each. A ``narrow`` chart is for a phone:
    ``NARROW_WIDTH`` wide and as high as it needs to be, whatever ``size`` says. Raises ``ChartError`` for series that
    do not fit together.
    """

    title: str
    series: Sequence[Series]
    x_unit: str = ""
    y_unit: str = ""
    marks: Sequence[Mark] = ()
    note: str = ""
    theme: Theme = Theme.LIGHT
    size: tuple[int, int] = (880, 440)
    logarithmic: bool = False
    percent: bool = False
    description: str = field(default="", kw_only=True)
    narrow: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if not self.series or not all(len(one.x) for one in self.series):
            raise ChartError("a chart has at least one series with at least one point")
        for one in self.series:
            heights = (one.low, one.high) if isinstance(one, Band | Intervals) else (one.y,)
            if isinstance(one, Intervals) and len(one.y) != len(one.x):
                raise ChartError(f"'{one.label}': as many values as places")
            if any(len(height) != len(one.x) for height in heights) or len(one.x) > _MOST_POINTS:
                raise ChartError(f"'{one.label}': as many values as places, at most {_MOST_POINTS:,}")
        if not all(100 <= side <= 4_000 for side in self.size):
            raise ChartError("a chart measures 100 to 4,000 points")


def narrowed(spec: ChartSpec) -> ChartSpec:
    """The same chart for a phone."""
    return replace(spec, narrow=True)


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a theme."""

    ground: str
    ink: str
    faint: str
    grid: str
    tones: Mapping[Tone, str]


# After Okabe and Ito, "Color Universal Design" (2008), darkened for text on white; what may stand side by side
# (put off, refused) differs in brightness as well.
PALETTES: Mapping[Theme, Palette] = MappingProxyType(
    {
        Theme.LIGHT: Palette(
            "#ffffff",
            "#1c2430",
            "#56606e",
            "#e3e7ec",
            {
                Tone.PLANNED: "#1c2430",
                Tone.ACTUAL: "#0072b2",
                Tone.SECOND: "#a6521a",
                Tone.THIRD: "#7b4ea3",
                Tone.GOOD: "#00785a",
                Tone.ATTENTION: "#8f6a00",
                Tone.BAD: "#8b1e4b",
                Tone.MUTED: "#7d8794",
            },
        ),
        Theme.DARK: Palette(
            "#151a21",
            "#e8ecf1",
            "#a3adba",
            "#2b323c",
            {
                Tone.PLANNED: "#e8ecf1",
                Tone.ACTUAL: "#56b4e9",
                Tone.SECOND: "#e69f00",
                Tone.THIRD: "#d99bc0",
                Tone.GOOD: "#2fc79a",
                Tone.ATTENTION: "#f0e442",
                Tone.BAD: "#ff7a8a",
                Tone.MUTED: "#8a95a3",
            },
        ),
    }
)
