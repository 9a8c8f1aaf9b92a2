"""The commands of the next message go out with the content of the one before, and what that may lead to."""

from mta.testing import DISCONNECT, Reaction, ScriptedPeer


async def test_commands_are_chained_once_the_connection_has_taken_a_message(rig):
    async with ScriptedPeer() as peer:
        world = rig(peer)
        world.add(4)
        await world.deliver()
        assert world.states() == ["delivered"] * 4
        assert [message.rcpt_to for message in peer.messages] == [
            (entry.delivery.rcpt_to,) for entry in world.queue.entries.values()
        ]
        assert peer.connections == 1


async def test_a_host_that_hangs_up_after_each_message_gets_all_of_them(rig):
    async with ScriptedPeer({"MAIL": ["250 ok", DISCONNECT] * 5}) as peer:
        world = rig(peer)
        world.add(3)
        for _ in range(6):
            await world.deliver()
        assert world.states() == ["delivered"] * 3
        assert len(peer.messages) == 3


async def test_a_chained_message_whose_host_hung_up_unheard_is_given_back(rig):
    async with ScriptedPeer({"MAIL": ["250 ok", "250 ok", DISCONNECT]}) as peer:
        world = rig(peer)
        world.add(4)
        await world.deliver()
        assert world.states() == ["delivered"] * 2 + ["ready"] * 2


async def test_after_a_refusal_the_next_message_waits_for_its_own_turn(rig):
    async with ScriptedPeer({"CONTENT": ["250 ok", Reaction("554 5.7.1 no")]}) as peer:
        world = rig(peer)
        world.add(4)
        await world.deliver()
        assert world.states() == ["delivered", "failed", "delivered", "delivered"]
