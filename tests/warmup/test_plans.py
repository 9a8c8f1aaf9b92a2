import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtypes.clock import from_datetime
from warmup.plans import PRESETS, RampPlan, reach

PLAN = RampPlan("test", (10, 20, 40), "invented")
START = from_datetime(datetime(2026, 3, 1, 15, 30, tzinfo=UTC))


@pytest.mark.parametrize("plan", PRESETS.values(), ids=lambda plan: plan.name)
def test_presets_never_fall_and_end(plan: RampPlan) -> None:
    caps = plan.daily_caps
    assert all(before <= after for before, after in itertools.pairwise(caps))
    assert caps[0] >= 1
    assert len(caps) < 100
    assert plan.cap_on(len(caps)) == caps[-1]
    assert plan.cap_on(len(caps) + 1) is None
    assert plan.cap_on(0) == 0


@pytest.mark.parametrize(
    ("name", "first_days", "day_and_cap"),
    [
        ("sendgrid", (480, 672, 936), (42, 24 * 19_601_056)),
        ("billionmail", (1000, 1500, 2000, 3000, 5000, 7000, 10_000, 13_000, 16_900), (9, 16_900)),
        ("postmark", (100, 200, 400, 800, 1600, 3200, 6400, 7680), (8, 7680)),
        ("ipost", (1000, 2000, 4000, 8000, 16_000, 32_000, 50_000, 75_000, 100_000, 120_000), (10, 120_000)),
    ],
)
def test_presets_follow_the_published_tables(
    name: str, first_days: tuple[int, ...], day_and_cap: tuple[int, int]
) -> None:
    plan = PRESETS[name]
    assert plan.daily_caps[: len(first_days)] == first_days
    day, cap = day_and_cap
    assert plan.cap_on(day) == cap


@given(st.integers(1, 10**6), st.integers(1, 1000), st.integers(2, 90))
def test_reach_goes_from_first_to_volume(volume: int, first: int, days: int) -> None:
    if first > volume:
        return
    plan = reach(volume, days, first)
    assert (plan.daily_caps[0], plan.daily_caps[-1], len(plan.daily_caps)) == (first, volume, days)


@pytest.mark.parametrize("caps", [(), (0,), (5, 4), (-1, 2)])
def test_tables_that_are_no_ramp(caps: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        RampPlan("x", caps, "")


@pytest.mark.parametrize(("volume", "days", "first"), [(10, 1, 1), (10, 5, 11), (10, 5, 0)])
def test_reach_refuses_what_cannot_be(volume: int, days: int, first: int) -> None:
    with pytest.raises(ValueError):
        reach(volume, days, first)
