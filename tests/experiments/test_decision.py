import math
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from experiments.confidence_sequence import Counted, compare, information, mixture_width
from experiments.decision import Answer, Cause, decide, decide_looks, holm
from experiments.guard_rails import RailCount, check_rail, worse_p_value
from experiments.observations import Look, Mode, Rules, VariantCount

RULES = Rules()


def look(*rows: tuple[int, int], **more: tuple[int, ...]) -> Look:
    """A look at variants A, B, ... given as (recipients, successes) and other counts by name."""
    return Look(
        tuple(
            VariantCount("ABCDE"[number], *row, **{name: values[number] for name, values in more.items()})
            for number, row in enumerate(rows)
        )
    )


counts = st.integers(1, 50_000).flatmap(lambda people: st.tuples(st.just(people), st.integers(0, people)))
looks = st.lists(counts, min_size=2, max_size=5).map(lambda rows: look(*rows))


@settings(max_examples=60)
@given(looks, st.randoms(use_true_random=False))
def test_neither_names_nor_order_matter(given_look: Look, chance) -> None:
    before = decide(given_look, RULES)
    names = [one.name for one in given_look.variants]
    renamed = dict(zip(names, chance.sample(names, len(names)), strict=True))
    shuffled = [replace(one, name=renamed[one.name]) for one in given_look.variants]
    chance.shuffle(shuffled)
    after = decide(Look(tuple(shuffled)), RULES)
    assert (after.answer, after.cause) == (before.answer, before.cause)
    assert after.winner == renamed.get(before.winner)
    assert set(after.contenders) == {renamed[one] for one in before.contenders}
    assert after.margin == before.margin


@settings(max_examples=60)
@given(looks, st.integers(2, 30))
def test_more_of_the_same_evidence_keeps_a_winner(given_look: Look, factor: int) -> None:
    before = decide(given_look, RULES)
    more = look(*((one.recipients * factor, one.successes * factor) for one in given_look.variants))
    if before.winner is not None:
        assert decide(more, RULES).winner == before.winner


@settings(max_examples=60)
@given(looks, st.integers(1, 5_000))
def test_more_successes_of_the_winner_never_make_another_win(given_look: Look, extra: int) -> None:
    winner = decide(given_look, RULES).winner
    assume(winner is not None)
    better = Look(
        tuple(
            replace(one, successes=min(one.recipients, one.successes + extra)) if one.name == winner else one
            for one in given_look.variants
        )
    )
    assert decide(better, RULES).winner in {winner, None}


@given(looks)
@settings(max_examples=60)
def test_a_winner_has_the_highest_rate_and_beats_all(given_look: Look) -> None:
    verdict = decide(given_look, RULES)
    rates = {one.name: one.at(upper=False).rate for one in given_look.variants}
    if verdict.winner is not None:
        assert rates[verdict.winner] == max(rates.values())
        mine = [pair for pair in verdict.pairs if verdict.winner in {pair.first, pair.second}]
        assert all(pair.adjusted_p <= RULES.alpha for pair in mine)
        assert verdict.contenders == (verdict.winner,)
    assert verdict.is_final == (verdict.answer is not Answer.NOT_YET_KNOWN)


@given(counts, counts)
def test_failures_are_successes_of_the_other_kind(first: tuple[int, int], second: tuple[int, int]) -> None:
    rho = mixture_width(200)
    one, two = Counted(first[1], first[0]), Counted(second[1], second[0])
    forward, backward = compare(one, two, rho), compare(two, one, rho)
    assert forward.estimate == -backward.estimate
    assert forward.p_value == pytest.approx(backward.p_value)
    assert (forward.low, forward.high) == pytest.approx((-backward.high, -backward.low))
    assert forward.low <= forward.estimate <= forward.high
    assert information(one, two) == pytest.approx(information(two, one))


@given(counts, counts, st.floats(0.001, 0.2))
def test_interval_and_p_value_agree(first: tuple[int, int], second: tuple[int, int], alpha: float) -> None:
    found = compare(Counted(first[1], first[0]), Counted(second[1], second[0]), mixture_width(50), alpha)
    assume(abs(found.p_value - alpha) > 1e-9)
    assert (found.p_value < alpha) == (not found.low <= 0 <= found.high)


