import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportions_ztest

from experiments.confidence_sequence import Counted
from experiments.reading import posteriors, two_proportions
from experiments.sample_ratio import RatioState, check_sample_ratio

counts = st.integers(1, 400).flatmap(lambda people: st.builds(Counted, st.integers(0, people), st.just(people)))


def _second_is_better(first: Counted, second: Counted) -> float:
    """Closed form for two Beta posteriors with uniform priors: a sum over the second's successes."""
    a1, b1 = first.successes + 1, first.recipients - first.successes + 1
    a2, b2 = second.successes + 1, second.recipients - second.successes + 1

    def log_beta(a: float, b: float) -> float:
        return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)

    return sum(
        math.exp(log_beta(a1 + i, b1 + b2) - math.log(b2 + i) - log_beta(1 + i, b2) - log_beta(a1, b1))
        for i in range(a2)
    )


@settings(max_examples=40, deadline=None)
@given(counts, counts)
def test_the_chance_to_be_best_of_two_is_the_closed_form(first: Counted, second: Counted) -> None:
    one, two = posteriors([first, second])
    assert two.best == pytest.approx(_second_is_better(first, second), abs=2e-6)
    assert one.best + two.best == pytest.approx(1)
    mean = [(side.successes + 1) / (side.recipients + 2) for side in (first, second)]
    assert one.loss - two.loss == pytest.approx(mean[1] - mean[0], abs=1e-6)


def test_sizes_that_differ_by_millions() -> None:
    small, large = Counted(1, 10), Counted(1_000_000, 10_000_000)
    one, two = posteriors([small, large])
    # The large one is a point at 0.1, so the chance is the small one's tail beyond it.
    tail = sum(math.comb(11, k) * 0.1**k * 0.9 ** (11 - k) for k in range(2))
    assert one.best == pytest.approx(tail, abs=1e-4)
    assert two.best == pytest.approx(1 - tail, abs=1e-4)


def test_several_variants_against_chance() -> None:
    rows = [Counted(20, 1_000), Counted(26, 1_000), Counted(24, 900), Counted(0, 50), Counted(30, 1_100)]
    chance = random.Random(11)
    drawn = 20_000
    wins, loss = [0] * 5, [0.0] * 5
    for _ in range(drawn):
        sample = [chance.betavariate(one.successes + 1, one.recipients - one.successes + 1) for one in rows]
        best = max(sample)
        wins[sample.index(best)] += 1
        for number, rate in enumerate(sample):
            loss[number] += best - rate
    for found, won, lost in zip(posteriors(rows), wins, loss, strict=True):
        assert found.best == pytest.approx(won / drawn, abs=0.015)
        assert found.loss == pytest.approx(lost / drawn, abs=5e-4)
        assert found.low < found.high


@given(counts, counts)
@settings(max_examples=40, deadline=None)
def test_z_and_p_are_those_of_the_two_proportion_test(first: Counted, second: Counted) -> None:
    found = two_proportions(first, second)
    successes, people = first.successes + second.successes, first.recipients + second.recipients
    if successes in {0, people}:
        assert (found.z, found.p_value) == (None, None)
        return
    pooled = successes / people
    z = (second.rate - first.rate) / math.sqrt(pooled * (1 - pooled) * (1 / first.recipients + 1 / second.recipients))
    assert found.z == pytest.approx(z, abs=1e-12)
    assert found.p_value == pytest.approx(math.erfc(abs(z) / math.sqrt(2)))


def test_a_known_case() -> None:
    found = two_proportions(Counted(100, 1000), Counted(130, 1000))
    assert (found.z, found.p_value) == pytest.approx((2.1027406, 0.0354885), rel=1e-5)
    assert proportions_ztest([130, 100], [1000, 1000]) == pytest.approx((found.z, found.p_value))


def test_sample_ratio() -> None:
    assert check_sample_ratio([1000, 1010], None).state is RatioState.UNKNOWN
    assert check_sample_ratio([1, 2], [1, 1]).state is RatioState.UNKNOWN
    assert check_sample_ratio([0, 0], [1, 1]).state is RatioState.UNKNOWN
    assert check_sample_ratio([5_000, 5_100], [1, 1]).state is RatioState.BALANCED
    wrong = check_sample_ratio([5_000, 5_500], [1, 1])
    assert wrong.state is RatioState.MISMATCH
    assert wrong.p_value == pytest.approx(math.erfc(math.sqrt(500**2 / 10_500 / 2)), rel=1e-6)
    assert "5,250" in wrong.cause
    assert check_sample_ratio([1_000, 8_000], [1, 8]).state is RatioState.BALANCED
