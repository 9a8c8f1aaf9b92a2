import pytest

from mta.testing import ScriptedPeer

_MANY_LINES = "\r\n".join(["250-2.0.0 still talking"] * 90 + ["250 2.0.0 taken"])


@pytest.mark.parametrize(
    "reply",
    ["250 2.0.0 taken " + "x" * 4_000, _MANY_LINES],
    ids=["one line of 4,000 octets", "91 lines"],
)
async def test_a_long_reply_within_bounds_counts(rig, reply):
    async with ScriptedPeer({"CONTENT": [reply]}) as peer:
        world = rig(peer)
        world.add(2)
        await world.deliver()
        assert world.states() == ["delivered"] * 2
        assert peer.connections == 1


@pytest.mark.parametrize(
    "reply",
    ["250 2.0.0 " + "x" * 100_000, "\r\n".join(["250-on and on"] * 5_000 + ["250 done"])],
    ids=["a line without end", "lines without end"],
)
async def test_a_reply_without_end_after_the_final_dot_is_ambiguous(rig, reply):
    async with ScriptedPeer({"CONTENT": [reply]}) as peer:
        world = rig(peer)
        world.add(1)
        await world.deliver()
        assert world.states() == ["ambiguous"]
        assert "a reply" in world.queue.outcomes[0].cause


async def test_a_greeting_without_end_puts_the_batch_off(rig):
    async with ScriptedPeer({"CONNECT": ["220-" + "x" * 100_000]}) as peer:
        world = rig(peer)
        world.add(1)
        await world.deliver()
        assert world.states() == ["deferred"]
        assert peer.messages == []
