"""Hours of a report where the reader's clock is set back or forward: none is hidden, and no two look the same."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postwright.chart_spec import PALETTES, Bars, ChartSpec, Theme, Tone
from postwright.charts import draw, narrowed
from postwright.services.statistic_terms import Measures
from postwright.services.statistics import By, StatisticRow, StatisticTable
from postwright.web.campaign_report import Reported, chart_of, hour_in_zone
from postwright.web.language import Speech, speak
from tracking.verdicts.bounds import VerdictCounts

BACK = datetime(2026, 10, 24, 21, tzinfo=UTC)  # 00:00 in Jerusalem; at 23:00 UTC the clock goes from 02:00 to 01:00
FORWARD = datetime(2026, 3, 26, 22, tzinfo=UTC)  # 00:00 in Jerusalem; at 00:00 UTC the clock goes from 02:00 to 03:00


@pytest.fixture(autouse=True)
def _spoken() -> Iterator[None]:
    yield
    speak(Speech())


def chart(start: datetime, hours: range, name: str = "hours") -> ChartSpec:
    """The chart of an hour of mail after the other, each with more than the one before."""
    people = VerdictCounts(1, 1)
    rows = []
    for number in hours:
        counts = dict.fromkeys(("delivered", "failed", "expired", "deferred"), 0) | {"delivered": 10 + number}
        measures = Measures(counts, people, people, people, people)
        rows.append(StatisticRow(key(start + timedelta(hours=number)), "", measures))
    table = StatisticTable(By.HOUR, rows, 1, False)
    spec = chart_of(name, Reported(table, table, table, table, table), Theme.LIGHT)
    assert spec is not None
    return spec


def key(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:00:00Z")


def bars(spec: ChartSpec) -> list[tuple[float, float]]:
    """Where each bar of the drawing begins and ends."""
    colour = PALETTES[Theme.LIGHT].tones[Tone.ACTUAL]
    paths = ET.fromstring(draw(spec)).iter("{http://www.w3.org/2000/svg}path")
    drawn = [
        re.findall(r"[ML] ([\d.]+)", one.get("d", "")) for one in paths if f"fill: {colour}" in one.get("style", "")
    ]
    return [(min(xs), max(xs)) for one in drawn if (xs := [float(x) for x in one])]


@pytest.mark.parametrize(
    ("start", "said", "hours"),
    [
        (
            BACK,
            "On 25 Oct the clock goes back from 02:00 to 01:00: the time between comes twice.",
            ["00:00", "01:00 (+03:00)", "01:00 (+02:00)", "02:00", "03:00"],
        ),
        (
            FORWARD,
            "On 27 Mar the clock goes on from 02:00 to 03:00: there is no time between.",
            ["00:00", "01:00", "03:00", "04:00", "05:00"],
        ),
    ],
    ids=["back", "forward"],
)
def test_every_hour_has_its_bar_and_its_name(start: datetime, said: str, hours: list[str]) -> None:
    speak(Speech(zone="Asia/Jerusalem"))
    spec = chart(start, range(5))
    drawn = bars(narrowed(spec))
    assert len(drawn) == 5
    widths = [right - left for left, right in drawn]
    steps = [after - before for (before, _), (after, _) in pairwise(drawn)]
    assert min(widths) > 10
    assert max(widths) - min(widths) < 0.1
    assert max(steps) - min(steps) < 0.1, "an hour is as far from the next as any other"
    assert min(steps) > max(widths), "no bar lies upon another"
    assert spec.note == chart(start, range(5), "answers").note == said
    shown = [hour_in_zone(key(start + timedelta(hours=number))).partition(", ")[2] for number in range(5)]
    assert shown == hours


def test_hours_of_a_usual_day_say_nothing_of_clocks() -> None:
    speak(Speech(zone="Asia/Jerusalem"))
    assert chart(BACK, range(3, 20)).note == ""
    assert hour_in_zone("2026-10-26T10:00:00Z") == "26 Oct 2026, 12:00"
    speak(Speech(zone="UTC"))
    assert chart(BACK, range(20)).note == ""


def test_a_change_is_found_between_hours_that_lie_far_apart() -> None:
    speak(Speech(zone="Asia/Jerusalem"))
    assert "On 25 Oct" in chart(BACK - timedelta(days=30), range(0, 24 * 60, 24 * 59)).note
    speak(Speech(zone="Australia/Lord_Howe"))  # by half an hour, on the half hour of UTC
    told = chart(datetime(2026, 4, 4, tzinfo=UTC), range(0, 48, 47)).note
    assert told == "On 5 Apr the clock goes back from 02:00 to 01:30: the time between comes twice."
    speak(Speech(language="he", zone="Asia/Jerusalem"))
    assert "02:00" in (hebrew := chart(BACK, range(5)).note)
    assert re.search("[א-ת]", hebrew)


ZONES = st.sampled_from(["Asia/Jerusalem", "Europe/London", "America/St_Johns", "Africa/Casablanca", "Asia/Kathmandu"])


@settings(max_examples=25)
@given(ZONES, st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 1)))
def test_no_two_hours_have_one_name(zone: str, day: datetime) -> None:
    speak(Speech(zone=zone))
    start = day.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)
    names = [hour_in_zone(key(start + timedelta(hours=number))) for number in range(50)]
    assert len(set(names)) == 50


def test_bars_of_moments_without_a_zone_stay_as_they_were() -> None:
    hours = [datetime(2026, 10, 25) + timedelta(hours=number) for number in range(6)]
    assert len(bars(ChartSpec("By hour", [Bars("sent", hours, [1.0] * 6)]))) == 6
