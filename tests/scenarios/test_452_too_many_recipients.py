from datetime import timedelta

from mailtypes.bounce import Stage
from mta.testing import ScriptedPeer


async def test_452_too_many_recipients_puts_one_off_and_the_rest_go_on(rig):
    async with ScriptedPeer({"RCPT": ["250 ok", "452 4.5.3 too many recipients"]}) as peer:
        world = rig(peer)
        world.add(3)
        await world.deliver()
        assert world.states() == ["delivered", "deferred", "delivered"]
        [put_off] = world.queue.entries[2].outcomes
        assert (put_off.reply.code, put_off.stage) == (452, Stage.RCPT)
        assert put_off.retry_at > world.clock.now()
        assert peer.connections == 1
        assert not any(b"user2@" in message.content for message in peer.messages)

        world.clock.advance(timedelta(microseconds=put_off.retry_at - world.clock.now()))
        await world.deliver()
        assert world.states() == ["delivered"] * 3
