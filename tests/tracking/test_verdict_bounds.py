import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.verdicts import Bounds, VerdictCounts, bounds

numbers = st.integers(0, 10**9)


@given(numbers, numbers, numbers)
def test_the_bounds_hold_every_truth_that_the_counts_allow(human: int, probable: int, machine: int) -> None:
    found = bounds(VerdictCounts(human, probable, machine))
    assert found.at_least == human
    assert found.at_most - found.at_least == probable
    low, high = found.rates(human + probable + machine)
    assert 0 <= low <= high <= 1


def test_rates() -> None:
    assert Bounds(20, 50).rates(200) == (0.1, 0.25)
    assert Bounds(0, 0).rates(0) == (0.0, 0.0)
    for impossible in (49, -1):
        with pytest.raises(ValueError, match="no share"):
            Bounds(20, 50).rates(impossible)
