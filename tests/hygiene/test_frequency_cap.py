from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hygiene.frequency_cap import FrequencyCap, FrequencyCapError, may_send
from mailtypes.clock import DAY, HOUR, Microseconds, microseconds

TWO_A_WEEK = FrequencyCap(2, timedelta(days=7))
caps = st.lists(
    st.builds(FrequencyCap, st.integers(1, 4), st.integers(1, 9).map(lambda days: timedelta(days=days))), max_size=3
)
moments = st.lists(st.integers(0, 30 * 24).map(lambda hours: Microseconds(hours * HOUR)), max_size=40)


def within(cap: FrequencyCap, sent: list[Microseconds], end: int) -> int:
    return sum(end - microseconds(cap.within) < moment <= end for moment in sent)


@pytest.mark.parametrize(
    ("days", "is_allowed", "earliest"),
    [((), True, 20), ((15,), True, 20), ((15, 18), False, 22), ((13, 18), True, 20), ((14, 13.5, 19), False, 21)],
)
def test_two_a_week(days: tuple[float, ...], is_allowed: bool, earliest: int) -> None:
    now = Microseconds(20 * DAY)
    found = may_send([TWO_A_WEEK], [Microseconds(int(day * DAY)) for day in days], now)
    assert (found.is_allowed, found.earliest) == (is_allowed, earliest * DAY)
    assert (found.cap is None) == (found.cause == "") == is_allowed


@given(caps, moments)
def test_who_asks_first_never_breaks_a_cap(caps: list[FrequencyCap], wanted: list[Microseconds]) -> None:
    sent: list[Microseconds] = []
    for now in wanted:  # in any order: mails may be scheduled ahead
        if may_send(caps, sent, now).is_allowed:
            sent.append(now)
    for cap in caps:
        assert all(within(cap, sent, end) <= cap.mails for end in sent)


@given(caps, moments, st.integers(0, 30 * 24))
def test_the_earliest_moment_is_the_first_that_is_allowed(
    caps: list[FrequencyCap], recent: list[Microseconds], hours: int
) -> None:
    now = Microseconds(hours * HOUR)
    found = may_send(caps, recent, now)
    assert found.earliest >= now
    assert may_send(caps, recent, found.earliest).is_allowed
    assert found.is_allowed == (found.earliest == now)
    if not found.is_allowed:
        assert not may_send(caps, recent, Microseconds(found.earliest - 1)).is_allowed


@pytest.mark.parametrize(("mails", "days"), [(0, 7), (1001, 7), (1, 0), (1, -1), (1, 367)])
def test_impossible_caps_are_refused(mails: int, days: int) -> None:
    with pytest.raises(FrequencyCapError):
        FrequencyCap(mails, timedelta(days=days))
