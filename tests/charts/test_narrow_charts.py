"""Charts for a phone: letters of a size that can be read, all within the picture, mirrored where it is read so."""

import re
import xml.etree.ElementTree as ET
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postwright.chart_layout import embedded, layout_of, shortened, width_of
from postwright.chart_spec import NARROW_WIDTH, PALETTES
from postwright.charts import Band, Bars, ChartSpec, Intervals, Line, Mark, Theme, Tone, draw, narrowed

SVG = "{http://www.w3.org/2000/svg}"
DAYS = [date(2026, 3, 1) + timedelta(days=number) for number in range(30)]
NAMES = ["google", "a-receiving-provider-with-a-very-long-name-indeed.example.org", "doar"]


def _upright(title: str = "Warm-up of news.example, a title that takes more than one line") -> ChartSpec:
    series = (
        Line("planned", DAYS, [100.0 * n for n in range(30)], dashed=True),
        Bars("sent", DAYS, [90.0 * n for n in range(30)]),
        Bars("put off", DAYS, [5.0] * 30, Tone.ATTENTION, on="sent"),
        Band("opened: at least, at most", DAYS, [1.0] * 30, [3.0] * 30),
    )
    marks = [Mark(DAYS[3], "hold"), Mark(DAYS[4], "pause", Tone.BAD), Mark(DAYS[20], "back", Tone.SECOND)]
    note = "All providers; put off: for our rate or reputation. Refused: for who we are."
    return ChartSpec(title, series, "day (Asia/Jerusalem)", "messages a day", marks, note)


def _lying(title: str = "Delivery by provider", theme: Theme = Theme.LIGHT) -> ChartSpec:
    bars = (
        Bars("delivered", NAMES, [4200.0, 2600.0, 10.0], Tone.GOOD, horizontal=True),
        Bars("failed", NAMES, [120.0, 400.0, 0.0], Tone.BAD, on="delivered", horizontal=True),
    )
    return ChartSpec(title, bars, y_unit="recipients", theme=theme)


def _of_hours() -> ChartSpec:
    hours = [f"{hour}:00" for hour in range(24)]
    one = Intervals("95 of 100", hours, [0.05] * 24, [0.04] * 24, [0.06] * 24)
    return ChartSpec("Clicks by hour of sending", [one], "Asia/Jerusalem", "of all delivered", percent=True)


def _texts(octets: bytes) -> list[ET.Element]:
    return list(ET.fromstring(octets).iter(f"{SVG}text"))


def _words(octets: bytes) -> list[str]:
    return ["".join(one.itertext()).strip() for one in _texts(octets)]


def _size(text: ET.Element) -> float:
    found = re.search(r"([\d.]+)px", text.get("style", ""))
    assert found is not None
    return float(found[1])


def _ends(text: ET.Element) -> tuple[float, float]:
    """Where a text begins and ends at the most: phones have narrower letters than are reckoned with."""
    place = re.search(r"translate\(([\d.-]+)", text.get("transform", ""))
    x = float(place[1]) if place else float(text.get("x", "nan"))
    wide = width_of("".join(text.itertext()).strip().strip("\u202b\u202c"), _size(text))
    style = text.get("style", "")
    before = 1.0 if "text-anchor: end" in style else 0.5 if "text-anchor: middle" in style else 0.0
    return x - before * wide, x + (1 - before) * wide


@pytest.mark.parametrize("spec", [_upright(), _lying(), _of_hours()], ids=["upright", "lying", "hours"])
def test_on_a_phone_all_words_can_be_read_and_none_is_cut_off(spec: ChartSpec) -> None:
    octets = draw(narrowed(spec))
    root = ET.fromstring(octets)
    assert root.get("viewBox", "").split()[:3] == ["0", "0", str(NARROW_WIDTH)]
    texts = _texts(octets)
    assert len(texts) > 5
    for text in texts:
        assert _size(text) >= 12, "".join(text.itertext())
        start, end = _ends(text)
        assert start >= -1, "".join(text.itertext())
        # Bold letters are wider than the mean; their lines are broken by a measure of their own.
        assert end <= NARROW_WIDTH + 1, "".join(text.itertext())


