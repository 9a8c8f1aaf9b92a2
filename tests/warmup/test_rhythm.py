import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailtypes.clock import HOUR, MINUTE, Microseconds, as_datetime, from_datetime
from warmup.rhythm import Rhythm, RhythmSyntaxError

ZONES = [
    "UTC",
    "Asia/Jerusalem",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/Havana",
]


@given(zone=st.sampled_from(ZONES), day=st.dates(date(2024, 1, 1), date(2028, 12, 31)))
@settings(max_examples=150, deadline=None)
def test_hours_leave_no_gap_and_never_overlap(zone: str, day: date) -> None:
    rhythm = Rhythm(zone)
    hours = rhythm.hours(day)
    assert hours[0].begins == rhythm.begins(day)
    assert hours[-1].ends == rhythm.ends(day) == rhythm.begins(day + timedelta(days=1))
    assert all(before.ends == after.begins for before, after in itertools.pairwise(hours))
    assert all(0 < hour.ends - hour.begins <= HOUR for hour in hours)


@given(zone=st.sampled_from(ZONES), moment=st.integers(1_704_067_200, 1_861_833_600))
@settings(max_examples=150, deadline=None)
def test_a_moment_lies_in_its_day_and_hour(zone: str, moment: int) -> None:
    rhythm, now = Rhythm(zone), Microseconds(moment * 1_000_000)
    day, hour = rhythm.day_of(now), rhythm.hour_of(now)
    assert rhythm.begins(day) <= now < rhythm.ends(day)
    assert hour.begins <= now < hour.ends


@pytest.mark.parametrize(
    ("zone", "day", "length", "first"),
    [
        ("Asia/Jerusalem", date(2026, 3, 27), 23, "2026-03-26T22:00"),
        ("Asia/Jerusalem", date(2026, 10, 25), 25, "2026-10-24T21:00"),
        ("Asia/Jerusalem", date(2026, 11, 1), 24, "2026-10-31T22:00"),
        # At midnight the clocks of Cairo jump to one: the day begins at the jump.
        ("Africa/Cairo", date(2026, 4, 24), 23, "2026-04-23T22:00"),
        # In Havana one o'clock becomes midnight again: the day begins at the first of the two.
        ("America/Havana", date(2026, 11, 1), 25, "2026-11-01T04:00"),
    ],
)
def test_days_with_a_change_of_the_clocks(zone: str, day: date, length: int, first: str) -> None:
    rhythm = Rhythm(zone)
    assert rhythm.ends(day) - rhythm.begins(day) == length * HOUR
    assert len(rhythm.hours(day)) == length
    assert as_datetime(rhythm.begins(day)) == datetime.fromisoformat(first).replace(tzinfo=UTC)


def test_quiet_hours_follow_the_clock_on_the_wall() -> None:
    rhythm = Rhythm("Asia/Jerusalem", quiet=(22, 7))
    assert [hour for hour in range(24) if rhythm.is_quiet(hour)] == [0, 1, 2, 3, 4, 5, 6, 22, 23]
    assert rhythm.open_hours(date(2026, 3, 26)) == 15
    assert rhythm.open_hours(date(2026, 3, 27)) == 15  # the missing hour was a quiet one
    night = from_datetime(datetime(2026, 3, 26, 20, 30, tzinfo=UTC))  # 22:30
    opens = rhythm.next_open(night)
    assert opens is not None
    assert as_datetime(opens) == datetime(2026, 3, 27, 4, tzinfo=UTC)  # 07:00 summer time
    assert rhythm.told(opens, night) == "07:00 Asia/Jerusalem"
    assert not Rhythm(quiet=(5, 5)).is_quiet(5)
    assert Rhythm(quiet=(9, 17)).open_hours(date(2026, 1, 1)) == 16


def test_days_of_rest() -> None:
    rhythm = Rhythm("Asia/Jerusalem", weekend=frozenset({4, 5}), weekend_share=0.0)
    friday = date(2026, 3, 6)
    assert (rhythm.share_of(friday), rhythm.open_hours(friday)) == (0.0, 0)
    opens = rhythm.next_open(Microseconds(rhythm.begins(friday) + 90 * MINUTE))
    assert opens == rhythm.begins(date(2026, 3, 8))
    assert rhythm.told(opens, rhythm.begins(friday)) == "00:00 on 2026-03-08 Asia/Jerusalem"
    assert Rhythm(weekend=frozenset({5}), weekend_share=0.5).share_of(date(2026, 3, 7)) == 0.5


@pytest.mark.parametrize(
    "options",
    [
        {"zone": "Mars/Olympus"},
        {"zone": "../etc/passwd"},
        {"quiet": (22, 24)},
        {"weekend": frozenset({7})},
        {"weekend_share": 1.5},
        {"weekend": frozenset(range(7)), "weekend_share": 0.0},
    ],
)
def test_what_makes_no_sense(options: dict[str, object]) -> None:
    with pytest.raises(RhythmSyntaxError):
        Rhythm(**options)  # type: ignore[arg-type]


def test_an_open_rhythm_that_never_opens_is_found_out() -> None:
    rhythm = Rhythm(quiet=(0, 23), weekend=frozenset(range(6)), weekend_share=0.0)
    assert rhythm.next_open(from_datetime(datetime(2026, 3, 2, tzinfo=UTC))) == from_datetime(
        datetime(2026, 3, 8, 23, tzinfo=UTC)
    )
