"""Rates, connections and paces are shared by all workers, and never go beyond what is configured."""

import asyncio
import json
from collections.abc import Callable
from itertools import count, pairwise
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailtypes.clock import MINUTE, SECOND, Microseconds
from mta.shaping.adaptation import Finding, Terms, react, resume
from mta.shaping.pace import Limits, Pace
from mta.shaping.rules import ShapingRule, Slowing, Suspension
from mta.shaping.slots import together
from postwright.store import routes, shaping, suspensions
from postwright.store.database import Database
from postwright.store.shaping import HoldKey, PaceKey

SLOW = ShapingRule("slow", codes=(421,), slow=Slowing(0.5, 1.0))
PAUSE = ShapingRule("pause", codes=(421,), suspend=Suspension(60, 600, 2.0, 0.0))
TERMS = Terms(Limits(10, 1000, 40.0))
_names = count(1)


def key(world: Any, scope: str = "provider:google", egress: str = "192.0.2.1") -> PaceKey:
    return PaceKey(scope, world.workspace, egress)


def hear(rule: ShapingRule, now: int) -> Callable[[Pace], Any]:
    return lambda pace: react(pace, Finding(rule, "421 slower"), TERMS, Microseconds(now), Random(1))


async def change(world: Any, decide: Callable[[Pace], Any], now: int, *, of: PaceKey | None = None) -> Any:
    told = {"site": "google", "provider": "google"}
    return await world.write(shaping.change_pace, of or key(world), decide, told, Microseconds(now))


async def test_a_change_is_stored_with_an_event_that_tells_its_cause(world: Any) -> None:
    assert await world.read(shaping.load_paces, [key(world)]) == {key(world): Pace()}
    made = await change(world, hear(SLOW, world.now), world.now)
    assert (await world.read(shaping.load_paces, [key(world)]))[key(world)] == made.after
    (event,) = await world.events("destination_slowed")
    told = json.loads(event.data)
    assert told["rule"] == "slow"
    assert told["evidence"] == "421 slower"
    assert told["site"] == "google"
    assert told["scope"] == "provider:google"
    assert told["before"]["rate"] is None
    assert told["after"]["rate"] == 20.0


async def test_what_nobody_would_notice_leaves_no_event(world: Any) -> None:
    assert await change(world, hear(SLOW, world.now), world.now) is not None
    assert await change(world, hear(SLOW, world.now + 1), world.now + 1) is None
    assert len(await world.events()) == 1


async def test_a_suspension_is_in_force_until_its_end_and_its_end_is_told_once(world: Any) -> None:
    made = await change(world, hear(PAUSE, world.now), world.now)
    in_force = (suspensions.in_force, world.workspace)
    (found,) = await world.read(*in_force, world.now + 59 * SECOND)
    assert (found.scope, found.egress, found.kind, found.until) == (
        "provider:google",
        "192.0.2.1",
        "rule",
        made.until,
    )
    assert found.reason == "pause: 421 slower"
    assert await world.read(*in_force, world.now + 60 * SECOND) == []
    later = Microseconds(world.now + 61 * SECOND)
    for _ in range(3):
        await change(world, lambda pace: resume(pace, later), later)
    assert len(await world.events("destination_resumed")) == 1


async def test_one_reply_that_all_workers_hear_cuts_once(world: Any, open_database: Callable[[], Database]) -> None:
    workers = [open_database() for _ in range(4)]
    told: dict[str, object] = {}
    await asyncio.gather(
        *(
            workers[number % 4].write(
                lambda connection, number=number: shaping.change_pace(
                    connection, key(world), hear(SLOW, world.now + number), told, world.now + number
                )
            )
            for number in range(20)
        )
    )
    (stored,) = (await world.read(shaping.load_paces, [key(world)])).values()
    assert stored.limits.rate == 20.0
    assert len(await world.events()) == 1


async def test_a_persons_suspension_and_a_rules_are_apart(world: Any) -> None:
    what = suspensions.Suspended(world.workspace, suspensions.destination_scope(world.destination))
    await world.write(suspensions.suspend, what, suspensions.By.PERSON, "until they answer", None, world.now)
    await world.write(suspensions.suspend, what, suspensions.By.RULE, "421", world.now + 1, world.now)
    assert not await world.write(
        suspensions.resume, suspensions.Suspended(world.workspace, "domain:x"), suspensions.By.PERSON
    )
    assert await world.write(suspensions.resume, what, suspensions.By.RULE)
    (left,) = await world.read(suspensions.in_force, world.workspace, world.now)
    assert (left.kind, left.until) == ("person", None)
    assert await world.read(suspensions.in_force, world.workspace + 1, world.now) == []


