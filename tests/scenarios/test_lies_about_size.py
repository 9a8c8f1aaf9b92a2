import pytest

from mailtypes.bounce import Stage
from mta.testing import ScriptedPeer


async def test_a_host_that_takes_less_than_it_said(rig):
    """It offered SIZE 10485760, and refuses after the dot all the same: a refusal like any other."""
    async with ScriptedPeer(
        {"CONTENT": ["552 5.3.4 message too big"]}, extensions=("PIPELINING", "SIZE 10485760")
    ) as peer:
        world = rig(peer)
        world.add(2)
        await world.deliver()
        assert world.states() == ["failed", "delivered"]
        [refused] = world.queue.entries[1].outcomes
        assert (str(refused.reply), refused.stage) == ("552 5.3.4 message too big", Stage.FINAL)
        assert peer.connections == 1


async def test_a_host_that_refuses_the_size_at_mail(rig):
    async with ScriptedPeer({"MAIL": ["552 5.3.4 too big"]}, extensions=("SIZE 10485760",)) as peer:
        world = rig(peer)
        world.add(2)
        await world.deliver()
        assert world.states() == ["failed", "delivered"]
        assert world.queue.entries[1].outcomes[0].stage is Stage.MAIL


@pytest.mark.parametrize("told", ["SIZE", "SIZE 0", "SIZE unlimited", "SIZE " + "9" * 40, "SIZE -1"])
async def test_no_usable_limit_is_no_limit(rig, told):
    async with ScriptedPeer(extensions=("PIPELINING", told)) as peer:
        world = rig(peer)
        world.add(1)
        await world.deliver()
        assert world.states() == ["delivered"]


async def test_more_than_the_told_limit_is_never_tried(rig):
    async with ScriptedPeer(extensions=("PIPELINING", "SIZE 20")) as peer:
        world = rig(peer)
        world.add(1)
        await world.deliver()
        assert world.states() == ["failed"]
        assert world.queue.outcomes[0].cause.startswith("5.3.4 ")
        assert not any(command.startswith("MAIL") for command in peer.commands)
