import asyncio
from dataclasses import replace
from datetime import timedelta

from mta.engine import EnginePolicy, Idle
from mta.ports import ConnectionPolicy
from mta.testing import Reaction, ScriptedPeer

SLOW = Reaction("250 ok", delay=timedelta(milliseconds=300))


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110, the peer has no event for it
            await asyncio.sleep(0.005)


async def test_stop_lets_the_message_on_the_wire_finish_and_gives_the_rest_back(rig):
    async with ScriptedPeer({"CONTENT": ["250 ok", SLOW]}) as peer:
        world = rig(peer)
        world.add(20)
        stop = asyncio.Event()
        running = asyncio.ensure_future(world.engine.run(stop))
        await until(lambda: len(peer.messages) == 1 and peer.commands.count("DATA") == 2)
        stop.set()
        await asyncio.wait_for(running, 5)
        # The second was on the wire, and the commands of the third had gone out with its end.
        assert world.states() == ["delivered"] * 3 + ["ready"] * 17
        assert all(entry.delivery.attempt == 1 for entry in world.queue.entries.values())
        assert peer.commands[-1] == "QUIT"
        assert len(peer.accepted) == 3


async def test_after_the_grace_time_what_is_on_the_wire_is_ambiguous(rig):
    async with ScriptedPeer({"CONTENT": [replace(SLOW, delay=timedelta(seconds=3))]}) as peer:
        world = rig(peer, policy=EnginePolicy(chunk=4, grace=timedelta(milliseconds=50)))
        world.add(6)
        stop = asyncio.Event()
        running = asyncio.ensure_future(world.engine.run(stop))
        await until(lambda: peer.commands.count("DATA") == 1)
        await asyncio.sleep(0.05)
        stop.set()
        await asyncio.wait_for(running, 2)
        assert world.states() == ["ambiguous"] + ["ready"] * 5


async def test_stop_does_not_wait_for_a_connection_that_is_being_opened(rig):
    async with ScriptedPeer({"CONNECT": [Reaction("220 late", delay=timedelta(seconds=1.5))]}) as peer:
        world = rig(peer)
        world.add(6)
        stop = asyncio.Event()
        running = asyncio.ensure_future(world.engine.run(stop))
        await until(lambda: peer.connections == 1)
        stop.set()
        await asyncio.wait_for(running, 1)
        assert world.states() == ["ready"] * 6


async def test_run_delivers_all_over_several_connections_and_then_sleeps(rig):
    async with ScriptedPeer() as peer:
        policy = EnginePolicy(chunk=4, connection=ConnectionPolicy(connections=3, batch=10, messages_per_connection=25))
        world = rig(peer, policy=policy)
        world.add(200)
        stop = asyncio.Event()
        running = asyncio.ensure_future(world.engine.run(stop))
        await until(lambda: world.states().count("delivered") == 200)
        stop.set()
        await running
        assert len({message.rcpt_to for message in peer.accepted}) == len(peer.messages) == 200
        assert 8 <= peer.connections <= 20  # 25 messages each, three at a time
        assert peer.commands.count("QUIT") == peer.connections
        assert await world.engine.step() == Idle()


async def test_a_batch_that_is_cancelled_leaves_no_delivery_without_an_outcome(rig):
    async with ScriptedPeer({"CONTENT": ["250 ok", replace(SLOW, delay=timedelta(seconds=3))]}) as peer:
        world = rig(peer)
        world.add(8)
        task = asyncio.ensure_future(world.deliver())
        await until(lambda: peer.commands.count("DATA") == 2)
        task.cancel()
        await asyncio.wait({task})
        assert world.states() == ["delivered", "ambiguous"] + ["ready"] * 6


async def test_no_connection_is_opened_for_what_was_being_leased_when_the_stop_came(rig):
    async with ScriptedPeer({"CONNECT": [Reaction("220 late", delay=timedelta(seconds=1.5))]}) as peer:
        world = rig(peer)
        world.add(6)
        stop, lease, asked = asyncio.Event(), world.queue.lease, asyncio.Event()

        async def slowly(*arguments):
            asked.set()
            await asyncio.sleep(0.2)
            return await lease(*arguments)

        world.queue.lease = slowly
        running = asyncio.ensure_future(world.engine.run(stop))
        await asyncio.wait_for(asked.wait(), 5)
        stop.set()
        await asyncio.wait_for(running, 1)
        assert world.states() == ["ready"] * 6
        assert peer.connections == 0
