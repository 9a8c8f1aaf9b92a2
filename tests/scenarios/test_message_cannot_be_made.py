from mta.ports import CompositionError, NoSigningKeyError
from mta.testing import ScriptedPeer


async def test_message_that_cannot_be_made_fails_alone(rig):
    async with ScriptedPeer() as peer:
        world = rig(peer)
        compose = world.composer.compose

        def compose_most(delivery, now):
            if delivery.id == 2:
                raise CompositionError("the contact has no name")
            return compose(delivery, now)

        world.composer.compose = compose_most
        world.add(3)
        await world.deliver()
        assert world.states() == ["delivered", "failed", "delivered"]
        assert "no name" in world.queue.entries[2].outcomes[0].cause


async def test_without_a_key_nothing_is_sent(rig):
    async with ScriptedPeer() as peer:
        world = rig(peer)

        def no_keys(domain, workspace_id):
            raise NoSigningKeyError(f"{domain} has no active key")

        world.keys.signing_keys = no_keys
        world.add(3)
        await world.deliver()
        assert world.states() == ["failed"] * 3
        assert peer.messages == []
