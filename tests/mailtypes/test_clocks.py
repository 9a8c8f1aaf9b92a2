from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtypes.clock import SECOND, ManualClock, SystemClock, as_datetime, from_datetime, microseconds


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=3)), timezone(timedelta(hours=-11))])))
def test_moments_survive_the_way_there_and_back(moment: datetime) -> None:
    assert as_datetime(from_datetime(moment)) == moment
    assert as_datetime(from_datetime(moment)).utcoffset() == timedelta(0)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        from_datetime(datetime(2026, 3, 1))


@given(st.integers(-(10**15), 10**15))
def test_durations_are_whole_microseconds(count: int) -> None:
    assert microseconds(timedelta(microseconds=count)) == count


@given(st.lists(st.timedeltas(timedelta(0), timedelta(days=400)), max_size=10))
def test_a_manual_clock_stands_still_between_its_steps(steps: list[timedelta]) -> None:
    clock = ManualClock()
    start = clock.now()
    for step in steps:
        before = clock.now()
        assert clock.advance(step) == clock.now() == before + microseconds(step)
    assert clock.now() - start == sum(map(microseconds, steps))
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(timedelta(microseconds=-1))


def test_the_system_clock_tells_the_time_of_the_machine() -> None:
    before = datetime.now(UTC)
    told = as_datetime(SystemClock().now())
    assert timedelta(0) <= told - before + timedelta(microseconds=1) < timedelta(seconds=60)
    assert SystemClock().now() > 1_700_000_000 * SECOND