def test_a_phone_is_told_all_that_a_wide_page_is() -> None:
    words = _words(draw(narrowed(_upright())))
    assert {"planned", "sent", "put off", "opened: at least, at most", "hold", "back", "day (Asia/Jerusalem)"} <= set(
        words
    )
    assert {"┅", "■"} <= set(words), "series are told apart by more than their colour"
    joined = " ".join(words)
    assert "Warm-up of news.example, a title that takes more than one line" in joined
    assert "All providers; put off: for our rate or reputation. Refused: for who we are." in joined


def test_of_names_below_bars_as_many_are_shown_as_have_room() -> None:
    shown = [word for word in _words(draw(narrowed(_of_hours()))) if word.endswith(":00")]
    assert shown[-1] == "23:00"
    assert 4 <= len(shown) <= 8
    assert len([word for word in _words(draw(_of_hours())) if word.endswith(":00")]) == 24


def _bars(octets: bytes, colour: str) -> list[tuple[float, float]]:
    paths = [one.get("d", "") for one in ET.fromstring(octets).iter(f"{SVG}path") if colour in one.get("style", "")]
    found = [[float(x) for x in re.findall(r"[ML] ([\d.]+)", path)] for path in paths]
    return [(min(xs), max(xs)) for xs in found if xs]


@pytest.mark.parametrize("theme", list(Theme))
def test_rows_have_their_names_and_values_above_and_grow_from_where_one_reads(theme: Theme) -> None:
    delivered = PALETTES[theme].tones[Tone.GOOD]
    english, hebrew = (draw(narrowed(_lying(title, theme))) for title in ("By provider", "לפי ספק"))
    for octets, values in ((english, "4,200 · 120"), (hebrew, "120 · 4,200")):
        words = _words(octets)
        assert {"google", values, "delivered", "failed"} <= set(words)
        assert NAMES[1] not in words  # its middle is left out
        assert any(word.startswith("a-receiving") and word.endswith("ple.org") for word in words)
    (left, middle), (_, right) = _bars(english, delivered)[0], _bars(hebrew, delivered)[0]
    assert left == pytest.approx(16)
    assert middle > 0.8 * NARROW_WIDTH
    assert right == pytest.approx(NARROW_WIDTH - 16)


def test_values_of_bars_upon_each_other_stand_behind_the_last() -> None:
    words = _words(draw(_lying()))
    assert {"4,200 · 120", "delivered", "failed"} <= set(words)
    assert "4,200" not in words  # it would lie under the bar that follows


def test_nothing_at_all_has_no_scale_of_tiny_numbers() -> None:
    words = _words(draw(ChartSpec("Nothing", [Bars("clicked", ["1 May", "2 May"], [0.0, 0.0])], percent=True)))
    assert not [word for word in words if "e-" in word]


@settings(max_examples=60)
@given(
    st.lists(st.text("abcdefg אבג", min_size=1, max_size=30), min_size=1, max_size=8, unique=True),
    st.lists(st.text("abcdefghij", min_size=1, max_size=40), min_size=1, max_size=12),
)
def test_lines_and_legends_keep_every_word_and_fit(labels: list[str], words: list[str]) -> None:
    spec = narrowed(ChartSpec(" ".join(words), [Line(one, [1, 2], [1.0, 2.0]) for one in labels]))
    layout = layout_of(spec)
    assert " ".join(layout.title).split() == words
    rows = layout.legend
    assert [entry.text for row in rows for entry in row] == labels
    for row in rows:
        last = row[-1]
        wide = last.at + layout.type.sign + width_of(last.text, layout.type.label)
        assert wide <= NARROW_WIDTH - 32 or len(row) == 1
    assert layout.top < layout.size[1] - layout.bottom


@given(st.text(max_size=300), st.floats(80, 900), st.sampled_from([9.0, 12.0]))
def test_a_shortened_text_fits_and_a_short_one_stays(text: str, room: float, size: float) -> None:
    short = shortened(text, room, size)
    assert width_of(short, size) <= max(room, width_of("12345678", size))
    if width_of(text, size) <= room:
        assert short == text
    assert embedded(short).strip("\u202b\u202c") == short.strip("\u202b\u202c")
