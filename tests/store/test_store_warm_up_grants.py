"""No cap of a warm-up is exceeded: whoever releases, leases and takes back, in whatever order, on either database."""

import asyncio
import multiprocessing
import random
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from mailtypes.clock import HOUR, Microseconds
from mta.shaping.pace import ChangeKind, Pace, PaceChange
from postwright.store import budgets, leases, shaping, suspensions, warm_up_grants, warm_up_held_back, warm_ups
from postwright.store.budgets import Limit
from postwright.store.database import Database, open_engine, read_url
from postwright.store.records import table
from postwright.store.shaping import PaceKey
from postwright.store.suspensions import By, Suspended
from postwright.store.warm_up_grants import Grant, LostGrant, Reach
from postwright.store.warm_up_held_back import Whose, marked_by_provider

_names = count(1)
_deliveries = table("delivery")
PLACES = ("192.0.2.7", "192.0.2.8")


def limits_of(workspace: int, caps: dict[str, int], place: str, window: int) -> list[Limit]:
    return [Limit(workspace, f"warmup:{name}", window, caps[name]) for name in ("domain", place)]


def release(
    connection: Connection, run: int, where: tuple[str, int], wanted: int, terms: tuple[list[Limit], Grant, int]
) -> int:
    """What the service does in one transaction."""
    limits, grant, now = terms
    granted = budgets.reserve_all(connection, limits, wanted)
    done = warm_up_grants.release_granted(connection, run, where, grant, Microseconds(now), limit=granted)
    budgets.give_back_all(connection, limits, granted - done)
    return done


async def test_all_limits_or_none(world: Any) -> None:
    few, many = Limit(world.workspace, "few", 0, 3), Limit(world.workspace, "many", 0, 10)
    assert await world.write(budgets.reserve_all, [many, few], 8) == 3
    assert await world.write(budgets.reserve_all, [few, many], 8) == 0
    assert await world.write(budgets.reserve_all, [many], 8) == 7
    found = await world.read(budgets.reserved_of, [few, many])
    assert (found[few.key], found[many.key]) == (3, 10)
    await world.write(budgets.give_back_all, [few, many], 2)
    assert await world.write(budgets.reserve_all, [few, many], 8) == 2
    assert await world.write(budgets.reserve_all, [], 8) == 8


async def test_a_grant_binds_to_a_place_and_an_hour(world: Any) -> None:
    run = await world.prepared(4)
    grant = Grant(world.now + HOUR, PLACES[0])
    place = ("example.test", world.destination)
    assert await world.write(warm_up_grants.release_granted, run.id, place, grant, world.now, limit=3) == 3
    due = (leases.due_destinations, world.now)
    assert await world.read(*due, PLACES[1]) == []
    assert await world.read(*due, PLACES[0]) == [world.destination]
    assert await world.read(leases.due_destinations, world.now + HOUR, PLACES[0]) == []

    def take(place: str, now: int) -> Any:
        taker = leases.Taker("w", HOUR, None, place)
        return world.write(leases.lease, taker, world.destination, 2, now)

    assert await take(PLACES[1], world.now) == []
    assert len(await take(PLACES[0], world.now)) == 2
    assert not await world.read(warm_up_grants.has_over, world.now)
    assert await world.read(warm_up_grants.has_over, world.now + HOUR)
    assert await world.write(warm_up_grants.take_back, world.now + HOUR) == 1
    assert await world.states(run) == {"leased": 2, "held": 2}


