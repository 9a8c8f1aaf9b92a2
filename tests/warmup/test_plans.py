import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtypes.clock import DAY, HOUR, Microseconds, as_datetime, from_datetime
from warmup.plans import PRESETS, RampPlan, allowance, reach

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


def test_days_are_utc_calendar_days() -> None:
    late = from_datetime(datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC))
    today = allowance(PLAN, START, late, 4)
    assert (today.limit, today.remaining) == (10, 6)
    assert today.resets_at is not None
    assert as_datetime(today.resets_at) == datetime(2026, 3, 2, tzinfo=UTC)
    assert today.reason == "Warm-up day 1 of 3 (test): 4 of 10 used; next at 00:00 UTC."
    assert allowance(PLAN, START, today.resets_at, 0).limit == 20


def test_before_after_and_without_a_plan() -> None:
    before = allowance(PLAN, START, Microseconds(START - DAY), 0)
    assert (before.limit, before.remaining) == (0, 0)
    assert before.resets_at == START // DAY * DAY
    for free in (allowance(PLAN, START, Microseconds(START + 3 * DAY), 10**9), allowance(None, START, START, 10**9)):
        assert (free.limit, free.remaining, free.resets_at) == (None, None, None)
        assert free.at_most(5_000_000) == 5_000_000
        assert free.reason


@given(
    st.lists(st.integers(1, 10**6), min_size=1, max_size=60).map(sorted),
    st.integers(0, 2_000 * DAY),
    st.integers(0, 2_000 * DAY),
    st.integers(-10, 10**7),
    st.integers(0, 10**7),
)
def test_an_allowance_is_never_negative_and_never_beyond_the_cap(
    caps: list[int], started: int, now: int, used: int, wanted: int
) -> None:
    left = allowance(RampPlan("x", tuple(caps), ""), Microseconds(started), Microseconds(now), used)
    granted = left.at_most(wanted)
    assert 0 <= granted <= wanted
    if left.limit is not None:
        assert left.remaining is not None
        assert granted + max(0, used) <= max(left.limit, used)
        assert left.resets_at is not None
        assert left.resets_at > now
        assert left.resets_at % DAY == 0


@given(st.integers(0, 100), st.integers(0, 23))
def test_later_never_allows_less(day: int, hour: int) -> None:
    for plan in PRESETS.values():
        now = allowance(plan, START, Microseconds(START + day * DAY + hour * HOUR), 0)
        tomorrow = allowance(plan, START, Microseconds(START + (day + 1) * DAY + hour * HOUR), 0)
        assert tomorrow.limit is None or (now.limit is not None and now.limit <= tomorrow.limit)


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
