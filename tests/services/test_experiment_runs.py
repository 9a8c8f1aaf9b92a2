"""A campaign that tests its subjects: drawn, sent, looked at, decided once, and the rest gets the winner."""

import json
import random
from datetime import timedelta
from typing import Any

import pytest

from experiments.decision import Answer, decide_looks
from experiments.request import read_experiment
from mailtypes.clock import HOUR, MINUTE
from postwright.services.errors import RefusedError
from postwright.services.experiment_runs import ExperimentRuns, export_document
from postwright.services.experiment_terms import ExperimentDraft, VariantDraft
from postwright.store import engagements, events
from postwright.store.engagements import NewEngagement
from postwright.store.experiments import get_experiment

PEOPLE = 1200
A, B = VariantDraft("A", subject="Spring is here"), VariantDraft("B", subject="Open this now")


def draft(**changes: Any) -> ExperimentDraft:
    return ExperimentDraft(**{"variants": (A, B), "share": 0.5, "wait": 24.0, "earliest": 1.0, **changes})


async def begun(world: Any, **changes: Any) -> Any:
    """A campaign whose sample is ready to go."""
    people = "".join(f"p{number}@example.test,P{number},en\n" for number in range(PEOPLE))
    await world.verified()
    campaign = await world.sending(people, experiment=draft(**changes), steps=3)
    tests = ExperimentRuns(world.database, world.clock)
    for _ in range(4):
        await tests.step()
        await world.scheduler.step()
    return campaign, tests


def by_variant(world: Any, *states: str) -> dict[int, int]:
    wanted = ", ".join(f"'{state}'" for state in states)
    return dict(world.rows(f"SELECT variant, count(*) FROM delivery WHERE state IN ({wanted}) GROUP BY variant"))


async def deliver(world: Any) -> None:
    while leased := await world.leased():
        await world.transmit(leased)
        await world.answer(leased, "250 2.0.0 ok")


async def click(world: Any, rates: dict[int, float]) -> None:
    chance, now = random.Random(7), world.clock.now()
    new = []
    for delivery_id, variant in world.rows("SELECT id, variant FROM delivery WHERE state = 'delivered' ORDER BY id"):
        if chance.random() < rates[variant]:
            new.append(engagement(delivery_id, now))
    await world.database.write(lambda connection: engagements.add(connection, new))


def engagement(delivery_id: int, now: int, kind: str = "click", verdict: str = "human") -> NewEngagement:
    values = dict.fromkeys(NewEngagement.__dataclass_fields__)
    values |= {"workspace_id": 1, "run_id": 1, "delivery_id": delivery_id, "kind": kind, "link": 0, "occurred_at": now}
    values |= {"agent": "browser", "network": "other", "features": "{}", "verdict": verdict, "rule": "test"}
    return NewEngagement(**values)


