"""Tests of runs over both databases: listed by state, and a process that dies at any write of a test's life.

However it dies, the sample is drawn once, decided once, and everybody released once.
"""

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from mailtypes.clock import ManualClock
from postwright.services import experiment_runs
from postwright.services.experiment_runs import ExperimentRuns
from postwright.services.experiment_terms import ExperimentDraft, VariantDraft
from postwright.store import engagements, experiments, preparation
from postwright.store.engagements import NewEngagement
from postwright.store.records import table

PEOPLE, SAMPLED = 80, 24
A, B = VariantDraft("A", subject="Spring is here"), VariantDraft("B", subject="Open this now")
DRAFT = ExperimentDraft((A, B), share=2 * SAMPLED / PEOPLE, wait=24.0, earliest=1.0, default=0, seed="of this test")
MOMENTS = ("within", "after")
WINNER = 1


class DeadError(Exception):
    """The process is gone."""


class DyingDatabase:
    """A database whose process dies at one of its writes: before it is durable, or right after."""

    def __init__(self, inner: Any, at: int = 0, moment: str = "") -> None:
        self._inner, self._at, self._moment = inner, at, moment
        self.writes = 0

    async def read(self, work: Callable[[Connection], Any]) -> Any:
        return await self._inner.read(work)

    async def write(self, work: Callable[[Connection], Any]) -> Any:
        self.writes += 1
        if self.writes != self._at:
            return await self._inner.write(work)
        await self._inner.write(work if self._moment == "after" else within(work))
        raise DeadError


def within(work: Callable[[Connection], Any]) -> Callable[[Connection], Any]:
    def cut_off(connection: Connection) -> None:
        work(connection)
        raise DeadError

    return cut_off


class Test:
    """A run that tests, and the world around it."""

    __test__ = False

    def __init__(self, world: Any) -> None:
        self.world, self.clock, self.run = world, ManualClock(world.now), None

    async def begin(self) -> "Test":
        self.run = await self.world.start([f"p{number}" for number in range(PEOPLE)])
        placing = preparation.Placing(lambda _: preparation.UNDECIDED)
        while await self.world.write(preparation.prepare_chunk, self.run.id, placing, self.world.now):
            pass
        terms = json.dumps({"seed": DRAFT.seed, "draft": json.loads(DRAFT.as_json())})
        await self.world.write(experiments.add_experiment, self.run.id, self.world.workspace, terms)
        return self

    async def stored(self) -> experiments.StoredExperiment:
        found: experiments.StoredExperiment = await self.world.read(experiments.get_experiment, self.run.id)
        return found

    async def live(self, database: Any) -> None:
        """Whatever a process does for the test, up to its end; between the steps people get mail and click."""
        tests = ExperimentRuns(database, self.clock)
        for _ in range(40):
            state = (await self.stored()).state
            if state == "finished":
                return
            if state == "testing":
                await self.world.write(self._deliver)
                self.clock.advance(timedelta(minutes=61))
            await tests.step()
        raise AssertionError("the test does not come to its end")

    def _deliver(self, connection: Connection) -> None:
        """The sample has its mail; nearly all with B click, nearly nobody with A."""
        delivery = table("delivery")
        mine = (delivery.c.run_id == self.run.id, delivery.c.variant >= 0, delivery.c.state != "delivered")
        rows = connection.execute(select(delivery.c.id, delivery.c.variant).where(*mine)).all()
        connection.execute(update(delivery).where(*mine).values(state="delivered"))
        places: Counter[int] = Counter()
        clicks = []
        for row in rows:
            places[row.variant] += 1
            if (places[row.variant] % 8 == 0) == (row.variant == 0):
                clicks.append(self._click(row.id))
        engagements.add(connection, clicks)

    def _click(self, delivery_id: int) -> NewEngagement:
        values: dict[str, Any] = dict.fromkeys(NewEngagement.__dataclass_fields__)
        values |= {"workspace_id": self.world.workspace, "run_id": self.run.id, "delivery_id": delivery_id}
        values |= {"kind": "click", "link": 0, "occurred_at": self.clock.now(), "agent": "browser"}
        values |= {"network": "other", "features": "{}", "verdict": "human", "rule": "test"}
        return NewEngagement(**values)

    async def check(self) -> dict[str, int]:
        """Everything as if nobody had died; returns who has which variant."""
        stored = await self.stored()
        assert (stored.winner, stored.decided_by) == (WINNER, "rule")
        told = [one for one in await self.world.events("experiment_decided") if one.run_id == self.run.id]
        assert len(told) == 1
        rows = (await self.world.rows(self.run)).values()
        released = [row for row in rows if row.state == "held"]
        assert {row.variant for row in released} == {WINNER}
        # Their own order, turned round once: whoever is below zero would wait for ever.
        assert all(row.priority >= 0 and row.waits_for == "" for row in released)
        tested = Counter(row.variant for row in rows if row.state == "delivered")
        assert tested == {0: SAMPLED, 1: SAMPLED}
        assert len(rows) == PEOPLE == len(released) + 2 * SAMPLED
        return {row.address_key: row.variant for row in rows}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that drawing, assigning and releasing take several transactions each."""
    monkeypatch.setattr(experiment_runs, "_CHUNK", 20)


async def test_whoever_dies_and_whenever_the_rest_is_released_once(world) -> None:
    untouched = await Test(world).begin()
    whole = DyingDatabase(world.database)
    await untouched.live(whole)
    expected = await untouched.check()
    assert whole.writes > 8
    for moment in MOMENTS:
        for at in count(1):
            test = await Test(world).begin()
            dying = DyingDatabase(world.database, at, moment)
            try:
                await test.live(dying)
            except DeadError:
                await test.live(world.database)  # another process finds what the dead one left
            else:
                break
            assert await test.check() == expected, f"died {moment} write {at}"
        assert at == whole.writes + 1


async def test_the_rest_is_released_behind_the_place_that_is_kept_and_nobody_before_it_is_left(world) -> None:
    test = await Test(world).begin()
    ids = sorted(await world.rows(test.run))

    async def release(after: int, limit: int) -> int:
        return await world.write(experiments.release_rest, test.run.id, WINNER, after=after, limit=limit)

    assert await release(ids[-1], 30) == 30  # the place of another state: from the beginning, then
    assert (await test.stored()).reached == ids[29]
    assert await release(ids[29], 20) == 20
    assert (await test.stored()).reached == ids[49]
    assert await release(ids[59], PEOPLE) == PEOPLE - 60
    assert await release(ids[-1], PEOPLE) == 10
    assert await release(ids[-1], PEOPLE) == 0
    assert {row.variant for row in (await world.rows(test.run)).values()} == {WINNER}


async def test_tests_are_listed_by_state_the_newest_first(world, database) -> None:
    made = [await Test(world).begin() for _ in range(3)]
    await made[1].live(database)
    ids = [one.run.id for one in made]
    tests = ExperimentRuns(database, ManualClock(world.now))

    async def listed(*asked: Any, **options: Any) -> list[int]:
        return [one.test.run_id for one in await tests.list(world.workspace, *asked, **options)]

    assert await listed() == ids[::-1]
    assert await listed("finished") == [ids[1]]
    assert await listed("testing", limit=1) == [ids[2]]  # a process does a little for all of them
    assert await listed("testing", before=ids[2]) == [ids[0]]
    assert await tests.list(world.workspace + 1) == []
    (found,) = await tests.list(world.workspace, "finished")
    assert (found.test, found.begun_at) == (await made[1].stored(), made[1].run.created_at)
    assert found.campaign_id == made[1].run.campaign_id
    assert found.campaign_name.startswith("campaign ")
