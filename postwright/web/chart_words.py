"""A chart in the language of the page: what it is made of says its words as sayings."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from postwright.chart_spec import Bars, ChartSpec, Series
from postwright.web.sayings import told

_ISOLATES: Final = dict.fromkeys(map(ord, "\u200f\u2066\u2067\u2068\u2069"))
"""Fonts of pictures may have a sign for them; a chart's words are short enough to do without."""


def told_chart(spec: ChartSpec) -> ChartSpec:
    """``spec`` with its title, units, labels, marks and description in the language of the page."""
    return replace(
        spec,
        title=_told(spec.title),
        series=_told_series(spec.series),
        x_unit=_told(spec.x_unit),
        y_unit=_told(spec.y_unit),
        marks=[replace(one, text=_told(one.text)) for one in spec.marks],
        note=_told(spec.note),
        description=told(spec.description),
    )


def _told(text: str) -> str:
    return told(text).translate(_ISOLATES)


def _told_series(series: Sequence[Series]) -> list[Series]:
    found: list[Series] = []
    for one in series:
        if isinstance(one, Bars):
            found.append(replace(one, label=_told(one.label), on=None if one.on is None else _told(one.on)))
        else:
            found.append(replace(one, label=_told(one.label)))
    return found
