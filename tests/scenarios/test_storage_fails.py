import asyncio

import pytest

from mailtypes.errors import StorageError
from mta.testing import ScriptedPeer


async def test_outcomes_that_cannot_be_stored_surface(rig):
    async with ScriptedPeer() as peer:
        world = rig(peer)
        world.add(40)
        record, calls = world.queue.record, 0

        async def fail_once(outcomes):
            nonlocal calls
            calls += 1
            if calls == 1:
                raise StorageError("the database is away")
            await record(outcomes)

        world.queue.record = fail_once
        with pytest.raises(StorageError):
            await world.deliver()
        states = world.states()
        assert states[:4] == ["transmitting"] * 4  # what nobody could store stays marked, to become ambiguous
        assert len(peer.accepted) < 40  # sending stopped
        assert states.count("delivered") == len(peer.accepted) - 4
        assert states.count("ready") == 40 - len(peer.accepted)


async def test_nothing_is_sent_that_could_not_be_marked(rig):
    async with ScriptedPeer() as peer:
        world = rig(peer)
        world.add(5)

        async def fail(deliveries, now):
            raise StorageError("the disk is full")

        world.queue.mark_transmitting = fail
        with pytest.raises(StorageError):
            await world.deliver()
        assert world.states() == ["ready"] * 5
        assert not any(command.startswith("MAIL") for command in peer.commands)


async def test_run_ends_with_the_failure(rig):
    async with ScriptedPeer() as peer:
        world = rig(peer)
        world.add(5)

        async def fail(outcomes):
            raise StorageError("the database is away")

        world.queue.record = fail
        async with asyncio.timeout(5):
            with pytest.raises(StorageError):
                await world.engine.run(asyncio.Event())
