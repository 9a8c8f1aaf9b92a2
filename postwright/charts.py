"""Charts as SVG or PNG: the one module behind matplotlib.

Few and exact: axes with units, the zone named, direct labels, what is planned as a line, what happened as bars, bounds
as bands. The same specification gives the same octets: no time, no random identifier. Text in SVG stays text, so that
it can be searched, read aloud and set from right to left. What is said where: ``postwright.chart_layout``.
"""

import io
import itertools
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from postwright.chart_layout import (
    Layout,
    apart,
    embedded,
    every,
    is_horizontal,
    layout_of,
    row_names,
    shortened,
    width_of,
)
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
    X,
    narrowed,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "Band",
    "Bars",
    "ChartError",
    "ChartSpec",
    "Intervals",
    "Line",
    "Mark",
    "Series",
    "Theme",
    "Tone",
    "draw",
    "narrowed",
]

_DOTS = 144  # per inch in a PNG: twice the 72 of an SVG's user units
_LABEL_WIDTH = 70  # pixels that labels over neighbouring ends of lines need
_BAR_SHARE = 0.78  # of the distance of neighbours
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

    palette, layout = PALETTES[spec.theme], layout_of(spec)
    with _DRAWING, rc_context():
        rcdefaults()  # whatever a matplotlibrc on this machine says
        rcParams.update(dict(_SETTINGS))  # type: ignore[arg-type]
        size = (layout.size[0] / 72, layout.size[1] / 72)
        figure = Figure(figsize=size, dpi=72, facecolor=palette.ground)
        (FigureCanvasSVG if form == "svg" else FigureCanvasAgg)(figure)
        _compose(_Ground(figure, figure.add_axes((0.0, 0.0, 1.0, 1.0)), spec, palette, layout))
        out = io.BytesIO()
        metadata: dict[str, Any] = {"Title": spec.title, "Description": spec.description or spec.title}
        if form == "svg":
            metadata |= {"Date": None, "Creator": "Postwright", "Language": "he" if layout.is_rtl else "en"}
            figure.savefig(out, format="svg", metadata=metadata, facecolor=palette.ground)
        else:
            metadata |= {"Software": "Postwright"}
            figure.savefig(out, format="png", dpi=_DOTS, metadata=metadata, facecolor=palette.ground)
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class _Ground:
    """What is painted on, and what; ``floors`` are the upper ends of the bars that stand already."""

    figure: "Figure"
    axes: "Axes"
    spec: ChartSpec
    palette: Palette
    layout: Layout
    floors: dict[str, Sequence[float]] = field(default_factory=dict)


def _compose(ground: _Ground) -> None:
    _frame(ground)
    for order, one in enumerate(ground.spec.series):
        _PAINTERS[type(one)](ground, one, order)
    _scales(ground)
    _margins(ground)
    if ground.spec.narrow:
        _thin(ground)
        _rows(ground)
    _marks(ground)
    if not ground.layout.legend:
        _labels(ground)
    _texts(ground)


def _frame(ground: _Ground) -> None:
    axes, spec, palette = ground.axes, ground.spec, ground.palette
    axes.set_facecolor(palette.ground)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom" and not (spec.narrow and is_horizontal(spec)))
        spine.set_color(palette.faint)
    axes.grid(visible=True, axis="x" if is_horizontal(spec) else "y", color=palette.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=palette.faint, length=0, labelsize=ground.layout.type.tick)
    if spec.narrow:
        axes.tick_params(axis="x", pad=7)  # the larger figures of both axes meet in the corner


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
        height = 0.3 if ground.spec.narrow else 0.6
        drawn = axes.barh(list(bars.x), list(bars.y), height=height, left=list(floor), **style)  # type: ignore[arg-type]
        axes.yaxis.set_inverted(True)  # the first at the top, as in a table
    else:
        width = _BAR_SHARE * _spacing(bars.x)
        drawn = axes.bar(list(bars.x), list(bars.y), width=width, bottom=list(floor), **style)  # type: ignore[arg-type]
    if isinstance(bars.x[0], str) and not ground.spec.narrow:  # few enough to write each value beside its bar
        _write_values(ground, bars, drawn)


