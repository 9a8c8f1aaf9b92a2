"""The promises of docs/ab-testing.md on fewer tests than the page shows; the script runs them all."""

import importlib.util
from pathlib import Path

import pytest
from numpy.random import RandomState

from experiments.observations import Rules
from experiments.power import Terms, plan_sample
from experiments.simulation import Arrival, Scenario, looks_of, simulate

ROOT = Path(__file__).resolve().parents[2]
PLAN = plan_sample(0.05, 0.2, Terms(power=0.95))


@pytest.mark.parametrize("arrival", list(Arrival))
def test_false_winners_are_rare_and_peeking_makes_them(arrival: Arrival) -> None:
    tally = simulate(Scenario((0.05, 0.05), PLAN.any_look, PLAN.rules(), 20, arrival), 400, RandomState(1))
    assert tally.wrong <= 0.05 * 400
    assert tally.peeking_wrong >= 0.18 * 400
    assert tally.no_difference >= 0.8 * 400


@pytest.mark.parametrize("arrival", list(Arrival))
def test_a_planned_sample_finds_the_better_one(arrival: Arrival) -> None:
    tally = simulate(Scenario((0.05, 0.06), PLAN.any_look, PLAN.rules(), 20, arrival), 400, RandomState(2))
    assert tally.right >= 0.92 * 400
    assert tally.wrong == 0
    assert tally.median_share < 0.7


def test_far_beyond_the_plan_and_with_many_looks_alpha_holds() -> None:
    scenario = Scenario((0.03, 0.03), 400_000, Rules(margin=0.0001), 100, Arrival.PEOPLE)
    tally = simulate(scenario, 200, RandomState(3))
    assert tally.wrong <= 0.06 * 200
    assert tally.peeking_wrong >= 0.3 * 200


def test_several_equal_variants() -> None:
    plan = plan_sample(0.05, 0.3, Terms(variants=4))
    tally = simulate(Scenario((0.05,) * 4, plan.any_look, plan.rules()), 150, RandomState(4))
    assert tally.wrong <= 6


def test_the_same_seed_is_the_same_test() -> None:
    scenario = Scenario((0.05, 0.06), 5_000, Rules(), 7, Arrival.CLICKS)
    first, second = (looks_of(scenario, RandomState(5)) for _ in range(2))
    assert first == second
    assert [one.variants[0].recipients for one in first] == [5_000] * 7
    grown = [one.variants[0].successes for one in first]
    assert grown == sorted(grown)
    assert 170 < grown[-1] < 330


def test_the_page_shows_what_the_script_asks_for() -> None:
    """The numbers on the page keep the promises; that they are current the script says (it takes half a minute)."""
    spec = importlib.util.spec_from_file_location("simulate_experiments", ROOT / "scripts/simulate_experiments.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    section = script.PAGE.read_text("utf-8").partition(script.BEGIN)[2].partition(script.END)[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if " % |" in line]

    def share(cell: str) -> float:
        return float(cell.removesuffix(" %")) / 100

    same, better = [row for row in rows if len(row) == 7], [row for row in rows if len(row) == 10]
    assert len(same) == 4
    assert len(better) == 6
    assert all(share(row[3]) <= script.MOST_FALSE for row in same)
    assert all(share(row[5]) >= script.LEAST_RIGHT and share(row[6]) <= script.MOST_WRONG for row in better)
