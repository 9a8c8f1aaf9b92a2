"""Without a policy, mail that cannot go encrypted goes in clear text (RFC 7435); never half a session of each."""

from dataclasses import replace

from mta.testing import Reaction, ScriptedPeer


async def test_the_handshake_fails_and_clear_text_is_tried(rig, server_tls):
    async with ScriptedPeer({"STARTTLS": [Reaction("220 go", disconnect=True)]}, tls=server_tls) as peer:
        world = rig(peer, with_tls=True)
        world.add(2)
        await world.deliver()
        assert world.states() == ["delivered"] * 2
        assert {outcome.tls for outcome in world.queue.outcomes} == {""}
        assert [command.split()[0] for command in peer.commands][:4] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]


async def test_the_handshake_fails_where_a_policy_demands_it(rig, server_tls):
    async with ScriptedPeer({"STARTTLS": [Reaction("220 go", disconnect=True)] * 9}, tls=server_tls) as peer:
        world = rig(peer, with_tls=True)
        world.destination = replace(world.destination, verified_tls=True)
        world.add(1)
        await world.deliver()
        assert world.states() == ["deferred"]
        assert not any(command.startswith("MAIL") for command in peer.commands)
        assert "TLS handshake failed" in world.queue.outcomes[0].cause or "lost" in world.queue.outcomes[0].cause
