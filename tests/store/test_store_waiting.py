"""Suspended means that nothing is leased; an admin's actions go by the table of states and touch nothing under way."""

import json
from typing import Any

import pytest

from mailtypes.clock import HOUR, MINUTE, SECOND
from mta.delivery import NEXT_STATE, DeliveryState, Happening
from postwright.store import leases, routes, shaping, suppressions, suspensions, waiting
from postwright.store.suspensions import By, Suspended
from postwright.store.waiting import Selection

EVERY_STATE = [str(state) for state in DeliveryState]


async def suspend(world: Any, scope: str, *, until: int | None = None, egress: str = "") -> Suspended:
    what = Suspended(world.workspace, scope, egress)
    await world.write(suspensions.suspend, what, By.PERSON, "asked to", until, world.now)
    return what


def scopes(world: Any) -> dict[str, str]:
    return {
        "destination": suspensions.destination_scope(world.destination),
        "provider": suspensions.provider_scope("example"),
        "domain": suspensions.domain_scope("example.test"),
    }


@pytest.mark.parametrize("kind", ["destination", "provider", "domain"])
async def test_nothing_is_leased_while_it_is_suspended(world: Any, kind: str) -> None:
    await world.released(3)
    what = await suspend(world, scopes(world)[kind], until=world.now + MINUTE)
    assert await world.lease() == []
    assert await world.lease(now=world.now + MINUTE - 1) == []
    assert len(await world.lease(1, now=world.now + MINUTE)) == 1
    assert await world.write(suspensions.resume, what, By.PERSON)
    assert len(await world.lease()) == 2


@pytest.mark.parametrize("kind", ["destination", "provider"])
async def test_a_suspended_destination_is_not_due(world: Any, kind: str) -> None:
    await world.released(3)
    await suspend(world, scopes(world)[kind], until=world.now + MINUTE)
    assert await world.read(leases.due_destinations, world.now) == []
    assert await world.read(leases.due_destinations, world.now + MINUTE) == [world.destination]


async def test_a_suspension_for_one_address_leaves_the_others(world: Any) -> None:
    await world.released(3)
    await suspend(world, scopes(world)["provider"], egress="192.0.2.1")
    assert await world.read(leases.due_destinations, world.now, "192.0.2.1") == []
    assert await world.read(leases.due_destinations, world.now, "192.0.2.2") == [world.destination]
    assert await world.read(suspensions.stopped, [world.destination], "192.0.2.1", world.now) == {world.destination}


async def test_other_workspaces_providers_and_domains_go_on(world: Any) -> None:
    await world.released(2)
    for scope in ("provider:exam", "provider:examples", "domain:test", "domain:a.example.test", "destination:0"):
        await suspend(world, scope)
    assert await world.read(leases.due_destinations, world.now) == [world.destination]
    assert len(await world.lease()) == 2


async def test_what_waits_is_counted_by_destination(world: Any) -> None:
    run = await world.start([])
    await world.put(run, ["ready", "ready", "deferred", "leased", "transmitting", "delivered", "held", "failed"])
    found = await world.read(waiting.by_destination, world.workspace)
    assert found == {
        world.destination: waiting.Waiting(world.destination, 2, 1, 2, oldest_at=world.now, next_at=world.now)
    }
    assert await world.read(waiting.by_destination, world.workspace + 1) == {}
    assert await world.read(waiting.domains_at, world.destination) == [("example.test", 3)]


async def test_what_only_workers_have_is_counted_too(world: Any) -> None:
    await world.put(await world.start([]), ["leased"])
    found = (await world.read(waiting.by_destination, world.workspace))[world.destination]
    assert (found.ready, found.deferred, found.under_way, found.next_at) == (0, 0, 1, None)


async def test_the_last_word_of_what_is_deferred(world: Any) -> None:
    assert await world.read(waiting.last_word, world.destination) == ""
    await world.released(2)
    held = await world.lease()
    await world.mark(held)
    outcomes = [
        world.outcome(one, Happening.TRANSIENT, retry_at=world.now + number * HOUR, reply=f"4.7.{number}")
        for number, one in enumerate(held, start=1)
    ]
    await world.write(leases.record, outcomes, world.now)
    assert await world.read(waiting.last_word, world.destination) == "250 4.7.2"


def selections(world: Any, run: Any) -> dict[str, Selection]:
    return {
        "destination": Selection(world.workspace, destination_id=world.destination),
        "domain": Selection(world.workspace, domain="example.test"),
        "run": Selection(world.workspace, run_id=run.id),
    }


