import pytest

from mta.client import EgressSource
from mta.connector import NoHostError, OrderedHostConnector, SessionTerms
from mta.destination_guard import is_public
from mta.testing import LoopbackResolver, ScriptedPeer

NOT_PUBLIC = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "::127.0.0.1",
    "2001:0:7f00:1::",
    "localhost",
    "127.1",
    "x",
    "4000::1",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1"])
def test_public(address):
    assert is_public(address)


async def test_a_host_that_points_at_us_is_not_spoken_to():
    async with ScriptedPeer() as peer:
        connector = OrderedHostConnector(
            LoopbackResolver({"evil.test": [peer.address]}), SessionTerms(EgressSource("me.test"))
        )
        with pytest.raises(NoHostError, match="no address that we may send to"):
            await connector.open(["evil.test"])
        assert peer.connections == 0


async def test_a_pool_without_an_address_of_the_family_sends_nothing():
    async with ScriptedPeer() as peer:
        resolver = LoopbackResolver({"mx.test": [peer.address]})
        only_v6 = SessionTerms(EgressSource("me.test", ("2001:db8::1",)))
        with pytest.raises(NoHostError):
            await OrderedHostConnector(resolver, only_v6, allow_private=True).open(["mx.test"])
        bound = SessionTerms(EgressSource("me.test", ("2001:db8::1", "127.0.0.1")))
        connection = await OrderedHostConnector(resolver, bound, allow_private=True).open(["mx.test"])
        await connection.quit()
        assert peer.commands == ["EHLO me.test", "QUIT"]


async def test_tries_are_bounded():
    resolver = LoopbackResolver({"mx.test": [("127.0.0.1", 1)] * 50})
    connector = OrderedHostConnector(resolver, SessionTerms(EgressSource("me.test")), allow_private=True)
    with pytest.raises(NoHostError) as caught:
        await connector.open(["mx.test"])
    assert caught.value.cause.count("no connection") == 8
    with pytest.raises(NoHostError, match="no hosts"):
        await connector.open([])
