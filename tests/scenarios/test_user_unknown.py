import pytest

from mta.testing import ScriptedPeer


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
@pytest.mark.parametrize("answer_to_data", ["503 5.5.1 no recipients", "354 go"])
async def test_user_unknown(rig, extensions, answer_to_data):
    script = {"RCPT": ["250 ok", "550 5.1.1 user unknown"], "DATA": ["354 go", answer_to_data, "354 go"]}
    if not extensions:
        script.pop("DATA")
    async with ScriptedPeer(script, extensions=extensions) as peer:
        world = rig(peer)
        world.add(3)
        await world.deliver()
        assert world.states() == ["delivered", "failed", "delivered"]
        [failed] = world.queue.entries[2].outcomes
        assert str(failed.reply) == "550 5.1.1 user unknown"
        assert str(failed.reply.enhanced_status) == "5.1.1"
        # Nothing of the refused message was ever sent.
        assert not any(b"user2@" in message.content for message in peer.messages)
        assert peer.connections == 1
