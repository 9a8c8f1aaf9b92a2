from mta.testing import DISCONNECT, Reaction, ScriptedPeer


async def test_disconnect_in_place_of_354(rig):
    async with ScriptedPeer({"DATA": [DISCONNECT]}) as peer:
        world = rig(peer)
        world.add(3)
        await world.deliver()
        assert world.states() == ["deferred", "ready", "ready"]
        assert peer.messages == []
        await world.deliver()
        assert world.states() == ["deferred", "delivered", "delivered"]


async def test_disconnect_within_a_long_content_is_known_not_to_be_delivered(rig):
    script = {"DATA": [Reaction("354 go", disconnect=True, take_octets=100)]}
    async with ScriptedPeer(script, extensions=("PIPELINING",)) as peer:
        world = rig(peer)
        compose = world.composer.compose
        world.composer.compose = lambda delivery, now: compose(delivery, now) + b"0123456789abcde\r\n" * 1_000_000
        world.add(2)
        await world.deliver()
        assert world.states() == ["deferred", "ready"]


async def test_a_connection_that_breaks_after_success_does_not_blame_the_message(rig):
    async with ScriptedPeer({"MAIL": ["250 ok", DISCONNECT]}) as peer:
        world = rig(peer)
        world.add(3)
        await world.deliver()
        assert world.states() == ["delivered", "ready", "ready"]
        assert world.queue.entries[2].delivery.attempt == 1
