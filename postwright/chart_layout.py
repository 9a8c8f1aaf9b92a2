"""Where the texts of a chart stand and how large they are, on a wide page and on a phone.

A drawing that shrinks with the page loses its words first, so a phone has a drawing of its own: as wide as a phone,
larger letters, the names of the series in a legend over the plot in place of the room at its end. Nothing here draws.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from unicodedata import bidirectional

from postwright.chart_spec import NARROW_WIDTH, Band, Bars, ChartSpec, Intervals, Series, Tone

RIGHT_TO_LEFT, END = "\u202b", "\u202c"  # UAX 9: embedding, since a browser takes SVG text to be left to right
_EDGE = 16  # points that stay free at both sides
_ROW, _PLOT = 46, 210  # of a phone's drawing: a row of bars with its name above, the plot of all other charts
_LETTER = 0.62  # of the size: the mean width of a letter of DejaVu Sans, which is wider than what phones have
_BOLD_LETTER = 0.7
_GAP = 18  # between entries of a legend


@dataclass(frozen=True, slots=True)
class Type:
    """Sizes of letters and the distance of lines, in points."""

    title: float
    label: float
    tick: float
    small: float
    line: float

    @property
    def sign(self) -> float:
        """What a sign of the legend takes, with the space behind it."""
        return 1.4 * self.label


_WIDE, _NARROW = Type(13, 9.5, 9, 8.5, 18), Type(15, 12.5, 12, 12, 18)


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in the legend, ``at`` points from the side where reading begins, with a sign in the colour of ``tone``."""

    sign: str
    text: str
    tone: Tone
    at: float


@dataclass(frozen=True, slots=True)
class Layout:
    """The texts in lines, and the room above and below the plot; all lengths in points.

    A legend has several rows; it is empty where the names stand at the ends of the series.
    """

    size: tuple[float, float]
    type: Type
    title: Sequence[str]
    unit: Sequence[str]
    legend: Sequence[Sequence[Entry]]
    note: Sequence[str]
    top: float
    bottom: float
    is_rtl: bool

    @property
    def unit_at(self) -> float:
        """How far below the upper edge the first line of the unit stands."""
        return 44 + self.type.line * (len(self.title) - 1)

    @property
    def legend_at(self) -> float:
        """How far below the upper edge the first row of the legend stands."""
        return self.unit_at + (self.type.line + 3) * len(self.unit)


def layout_of(spec: ChartSpec) -> Layout:
    """The layout of a chart: of ``spec.size``, or where it is narrow as high as its texts and rows ask for."""
    type_, width = (_NARROW, NARROW_WIDTH) if spec.narrow else (_WIDE, spec.size[0])
    room = width - 2 * _EDGE
    title = _lines(spec.title, room / (_BOLD_LETTER * type_.title)) if spec.narrow else [spec.title]
    unit = [spec.y_unit] if spec.y_unit else []
    note = [] if not spec.note else _lines(spec.note, room / (_LETTER * type_.small)) if spec.narrow else [spec.note]
    legend = list(_legend(spec, type_, room))
    rows = len(legend) * (type_.line + 2)
    top = 74 + type_.line * (len(title) - 1) + rows + (24 if spec.marks else 0)
    bottom = 44 + type_.line * len(note)
    height: float = spec.size[1]
    if spec.narrow:
        bars = row_names(spec)
        bottom = (8 if bars else 30) + type_.line * (len(note) + bool(spec.x_unit))
        height = top + bottom + (_ROW * len(bars) if bars else _PLOT)
    return Layout((width, height), type_, title, unit, legend, note, top, bottom, is_rtl(spec.title))


def row_names(spec: ChartSpec) -> Sequence[str]:
    """The names of the rows of horizontal bars; empty where there are none."""
    return [str(place) for place in spec.series[0].x] if is_horizontal(spec) else []


def is_horizontal(spec: ChartSpec) -> bool:
    """Whether the bars lie."""
    return any(isinstance(one, Bars) and one.horizontal for one in spec.series)


def shortened(text: str, room: float, size: float) -> str:
    """``text`` without its middle where it is wider than ``room``; beginnings and ends tell links and hosts apart."""
    most = max(8, int(room / (_LETTER * size)))
    if len(text) <= most:
        return text
    tail = most // 3
    return f"{text[: most - tail - 1]}…{text[-tail:]}"


def width_of(text: str, size: float) -> float:
    """About how wide a text is, in points; rather more than less."""
    return _LETTER * size * len(text)


def every(count: int, widest: float, room: float) -> int:
    """Every how many of ``count`` labels has room, the last one always has."""
    return max(1, -int(-(widest * count) // max(room, 1.0)))


def apart(heights: Sequence[float], within: tuple[float, float], gap: float) -> list[float]:
    """``heights`` moved as little as needed to stand ``gap`` apart, upwards first, and down again at the top."""
    order = sorted(range(len(heights)), key=lambda one: (heights[one], -one))
    placed = [0.0] * len(heights)
    floor, ceiling = within
    for index in order:
        placed[index] = max(heights[index], floor)
        floor = placed[index] + gap
    for index in reversed(order):
        placed[index] = min(placed[index], ceiling)
        ceiling = placed[index] - gap
    return placed


def embedded(text: str) -> str:
    """``text``, marked where it runs from right to left; the embedding does no harm where it is shaped anyway."""
    return f"{RIGHT_TO_LEFT}{text}{END}" if is_rtl(text) else text


def is_rtl(text: str) -> bool:
    """Whether the first strong letter is one that is written from right to left (UAX 9, rules P2 and P3)."""
    return next((kind in ("R", "AL") for letter in text if (kind := bidirectional(letter)) in ("L", "R", "AL")), False)


def _lines(text: str, most: float) -> list[str]:
    """``text`` in lines of up to ``most`` letters; a word that is longer has a line of its own."""
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= most:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _legend(spec: ChartSpec, type_: Type, room: float) -> Iterator[Sequence[Entry]]:
    """On a phone the names of all series; of bars that lie, which have no end to write at, where there are several."""
    if len(spec.series) < 2 if is_horizontal(spec) else not spec.narrow:
        return
    row: list[Entry] = []
    at = 0.0
    for one in spec.series:
        wide = type_.sign + width_of(one.label, type_.label)
        if row and at + wide > room:
            yield row
            row, at = [], 0.0
        row.append(Entry(_sign(one), one.label, one.tone, at))
        at += wide + _GAP
    yield row


def _sign(one: Series) -> str:
    """What the series looks like, as a letter, so that colour is not all that tells them apart."""
    match one:
        case Bars() | Band():
            return "■"
        case Intervals():
            return "●"
        case _:
            return "┅" if one.dashed else "━"
