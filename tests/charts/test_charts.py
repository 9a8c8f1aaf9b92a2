import re
import xml.etree.ElementTree as ET
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from postwright.chart_spec import PALETTES
from postwright.charts import Band, Bars, ChartError, ChartSpec, Intervals, Line, Mark, Theme, Tone, draw
from postwright.warm_up_chart import ChartDay, ChartLook, plans_chart, warm_up_chart
from warmup.feedback import Action
from warmup.plans import PRESETS
from warmup.ramp import Cause, Decision, Phase

DAYS = [date(2026, 3, 1) + timedelta(days=number) for number in range(10)]
SVG = "{http://www.w3.org/2000/svg}"


def _spec(**options: object) -> ChartSpec:
    series = (
        Band("bounds", DAYS, [10.0] * 10, [30.0] * 10),
        Line("planned", DAYS, [2.0 * n for n in range(9)] + [None]),
        Bars("sent", DAYS, list(range(10))),
        Bars("put off", DAYS, [1] * 10, Tone.ATTENTION, on="sent"),
    )
    given: dict[str, object] = {"x_unit": "day (Asia/Jerusalem)", "y_unit": "messages a day", **options}
    return ChartSpec("Warm-up of news.example", series, **given)  # type: ignore[arg-type]


def _texts(octets: bytes) -> list[str]:
    return ["".join(one.itertext()).strip() for one in ET.fromstring(octets).iter(f"{SVG}text")]


@pytest.mark.parametrize("form", ["svg", "png"])
def test_the_same_chart_is_the_same_octets(form: str) -> None:
    assert draw(_spec(marks=[Mark(DAYS[3], "pause", Tone.BAD)]), form) == draw(  # type: ignore[arg-type]
        _spec(marks=[Mark(DAYS[3], "pause", Tone.BAD)]),
        form,  # type: ignore[arg-type]
    )


def test_intervals_have_their_ends_and_their_lengths() -> None:
    hours = ["9:00", "14:00"]
    one = Intervals("95 of 100", hours, [0.05, 0.02], [0.04, 0.01], [0.06, 0.03])
    assert "9:00" in _texts(draw(ChartSpec("Hours", [one], percent=True)))
    for y, low in (([0.05], [0.04, 0.01]), ([0.05, 0.02], [0.04])):
        with pytest.raises(ChartError):
            ChartSpec("Hours", [Intervals("x", hours, y, low, [0.06, 0.03])])


def test_words_stay_words_in_svg() -> None:
    octets = draw(_spec(marks=[Mark(DAYS[3], "pause", Tone.BAD)], note="Simulated."))
    texts = _texts(octets)
    for word in ("Warm-up of news.example", "day (Asia/Jerusalem)", "messages a day", "pause", "planned", "Simulated."):
        assert word in texts
    assert b"<dc:date>" not in octets
    assert b"Matplotlib" not in octets.partition(b"<metadata>")[2].partition(b"</metadata>")[0]


