"""A slow server spreads a chunk over seconds; what it has accepted is stored meanwhile: a crash repeats little."""

import asyncio
from datetime import timedelta

import pytest

from mailtypes.errors import StorageError
from mta.engine import EnginePolicy
from mta.testing import Reaction, ScriptedPeer


async def test_outcomes_do_not_wait_for_their_chunk(rig):
    slow = Reaction("250 ok", delay=timedelta(milliseconds=800))
    async with ScriptedPeer({"CONTENT": ["250 ok", "250 ok", slow]}) as peer:
        world = rig(peer, policy=EnginePolicy(chunk=8))
        world.add(8)
        delivering = asyncio.ensure_future(world.deliver())
        async with asyncio.timeout(5):
            while peer.commands.count("DATA") < 3:  # noqa: ASYNC110, the peer has no event for it
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.3)
        assert world.states() == ["delivered"] * 2 + ["transmitting"] * 6
        await delivering
        assert world.states() == ["delivered"] * 8
        assert len(world.queue.outcomes) == 8


async def test_a_failure_to_store_surfaces_and_stops_the_batch(rig):
    slow = Reaction("250 ok", delay=timedelta(milliseconds=300))
    async with ScriptedPeer({"CONTENT": ["250 ok", slow, slow, slow]}) as peer:
        world = rig(peer, policy=EnginePolicy(chunk=2))
        world.add(8)
        record, calls = world.queue.record, 0

        async def fail_once(outcomes):
            nonlocal calls
            calls += 1
            if calls == 1:
                raise StorageError("the database is away")
            await record(outcomes)

        world.queue.record = fail_once
        async with asyncio.timeout(5):
            with pytest.raises(StorageError, match="the database is away"):
                await world.deliver()
        assert len(peer.accepted) <= 2
        assert world.states().count("transmitting") == 1