_TAKES = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["a", "b"]), st.integers(1, 30), st.integers(0, 30)),
    min_size=1,
    max_size=15,
)


async def test_no_interleaving_of_workers_exceeds_a_rate(world: Any, open_database: Callable[[], Database]) -> None:
    workers, horizon = [open_database() for _ in range(3)], 5 * SECOND

    async def law(rate: float, takes: list[tuple[int, str, int, int]]) -> None:
        name = f"provider:p{next(_names)}"
        sent: list[int] = []

        async def take(worker: int, destination: str, wanted: int, needed: int) -> None:
            # Destinations of one provider share its rate; their own is four times as high.
            rates = {key(world, name): rate, key(world, f"destination:{name}{destination}"): rate * 4}
            taken = await workers[worker].write(
                lambda connection: shaping.reserve_slots(connection, rates, wanted, world.now, horizon)
            )
            merged = together(tuple(taken.values()))
            used = min(merged.count, needed)
            sent.extend(merged.moment(number) for number in range(used))
            if merged.count and used < merged.count:
                await workers[worker].write(lambda connection: shaping.return_slots(connection, taken, used, world.now))

        await asyncio.gather(*(take(*one) for one in takes))
        interval = int(SECOND / rate)
        assert all(later - earlier >= interval for earlier, later in pairwise(sorted(sent)))
        assert all(world.now <= moment <= world.now + horizon for moment in sent)

    await examples(law, rate=st.sampled_from([0.5, 3.0, 50.0, 1000.0]), takes=_TAKES)


async def examples(law: Callable[..., Any], **strategies: Any) -> None:
    loop = asyncio.get_running_loop()

    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    @given(**strategies)
    def run(**values: Any) -> None:
        asyncio.run_coroutine_threadsafe(law(**values), loop).result(30)

    await asyncio.to_thread(run)


async def test_a_slow_destination_does_not_use_up_its_providers_rate(world: Any) -> None:
    slow, fast, provider = (key(world, scope) for scope in ("destination:1", "destination:2", "provider:p"))
    for _ in range(3):
        await world.write(shaping.reserve_slots, {slow: 0.2, provider: 100.0}, 5, world.now, 5 * SECOND)
    taken = await world.write(shaping.reserve_slots, {fast: 100.0, provider: 100.0}, 50, world.now, 5 * SECOND)
    merged = together(tuple(taken.values()))
    assert merged.count == 50
    assert merged.first_at - world.now < SECOND


async def test_slots_that_nobody_used_are_gone_when_they_have_passed(world: Any) -> None:
    rates = {key(world): 10.0}
    first = await world.write(shaping.reserve_slots, rates, 1000, world.now, 5 * SECOND)
    assert first[key(world)].count == 51
    none = await world.write(shaping.reserve_slots, rates, 1000, world.now, 5 * SECOND)
    assert none[key(world)].count == 0
    later = world.now + 6 * SECOND
    again = await world.write(shaping.reserve_slots, rates, 1000, later, 5 * SECOND)
    assert again[key(world)].first_at == later


def hold_key(world: Any, worker: str, destination: int | None = None, egress: str = "192.0.2.1") -> HoldKey:
    return HoldKey(world.workspace, destination or world.destination, "google", egress, worker)


async def hold(world: Any, worker: str, wanted: int, caps: tuple[int | None, int | None], **options: Any) -> int:
    duration = options.pop("duration", 10 * MINUTE)
    held: int = await world.write(shaping.hold_connections, hold_key(world, worker, **options), wanted, caps, duration)
    return held


async def other_destination(world: Any) -> int:
    found: int = await world.write(
        routes.save_destination, world.workspace, f"mx{next(_names)}.test", "google", (("mx.test",),)
    )
    return found