def test_themes_and_formats() -> None:
    light, dark = draw(_spec()), draw(_spec(theme=Theme.DARK))
    assert PALETTES[Theme.LIGHT].ground.encode() in light
    assert PALETTES[Theme.DARK].ground.encode() in dark
    png = draw(_spec(size=(600, 300)), "png")
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")) == (1_200, 600)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", Theme)
def test_every_tone_is_readable_on_its_ground(theme: Theme) -> None:
    """WCAG 2.2, 1.4.3: 4.5:1 for words; 1.4.11: 3:1 for what is muted, which is never the only sign."""
    palette = PALETTES[theme]
    ground = _luminance(palette.ground)
    for tone, colour in {**palette.tones, "ink": palette.ink, "faint": palette.faint}.items():
        light, dark = sorted((_luminance(colour), ground), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= (3.0 if tone == Tone.MUTED else 4.5), tone


def test_hebrew_titles_run_from_right_to_left() -> None:
    spec = ChartSpec("חימום הדומיין: 1,200 ב-Gmail", [Line("מתוכנן", [1, 2, 3], [1.0, 2.0, 3.0])])
    octets = draw(spec)
    (title,) = [one for one in ET.fromstring(octets).iter(f"{SVG}text") if "Gmail" in "".join(one.itertext())]
    assert "".join(title.itertext()).strip("\n ") == "\u202bחימום הדומיין: 1,200 ב-Gmail\u202c"
    assert "text-anchor: end" in str(title.get("style"))
    assert draw(spec, "png")[:4] == b"\x89PNG"


def test_dollars_and_markup_are_only_letters() -> None:
    hostile = "<script>$\\frac{1}{0}$ & 100 %"
    assert hostile in _texts(draw(ChartSpec(hostile, [Line("a<b", [1, 2], [1.0, 2.0])])))


def test_categories_times_and_logarithms() -> None:
    hours = [datetime(2026, 3, 27) + timedelta(hours=number) for number in range(24)]
    charts = [
        ChartSpec("By variant", [Bars("opened", ["A", "B"], [0.2, 0.25])], percent=True),
        ChartSpec("By policy", [Bars("x", ["table", "ours"], [0.2, 0.9], horizontal=True)], percent=True),
        ChartSpec("By hour", [Bars("sent", hours, [1.0] * 24)], x_unit="hour (UTC)"),
        ChartSpec("One point", [Line("a", [1], [1.0])]),
        ChartSpec("Nothing happened", [Bars("sent", DAYS, [0] * 10)]),
    ]
    texts = [_texts(draw(one)) for one in charts]
    assert "20 %" in texts[0]
    assert "90 %" in texts[1]
    plans = _texts(draw(plans_chart(list(PRESETS.values()), 42, 50_000)))
    assert {"sendgrid", "billionmail", "postmark", "ipost", "10,000"} <= set(plans)


@pytest.mark.parametrize("step", [timedelta(hours=1), timedelta(days=1), 1, 0.5])
def test_bars_are_as_wide_as_what_they_stand_for(step: Any) -> None:
    places = [(datetime(2026, 3, 27) if isinstance(step, timedelta) else 0) + number * step for number in range(20)]
    if step == timedelta(days=1):
        places = [one.date() for one in places]
    octets = draw(ChartSpec("t", [Bars("sent", places, [1.0] * 20, Tone.THIRD)], size=(880, 440)))
    colour = PALETTES[Theme.LIGHT].tones[Tone.THIRD]
    bars = [one.get("d", "") for one in ET.fromstring(octets).iter(f"{SVG}path") if colour in one.get("style", "")]
    widths = [max(xs) - min(xs) for bar in bars if (xs := [float(x) for x in re.findall(r"[ML] ([\d.]+)", bar)])]
    assert len(widths) == 20
    assert all(20 < width < 40 for width in widths)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ChartSpec("t", []),
        lambda: ChartSpec("t", [Line("a", [], [])]),
        lambda: ChartSpec("t", [Line("a", [1, 2], [1.0])]),
        lambda: ChartSpec("t", [Line("a", [1], [1.0])], size=(10, 10)),
        lambda: draw(ChartSpec("t", [Bars("a", [1], [1.0], on="nobody")])),
    ],
)
def test_charts_that_cannot_be_drawn(wrong: object) -> None:
    with pytest.raises(ChartError):
        wrong()  # type: ignore[operator]


def _decision(day: date, action: Action, cause: Cause = Cause.OBJECTION) -> Decision:
    return Decision(day, "google", action, cause, 3, 2, 400, 200, Phase.RECOVERING)


def test_the_warm_up_chart_marks_the_gravest_decision_of_a_day() -> None:
    days = [ChartDay(day, 100, None, 90, 5, 5) for day in DAYS]
    decisions = [
        _decision(DAYS[2], Action.HOLD),
        _decision(DAYS[2], Action.PAUSE),
        _decision(DAYS[5], Action.HOLD, Cause.OVERRIDE),
    ]
    spec = warm_up_chart(days, decisions, ChartLook("Warm-up", "Asia/Jerusalem"))
    assert [(mark.x, mark.text) for mark in spec.marks] == [(DAYS[2], "pause"), (DAYS[5], "resume")]
    assert [one.label for one in spec.series] == [
        "planned",
        "sent",
        "put off",
        "refused",
    ]  # nothing was allowed: no line
    assert "900 messages sent, 100 put off or refused" in spec.description
    assert {"planned", "sent", "pause"} <= set(_texts(draw(spec)))
