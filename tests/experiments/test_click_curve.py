import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.click_curve import assumed_curve, measured_curve, wait_for
from experiments.errors import ExperimentSyntaxError


def test_the_assumption_is_named_and_kept() -> None:
    curve = assumed_curve()
    assert "assumed" in curve.source
    assert curve.share_after(3.5) == pytest.approx(0.5, abs=0.005)
    assert curve.share_after(24) == pytest.approx(0.9, abs=0.005)
    assert curve.share_after(0) == 0
    assert curve.share_after(1e6) == 1


@given(st.floats(0, 1))
def test_waiting_and_sharing_are_inverse(share: float) -> None:
    curve = assumed_curve()
    hours = curve.hours_until(share)
    assert hours is not None
    assert curve.share_after(hours) == pytest.approx(share, abs=1e-9)


@settings(max_examples=30)
@given(st.lists(st.floats(0, 500), min_size=100, max_size=300))
def test_a_measured_curve_rises_to_one(delays: list[float]) -> None:
    curve = measured_curve(delays)
    assert list(curve.hours) == sorted(set(curve.hours))
    assert list(curve.shares) == sorted(curve.shares)
    assert curve.share_after(max(delays)) == 1
    assert curve.hours_until(1.0) == pytest.approx(max(delays))
    assert "measured" in curve.source


def test_a_measured_curve_is_the_share_of_clicks() -> None:
    chance = random.Random(4)
    delays = [chance.expovariate(1 / 5) for _ in range(10_000)]
    curve = measured_curve(delays)
    for hours in (1, 5, 12):
        assert curve.share_after(hours) == pytest.approx(1 - math.exp(-hours / 5), abs=0.02)


def test_the_wait() -> None:
    curve = assumed_curve()
    assert wait_for(10_000, 20_000, curve).hours == pytest.approx(3.5, abs=0.05)
    assert wait_for(10_000, 9_999, curve).hours is None
    assert wait_for(10_000, 9_999, curve, 0.4).hours is None
    late = wait_for(10_000, 20_000, curve, 0.4)
    assert late.share == pytest.approx(0.5 / 0.8)
    # The odds at that share are half of the final odds.
    assert late.share * 0.4 / (1 - late.share * 0.4) == pytest.approx(0.5 * 0.4 / 0.6)
    assert wait_for(10_000, 10_000, curve).hours == pytest.approx(14 * 24)


@pytest.mark.parametrize("delays", [[1.0] * 99, [-1.0] * 100, [math.nan] * 100, [math.inf] * 100])
def test_what_makes_no_curve(delays: list[float]) -> None:
    with pytest.raises(ExperimentSyntaxError, match="delays"):
        measured_curve(delays)


def test_a_wait_needs_people() -> None:
    with pytest.raises(ExperimentSyntaxError):
        wait_for(0, 10, assumed_curve())
