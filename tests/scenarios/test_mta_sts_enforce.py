"""A recipient domain whose policy demands TLS and a certificate that names the host: never a downgrade (RFC 8461 5)."""

import ssl
from dataclasses import replace

import pytest

from mailtypes.clock import SystemClock
from mta.testing import ScriptedPeer
from postwright.sandbox.authority import Authority


@pytest.fixture(scope="module")
def certified(tmp_path_factory):
    """Server contexts by certified name, and the context of a client that trusts their issuer."""
    authority = Authority(tmp_path_factory.mktemp("ca"), SystemClock())

    def serving(name):
        issued = authority.issue([name])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(issued.certificate_path, issued.key_path)
        return context

    return serving, ssl.create_default_context(cafile=str(authority.root_path))


def enforced(rig, certified, *peers):
    world = rig(*peers, with_tls=True)
    world.destination = replace(world.destination, verified_tls=True)
    world.connector._verifying = certified[1]
    world.add(1)
    return world


async def test_a_host_whose_certificate_names_it(rig, certified):
    async with ScriptedPeer(tls=certified[0]("mx0.peer.test")) as peer:
        world = enforced(rig, certified, peer)
        await world.deliver()
        assert world.states() == ["delivered"]
        assert world.queue.outcomes[0].tls == "TLSv1.3"


async def test_a_certificate_for_another_name_gets_no_mail(rig, certified):
    async with ScriptedPeer(tls=certified[0]("other.peer.test")) as peer:
        world = enforced(rig, certified, peer)
        await world.deliver()
        assert world.states() == ["deferred"]
        assert (peer.messages, peer.connections) == ([], 1), "not tried again in clear text"


async def test_a_certificate_that_nobody_signed_gets_no_mail(rig, certified, server_tls):
    async with ScriptedPeer(tls=server_tls) as peer:
        world = enforced(rig, certified, peer)
        await world.deliver()
        assert world.states() == ["deferred"]
        assert peer.messages == []


@pytest.mark.parametrize("script", [{}, {"STARTTLS": ["454 4.7.0 not now"]}], ids=["not offered", "refused"])
async def test_no_tls_gets_no_mail(rig, certified, script):
    async with ScriptedPeer(script, tls=certified[0]("mx0.peer.test") if script else None) as peer:
        world = enforced(rig, certified, peer)
        await world.deliver()
        assert world.states() == ["deferred"]
        assert peer.messages == []
        assert "MTA-STS" in world.queue.outcomes[0].cause


async def test_the_next_host_is_tried(rig, certified):
    async with ScriptedPeer() as plain, ScriptedPeer(tls=certified[0]("mx1.peer.test")) as good:
        world = enforced(rig, certified, plain, good)
        await world.deliver()
        assert world.states() == ["delivered"]
        assert (len(plain.messages), len(good.messages)) == (0, 1)