@pytest.mark.parametrize("kind", ["destination", "domain", "run"])
async def test_failing_goes_by_the_table_and_leaves_what_is_under_way(world: Any, kind: str) -> None:
    run = await world.start([])
    await world.put(run, EVERY_STATE)
    before = {key: row.state for key, row in (await world.rows(run)).items()}
    failed = await world.write(waiting.fail, selections(world, run)[kind], "they asked\x00", "key 'x'", world.now)
    waits = {"ready", "deferred"} | ({"held"} if kind != "destination" else set())
    assert failed == len(waits)
    for key, row in (await world.rows(run)).items():
        if before[key] in waits:
            assert (row.state, row.reply_text, row.settled_at, row.waits_for) == (
                "failed",
                "they asked\ufffd",
                world.now,
                "",
            )
        else:
            assert row.state == before[key]
    told = await world.events("failed")
    assert len(told) == failed
    assert json.loads(told[0].data) == {"cause": "they asked\ufffd", "by": "key 'x'"}
    assert await world.read(suppressions.reasons, world.workspace, ["p1@example.test"], (0, 0), world.now) == {}
    assert await world.write(waiting.fail, selections(world, run)[kind], "again", "x", world.now) == 0


def test_the_way_from_the_queue_to_failed_is_in_the_table() -> None:
    for state in (DeliveryState.READY, DeliveryState.DEFERRED):
        held = NEXT_STATE[state, Happening.HOLD]
        assert NEXT_STATE[held, Happening.PERMANENT] is DeliveryState.FAILED


async def test_failing_takes_a_limit_at_a_time(world: Any) -> None:
    run = await world.start([])
    await world.put(run, ["ready"] * 5 + ["held"] * 4)
    whole = Selection(world.workspace, run_id=run.id)
    taken = [await world.write(waiting.fail, whole, "no", "x", world.now, limit=4) for _ in range(4)]
    assert taken == [4, 4, 1, 0]
    assert await world.states(run) == {"failed": 9}


@pytest.mark.parametrize("kind", ["destination", "domain", "run"])
async def test_making_due_moves_what_is_deferred_and_nothing_else(world: Any, kind: str) -> None:
    run = await world.start([])
    await world.put(run, EVERY_STATE)
    later = world.now - SECOND
    moved = await world.write(waiting.make_due, selections(world, run)[kind], later)
    assert moved == 1
    rows = (await world.rows(run)).values()
    assert [row.next_attempt_at for row in rows if row.state == "deferred"] == [later]
    assert {row.next_attempt_at for row in rows if row.state != "deferred"} == {world.now}
    assert await world.write(waiting.make_due, selections(world, run)[kind], later) == 0


async def test_holding_a_domain_back(world: Any) -> None:
    run = await world.start([])
    await world.put(run, EVERY_STATE)
    domain = selections(world, run)["domain"]
    assert await world.write(waiting.hold_back, domain, "Suspended: asked to") == 2
    held = [row for row in (await world.rows(run)).values() if row.state == "held"]
    assert len(held) == 3
    assert sum(row.waits_for == "Suspended: asked to" for row in held) == 2


async def test_another_workspace_cannot_be_reached(world: Any) -> None:
    run = await world.start([])
    await world.put(run, ["ready"])
    elsewhere = Selection(world.workspace + 1, destination_id=world.destination)
    for work in (
        (waiting.fail, elsewhere, "no", "x", world.now),
        (waiting.hold_back, elsewhere, "no"),
        (waiting.make_due, elsewhere, 0),
    ):
        assert await world.write(*work) == 0
    assert await world.states(run) == {"ready": 1}


async def test_the_pace_of_a_workspace_and_its_destinations_are_found(world: Any) -> None:
    assert await world.read(shaping.list_paces, world.workspace) == {}
    (found,) = await world.read(routes.destinations_of, world.workspace)
    assert found == await world.read(routes.find_destination, world.workspace, "mx.example.test")
    assert await world.read(routes.find_destination, world.workspace + 1, "mx.example.test") is None


async def test_what_people_suspended_until_a_moment_ends_then(world: Any) -> None:
    await suspend(world, "destination:7", until=world.now + MINUTE)
    await suspend(world, "domain:a.test")
    assert await world.read(suspensions.ended, world.now) == []
    ((workspace, one),) = await world.read(suspensions.ended, world.now + MINUTE)
    assert (workspace, one.scope) == (world.workspace, "destination:7")