def test_the_evidence_is_the_normal_mixture() -> None:
    """The closed form against the average of likelihood ratios over normal differences, summed numerically."""
    first, second, rho = Counted(400, 20_000), Counted(470, 20_000), 25.0
    now = information(first, second)
    pooled = 870 / 40_000
    score = (second.rate - first.rate) / math.sqrt(2 * pooled * (1 - pooled) / 20_000) * math.sqrt(now)
    step = 0.0005
    drifts = [number * step for number in range(-4_000, 4_001)]
    ratio = sum(
        math.exp(drift * score - drift * drift * now / 2 - rho * drift * drift / 2)
        * math.sqrt(rho / (2 * math.pi))
        * step
        for drift in drifts
    )
    assert compare(first, second, rho).p_value == pytest.approx(1 / ratio, rel=1e-3)


def test_always_valid_costs_more_than_one_look() -> None:
    found = compare(Counted(400, 20_000), Counted(460, 20_000), mixture_width(200))
    assert found.p_value > 0.0386  # the ordinary p of these counts
    assert found.low < 0 < found.high


@pytest.mark.parametrize(
    ("given_look", "answer", "winner", "cause"),
    [
        (look((20_000, 400), (20_000, 510)), Answer.WINNER, "B", Cause.BEATS_ALL),
        (look((20_000, 400), (20_000, 401)), Answer.NOT_YET_KNOWN, None, Cause.UNDECIDED),
        (look((200_000, 40_000), (200_000, 40_100)), Answer.NO_DIFFERENCE, None, Cause.WITHIN_MARGIN),
        (look((20, 0), (20, 9)), Answer.NOT_YET_KNOWN, None, Cause.TOO_FEW),
        (look((0, 0), (0, 0)), Answer.NOT_YET_KNOWN, None, Cause.TOO_FEW),
        (look((10**10, 0), (10**10, 10**10)), Answer.WINNER, "B", Cause.BEATS_ALL),
        (look((100, 100), (100, 100)), Answer.NOT_YET_KNOWN, None, Cause.TOO_FEW),
        (look((90_000, 1_800), (90_000, 2_700), (90_000, 2_710)), Answer.NO_DIFFERENCE, None, Cause.WITHIN_MARGIN),
        (look((90_000, 1_800), (90_000, 2_100), (90_000, 2_710)), Answer.WINNER, "C", Cause.BEATS_ALL),
    ],
)
def test_answers(given_look: Look, answer: Answer, winner: str | None, cause: Cause) -> None:
    verdict = decide(given_look, RULES)
    assert (verdict.answer, verdict.winner, verdict.cause) == (answer, winner, cause)
    assert verdict.sentence


def test_what_is_beaten_is_no_contender() -> None:
    verdict = decide(look((90_000, 1_800), (90_000, 2_700), (90_000, 2_710)), RULES)
    assert verdict.contenders == ("B", "C")
    assert verdict.margin == pytest.approx(0.2 * 0.03)
    assert "B and C" in verdict.sentence


def test_bounds_of_opens() -> None:
    sure = look((20_000, 4_000), (20_000, 4_600), successes_upper=(9_000, 9_600))
    assert decide(sure, RULES).winner == "B"
    doubtful = decide(look((20_000, 4_000), (20_000, 4_600), successes_upper=(9_600, 9_601)), RULES)
    assert (doubtful.answer, doubtful.cause) == (Answer.NOT_YET_KNOWN, Cause.BOUNDS_DISAGREE)
    opposite = decide(look((20_000, 4_000), (20_000, 4_600), successes_upper=(9_600, 9_000)), RULES)
    assert opposite.winner is None
    exact = look((20_000, 4_000), (20_000, 4_600), successes_upper=(4_000, 4_600))
    assert decide(exact, RULES).winner == "B"


def test_a_guard_rail_stops_a_winner_with_numbers() -> None:
    verdict = decide(look((20_000, 400), (20_000, 510), unsubscribes=(10, 60)), RULES)
    assert (verdict.answer, verdict.winner, verdict.cause) == (Answer.NOT_YET_KNOWN, None, Cause.GUARD_RAIL)
    assert "0.3 %" in verdict.sentence
    assert "0.05 %" in verdict.sentence
    assert [one.variant for one in verdict.guard_rails] == ["B"]


def test_a_guard_rail_against_the_loser_changes_nothing() -> None:
    assert decide(look((20_000, 510), (20_000, 400), complaints=(2, 60)), RULES).winner == "A"


