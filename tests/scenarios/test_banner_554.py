from mta.testing import ScriptedPeer

REFUSING = {"CONNECT": ["554 5.7.1 no service for you"] * 50}


async def test_banner_554_moves_on_to_the_next_host(rig):
    async with ScriptedPeer(REFUSING) as first, ScriptedPeer() as second:
        world = rig(first, second)
        world.add(2)
        await world.deliver()
        assert world.states() == ["delivered", "delivered"]
        assert world.queue.outcomes[0].remote.startswith("mx1.peer.test[127.0.0.1]:")
        assert first.commands == []


async def test_banner_554_everywhere_puts_the_batch_off_and_the_destination_to_rest(rig):
    async with ScriptedPeer(REFUSING) as first, ScriptedPeer(REFUSING) as second:
        world = rig(first, second)
        world.add(150)
        await world.deliver()
        assert world.states().count("deferred") == 100
        assert {outcome.reply.code for outcome in world.queue.outcomes} == {554}
        assert len({outcome.retry_at for outcome in world.queue.outcomes}) > 50  # drawn apart
        assert (first.connections, second.connections) == (1, 1)
        step = await world.engine.step()
        assert step.moment > world.clock.now()  # 50 are ready, but not now