async def test_connections_end_at_the_cap_of_the_destination_and_of_the_provider(world: Any) -> None:
    second = await other_destination(world)
    assert await hold(world, "w1", 8, (10, 15)) == 8
    assert await hold(world, "w2", 8, (10, 15)) == 2
    assert await hold(world, "w1", 8, (10, 15), destination=second) == 5
    assert await hold(world, "w3", 1, (10, 15), destination=second) == 0
    assert await hold(world, "w3", 3, (10, 15), destination=second, egress="192.0.2.2") == 3
    assert await hold(world, "w1", 4, (10, 15)) == 4  # gives back what it does not need
    assert await hold(world, "w2", 8, (10, 15)) == 6
    assert await world.read(shaping.connections_held, world.workspace) == {world.destination: 10, second: 8}


async def test_what_a_vanished_worker_holds_runs_out(world: Any) -> None:
    assert await hold(world, "w1", 10, (10, None), duration=-1) == 10
    assert not await world.write(shaping.keep_connections, hold_key(world, "w1"), 10, MINUTE)
    assert await hold(world, "w2", 10, (10, None)) == 10
    assert await hold(world, "w1", 10, (10, None)) == 0


async def test_renewing_keeps_what_is_used_and_never_takes_more(world: Any) -> None:
    assert await hold(world, "w1", 6, (10, None)) == 6
    assert await world.write(shaping.keep_connections, hold_key(world, "w1"), 4, MINUTE)
    assert not await world.write(shaping.keep_connections, hold_key(world, "w1"), 6, MINUTE)
    assert await hold(world, "w2", 10, (10, None)) == 6
    assert await world.write(shaping.keep_connections, hold_key(world, "w1"), 0, MINUTE)
    assert await hold(world, "w2", 10, (10, None)) == 10


async def test_a_worker_that_ends_lets_go_of_everything(world: Any) -> None:
    await hold(world, "w1", 6, (10, None))
    await hold(world, "w1", 6, (10, None), destination=await other_destination(world))
    await world.write(shaping.let_go, "w1")
    assert await world.read(shaping.connections_held, world.workspace) == {}


async def test_the_share_of_connections_tells_a_workers_part(world: Any) -> None:
    assert await world.read(shaping.share_of_connections, hold_key(world, "w1")) == 1.0
    await hold(world, "w1", 2, (None, None))
    await hold(world, "w2", 6, (None, None))
    assert await world.read(shaping.share_of_connections, hold_key(world, "w1")) == 0.25


_HOLDS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 12), st.booleans()), min_size=1, max_size=20
)


async def test_no_interleaving_of_workers_exceeds_a_cap(world: Any, open_database: Callable[[], Database]) -> None:
    workers = [open_database() for _ in range(3)]

    async def law(caps: tuple[int, int], steps: list[tuple[int, int, int, bool]]) -> None:
        number = next(_names)
        provider = f"p{number}"
        ids = [
            await world.write(routes.save_destination, world.workspace, f"{provider}.{one}", provider, (("mx",),))
            for one in range(2)
        ]
        held: dict[tuple[int, int], int] = {}

        async def step(worker: int, place: int, wanted: int, lets_go: bool) -> None:
            mine = HoldKey(world.workspace, ids[place], provider, "", f"{provider}-{worker}")
            before = held.get((worker, place), 0)
            # What it gives up it stops using before it says so.
            held[worker, place] = min(before, 0 if lets_go else wanted)
            if lets_go:
                await workers[worker].write(lambda connection: shaping.keep_connections(connection, mine, 0, MINUTE))
            else:
                granted = await workers[worker].write(
                    lambda connection: shaping.hold_connections(connection, mine, wanted, caps, 10 * MINUTE)
                )
                assert granted <= wanted
                held[worker, place] = granted
            for one in range(2):
                assert sum(number for (_, at), number in held.items() if at == one) <= caps[0]
            assert sum(held.values()) <= caps[1]

        # One worker asks for one destination once at a time, as behind its lock.
        turns: dict[tuple[int, int], list[tuple[int, int, int, bool]]] = {}
        for one in steps:
            turns.setdefault(one[:2], []).append(one)

        async def in_turn(mine: list[tuple[int, int, int, bool]]) -> None:
            for one in mine:
                await step(*one)

        await asyncio.gather(*(in_turn(mine) for mine in turns.values()))

    await examples(law, caps=st.tuples(st.integers(1, 10), st.integers(1, 15)), steps=_HOLDS)
