"""The rules over the simulated population: what docs/tracking.md promises is held by a smaller draw, too."""

import random
from pathlib import Path

import pytest

from tracking.scoring import KindScore, RuleScore, score
from tracking.testing import HABITS, population, with_honeypots
from tracking.verdicts import FetchKind, Verdict, shipped_judge

DOCS = Path(__file__).resolve().parents[2] / "docs" / "tracking.md"


@pytest.fixture(scope="module")
def scores() -> tuple[dict[str, RuleScore], dict[FetchKind, KindScore]]:
    rules, kinds = score(population(8_000, random.Random(11)), shipped_judge())
    return {one.rule: one for one in rules}, {one.kind: one for one in kinds}


def test_the_same_seed_draws_the_same() -> None:
    assert population(50, random.Random(3)) == population(50, random.Random(3))
    assert {one.habit for one in population(3_000, random.Random(3))} == set(HABITS)


def test_rules_that_decide_are_right(scores) -> None:
    for rule in scores[0].values():
        if rule.verdict is not Verdict.PROBABLE and rule.fired >= 20:
            assert rule.precision is not None
            assert rule.precision > 0.9, rule


def test_each_rule_decides_something_but_the_one_that_is_off(scores) -> None:
    idle = {rule.rule for rule in scores[0].values() if not rule.fired}
    assert idle <= {"honeypot", "at_once"}  # nobody hides links, and 0.5 % of bursts come within 10 s


@pytest.mark.parametrize("kind", [FetchKind.OPEN, FetchKind.CLICK])
def test_the_truth_lies_within_the_bounds(scores, kind: FetchKind) -> None:
    found = scores[1][kind]
    assert found.bounds.at_least <= found.by_people <= found.bounds.at_most
    assert found.people_called_machine < 0.02 * found.by_people
    assert found.machines_called_human < 0.02 * found.by_machines


def test_clicks_of_machines_are_found(scores) -> None:
    found = scores[1][FetchKind.CLICK]
    assert found.said.machine > 0.93 * found.by_machines


def test_a_honeypot_finds_machines_and_takes_no_reader_for_one(scores) -> None:
    drawn = population(8_000, random.Random(11))
    rules, kinds = score(with_honeypots(drawn, random.Random(12)), shipped_judge())
    caught = next(rule for rule in rules if rule.rule == "honeypot")
    assert caught.fired > 500
    assert (caught.precision, caught.recall) == (1.0, 1.0)
    before = scores[1][FetchKind.CLICK]
    after = next(one for one in kinds if one.kind is FetchKind.CLICK)
    assert (after.by_people, after.by_machines) == (before.by_people, before.by_machines), "it is no click itself"
    assert after.machines_called_human < 0.6 * before.machines_called_human
    assert after.people_called_machine - before.people_called_machine < 0.002 * after.by_people


def test_the_page_has_every_rule() -> None:
    page = DOCS.read_text("utf-8")
    for rule in shipped_judge().rules:
        assert f"| {rule.name} | {rule.verdict} |" in page
