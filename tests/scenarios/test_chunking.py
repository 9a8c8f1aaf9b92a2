"""A host offers CHUNKING (RFC 3030): content goes as one chunk, and a host that does not mean it gets its mail, too."""

from mta.testing import DISCONNECT, Reaction, ScriptedPeer

OFFERED = ("PIPELINING", "8BITMIME", "CHUNKING", "SIZE 10485760")
NOT_MEANT = (*OFFERED[:2], "CHUNKING ", OFFERED[3])  # offered, but the peer does not know BDAT


def verbs(peer):
    return [line.partition(" ")[0] for line in peer.commands]


async def test_messages_go_by_bdat_as_they_were(rig):
    async with ScriptedPeer(extensions=OFFERED) as peer, ScriptedPeer() as other:
        chunked, dotted = rig(peer), rig(other)
        for world in (chunked, dotted):
            world.add(4)
            await world.deliver()
            assert world.states() == ["delivered"] * 4
        assert [message.content for message in peer.messages] == [message.content for message in other.messages]
        assert b"\r\n.hello\r\n" in peer.messages[0].content
        assert "DATA" not in verbs(peer)
        assert verbs(peer).count("BDAT") == 4
        assert peer.connections == 1


async def test_a_refused_recipient_costs_no_content(rig):
    async with ScriptedPeer({"RCPT": ["250 ok", "550 5.1.1 unknown"]}, extensions=OFFERED) as peer:
        world = rig(peer)
        world.add(3)
        await world.deliver()
        assert world.states() == ["delivered", "failed", "delivered"]
        assert verbs(peer).count("BDAT") == 2


async def test_a_chunk_is_refused_and_the_next_message_goes(rig):
    script = {"CONTENT": ["250 ok", Reaction("554 5.7.1 no")]}
    async with ScriptedPeer(script, extensions=OFFERED) as peer:
        world = rig(peer)
        world.add(4)
        await world.deliver()
        assert world.states() == ["delivered", "failed", "delivered", "delivered"]


async def test_disconnected_behind_the_chunk(rig):
    async with ScriptedPeer({"CONTENT": [DISCONNECT]}, extensions=OFFERED) as peer:
        world = rig(peer)
        world.add(1)
        await world.deliver()
        assert world.states() == ["ambiguous"]


async def test_bdat_is_refused_and_data_is_taken(rig):
    async with ScriptedPeer({"BDAT": ["502 5.5.1 not here"]}, extensions=OFFERED) as peer:
        world = rig(peer)
        world.add(3)
        await world.deliver()
        assert world.states() == ["delivered"] * 3
        assert verbs(peer).count("BDAT") == 1
        assert [message.rcpt_to for message in peer.accepted] == [
            (entry.delivery.rcpt_to,) for entry in world.queue.entries.values()
        ]


async def test_a_host_that_takes_the_chunk_for_commands_gets_data_next_time(rig):
    async with ScriptedPeer(extensions=NOT_MEANT) as peer:
        world = rig(peer)
        world.add(2)
        await world.deliver()
        assert "delivered" not in world.states()
        assert not peer.messages
        for _ in range(3):
            world.clock.advance(world.policy.retry.longest)
            await world.deliver()
        assert world.states() == ["delivered"] * 2
        assert verbs(peer).count("BDAT") == 1