def test_who_is_left_over_by_a_guard_rail_has_not_won() -> None:
    verdict = decide(look((20_000, 400), (20_000, 401), unsubscribes=(10, 60)), RULES)
    assert verdict.winner is None
    assert verdict.contenders == ("A",)
    three = look((20_000, 400), (20_000, 520), (20_000, 700), complaints=(3, 4, 60))
    assert decide(three, RULES).winner == "B"  # it beats the one rival that may win


def test_a_wrong_sample_has_no_winner() -> None:
    rules = replace(RULES, planned_sizes=(20_000, 20_000))
    verdict = decide(look((20_000, 400), (17_000, 510)), rules)
    assert (verdict.answer, verdict.cause) == (Answer.NOT_YET_KNOWN, Cause.SAMPLE_RATIO)
    assert decide(look((20_000, 400), (19_900, 510)), rules).winner == "B"


def test_a_a_mode_has_no_winner() -> None:
    rules = replace(RULES, mode=Mode.AA)
    assert decide(look((20_000, 400), (20_000, 510)), rules).cause is Cause.SAME_CONTENT
    assert decide(look((200_000, 40_000), (200_000, 40_100)), rules).answer is Answer.NO_DIFFERENCE


def test_the_first_look_that_decides_counts() -> None:
    series = [
        look((10_000, 100), (10_000, 105)),
        look((20_000, 400), (20_000, 510)),
        look((20_000, 700), (20_000, 710)),
    ]
    decision = decide_looks(series, RULES)
    assert (decision.look, decision.later, decision.verdict.winner) == (1, 1, "B")
    assert decide_looks(series[:1], RULES).look == 0
    with pytest.raises(ValueError):
        decide_looks([], RULES)


@pytest.mark.parametrize("p_values", [[0.3], [0.01, 0.04, 0.03], [0.001] * 6, [0.02, 0.9, 0.02, 0.4, 1e-9, 0.011, 1]])
def test_holm_is_that_of_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]))


def test_the_guard_rail_is_a_martingale_while_nothing_is_worse() -> None:
    """Exactly: the mean of the evidence over all outcomes of n events with equal chances is at most 1."""
    for events, people in ((1, (100, 100)), (7, (100, 100)), (25, (300, 100)), (60, (100, 200))):
        share = people[0] / sum(people)
        mean = 0.0
        for mine in range(events + 1):
            probability = math.comb(events, mine) * share**mine * (1 - share) ** (events - mine)
            scale = 10**6  # so that events are rare
            p_value = worse_p_value(Counted(mine, people[0] * scale), Counted(events - mine, people[1] * scale))
            mean += probability * (1 / p_value if p_value < 1 else 0)
        assert mean <= 1


@pytest.mark.parametrize(("mine", "others", "people"), [(20, 5, (100, 100)), (9, 3, (300, 200)), (30, 40, (100, 400))])
def test_guard_rail_evidence_is_the_average_over_all_worse_shares(
    mine: int, others: int, people: tuple[int, int]
) -> None:
    share, cells = people[0] / sum(people), 20_000
    width = (1 - share) / cells
    worse = [share + (number + 0.5) * width for number in range(cells)]
    average = sum((one / share) ** mine * ((1 - one) / (1 - share)) ** others for one in worse) / cells
    scale = 10**6
    found = worse_p_value(Counted(mine, people[0] * scale), Counted(others, people[1] * scale))
    assert found == pytest.approx(min(1.0, 1 / average), rel=1e-5)


def test_guard_rails_see_what_is_worse() -> None:
    assert worse_p_value(Counted(20, 20_000), Counted(5, 20_000)) < 0.05
    assert worse_p_value(Counted(5, 20_000), Counted(20, 20_000)) == 1
    assert worse_p_value(Counted(0, 20_000), Counted(0, 20_000)) == 1
    assert worse_p_value(Counted(3, 0), Counted(0, 5)) == 1
    assert worse_p_value(Counted(10**9, 10**10), Counted(10**8, 10**10)) < 1e-9
    rows = [RailCount("A", Counted(5, 10_000)), RailCount("B", Counted(6, 10_000)), RailCount("C", Counted(60, 10_000))]
    (finding,) = check_rail("complaints", rows, 0.05)
    assert (finding.variant, finding.other) == ("C", "A")


def test_all_orders_of_three_agree() -> None:
    rows = ((9_000, 180), (9_000, 260), (9_000, 330))
    answers = {decide(look(*order), RULES).answer for order in permutations(rows)}
    assert len(answers) == 1
