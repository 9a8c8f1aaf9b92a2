"""The charts of a report, from counts."""

from datetime import UTC, datetime, timedelta

import pytest

from postwright.chart_spec import Band, Theme
from postwright.charts import draw
from postwright.services.statistic_terms import Measures
from postwright.services.statistics import By, StatisticRow, StatisticTable
from postwright.web.campaign_report import Reported, chart_of
from tracking.verdicts.bounds import VerdictCounts

START = datetime(2026, 11, 22, 8, tzinfo=UTC)


def row(key: str, delivered: int, human: int = 0, probable: int = 0) -> StatisticRow:
    counts = dict.fromkeys(("delivered", "failed", "expired", "deferred"), 0) | {"delivered": delivered}
    people = VerdictCounts(human, probable)
    return StatisticRow(key, "", Measures(counts, people, people, people, people, {"user_unknown": 3}))


def reported(hours: int) -> Reported:
    keys = [(START + timedelta(hours=number)).strftime("%Y-%m-%dT%H:00:00Z") for number in range(hours)]
    by_hour = StatisticTable(By.HOUR, [row(key, 10, 2, 3) for key in keys], 1, False)
    other = StatisticTable(By.PROVIDER, [row("doar", 10), row("postbox", 4)], 1, False)
    return Reported(other, by_hour, other, other, other)


@pytest.mark.parametrize("name", ["hours", "answers", "providers", "links", "reasons"])
@pytest.mark.parametrize("theme", list(Theme))
def test_every_chart_can_be_drawn(name: str, theme: Theme) -> None:
    spec = chart_of(name, reported(5), theme)
    assert spec is not None
    assert b"<svg" in draw(spec)


def test_opens_are_a_band_from_surely_to_perhaps_and_add_up() -> None:
    spec = chart_of("answers", reported(3), Theme.LIGHT)
    assert spec is not None
    (band,) = [one for one in spec.series if isinstance(one, Band)]
    assert (list(band.low), list(band.high)) == ([2, 4, 6], [5, 10, 15])


@pytest.mark.parametrize("name", ["hours", "answers", "nothing"])
def test_one_hour_is_no_course(name: str) -> None:
    assert chart_of(name, reported(1), Theme.LIGHT) is None
