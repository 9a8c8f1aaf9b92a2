from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmup.feedback import Action
from warmup.plans import PRESETS, doubling
from warmup.simulation.chance import drawn
from warmup.simulation.comparison import (
    FIRST_HELD_OUT_SEED,
    VARIED,
    compare,
    duels,
    scenarios_of,
    sensitivity,
    summaries,
    varied,
)
from warmup.simulation.policies import by_calendar, listening
from warmup.simulation.providers import Offered, ProviderModel
from warmup.simulation.report import by_day, turns
from warmup.simulation.senders import MIX, SENDERS
from warmup.simulation.tempers import HELD_OUT, TEMPERS, TUNING
from warmup.simulation.world import Scenario, simulate

RAMP = PRESETS["postmark"]
TABLE, LISTENING = by_calendar("table", RAMP), listening("listening", RAMP)
USUAL = Scenario("usual", TEMPERS["usual"], SENDERS["bad_import"], days=40)


def test_the_same_seed_gives_the_same_run() -> None:
    assert simulate(USUAL, LISTENING, 7) == simulate(USUAL, LISTENING, 7)
    assert simulate(USUAL, LISTENING, 7).records != simulate(USUAL, LISTENING, 8).records


def test_both_policies_meet_the_same_providers() -> None:
    first = [one for one in simulate(USUAL, TABLE, 3).records if one.day.day == 1 and one.day.month == 1]
    second = [one for one in simulate(USUAL, LISTENING, 3).records if one.day.day == 1 and one.day.month == 1]
    assert first == second


@given(
    temper=st.sampled_from(sorted(TEMPERS)),
    seed=st.integers(0, 10_000),
    offers=st.lists(st.integers(0, 200_000), min_size=1, max_size=60),
    bad=st.floats(0, 0.5),
    complaints=st.floats(0, 0.05),
)
@settings(max_examples=40, deadline=None)
def test_every_message_has_one_fate(temper: str, seed: int, offers: list[int], bad: float, complaints: float) -> None:
    chance = Random(seed)
    model = ProviderModel(TEMPERS[temper].jittered(chance, 0.5), chance)
    for offer in offers:
        answered = model.receive(Offered(offer, bad, complaints))
        parts = (answered.delivered, answered.hard_bounces, answered.deferred, answered.blocked)
        assert min(parts) >= 0
        assert sum(parts) == offer
        assert 0 <= answered.complaints <= answered.inboxed <= answered.delivered
        assert 0.0 <= model.reputation <= 1.0


@given(seed=st.integers(0, 10_000), sender=st.sampled_from(sorted(SENDERS)), temper=st.sampled_from(sorted(TEMPERS)))
@settings(max_examples=10, deadline=None)
def test_no_policy_sends_beyond_its_cap_or_what_is_there(seed: int, sender: str, temper: str) -> None:
    scenario = Scenario(temper, TEMPERS[temper], SENDERS[sender], days=20)
    for choice in (TABLE, LISTENING):
        outcome = simulate(scenario, choice, seed)
        assert all(one.allowed is None or one.offered <= one.allowed for one in outcome.records)
        assert all(one.offered <= 2 * one.wanted for one in outcome.records)  # at most yesterday's once more
        assert 0.0 <= outcome.delivered_share <= 1.0


def test_providers_put_off_growth_and_block_bad_lists() -> None:
    jump = ProviderModel(TEMPERS["strict"], Random(1))
    assert jump.receive(Offered(100, 0.0, 0.0)).deferred == 0
    assert jump.receive(Offered(50_000, 0.0, 0.0)).deferred > 45_000
    bad = ProviderModel(TEMPERS["strict"], Random(1))
    answers = [bad.receive(Offered(5_000, 0.3, 0.01)) for _ in range(10)]
    assert any(one.blocked_day for one in answers)
    patient = ProviderModel(TEMPERS["lenient"], Random(1))
    volume = 500
    for _ in range(15):
        assert patient.receive(Offered(volume, 0.005, 0.0002)).deferred == 0
        volume = min(200_000, 2 * volume)


def test_draws_have_the_mean_that_was_asked_for() -> None:
    chance = Random(5)
    for trials, rate in ((1_000, 0.002), (50_000, 0.01), (100, 0.5)):
        mean = sum(drawn(chance, trials, rate) for _ in range(2_000)) / 2_000
        assert mean == pytest.approx(trials * rate, rel=0.06)
    assert (drawn(chance, 0, 0.5), drawn(chance, 10, 0.0), drawn(chance, 10, 1.0)) == (0, 0, 10)


