from mta.testing import ScriptedPeer


async def test_server_that_offers_nothing(rig):
    async with ScriptedPeer({"EHLO": ["500 what?"] * 9}) as peer:
        world = rig(peer)
        world.add(3)
        await world.deliver()
        assert world.states() == ["delivered"] * 3
        assert peer.commands[:5] == [
            "EHLO out.sender.test",
            "HELO out.sender.test",
            "MAIL FROM:<bounce@sender.test>",
            "RCPT TO:<user1@peer.test>",
            "DATA",
        ]
