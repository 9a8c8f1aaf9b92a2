"""Charts as SVG or PNG: the one module behind matplotlib.

Few and exact: axes with units, the zone named, direct labels, what is planned as a line, what happened as bars, bounds
as bands. The same specification gives the same octets: no time, no random identifier. Text in SVG stays text, so that
it can be searched, read aloud and set from right to left.
"""

import io
import itertools
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from postwright.chart_spec import (
    PALETTES,
    Band,
    Bars,
    ChartError,
    ChartSpec,
    Intervals,
    Line,
    Mark,
    Palette,
    Series,
    Theme,
    Tone,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Band", "Bars", "ChartError", "ChartSpec", "Intervals", "Line", "Mark", "Series", "Theme", "Tone", "draw"]

_DOTS = 144  # per inch in a PNG: twice the 72 of an SVG's user units
_LABEL_WIDTH = 70  # pixels that labels over neighbouring ends of lines need
_BAR_SHARE = 0.78  # of the distance of neighbours
_RIGHT_TO_LEFT, _END = "\u202b", "\u202c"  # UAX 9: embedding, since a browser takes SVG text to be left to right
_SIGNS: Mapping[Tone, str] = MappingProxyType(
    {Tone.GOOD: "o", Tone.ATTENTION: "^", Tone.BAD: "X", Tone.MUTED: "s", Tone.SECOND: "D", Tone.THIRD: "P"}
)
_SETTINGS: Mapping[str, Any] = MappingProxyType(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "postwright",
        "font.family": ["DejaVu Sans"],  # comes with matplotlib, and knows Hebrew
        "font.size": 10.0,
        "text.usetex": False,
        "text.parse_math": False,  # a dollar sign in a title is a dollar sign
        "path.simplify": True,
    }
)
_DRAWING = threading.Lock()
"""Settings of matplotlib belong to the process, so one chart is drawn at a time."""


def draw(spec: ChartSpec, form: Literal["svg", "png"] = "svg") -> bytes:
    """The chart as octets of an SVG or PNG file; the same ``spec`` gives the same octets."""
    from matplotlib import rc_context, rcdefaults, rcParams  # noqa: PLC0415 - half a second, only for those who draw
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    palette = PALETTES[spec.theme]
    with _DRAWING, rc_context():
        rcdefaults()  # whatever a matplotlibrc on this machine says
        rcParams.update(dict(_SETTINGS))  # type: ignore[arg-type]
        figure = Figure(figsize=(spec.size[0] / 72, spec.size[1] / 72), dpi=72, facecolor=palette.ground)
        (FigureCanvasSVG if form == "svg" else FigureCanvasAgg)(figure)
        _compose(figure, spec, palette)
        out = io.BytesIO()
        metadata: dict[str, Any] = {"Title": spec.title, "Description": spec.description or spec.title}
        if form == "svg":
            metadata |= {"Date": None, "Creator": "Postwright", "Language": "he" if _is_rtl(spec.title) else "en"}
            figure.savefig(out, format="svg", metadata=metadata, facecolor=palette.ground)
        else:
            metadata |= {"Software": "Postwright"}
            figure.savefig(out, format="png", dpi=_DOTS, metadata=metadata, facecolor=palette.ground)
    return out.getvalue()


def _compose(figure: "Figure", spec: ChartSpec, palette: Palette) -> None:
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    _frame(axes, spec, palette)
    ground = _Ground(axes, palette, spec.percent, {})
    for order, one in enumerate(spec.series):
        _PAINTERS[type(one)](ground, one, order)
    _scales(axes, spec, palette)
    _margins(figure, axes, spec)
    _marks(axes, spec, palette)
    _labels(axes, spec, palette)
    _texts(figure, axes, spec, palette)


def _frame(axes: "Axes", spec: ChartSpec, palette: Palette) -> None:
    axes.set_facecolor(palette.ground)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(palette.faint)
    horizontal = any(isinstance(one, Bars) and one.horizontal for one in spec.series)
    axes.grid(visible=True, axis="x" if horizontal else "y", color=palette.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=palette.faint, length=0, labelsize=9)


@dataclass(frozen=True, slots=True)
class _Ground:
    """What is painted on; ``floors`` are the upper ends of the bars that stand already."""

    axes: "Axes"
    palette: Palette
    percent: bool
    floors: dict[str, Sequence[float]]


def _paint_line(ground: _Ground, line: Line, order: int) -> None:
    heights = [math.nan if value is None else value for value in line.y]
    ground.axes.plot(
        list(line.x),  # type: ignore[arg-type]
        heights,
        color=ground.palette.tones[line.tone],
        linewidth=1.8,
        linestyle=(0, (4, 3)) if line.dashed else "solid",
        drawstyle="steps-mid" if line.steps else "default",
        zorder=10 + order,
        label=line.label,
    )


