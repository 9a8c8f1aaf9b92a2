from datetime import timedelta

from mta.testing import DISCONNECT, Reaction, ScriptedPeer


async def test_disconnect_after_the_final_dot(rig):
    async with ScriptedPeer({"CONTENT": ["250 ok", DISCONNECT]}) as peer:
        world = rig(peer)
        world.add(6)
        await world.deliver()
        assert world.states() == ["delivered", "ambiguous", "ready", "ready", "ready", "ready"]
        await world.deliver()
        assert world.states() == ["delivered", "ambiguous"] + ["delivered"] * 4
        assert [message.rcpt_to[0] for message in peer.messages].count("user2@peer.test") == 1


async def test_no_reply_in_time_after_the_final_dot(rig):
    async with ScriptedPeer({"CONTENT": [Reaction("250 ok", delay=timedelta(seconds=3))]}) as peer:
        world = rig(peer)
        world.add(1)
        await world.deliver()
        assert world.states() == ["ambiguous"]
        assert "no reply in time in final" in world.queue.outcomes[0].cause
