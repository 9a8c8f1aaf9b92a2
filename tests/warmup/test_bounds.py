import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmup.bounds import chance_of_at_least, lower_bound, surely_at_least, upper_bound


def _by_sum(events: int, trials: int, rate: float) -> float:
    return sum(math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(events, trials + 1))


@given(trials=st.integers(1, 60), data=st.data(), rate=st.floats(0.001, 0.999))
@settings(max_examples=150, deadline=None)
def test_the_tail_is_the_binomial_sum(trials: int, data: st.DataObject, rate: float) -> None:
    events = data.draw(st.integers(0, trials))
    assert chance_of_at_least(events, trials, rate) == pytest.approx(_by_sum(events, trials, rate), abs=1e-9)


def test_known_bounds() -> None:
    # One of three, one-sided 95 %: 1 - 0.95**(1/3); none of n, upper: 1 - 0.05**(1/n).
    assert lower_bound(1, 3, 0.95) == pytest.approx(1 - 0.95 ** (1 / 3), abs=1e-9)
    assert upper_bound(0, 100, 0.95) == pytest.approx(1 - 0.05 ** (1 / 100), abs=1e-9)
    assert (lower_bound(0, 0, 0.95), upper_bound(0, 0, 0.95)) == (0.0, 1.0)


def test_large_counts_are_exact_enough() -> None:
    # Around the mean the chance is about a half, whatever the size.
    for trials in (10_000, 1_000_000, 50_000_000):
        assert chance_of_at_least(trials // 100, trials, 0.01) == pytest.approx(0.5, abs=0.03)


@given(events=st.integers(1, 200), more=st.integers(0, 5_000), rate=st.floats(0.0005, 0.5))
@settings(max_examples=100, deadline=None)
def test_surely_agrees_with_the_lower_bound(events: int, more: int, rate: float) -> None:
    trials = events + more
    bound = lower_bound(events, trials, 0.9)
    if abs(bound - rate) > 1e-9:
        assert surely_at_least(events, trials, rate, 0.9) == (bound > rate)


@pytest.mark.parametrize(("events", "trials", "rate"), [(2, 1, 0.5), (-1, 3, 0.5), (1, 3, 1.5)])
def test_counts_that_cannot_be(events: int, trials: int, rate: float) -> None:
    with pytest.raises(ValueError, match="no such count"):
        chance_of_at_least(events, trials, rate)