def test_the_shares_of_providers_are_whole_and_tempers_held_out() -> None:
    assert sum(MIX.values()) == pytest.approx(1.0)
    assert not set(TUNING) & set(HELD_OUT)
    assert FIRST_HELD_OUT_SEED == 1_000


def test_a_clean_list_with_usual_providers_gets_through_by_either() -> None:
    """The models' anchor: the published table works for whom it was published."""
    scenario = Scenario("usual", TEMPERS["usual"], SENDERS["clean"])
    for choice in (TABLE, LISTENING):
        outcomes = [simulate(scenario, choice, seed) for seed in range(4)]
        assert all(one.delivered_share > 0.8 for one in outcomes)
        assert all(one.days_to_full is not None and one.days_to_full <= 25 for one in outcomes)


def test_listening_avoids_blocks_and_a_table_wins_with_lenient_providers() -> None:
    """Both sides of the comparison: what docs/warm-up.md says of either has to stay true."""
    outcomes = compare(
        [
            Scenario("strict", TEMPERS["strict"], SENDERS["bad_import"]),
            Scenario("lenient", TEMPERS["lenient"], SENDERS["bad_import"]),
        ],
        [TABLE, LISTENING],
        range(4),
    )
    strict, lenient = duels(outcomes, "listening", "table")
    assert strict.winner == "listening"
    assert strict.block_days < -50
    assert lenient.winner == "table"


def test_summaries_and_sensitivity() -> None:
    scenarios = scenarios_of(
        {"abrupt": HELD_OUT["abrupt"]}, {"clean": SENDERS["clean"]}, replace(USUAL, volume=5_000, days=12)
    )
    outcomes = compare(scenarios, [TABLE, LISTENING], [1, 2])
    rows = summaries(outcomes)
    assert [(one.policy, one.runs) for one in rows] == [("table", 2), ("listening", 2)]
    assert all(one.records == () for one in outcomes)
    found = sensitivity(scenarios, (LISTENING, TABLE), [1, 2])
    assert len(found) == 2 + 2 * len(VARIED)
    assert all(one.ahead + one.level + one.behind == 1 for one in found)


def test_varied_parameters() -> None:
    temper = TEMPERS["usual"]
    assert varied(temper, "growth", 0.5).growth == pytest.approx(1 + (temper.growth - 1) / 2)
    assert varied(temper, "free", 2.0).free == 2 * temper.free
    assert varied(temper, "prolongs", 10.0).prolongs == 0.95
    for name in VARIED.values():
        assert varied(temper, name, 2.0) != temper


def test_the_report_by_day_adds_up() -> None:
    outcome = simulate(USUAL, LISTENING, 2)
    all_days, google = by_day(outcome), by_day(outcome, "google")
    assert (len(all_days), len(google)) == (40, 40)
    assert sum(one.sent for one in all_days) == sum(one.answered.delivered for one in outcome.records)
    assert all(one.sent <= whole.sent for one, whole in zip(google, all_days, strict=True))
    found = turns(outcome, "google")
    assert found[0].note == "simulation begins"
    assert {one.action for one in found} & {Action.PAUSE, Action.STEP_BACK}
    assert {one.provider for one in found} == {"google"}
    assert by_day(simulate(replace(USUAL, days=38), by_calendar("doubling", doubling(50_000)), 2))[-1].allowed is None


def test_scenarios_have_bounds() -> None:
    for wrong in ({"days": 0}, {"days": 731}, {"volume": 0}):
        with pytest.raises(ValueError, match="a simulation has"):
            replace(USUAL, **wrong)


def test_a_mail_system_that_backs_off_spares_the_table_most_blocks() -> None:
    strict = Scenario("strict", TEMPERS["strict"], SENDERS["clean"])
    insisting = [simulate(strict, TABLE, seed).block_days for seed in range(3)]
    outcomes = [simulate(replace(strict, backs_off=True), TABLE, seed) for seed in range(3)]
    assert sum(one.block_days for one in outcomes) < sum(insisting) / 4
    for outcome in outcomes:
        assert all(one.answered.deferred <= 0.2 * max(1, one.offered) for one in outcome.records)
