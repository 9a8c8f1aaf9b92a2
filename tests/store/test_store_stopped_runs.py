"""Deliveries that were out when their run was stopped are stopped when they come back."""

import pytest

from mailtypes.clock import SECOND
from mta.delivery import Happening
from postwright.store import campaigns, leases, recipients


@pytest.mark.parametrize(("state", "stopped"), [("paused", "held"), ("cancelled", "cancelled")])
async def test_a_delivery_given_back_to_a_stopped_run_is_stopped_too(world, state, stopped):
    run = await world.released(3)
    held = await world.lease(2)
    assert await world.write(campaigns.move_run, run.id, ("sending",), state, world.now)
    await _stop(world, await world.again(run))
    assert await world.states(run) == {"paused": {"held": 1, "leased": 2}, "cancelled": {"cancelled": 3}}[state]

    await world.record(held, Happening.LEASE_LOST)
    for found in await world.read(recipients.stopped_runs):
        await _stop(world, found)

    assert await world.states(run) == {stopped: 3}
    assert await world.read(recipients.stopped_runs) == []


async def test_a_running_run_is_no_stopped_one(world):
    await world.released(1)
    assert await world.read(recipients.stopped_runs) == []


async def test_a_deferred_delivery_of_a_paused_run_keeps_its_time(world):
    run = await world.released(1)
    held = await world.lease()
    await world.mark(held)
    assert await world.write(campaigns.move_run, run.id, ("sending",), "paused", world.now)
    late = world.outcome(held[0], Happening.TRANSIENT, retry_at=world.now + 60 * SECOND)
    await world.write(_record, late, world.now)
    await _stop(world, await world.again(run))
    await world.write(recipients.release, run.id, "example.test", world.destination, world.now, limit=1)
    assert await world.lease() == []
    assert len(await world.lease(now=world.now + 61 * SECOND)) == 1


def _record(connection, outcome, now):
    return leases.record(connection, [outcome], now)


async def _stop(world, run):
    if run.state == "cancelled":
        await world.write(recipients.cancel, run, world.now)
    else:
        await world.write(recipients.hold, run.id, "The run is paused.")
