"""The gate's question: have the lists been through hygiene lately? On either database, with real plans."""

from datetime import timedelta
from typing import Any

import pytest

from hygiene.list_health import Health
from hygiene.segments.parse import parse
from mailtypes.clock import ManualClock
from postwright.services.hygiene_plans import HygienePlans
from postwright.services.hygiene_terms import PlanTerms
from postwright.services.warm_up_hygiene import WarmUpHygiene
from postwright.store import contacts, list_health
from postwright.store.list_health import Judged
from postwright.store.records import table


class Keeper:
    """Makes and applies plans, judges lists, and asks."""

    def __init__(self, world: Any) -> None:
        self.world, self.clock = world, ManualClock(world.now)
        self.plans = HygienePlans(world.database, self.clock)
        self.hygiene = WarmUpHygiene(world.database, self.clock)

    async def plan(self, list_name: str | None = None, **terms: Any) -> int:
        made = await self.plans.make(self.world.workspace, PlanTerms(**terms), list_name)
        await self.plans.finish(self.world.workspace, made)
        return made

    async def apply(self, made: int) -> None:
        await self.plans.apply(self.world.workspace, made)
        await self.plans.finish(self.world.workspace, made)

    async def judged(self, name: str, health: Health, sent: int) -> None:
        found = await self.world.contact_list(name, [])
        judged = Judged(found.id, self.world.workspace, health, "for a test", sent, 0, 0, self.clock.now())
        await self.world.write(list_health.save_health, judged)

    async def covered(self) -> tuple[int, int]:
        found = await self.hygiene.cover(self.world.workspace)
        return found.covered, found.contacts


@pytest.fixture
def keeper(world: Any) -> Keeper:
    return Keeper(world)


async def test_without_contacts_nothing_is_known(keeper: Keeper) -> None:
    assert (await keeper.hygiene.cover(keeper.world.workspace)).done is None


async def test_a_plan_covers_those_of_its_list_who_were_there_and_only_for_a_month(keeper: Keeper) -> None:
    world = keeper.world
    await world.contact_list("News", ["a", "b", "c"])
    await world.contact_list("Others", ["d"])
    assert (await keeper.hygiene.cover(world.workspace)).done is False
    await keeper.plan("News")  # nobody to remove: there is nothing to apply
    assert await keeper.covered() == (3, 4)
    world.now = keeper.clock.advance(timedelta(days=1))
    late = world.contact("late")
    await world.write(_put, await world.contact_list("News", []), late, keeper.clock.now())
    assert await keeper.covered() == (3, 5)
    await keeper.plan()
    assert await keeper.covered() == (5, 5)
    keeper.clock.advance(timedelta(days=31))
    assert await keeper.covered() == (0, 5)


async def test_a_plan_counts_until_it_is_undone(keeper: Keeper) -> None:
    await keeper.world.contact_list("News", ["a", "b"])
    made = await keeper.plan()
    await keeper.apply(made)
    assert await keeper.covered() == (2, 2)
    await keeper.plans.undo(keeper.world.workspace, made)
    await keeper.plans.finish(keeper.world.workspace, made)
    assert await keeper.covered() == (0, 2)


async def test_moves_that_nobody_applied_are_no_hygiene(keeper: Keeper) -> None:
    await keeper.world.contact_list("News", ["a", "b"])
    made = await keeper.plan()
    step = {"contact_id": 999_999, "workspace_id": keeper.world.workspace, "move": "archive", "why": "", "before": "{}"}
    planned = {**step, "plan_id": made, "state": "planned", "after": ""}
    await keeper.world.write(lambda connection: connection.execute(table("hygiene_step").insert(), [planned]))
    assert await keeper.covered() == (0, 2)
    await keeper.apply(made)
    assert await keeper.covered() == (2, 2)


async def test_a_plan_over_a_segment_says_nothing_of_the_others(keeper: Keeper) -> None:
    await keeper.world.contact_list("News", ["a", "b"])
    await keeper.world.contact_list("Empty", [])
    await keeper.plan(None, tree=parse({"list": "Empty"}))
    assert await keeper.covered() == (0, 2)


@pytest.mark.parametrize(
    ("sent", "age", "covered"),
    [(2, 31, 2), (1, 31, 0), (2, 29, 0)],
    ids=["enough", "fewer mails than members", "joined within the window"],
)
async def test_mails_that_prove_a_list_healthy_cover_its_old_members(
    keeper: Keeper, sent: int, age: int, covered: int
) -> None:
    await keeper.world.contact_list("News", ["a", "b"])
    keeper.clock.advance(timedelta(days=age))
    await keeper.judged("News", Health.HEALTHY, sent)
    assert await keeper.covered() == (covered, 2)
    await keeper.judged("News", Health.UNKNOWN, sent)
    assert await keeper.covered() == (0, 2)


async def test_of_several_plans_of_a_list_the_last_counts_and_each_list_by_itself(keeper: Keeper) -> None:
    world = keeper.world
    for name, people in (("News", ["a", "b"]), ("Others", ["b", "c"])):
        await world.contact_list(name, people)
        await keeper.plan(name)
    world.now = keeper.clock.advance(timedelta(days=1))
    for name in ("News", "Others"):
        late = world.contact(f"late for {name}")
        await world.write(_put, await world.contact_list(name, []), late, keeper.clock.now())
    assert await keeper.covered() == (3, 5)
    await keeper.plan("News")
    assert await keeper.covered() == (4, 5)


async def test_several_healthy_lists_cover_their_members_each_by_its_own_figures(keeper: Keeper) -> None:
    for name, people in (("Proved", ["a", "b"]), ("Too few mails", ["b", "c"]), ("Proved too", ["d", "a"])):
        await keeper.world.contact_list(name, people)
    keeper.clock.advance(timedelta(days=31))
    for name, sent in (("Proved", 2), ("Too few mails", 1), ("Proved too", 3)):
        await keeper.judged(name, Health.HEALTHY, sent)
    assert await keeper.covered() == (3, 4)


async def test_nobody_on_a_list_that_did_harm_is_covered(keeper: Keeper) -> None:
    await keeper.world.contact_list("News", ["a", "b"])
    await keeper.world.contact_list("Bought", ["b", "c"])
    await keeper.plan()
    assert await keeper.covered() == (3, 3)
    await keeper.judged("Bought", Health.PAUSE, 9_000)
    found = await keeper.hygiene.cover(keeper.world.workspace)
    assert (found.covered, found.harmful, found.done) == (1, ("Bought",), False)
    keeper.clock.advance(timedelta(days=31))
    await keeper.plan()
    assert await keeper.covered() == (3, 3)


def _put(connection: Any, target: Any, contact: Any, now: Any) -> None:
    contacts.put_on_list(connection, target, [contact], "test", now)
