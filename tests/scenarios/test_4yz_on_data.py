from datetime import timedelta

import pytest

from mta.testing import ScriptedPeer


@pytest.mark.parametrize("step", ["DATA", "CONTENT"])
async def test_4yz_on_data(rig, step):
    async with ScriptedPeer({step: ["452 4.3.1 system full"]}) as peer:
        world = rig(peer)
        world.add(2)
        await world.deliver()
        assert world.states() == ["deferred", "delivered"]
        [outcome] = world.queue.entries[1].outcomes
        wait = timedelta(microseconds=outcome.retry_at - world.clock.now())
        assert timedelta(minutes=4) <= wait <= timedelta(minutes=6)


async def test_what_would_be_tried_after_its_time_expires_at_once(rig):
    async with ScriptedPeer({"CONTENT": ["452 4.3.1 system full"]}) as peer:
        world = rig(peer)
        world.add(1, expires_at=world.clock.now() + 60_000_000)
        await world.deliver()
        assert world.states() == ["expired"]
