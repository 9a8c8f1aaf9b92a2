from datetime import timedelta

from mta.testing import Reaction, ScriptedPeer

LATE = timedelta(seconds=5)


async def test_a_server_that_falls_silent_costs_one_message_its_turn(rig):
    async with ScriptedPeer({"MAIL": [Reaction("250 ok", delay=LATE)]}) as peer:
        world = rig(peer)
        world.add(3)
        await world.deliver()
        assert world.states() == ["deferred", "ready", "ready"]
        assert "no reply in time in mail" in world.queue.entries[1].outcomes[0].cause


async def test_a_host_that_is_silent_after_ehlo_moves_on_to_the_next(rig):
    async with ScriptedPeer({"EHLO": [Reaction("250 ok", delay=LATE)]}) as first, ScriptedPeer() as second:
        world = rig(first, second)
        world.add(1)
        await world.deliver()
        assert world.states() == ["delivered"]
        assert second.connections == 1


async def test_a_server_that_drips_a_reply_gains_no_time(rig):
    # Lines of a reply that never ends come often enough; the reply as a whole does not come in time.
    endless = Reaction("\r\n".join(["250-still thinking"] * 5), delay=timedelta(milliseconds=700))
    async with ScriptedPeer({"MAIL": [endless], "RCPT": [endless], "DATA": [endless]}) as peer:
        world = rig(peer)
        world.add(1)
        await world.deliver()
        assert world.states() == ["deferred"]
        assert "in mail" in world.queue.entries[1].outcomes[0].cause
