import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from hygiene.list_health import Health, HealthPolicy, ListCounts, ListHealthError, Threshold, judge_list, wilson_rate

GRAVITY = [Health.HEALTHY, Health.UNKNOWN, Health.REVIEW, Health.PAUSE]


@pytest.mark.parametrize(
    ("counts", "health", "word"),
    [
        ((3, 1, 0), Health.UNKNOWN, "too few"),
        ((3, 3, 0), Health.UNKNOWN, "too few"),
        ((49, 49, 0), Health.UNKNOWN, "too few"),
        ((50, 49, 0), Health.PAUSE, "bounces"),
        ((60, 0, 2), Health.UNKNOWN, "too few"),
        ((200, 0, 3), Health.PAUSE, "complaints"),
        ((0, 0, 0), Health.UNKNOWN, "too few"),
        ((10_000, 100, 0), Health.HEALTHY, "bounces"),
        ((1000, 50, 0), Health.UNKNOWN, "too few"),
        ((10_000, 600, 0), Health.REVIEW, "bounces"),
        ((10_000, 1100, 0), Health.PAUSE, "bounces"),
        ((100_000, 100, 60), Health.HEALTHY, "bounces"),
        ((100_000, 100, 150), Health.REVIEW, "complaints"),
        ((100_000, 100, 700), Health.PAUSE, "complaints"),
        ((500, 0, 1), Health.UNKNOWN, "too few"),
    ],
)
def test_thresholds(counts: tuple[int, int, int], health: Health, word: str) -> None:
    verdict = judge_list(ListCounts(*counts))
    assert verdict.health is health
    assert word in verdict.cause
    assert [one.name for one in verdict.evidence] == ["bounces", "complaints"]


@given(st.integers(1, 10**6), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_as_statsmodels_reckons_it(of: int, share: float, confidence: float) -> None:
    count = int(of * share)
    rate = wilson_rate(count, of, confidence)
    low, high = proportion_confint(count, of, alpha=2 * (1 - confidence), method="wilson")
    assert (rate.low, rate.high) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))
    assert 0 <= rate.low <= count / of <= rate.high <= 1


@given(st.integers(50, 5000), st.integers(3, 300), st.integers(1, 50), st.sampled_from(["bounced", "complained"]))
def test_more_bounces_or_complaints_never_help(sent: int, count: int, more: int, kind: str) -> None:
    total = sent + count + more
    few, many = (
        judge_list(ListCounts(total, **{"bounced": 0, "complained": 0, kind: number})).evidence[kind == "complained"]
        for number in (count, count + more)
    )
    assert GRAVITY.index(many.health) >= GRAVITY.index(few.health)


@pytest.mark.parametrize("counts", [(3, 4, 0), (3, 2, 2), (3, -1, 0)])
def test_impossible_counts_are_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ListHealthError):
        ListCounts(*counts)


def test_impossible_policies_are_refused() -> None:
    for review, pause in ((0.0, 0.1), (0.2, 0.1), (0.5, 1.0)):
        with pytest.raises(ListHealthError):
            Threshold(review, pause)
    with pytest.raises(ListHealthError):
        HealthPolicy(confidence=0.3)
