from datetime import timedelta

from mta.testing import ScriptedPeer


async def test_greylisted_then_delivered(rig):
    async with ScriptedPeer({"RCPT": ["450 4.7.1 greylisted, come back"]}) as peer:
        world = rig(peer)
        world.add(1)
        await world.deliver()
        assert world.states() == ["deferred"]
        [outcome] = world.queue.outcomes
        wait = timedelta(microseconds=outcome.retry_at - world.clock.now())
        assert timedelta(seconds=90) < wait < timedelta(seconds=150)  # sooner than after another 4yz
        assert outcome.reply.code == 450
        assert (await world.deliver()).leased == 0

        world.clock.advance(wait)
        await world.deliver()
        assert world.states() == ["delivered"]
        [message] = peer.accepted
        assert message.content.startswith(b"DKIM-Signature:")
        assert b"\r\n\r\n.hello\r\n" in message.content
        first, second = world.composer.dated[1]
        assert first == second  # Date and Message-ID follow from the first attempt
        assert [command for command in peer.commands if command.startswith("MAIL")] == [
            f"MAIL FROM:<bounce@sender.test> SIZE={len(message.content)}"
        ] * 2
        assert peer.connections == 1  # the connection was kept, and its open transaction reset
        assert "RSET" in peer.commands