async def test_who_was_kept_back_untried_is_marked_until_the_next_release(world: Any) -> None:
    run = await world.prepared(5)
    place, ends = ("example.test", world.destination), Microseconds(world.now + HOUR)
    hour = (world.now, ends)
    await world.write(warm_up_grants.release_granted, run.id, place, Grant(ends, PLACES[0]), world.now, limit=4)
    rows = list((await world.rows(run)).values())
    tried = next(one.id for one in rows if one.state == "ready")
    await world.write(lambda c: c.execute(_deliveries.update().where(_deliveries.c.id == tried).values(attempts=1)))
    (lost,) = await world.read(warm_up_grants.lost, ends)
    assert lost == LostGrant(world.destination, PLACES[0], ends)
    assert await world.write(warm_up_grants.take_back, ends, [lost]) == 4

    async def marked(*span: int, **whose: Any) -> int:
        found = await world.read(marked_by_provider, Whose(**whose), span)
        assert set(found) <= {"example"}
        return int(found.get("example", 0))

    assert await marked(*hour, domain_id=run.domain_id) == 3
    assert await marked(*hour, egress=PLACES[0]) == 3
    assert await marked(*hour, egress=PLACES[1]) == 0
    assert await marked(*hour, domain_id=run.domain_id + 1) == 0
    assert await marked(ends, ends + HOUR, domain_id=run.domain_id) == 0
    await world.write(lambda c: c.execute(table("run").update().values(state="paused")))
    assert await marked(*hour, domain_id=run.domain_id) == 0
    await world.write(lambda c: c.execute(table("run").update().values(state="sending")))
    later = Grant(Microseconds(ends + HOUR), PLACES[0])
    await world.write(warm_up_grants.release_granted, run.id, place, later, ends, limit=2)
    assert 1 <= await marked(*hour, domain_id=run.domain_id) < 3


async def test_a_grant_that_a_decision_has_ended_marks_nobody(world: Any) -> None:
    run = await world.prepared(2)
    place, ends = ("example.test", world.destination), Microseconds(world.now + HOUR)
    await world.write(warm_up_grants.release_granted, run.id, place, Grant(ends), world.now, limit=2)
    assert await world.write(warm_up_grants.end_grants, Reach(domain_id=run.domain_id), world.now) == 2
    assert await world.read(warm_up_grants.lost, world.now) == []
    lost = [LostGrant(world.destination, "", ends), LostGrant(world.destination, "", world.now)]
    assert await world.write(warm_up_grants.take_back, world.now, lost) == 2
    assert {one.granted_until for one in (await world.rows(run)).values()} == {None}


async def test_the_paces_and_what_people_have_stopped_of_a_destination_and_its_provider(world: Any) -> None:
    scopes = (f"destination:{world.destination}", "provider:example", "provider:other")
    pace = Pace(troubled_at=Microseconds(5), evidence="421 4.7.28 rate")
    for scope in scopes:
        change = PaceChange(ChangeKind.SLOWED, Pace(), pace, world.now)
        key = PaceKey(scope, world.workspace, PLACES[0])
        await world.write(shaping.change_pace, key, lambda _, change=change: change, {}, world.now)
        for by in By:
            what = Suspended(world.workspace, scope, PLACES[0])
            await world.write(suspensions.suspend, what, by, "", world.now + HOUR, world.now)
    found = await world.read(warm_up_held_back.standing_paces, [world.destination, world.destination + 1])
    assert [(one.destination_id, one.egress, one.pace) for one in found] == [(world.destination, PLACES[0], pace)] * 2
    by_people = await world.read(warm_up_held_back.stopped_by_people, [world.destination], world.now)
    assert by_people == [(world.destination, PLACES[0], world.now + HOUR)] * 2
    assert await world.read(warm_up_held_back.stopped_by_people, [world.destination], world.now + HOUR) == []


async def test_what_is_noted_again_takes_the_place(world: Any) -> None:
    what = Limit(world.workspace, "noted", 7, 0)
    for amount in (5, 3):
        await world.write(budgets.note, what, amount)
        assert (await world.read(budgets.reserved_of, [what]))[what.key] == amount