def _write_values(ground: _Ground, bars: Bars, drawn: Any) -> None:
    """The values at the ends; of bars that lie upon each other all together, at the end of the last."""
    if bars.horizontal:
        values = _row_values(ground.spec) if bars is ground.spec.series[-1] else []
    else:
        values = [_figure(value, ground.spec.percent) for value in bars.y] if bars is ground.spec.series[0] else []
    if values:
        ground.axes.bar_label(drawn, values, padding=4, color=ground.palette.ink, fontsize=ground.layout.type.label)


def _row_values(spec: ChartSpec, *, from_right: bool = False) -> list[str]:
    """What each row of horizontal bars says, in the order in which they lie."""
    bars = [one for one in spec.series if isinstance(one, Bars)]
    heights = [one.y for one in (reversed(bars) if from_right else bars)]
    return [" · ".join(_figure(value, spec.percent) for value in row) for row in zip(*heights, strict=True)]


def _spacing(places: Sequence[Any]) -> float:
    """The least distance of neighbours, so that a bar of an hour is as wide as an hour; matplotlib counts in days."""
    if isinstance(places[0], str) or len(places) < 2:
        return 1.0
    if _zone_of(places[0]) is not None:
        places = [place.astimezone(UTC) for place in places]  # a clock that is set back has the same hour twice
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
    cap = 3 if ground.spec.narrow else 5
    ground.axes.errorbar(
        places, list(one.y), yerr=[below, above], fmt="o", markersize=cap + 1, capsize=cap, elinewidth=1.8, **style
    )


_PAINTERS: Mapping[type, Callable[..., None]] = MappingProxyType(
    {Line: _paint_line, Bars: _paint_bars, Band: _paint_band, Intervals: _paint_intervals}
)


def _zone_of(place: X) -> tzinfo | None:
    return place.tzinfo if isinstance(place, datetime) else None


def _scales(ground: _Ground) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator  # noqa: PLC0415

    axes, spec, horizontal = ground.axes, ground.spec, is_horizontal(ground.spec)
    values = axes.xaxis if horizontal else axes.yaxis
    if spec.logarithmic:
        (axes.set_xscale if horizontal else axes.set_yscale)("log")
        values.set_minor_locator(NullLocator())
    elif not horizontal:
        highest = axes.dataLim.y1 if axes.dataLim.y1 > 0 else 0.01 if spec.percent else 1.0
        axes.set_ylim(0, 1.03 * highest)  # room for the upper half of a line at the top
    values.set_major_formatter(FuncFormatter(lambda value, _: _figure(value, spec.percent)))
    first = spec.series[0].x[0]
    if isinstance(first, date) and not horizontal:
        zone, (least, most) = _zone_of(first), (2, 5) if spec.narrow else (4, 9)
        locator = AutoDateLocator(tz=zone, minticks=least, maxticks=most)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone, show_offset=False))  # type: ignore[no-untyped-call]
    elif all(isinstance(place, int) for one in spec.series for place in one.x) and not horizontal:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5 if spec.narrow else 10, integer=True))
    axes.margins(x=0.01)
    for tick in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        tick.set_color(ground.palette.faint)


def _figure(value: float, percent: bool) -> str:
    """A number of an axis: 12,000 or 0.5 or 12 %."""
    shown = 100 * value if percent else value
    text = f"{shown:,.0f}" if abs(shown - round(shown)) < 1e-9 else f"{shown:,.3g}"
    return f"{text} %" if percent else text