async def test_the_sample_is_drawn_over_everybody_and_the_rest_waits(world: Any) -> None:
    await begun(world)
    assert by_variant(world, "ready") == {0: PEOPLE // 4, 1: PEOPLE // 4}
    assert by_variant(world, "held") == {-1: PEOPLE // 2}
    found = await world.database.read(lambda c: get_experiment(c, 1))
    assert found.state == "testing"
    # Who is in the sample says the seed alone, not who joined first.
    sampled = [row[0] for row in world.rows("SELECT contact_id FROM delivery WHERE variant >= 0")]
    assert max(sampled) > PEOPLE * 0.9
    assert min(sampled) < PEOPLE * 0.1


async def test_a_seed_that_is_given_draws_the_same_sample_again(world: Any) -> None:
    await world.verified()
    people = "".join(f"p{number}@example.test,P{number},en\n" for number in range(60))
    drawn = []
    for name in ("Spring", "Spring again"):
        await world.sending(people, name=name, experiment=draft(seed="of 2026"), steps=3)
        tests = ExperimentRuns(world.database, world.clock)
        for _ in range(3):
            await tests.step()
        rows = world.rows("SELECT address_key, variant FROM delivery WHERE run_id = (SELECT max(id) FROM run)")
        drawn.append(dict(map(tuple, rows)))
    assert drawn[0] == drawn[1]
    assert set(drawn[0].values()) == {-1, 0, 1}


async def test_the_better_subject_wins_and_the_rest_gets_it(world: Any) -> None:
    campaign, tests = await begun(world)
    await deliver(world)
    await click(world, {0: 0.30, 1: 0.08})
    world.clock.advance(timedelta(minutes=30))
    assert await tests.step() == 0  # too early: the quickest readers are not all readers
    world.clock.advance(timedelta(minutes=31))
    assert await tests.step() == 1
    while await tests.step():
        pass
    found = await world.database.read(lambda c: get_experiment(c, 1))
    assert (found.state, found.winner, found.decided_by) == ("finished", 0, "rule")
    await world.scheduler.step()
    assert by_variant(world, "ready") == {0: PEOPLE // 2}
    await deliver(world)
    await world.scheduler.step()
    status = await world.campaigns.status(world.workspace, campaign.id)
    assert status.campaign.state == "finished"
    assert [row[0] for row in world.rows("SELECT count(*) FROM event WHERE kind = 'experiment_decided'")] == [1]


async def test_a_decision_is_made_once_whoever_is_cut_off(world: Any) -> None:
    _, tests = await begun(world)
    await deliver(world)
    await click(world, {0: 0.30, 1: 0.08})
    world.clock.advance(timedelta(hours=2))
    before = await world.database.read(lambda c: get_experiment(c, 1))
    other = ExperimentRuns(world.database, world.clock)
    assert await tests.step() == 1
    # The other process had read the test before: it decides nothing any more.
    assert await other._look(before, draft()) == 0
    await other._release(await world.database.read(lambda c: get_experiment(c, 1)))
    # Cut off in the middle of the release: whoever goes on does the rest.
    while await tests.step():
        pass
    assert by_variant(world, "held") == {0: PEOPLE // 2}
    assert world.rows("SELECT count(*) FROM event WHERE kind = 'experiment_decided'")[0][0] == 1


async def test_nothing_known_at_the_deadline_sends_the_default(world: Any) -> None:
    _, tests = await begun(world, default=1)
    await deliver(world)
    world.clock.advance(timedelta(hours=23))
    assert await tests.step() == 0
    world.clock.advance(timedelta(hours=1, minutes=1))
    assert await tests.step() == 1
    found = await world.database.read(lambda c: get_experiment(c, 1))
    assert (found.winner, found.decided_by) == (1, "deadline")


async def test_a_person_chooses(world: Any) -> None:
    _, tests = await begun(world, on_winner="ask")
    await deliver(world)
    await click(world, {0: 0.30, 1: 0.08})
    world.clock.advance(timedelta(hours=2))
    assert await tests.step() == 1
    found = await world.database.read(lambda c: get_experiment(c, 1))
    assert (found.state, json.loads(found.verdict)["proposed"]) == ("asking", "A")
    chosen = await tests.choose(world.workspace, 1, 1)
    assert (chosen.state, chosen.winner, chosen.decided_by) == ("releasing", 1, "person")
    with pytest.raises(RefusedError):
        await tests.choose(world.workspace, 1, 0)


async def test_a_cancelled_campaign_asks_nobody_any_more(world: Any) -> None:
    campaign, tests = await begun(world, on_winner="ask")
    await deliver(world)
    await click(world, {0: 0.30, 1: 0.08})
    world.clock.advance(timedelta(hours=2))
    await tests.step()
    await world.campaigns.cancel(world.workspace, campaign.id)
    with pytest.raises(RefusedError, match="nothing is left to choose"):
        await tests.choose(world.workspace, 1, 1)
    await tests.step()
    found = await world.database.read(lambda c: get_experiment(c, 1))
    assert (found.state, found.winner) == ("finished", None)


async def test_machines_decide_nothing(world: Any) -> None:
    _, tests = await begun(world)
    await deliver(world)
    now = world.clock.now()
    ids = [row[0] for row in world.rows("SELECT id FROM delivery WHERE variant = 1 AND state = 'delivered'")]
    scans = [engagement(one, now, verdict="machine") for one in ids]
    await world.database.write(lambda connection: engagements.add(connection, scans))
    world.clock.advance(timedelta(hours=2))
    assert await tests.step() == 0


async def test_anybody_can_recompute_it(world: Any) -> None:
    _, tests = await begun(world)
    await deliver(world)
    await click(world, {0: 0.30, 1: 0.08})
    world.clock.advance(timedelta(hours=2))
    await tests.step()
    exported = export_document(await tests.get(world.workspace, 1))
    experiment = read_experiment(json.loads(json.dumps(exported)))
    verdict = decide_looks(experiment.looks, experiment.rules).verdict
    assert (verdict.answer, verdict.winner) == (Answer.WINNER, "A")
    assert exported["sizes"] == [PEOPLE // 4, PEOPLE // 4]


async def test_a_list_too_small_gets_the_default(world: Any) -> None:
    await world.verified()
    await world.sending("a@example.test,A,en\n", experiment=draft(), steps=3)
    tests = ExperimentRuns(world.database, world.clock)
    while await tests.step():
        pass
    found = await world.database.read(lambda c: get_experiment(c, 1))
    assert (found.state, found.decided_by, found.winner) == ("finished", "too_few_recipients", 0)
    await world.scheduler.step()
    assert by_variant(world, "ready") == {0: 1}


async def test_an_hour_of_its_own(world: Any) -> None:
    hours = (VariantDraft("A", hour=9), VariantDraft("B", hour=17))
    await begun(world, variants=hours)
    due = dict(world.rows("SELECT variant, min(next_attempt_at) FROM delivery WHERE variant >= 0 GROUP BY variant"))
    assert abs(due[0] - due[1]) in {8 * HOUR, 16 * HOUR}
    assert min(due.values()) >= world.clock.now() - 10 * MINUTE


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"variants": (A,)}, "experiment.variants"),
        ({"variants": (A, A)}, "experiment.variants"),
        ({"variants": (A, VariantDraft("B", subject="a\nb"))}, "experiment.variants.1.subject"),
        ({"variants": (VariantDraft("A"), VariantDraft("B"))}, "experiment.variants"),
        ({"share": 0.0}, "experiment.share"),
        ({"default": 2}, "experiment.default"),
        ({"metric": "opens"}, "experiment.metric"),
        ({"earliest": 48.0}, "experiment.earliest"),
        ({"mode": "aa"}, "experiment.variants"),
        ({"seed": ""}, "experiment.seed"),
        ({"seed": "a\nb"}, "experiment.seed"),
    ],
)
async def test_what_is_no_test(world: Any, changes: dict[str, Any], field: str) -> None:
    await world.verified()
    with pytest.raises(RefusedError) as caught:
        await world.draft(experiment=draft(**changes))
    assert field in {problem.field for problem in caught.value.problems}


async def test_unsubscribes_are_told_with_the_verdict(world: Any) -> None:
    _, tests = await begun(world)
    await deliver(world)
    await click(world, {0: 0.30, 1: 0.08})
    now = world.clock.now()
    ids = [row[0] for row in world.rows("SELECT id FROM delivery WHERE variant = 0 AND state = 'delivered'")][:60]
    left = [events.NewEvent(1, "unsubscribed", now, 1, one, None, {"way": "page"}) for one in ids]
    await world.database.write(lambda connection: events.append(connection, left, now))
    world.clock.advance(timedelta(hours=2))
    assert await tests.step() == 0, "a guard rail: the better subject drove people away"
    found = await world.database.read(lambda c: get_experiment(c, 1))
    assert json.loads(found.verdict)["cause"] == "guard_rail"
