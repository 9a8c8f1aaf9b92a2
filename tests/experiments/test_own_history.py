import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import RandomState

from experiments.best_hours import SentAt, best_hours
from experiments.comparison import Place, compare_by_group, compare_with_own
from experiments.confidence_sequence import Counted
from experiments.errors import ExperimentSyntaxError

USUAL = [Counted(successes, 5_000) for successes in (98, 105, 110, 92, 101, 99, 107, 95, 103, 100)]


@pytest.mark.parametrize(
    ("successes", "place"), [(100, Place.WITHIN), (112, Place.WITHIN), (200, Place.ABOVE), (30, Place.BELOW)]
)
def test_where_a_campaign_lies(successes: int, place: Place) -> None:
    found = compare_with_own(Counted(successes, 5_000), USUAL)
    assert found.place is place
    assert found.low < found.usual < found.high
    assert "%" in found.cause


def test_one_odd_campaign_does_not_move_the_usual() -> None:
    odd = [*USUAL[:-1], Counted(2_500, 5_000)]
    plain, robust = (compare_with_own(Counted(200, 5_000), one) for one in (USUAL, odd))
    assert robust.place is plain.place is Place.ABOVE
    assert robust.usual == pytest.approx(plain.usual, rel=0.03)


def test_the_last_ten_count() -> None:
    found = compare_with_own(Counted(100, 5_000), [Counted(2_000, 5_000)] * 20 + USUAL)
    assert (found.place, found.among) == (Place.WITHIN, 10)
    assert found.higher_than == 4


def test_a_small_campaign_gets_a_wide_interval() -> None:
    small, large = (compare_with_own(Counted(people // 50, people), USUAL) for people in (200, 50_000))
    assert small.high - small.low > 2 * (large.high - large.low)


@pytest.mark.parametrize(
    ("now", "earlier"),
    [(Counted(1, 49), USUAL), (Counted(10, 500), USUAL[:4]), (Counted(10, 500), [Counted(1, 10)] * 9)],
)
def test_not_enough_data(now: Counted, earlier: list[Counted]) -> None:
    found = compare_with_own(now, earlier)
    assert found.place is Place.UNKNOWN
    assert found.low is None
    assert found.cause.startswith("Not enough data")


counts = st.integers(0, 3_000).flatmap(lambda people: st.builds(Counted, st.integers(0, people), st.just(people)))


@settings(max_examples=60)
@given(counts, st.lists(counts, max_size=12), st.integers(1, 500))
def test_a_better_rate_never_lies_lower(now: Counted, earlier: list[Counted], more: int) -> None:
    order = [Place.BELOW, Place.WITHIN, Place.ABOVE]
    before = compare_with_own(now, earlier)
    after = compare_with_own(Counted(min(now.recipients, now.successes + more), now.recipients), earlier)
    assert (before.place is Place.UNKNOWN) == (after.place is Place.UNKNOWN)
    if before.place is not Place.UNKNOWN:
        assert order.index(after.place) >= order.index(before.place)


def test_by_provider() -> None:
    earlier = [{"gmail": one, "yahoo": one} for one in USUAL] + [{"gmail": one} for one in USUAL]
    found = compare_by_group(
        {"gmail": Counted(100, 5_000), "yahoo": Counted(5, 5_000), "new": Counted(9, 900)}, earlier
    )
    assert {group: one.place for group, one in found.items()} == {
        "gmail": Place.WITHIN,
        "yahoo": Place.BELOW,
        "new": Place.UNKNOWN,
    }


def test_false_alarms_are_rare() -> None:
    chance = RandomState(3)

    def campaign() -> Counted:
        rate = 1 / (1 + 2.718281828 ** (3.9 + 0.2 * chance.randn()))
        return Counted(int(chance.binomial(8_000, rate)), 8_000)

    outside = sum(
        compare_with_own(campaign(), [campaign() for _ in range(10)]).place is not Place.WITHIN for _ in range(300)
    )
    assert outside <= 0.08 * 300


def hours(chance: RandomState, lift: float, spread: float, each: int = 3) -> list[SentAt]:
    found = []
    for hour in range(7, 14):
        for _ in range(each):
            odds = 2.718281828 ** (-3.9 + lift * (hour == 9) + spread * chance.randn())
            found.append(SentAt(hour, Counted(int(chance.binomial(6_000, odds / (1 + odds))), 6_000)))
    return found


def test_an_hour_that_is_better_is_found() -> None:
    found = best_hours(hours(RandomState(1), 0.6, 0.05))
    assert found.best == (9,)
    nine = next(one for one in found.hours if one.hour == 9)
    assert nine.low < nine.rate < nine.high
    assert nine.rate < nine.observed  # drawn towards the average
    assert found.p_value < 0.01


def test_campaigns_that_differ_by_themselves_name_no_hour() -> None:
    chance = RandomState(2)
    named = sum(bool(best_hours(hours(chance, 0.0, 0.3)).best) for _ in range(100))
    assert named <= 11  # five in a hundred are allowed; chance makes eleven once in a hundred
    silent = best_hours(hours(chance, 0.0, 0.0))
    assert silent.best == ()
    assert silent.cause.startswith("Not enough data")


@pytest.mark.parametrize(
    "campaigns",
    [
        [],
        [SentAt(9, Counted(50, 1_000))] * 11,
        [SentAt(9, Counted(50, 1_000))] * 20,
        [SentAt(hour, Counted(50, 1_000)) for hour in range(20)],
        [SentAt(hour % 4, Counted(1, 1_000)) for hour in range(20)],
        [SentAt(hour % 4, Counted(0, 0)) for hour in range(20)],
    ],
)
def test_hours_without_enough_data(campaigns: list[SentAt]) -> None:
    found = best_hours(campaigns)
    assert (found.best, found.p_value) == ((), None)
    assert found.cause.startswith("Not enough data")


def test_counts_that_cannot_be() -> None:
    with pytest.raises(ExperimentSyntaxError, match="campaign"):
        compare_with_own(Counted(5, 4), USUAL)
    with pytest.raises(ExperimentSyntaxError, match=r"earlier\[1\]"):
        compare_with_own(Counted(5, 400), [USUAL[0], Counted(-1, 4)])
    with pytest.raises(ExperimentSyntaxError, match=r"campaigns\[0\]\.hour"):
        best_hours([SentAt(168, Counted(1, 2))])
    with pytest.raises(ExperimentSyntaxError, match=r"campaigns\[0\]"):
        best_hours([SentAt(5, Counted(3, 2))])