def _margins(ground: _Ground) -> None:
    """Room for the texts: the widest label of the y axis at the start, the direct labels at the end."""
    axes, layout = ground.axes, ground.layout
    width, height = layout.size
    if ground.spec.narrow and is_horizontal(ground.spec):
        left = right = 16.0
        axes.xaxis.set_visible(False)
        axes.yaxis.set_visible(False)
    else:
        ground.figure.canvas.draw()
        widest = max((label.get_window_extent().width for label in axes.get_yticklabels()), default=30.0)
        left, right = widest + 22, 24.0
        if not ground.spec.narrow:
            right = 24 + max((6.6 * len(one.label) for one in ground.spec.series), default=0.0)
    across, down = (left + right) / width, (layout.top + layout.bottom) / height
    axes.set_position((left / width, layout.bottom / height, 1 - across, 1 - down))


def _thin(ground: _Ground) -> None:
    """Of the names below upright bars as many as have room beside each other, counted from the last."""
    names = list(dict.fromkeys(place for one in ground.spec.series for place in one.x if isinstance(place, str)))
    if not names or is_horizontal(ground.spec):
        return
    size = ground.layout.type.tick
    step = every(len(names), max(width_of(name, size) for name in names) + 6, ground.axes.get_window_extent().width)
    shown = range((len(names) - 1) % step, len(names), step)
    ground.axes.set_xticks(list(shown), [embedded(names[place]) for place in shown])


def _rows(ground: _Ground) -> None:
    """Horizontal bars on a phone: name and values above each bar, read and growing from the side of the language."""
    axes, spec, layout = ground.axes, ground.spec, ground.layout
    names = row_names(spec)
    if not names:
        return
    axes.set_ylim(len(names) - 0.5, -0.62)
    axes.set_xlim(0, axes.dataLim.x1 if axes.dataLim.x1 > 0 else 1)
    axes.xaxis.set_inverted(layout.is_rtl)
    start, end = ("right", "left") if layout.is_rtl else ("left", "right")
    size, room = layout.type.tick, ground.axes.get_window_extent().width
    style: Any = {"xycoords": axes.get_yaxis_transform(), "xytext": (0, 9), "textcoords": "offset points"}
    style |= {"va": "bottom", "fontsize": size, "annotation_clip": False}
    for place, (name, value) in enumerate(zip(names, _row_values(spec, from_right=layout.is_rtl), strict=True)):
        short = embedded(shortened(name, room - width_of(value, size) - 12, size))
        axes.annotate(short, (float(layout.is_rtl), place), ha=start, color=ground.palette.faint, **style)
        axes.annotate(value, (float(not layout.is_rtl), place), ha=end, color=ground.palette.ink, **style)


def _marks(ground: _Ground) -> None:
    """Signs in a strip above the plot; neighbours that would overlap lose their text, not their sign."""
    axes, free_from, size = ground.axes, -math.inf, ground.layout.type.small
    strip, high = axes.get_xaxis_transform(), axes.get_window_extent().height
    for mark in ground.spec.marks:
        place = float(axes.convert_xunits(mark.x))  # type: ignore[no-untyped-call]
        colour = ground.palette.tones[mark.tone]
        axes.axvline(place, color=colour, linewidth=0.7, alpha=0.5, zorder=1.5)
        sign: Any = {"marker": _SIGNS.get(mark.tone, "o"), "markersize": 6, "clip_on": False, "linestyle": "none"}
        axes.plot([place], [1 + 10 / high], color=colour, transform=strip, **sign)
        at, half = float(axes.transData.transform((place, 0.0))[0]), width_of(mark.text, size) / 2
        if mark.text and at - half >= free_from:
            style: Any = {"fontsize": size, "ha": "center", "va": "bottom", "transform": strip}
            axes.text(place, 1 + 20 / high, embedded(mark.text), color=colour, **style)
            free_from = at + half + 8