async def test_a_start_takes_back_what_was_let_out_freely_and_only_of_its_own(world: Any) -> None:
    run = await world.released(3)
    elsewhere = Reach(domain_id=run.domain_id + 1)
    assert await world.write(warm_up_grants.end_grants, elsewhere, world.now) == 0
    assert await world.write(warm_up_grants.end_grants, Reach(provider="nobody"), world.now) == 0
    assert await world.write(warm_up_grants.end_grants, Reach(pool="default", provider="example"), world.now) == 3
    assert await world.lease() == []
    assert await world.write(warm_up_grants.take_back, world.now) == 3
    assert await world.write(warm_up_grants.end_grants, Reach(domain_id=run.domain_id), world.now) == 0


async def test_one_warm_up_of_a_subject_at_a_time(world: Any) -> None:
    subject = ("domain:1", "sender.test")
    first = await world.write(warm_ups.add_warm_up, world.workspace, subject, "{}", "me", world.now)
    assert await world.write(warm_ups.add_warm_up, world.workspace, subject, "{}", "me", world.now + 1) is None
    assert await world.write(warm_ups.end_warm_up, first, world.now + 2)
    assert not await world.write(warm_ups.end_warm_up, first, world.now + 2)
    assert await world.write(warm_ups.add_warm_up, world.workspace, subject, "{}", "me", world.now + 3) is not None


async def test_a_ramp_moves_once_from_where_it_was_read(world: Any) -> None:
    made = await world.write(warm_ups.add_warm_up, world.workspace, ("domain:1", "a"), "{}", "me", world.now)
    (warm_up,) = await world.read(warm_ups.warm_ups_of, world.workspace)
    assert await world.write(warm_ups.add_ramp, warm_up, "google", "{}", 5)
    assert not await world.write(warm_ups.add_ramp, warm_up, "google", "{}", 5)
    (ramp,) = await world.read(warm_ups.ramps_of, [made])
    assert await world.write(warm_ups.still_stand, [ramp])
    assert await world.write(warm_ups.save_ramp, ramp, '{"n": 1}', 6)
    assert not await world.write(warm_ups.save_ramp, ramp, '{"n": 2}', 7)
    assert not await world.write(warm_ups.still_stand, [ramp])
    assert [one.due_at for one in await world.read(warm_ups.due_ramps, 6)] == [6]
    assert await world.read(warm_ups.due_ramps, 5) == []


@pytest.mark.parametrize("expiry", [None, 48 * HOUR])
async def test_what_was_taken_back_comes_first_and_has_lost_no_time(world: Any, expiry: int | None) -> None:
    run = await world.prepared(3)
    end = world.now + 30 * 24 * HOUR
    await world.write(lambda c: c.execute(table("run").update().values(expiry=expiry, expires_at=end)))
    await world.write(lambda c: c.execute(table("delivery").update().values(expires_at=end, priority=12)))
    place = ("example.test", world.destination)
    grant = Grant(world.now + HOUR, PLACES[0])
    assert await world.write(warm_up_grants.release_granted, run.id, place, grant, world.now, limit=1) == 1
    (out,) = [one for one in (await world.rows(run)).values() if one.state == "ready"]
    assert out.expires_at == (end if expiry is None else world.now + expiry)
    later = Microseconds(world.now + HOUR)
    assert await world.write(warm_up_grants.take_back, later) == 1
    assert {one.expires_at for one in (await world.rows(run)).values()} == {end}
    assert await world.write(warm_up_grants.release_granted, run.id, place, grant, later, limit=1) == 1
    (again,) = [one for one in (await world.rows(run)).values() if one.state == "ready"]
    assert again.id == out.id
    await world.write(lambda c: c.execute(table("delivery").update().values(attempts=1)))
    assert await world.write(warm_up_grants.take_back, Microseconds(later + HOUR)) == 1
    tried = next(one for one in (await world.rows(run)).values() if one.id == out.id)
    assert tried.expires_at == again.expires_at  # who was tried keeps the time that is left


_STEP = st.tuples(
    st.sampled_from(["release", "lease", "take back"]), st.integers(0, 1), st.integers(0, 2), st.integers(1, 15)
)