def _paint_bars(ground: _Ground, bars: Bars, order: int) -> None:
    axes, palette, floors = ground.axes, ground.palette, ground.floors
    floor = floors.get(bars.on or "", [0.0] * len(bars.x))
    if len(floor) != len(bars.x) or (bars.on and bars.on not in floors):
        raise ChartError(f"'{bars.label}' stands on bars that are not there, or not as many")
    floors[bars.label] = [below + height for below, height in zip(floor, bars.y, strict=True)]
    style = {"color": palette.tones[bars.tone], "zorder": 2 + order / 100, "label": bars.label, "linewidth": 0}
    if bars.horizontal:
        drawn = axes.barh(list(bars.x), list(bars.y), height=0.6, left=list(floor), **style)  # type: ignore[arg-type]
        axes.yaxis.set_inverted(True)  # the first at the top, as in a table
    else:
        width = _BAR_SHARE * _spacing(bars.x)
        drawn = axes.bar(list(bars.x), list(bars.y), width=width, bottom=list(floor), **style)  # type: ignore[arg-type]
    if isinstance(bars.x[0], str) and bars.on is None and not order:  # few enough to write each value beside its bar
        values = [_figure(value, ground.percent) for value in bars.y]
        axes.bar_label(drawn, values, padding=4, color=palette.ink, fontsize=9.5)


def _spacing(places: Sequence[Any]) -> float:
    """The least distance of neighbours, so that a bar of an hour is as wide as an hour; matplotlib counts in days."""
    if isinstance(places[0], str) or len(places) < 2:
        return 1.0
    least = min(abs(after - before) for before, after in itertools.pairwise(places))
    return least / timedelta(days=1) if isinstance(least, timedelta) else float(least)


def _paint_band(ground: _Ground, band: Band, order: int) -> None:
    del order  # bounds lie behind everything
    colour = ground.palette.tones[band.tone]
    places: Any = list(band.x)
    ground.axes.fill_between(places, list(band.low), list(band.high), color=colour, alpha=0.22, linewidth=0, zorder=1)


def _paint_intervals(ground: _Ground, one: Intervals, order: int) -> None:
    below = [max(0.0, value - low) for value, low in zip(one.y, one.low, strict=True)]
    above = [max(0.0, high - value) for value, high in zip(one.y, one.high, strict=True)]
    places: Any = list(one.x)
    style: Any = {"color": ground.palette.tones[one.tone], "zorder": 10 + order, "label": one.label}
    ground.axes.errorbar(
        places, list(one.y), yerr=[below, above], fmt="o", markersize=6, capsize=5, elinewidth=1.8, **style
    )


_PAINTERS: Mapping[type, Callable[..., None]] = MappingProxyType(
    {Line: _paint_line, Bars: _paint_bars, Band: _paint_band, Intervals: _paint_intervals}
)


def _scales(axes: "Axes", spec: ChartSpec, palette: Palette) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator  # noqa: PLC0415

    horizontal = any(isinstance(one, Bars) and one.horizontal for one in spec.series)
    values = axes.xaxis if horizontal else axes.yaxis
    if spec.logarithmic:
        (axes.set_xscale if horizontal else axes.set_yscale)("log")
        values.set_minor_locator(NullLocator())
    elif not horizontal:
        axes.set_ylim(0, 1.03 * max(axes.dataLim.y1, 1e-9))  # room for the upper half of a line at the top
    values.set_major_formatter(FuncFormatter(lambda value, _: _figure(value, spec.percent)))
    if isinstance(spec.series[0].x[0], date) and not horizontal:
        locator = AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]
    elif all(isinstance(place, int) for one in spec.series for place in one.x) and not horizontal:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.01)
    for tick in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        tick.set_color(palette.faint)


def _figure(value: float, percent: bool) -> str:
    """A number of an axis: 12,000 or 0.5 or 12 %."""
    shown = 100 * value if percent else value
    text = f"{shown:,.0f}" if abs(shown - round(shown)) < 1e-9 else f"{shown:,.3g}"
    return f"{text} %" if percent else text


def _margins(figure: "Figure", axes: "Axes", spec: ChartSpec) -> None:
    """Room for the texts: the widest label of the y axis at the start, the direct labels at the end."""
    width, height = spec.size
    figure.canvas.draw()
    widest = max((label.get_window_extent().width for label in axes.get_yticklabels()), default=30.0)
    labels = max((6.6 * len(one.label) for one in spec.series), default=0.0)
    top = 74 + (24 if spec.marks else 0)
    left, right, bottom = widest + 22, labels + 24, 44 + (18 if spec.note else 0)
    axes.set_position((left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height))