def _labels(ground: _Ground) -> None:
    """Each series' name at its end, in its colour, moved apart where they would meet."""
    axes, palette, size = ground.axes, ground.palette, ground.layout.type.label
    if is_horizontal(ground.spec) or ground.spec.narrow:
        return
    wanted: list[tuple[float, str, Tone]] = []
    floors: dict[str, float] = {}
    right, inner = max(float(axes.convert_xunits(one.x[-1])) for one in ground.spec.series), -math.inf  # type: ignore[no-untyped-call]
    for one in ground.spec.series:
        height = _end_height(one, floors)
        end = float(axes.convert_xunits(one.x[-1]))  # type: ignore[no-untyped-call]
        if isinstance(one, Line) and end < right - 0.02 * (right - axes.dataLim.x0):
            colour = palette.tones[one.tone]
            at = float(axes.transData.transform((end, 1.0))[0])
            rise, inner = (18 if abs(at - inner) < _LABEL_WIDTH else 6), at
            above = {"textcoords": "offset points", "xytext": (0, rise), "ha": "center", "fontsize": size}
            axes.annotate(embedded(one.label), (end, height), color=colour, annotation_clip=False, **above)  # type: ignore[arg-type]
            continue
        at = float(axes.transData.transform((0.0, max(height, 1e-9)))[1])
        wanted.append((at, one.label, one.tone))
    box = axes.get_window_extent()
    heights = apart([one[0] for one in wanted], (box.y0 + 6, box.y1), 14.0)
    for at, (_, label, tone) in zip(heights, wanted, strict=True):
        share, style = (at - box.y0) / box.height, {"fontsize": size, "va": "center", "transform": axes.transAxes}
        axes.text(1.012, share, embedded(label), color=palette.tones[tone], **style)  # type: ignore[arg-type]


def _end_height(one: Series, floors: dict[str, float]) -> float:
    """Where a series ends: the last value of a line, the middle of the last bar or of the band."""
    if isinstance(one, Band):
        return (one.low[-1] + one.high[-1]) / 2
    if isinstance(one, Bars):
        below = floors.get(one.on or "", 0.0)
        floors[one.label] = below + one.y[-1]
        return below + one.y[-1] / 2
    return next((value for value in reversed(one.y) if value is not None), 0.0)


def _texts(ground: _Ground) -> None:
    """Title, unit, legend and note, from the side where reading begins; the unit of x at the end of its axis."""
    spec, palette, layout = ground.spec, ground.palette, ground.layout
    type_, (width, height) = layout.type, layout.size

    def write(text: str, across: float, down: float, **style: Any) -> None:
        place, side = (1 - across / width, "right") if layout.is_rtl else (across / width, "left")
        ground.figure.text(place, 1 - down / height, embedded(text), **{"ha": side, "va": "center"} | style)

    for number, line in enumerate(layout.title):
        style = {"color": palette.ink, "fontsize": type_.title, "fontweight": "bold"}
        write(line, 16, 22 + number * type_.line, **style)
    for line in layout.unit:
        write(line, 16, layout.unit_at, color=palette.faint, fontsize=type_.label)
    for number, row in enumerate(layout.legend):
        for entry in row:
            down = layout.legend_at + number * (type_.line + 2)
            write(entry.sign, 16 + entry.at, down, color=palette.tones[entry.tone], fontsize=type_.label)
            write(entry.text, 16 + entry.at + type_.sign, down, color=palette.ink, fontsize=type_.label)
    if spec.x_unit:
        end, low = ground.axes.get_position().x1, 14 + type_.line * len(layout.note) - 2 * bool(layout.note)
        style = {"color": palette.faint, "fontsize": type_.label, "ha": "right", "va": "center"}
        ground.figure.text(end, low / height, embedded(spec.x_unit), **style)  # type: ignore[arg-type]
    low = 14 + type_.line * (len(layout.note) - 1)
    for number, line in enumerate(layout.note):
        write(line, 16, height - low + number * type_.line, color=palette.faint, fontsize=type_.small)
