import pytest

from mta.testing import Reaction, ScriptedPeer

GOODBYE = Reaction("421 4.7.0 too much for now", disconnect=True)


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "CONTENT"])
async def test_421_mid_session(rig, step):
    ok = {"MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go", "CONTENT": "250 ok"}[step]
    async with ScriptedPeer({step: [ok, GOODBYE]}) as peer:
        world = rig(peer)
        world.add(6)
        await world.deliver()
        # The one that was told 421 waits; the rest, marked or not, goes back and is not held guilty.
        assert world.states() == ["delivered", "deferred", "ready", "ready", "ready", "ready"]
        [deferred] = world.queue.entries[2].outcomes
        assert deferred.reply.code == 421
        assert [entry.delivery.attempt for entry in world.queue.entries.values()] == [1, 2, 1, 1, 1, 1]
        await world.deliver()
        assert world.states().count("delivered") == 5
        assert len(peer.accepted) == 5


async def test_a_destination_that_says_421_to_everything_is_left_alone(rig):
    async with ScriptedPeer({"MAIL": [GOODBYE] * 50}) as peer:
        world = rig(peer)
        world.add(6)
        await world.deliver()
        assert world.states().count("ready") == 5
        step = await world.engine.step()
        assert step.moment > world.clock.now()