def _marks(axes: "Axes", spec: ChartSpec, palette: Palette) -> None:
    """Signs in a strip above the plot; neighbours that would overlap lose their text, not their sign."""
    free_from = -math.inf
    strip = axes.get_xaxis_transform()
    for mark in spec.marks:
        place = float(axes.convert_xunits(mark.x))  # type: ignore[no-untyped-call]
        colour = palette.tones[mark.tone]
        axes.axvline(place, color=colour, linewidth=0.7, alpha=0.5, zorder=1.5)
        axes.plot(
            [place],
            [1.035],
            marker=_SIGNS.get(mark.tone, "o"),
            color=colour,
            markersize=6,
            transform=strip,
            clip_on=False,
            linestyle="none",
        )
        at = float(axes.transData.transform((place, 0.0))[0])
        if mark.text and at >= free_from:
            axes.text(
                place, 1.07, _set(mark.text), transform=strip, color=colour, fontsize=8.5, ha="center", va="bottom"
            )
            free_from = at + 5.6 * len(mark.text) + 10


def _labels(axes: "Axes", spec: ChartSpec, palette: Palette) -> None:
    """Each series' name at its end, in its colour, moved apart where they would meet."""
    if any(isinstance(one, Bars) and one.horizontal for one in spec.series):
        return
    wanted: list[tuple[float, str, Tone]] = []
    floors: dict[str, float] = {}
    right, inner = axes.dataLim.x1, -math.inf
    for one in spec.series:
        height = _end_height(one, floors)
        end = float(axes.convert_xunits(one.x[-1]))  # type: ignore[no-untyped-call]
        if isinstance(one, Line) and end < right - 0.02 * (right - axes.dataLim.x0):
            colour = palette.tones[one.tone]
            at = float(axes.transData.transform((end, 1.0))[0])
            rise, inner = (18 if abs(at - inner) < _LABEL_WIDTH else 6), at
            above = {"textcoords": "offset points", "xytext": (0, rise), "ha": "center", "fontsize": 9.5}
            axes.annotate(_set(one.label), (end, height), color=colour, annotation_clip=False, **above)  # type: ignore[arg-type]
            continue
        at = float(axes.transData.transform((0.0, max(height, 1e-9)))[1])
        wanted.append((at, one.label, one.tone))
    box = axes.get_window_extent()
    heights = _apart([one[0] for one in wanted], (box.y0 + 6, box.y1), 14.0)
    for at, (_, label, tone) in zip(heights, wanted, strict=True):
        share = (at - box.y0) / box.height
        axes.text(
            1.012, share, _set(label), transform=axes.transAxes, color=palette.tones[tone], fontsize=9.5, va="center"
        )


def _end_height(one: Series, floors: dict[str, float]) -> float:
    """Where a series ends: the last value of a line, the middle of the last bar or of the band."""
    if isinstance(one, Band):
        return (one.low[-1] + one.high[-1]) / 2
    if isinstance(one, Bars):
        below = floors.get(one.on or "", 0.0)
        floors[one.label] = below + one.y[-1]
        return below + one.y[-1] / 2
    return next((value for value in reversed(one.y) if value is not None), 0.0)


def _apart(heights: Sequence[float], within: tuple[float, float], gap: float) -> list[float]:
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


def _texts(figure: "Figure", axes: "Axes", spec: ChartSpec, palette: Palette) -> None:
    width, height = spec.size
    right_to_left = _is_rtl(spec.title)
    edge, side = (1 - 16 / width, "right") if right_to_left else (16 / width, "left")
    figure.text(
        edge, 1 - 22 / height, _set(spec.title), color=palette.ink, fontsize=13, fontweight="bold", ha=side, va="center"
    )
    if spec.y_unit:
        figure.text(edge, 1 - 44 / height, _set(spec.y_unit), color=palette.faint, fontsize=9.5, ha=side, va="center")
    box = axes.get_position()
    if spec.x_unit:
        low = (14 if not spec.note else 30) / height
        figure.text(box.x1, low, _set(spec.x_unit), color=palette.faint, fontsize=9.5, ha="right", va="center")
    if spec.note:
        figure.text(edge, 14 / height, _set(spec.note), color=palette.faint, fontsize=8.5, ha=side, va="center")


def _set(text: str) -> str:
    """``text``, marked where it runs from right to left; the embedding does no harm where it is shaped anyway."""
    return f"{_RIGHT_TO_LEFT}{text}{_END}" if _is_rtl(text) else text


def _is_rtl(text: str) -> bool:
    """Whether the first strong letter is one that is written from right to left (UAX 9, rules P2 and P3)."""
    from unicodedata import bidirectional  # noqa: PLC0415

    return next((kind in ("R", "AL") for letter in text if (kind := bidirectional(letter)) in ("L", "R", "AL")), False)
