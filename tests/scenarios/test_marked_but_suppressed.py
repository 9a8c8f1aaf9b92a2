from mta.delivery import Happening
from mta.testing import ScriptedPeer


async def test_marked_but_suppressed_is_not_sent(rig):
    async with ScriptedPeer() as peer:
        world = rig(peer)
        world.add(6)
        mark = world.queue.mark_transmitting

        async def suppress_first(deliveries, now):
            # A complaint arrives between the lease and DATA.
            world.queue.happen(2, Happening.SUPPRESS)
            world.queue.happen(5, Happening.CANCEL)
            return await mark(deliveries, now)

        world.queue.mark_transmitting = suppress_first
        await world.deliver()
        assert world.states() == ["delivered", "suppressed", "delivered", "delivered", "cancelled", "delivered"]
        assert not any("user2@" in command or "user5@" in command for command in peer.commands)
        assert world.queue.entries[2].outcomes == []