async def test_no_interleaving_exceeds_a_cap_of_domain_or_address(
    world: Any, open_database: Callable[[], Database]
) -> None:
    """Three processes do what they like over two hours; in none does more leave than either cap allows."""
    databases = [open_database() for _ in range(3)]

    async def law(caps: tuple[int, int, int], steps: list[tuple[str, int, int, int]]) -> None:
        number = next(_names)
        named = dict(zip(("domain", *PLACES), caps, strict=True))
        run = await world.prepared(30, list_name=f"of {number}")
        left: dict[tuple[int, str], int] = {}
        hours = [(world.now + 2 * number * HOUR, steps[: len(steps) // 2])]
        hours.append((hours[0][0] + HOUR, steps[len(steps) // 2 :]))
        for now, own in hours:

            async def step(one: tuple[str, int, int, int], now: int = now) -> None:
                what, place, process, size = one
                name = PLACES[place]
                if what == "release":
                    terms = (limits_of(world.workspace, named, name, now), Grant(now + HOUR, name), now)
                    where = ("example.test", world.destination)
                    await databases[process].write(lambda c: release(c, run.id, where, size, terms))
                elif what == "lease":
                    taker = leases.Taker(f"w{process}", HOUR, None, name)
                    got = await databases[process].write(
                        lambda c: leases.lease(c, taker, world.destination, size, Microseconds(now))
                    )
                    left[now, name] = left.get((now, name), 0) + len(got)
                else:
                    await databases[process].write(lambda c: warm_up_grants.take_back(c, Microseconds(now)))

            await asyncio.gather(*(step(one) for one in own))
            for name in PLACES:
                assert left.get((now, name), 0) <= named[name]
            assert sum(sent for (at, _), sent in left.items() if at == now) <= named["domain"]

    loop = asyncio.get_running_loop()

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(caps=st.tuples(*[st.integers(0, 25)] * 3), steps=st.lists(_STEP, min_size=2, max_size=24))
    def examples(caps: tuple[int, int, int], steps: list[tuple[str, int, int, int]]) -> None:
        asyncio.run_coroutine_threadsafe(law(caps, steps), loop).result(60)

    await asyncio.to_thread(examples)


def reserve_many(url: str, workspace: int, seed: int, answers: Any) -> None:
    """A process of its own: reserves of two limits in an order of its own, gives some back.

    It tells what it kept, and by how much it ever saw a limit exceeded.
    """
    engine = open_engine(read_url(url))
    chance, kept, beyond = random.Random(seed), 0, 0
    limits = [Limit(workspace, "domain", 0, 500), Limit(workspace, "address", 0, 300)]
    try:
        for _ in range(60):
            chance.shuffle(limits)
            with engine.begin() as connection:
                granted = budgets.reserve_all(connection, limits, chance.randint(1, 12))
                seen = budgets.reserved_of(connection, limits)
                beyond = max(beyond, *(seen[one.key] - one.limit for one in limits))
            back = chance.randint(0, granted) if chance.random() < 0.3 else 0
            with engine.begin() as connection:
                budgets.give_back_all(connection, limits, back)
            kept += granted - back
    finally:
        engine.dispose()
    answers.put((kept, beyond))


@pytest.mark.skipif(sys.platform == "win32", reason="needs a start method that imports this file")
async def test_no_cap_is_exceeded_by_several_processes(world: Any, database_url: str) -> None:
    processes = 4
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    started = [
        context.Process(target=reserve_many, args=(database_url, world.workspace, seed, answers))
        for seed in range(processes)
    ]
    for one in started:
        one.start()
    told = [await asyncio.to_thread(answers.get) for _ in started]
    kept = [one for one, _ in told]
    for one in started:
        await asyncio.to_thread(one.join, 60)
        assert one.exitcode == 0
    keys = [Limit(world.workspace, name, 0, 0) for name in ("domain", "address")]
    found = await world.read(budgets.reserved_of, keys)
    assert max(beyond for _, beyond in told) <= 0
    assert set(found.values()) == {sum(kept)}
    assert 0 < sum(kept) <= 300
