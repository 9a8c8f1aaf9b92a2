from mta.testing import DISCONNECT, ScriptedPeer


async def test_a_kept_connection_that_died_costs_nobody_anything(rig):
    # The peer takes one message and hangs up at the next MAIL, which comes with the next batch.
    async with ScriptedPeer({"MAIL": ["250 ok", DISCONNECT]}) as peer:
        world = rig(peer)
        world.add(1)
        await world.deliver()
        world.add(2)
        await world.deliver()
        assert world.states() == ["delivered"] * 3
        assert peer.connections == 2
        assert all(entry.delivery.attempt == 1 for entry in world.queue.entries.values())
