import pytest

from mta.testing import Reaction, ScriptedPeer


async def test_starttls_with_a_certificate_that_nobody_signed(rig, server_tls):
    async with ScriptedPeer(tls=server_tls) as peer:
        world = rig(peer, with_tls=True)
        world.add(3)
        await world.deliver()
        assert world.states() == ["delivered"] * 3
        assert all(message.tls for message in peer.messages)
        assert {outcome.tls for outcome in world.queue.outcomes} == {"TLSv1.3"}
        assert [command.split()[0] for command in peer.commands[:4]] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]


async def test_long_messages_pass_through_tls_whole(rig, server_tls):
    async with ScriptedPeer(tls=server_tls) as peer:
        world = rig(peer, with_tls=True)
        compose = world.composer.compose
        world.composer.compose = lambda delivery, now: compose(delivery, now) + b"0123456789abcde\r\n" * 100_000
        world.add(2)
        await world.deliver()
        assert world.states() == ["delivered"] * 2
        assert all(message.content.endswith(b"0123456789abcde\r\n" * 100_000) for message in peer.messages)


async def test_starttls_refused_goes_in_clear_text(rig, server_tls):
    async with ScriptedPeer({"STARTTLS": ["454 4.7.0 not now"]}, tls=server_tls) as peer:
        world = rig(peer, with_tls=True)
        world.add(1)
        await world.deliver()
        assert world.states() == ["delivered"]
        assert world.queue.outcomes[0].tls == ""


@pytest.mark.parametrize(
    "reaction",
    [Reaction("220 go", disconnect=True), Reaction("220 go", take_octets=10_000)],
    ids=["hangs up", "falls silent"],
)
async def test_failed_handshake_is_tried_again_in_clear_text(rig, server_tls, reaction):
    async with ScriptedPeer({"STARTTLS": [reaction]}, tls=server_tls) as peer:
        world = rig(peer, with_tls=True)
        world.add(1)
        await world.deliver()
        assert world.states() == ["delivered"]
        assert peer.connections == 2


async def test_injected_clear_text_is_not_a_failed_handshake(rig, server_tls):
    async with ScriptedPeer({"STARTTLS": ["220 go\r\n250 injected"]}, tls=server_tls) as peer:
        world = rig(peer, with_tls=True)
        world.add(1)
        await world.deliver()
        assert world.states() == ["deferred"]
        assert "clear text" in world.queue.outcomes[0].cause
        assert peer.connections == 1
