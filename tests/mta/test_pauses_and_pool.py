import asyncio
from datetime import timedelta

from mailtypes.clock import ManualClock, Microseconds
from mta.client import Connection, EgressSource, Remote, SessionTerms
from mta.connection_pool import ConnectionPool
from mta.pauses import DestinationPauses
from mta.testing import Reaction, ScriptedPeer


def test_pauses_double_are_bounded_and_end_with_success():
    clock = ManualClock()
    pauses = DestinationPauses(timedelta(seconds=30), timedelta(minutes=3))
    waits = []
    for _ in range(6):
        until = pauses.failed(1, clock.now())
        assert pauses.until(1, clock.now()) == until
        waits.append((until - clock.now()) // 1_000_000)
        clock.advance(timedelta(microseconds=until - clock.now()))
        assert pauses.until(1, clock.now()) is None
    assert waits == [30, 60, 120, 180, 180, 180]
    pauses.succeeded(1)
    assert pauses.failed(1, clock.now()) - clock.now() == 30_000_000


def test_several_connections_that_fail_together_count_once():
    pauses = DestinationPauses(timedelta(seconds=30), timedelta(hours=1))
    now = ManualClock().now()
    assert {pauses.failed(1, now) for _ in range(10)} == {now + 30_000_000}


def test_rest_neither_counts_nor_shortens():
    pauses = DestinationPauses(timedelta(seconds=30), timedelta(hours=1))
    now = ManualClock().now()
    pauses.rest(1, Microseconds(now + 1_000_000))
    assert pauses.failed(1, now) == now + 30_000_000
    pauses.rest(1, Microseconds(now + 1_000_000))
    assert pauses.until(1, now) == now + 30_000_000
    assert pauses.until(2, now) is None


async def test_pool_keeps_bounds_and_says_quit():
    async with ScriptedPeer() as peer:
        remote, terms = Remote("mx.test", *peer.address), SessionTerms(EgressSource("me.test"))
        pool = ConnectionPool(2, timedelta(milliseconds=100))
        connections = [await Connection.open(remote, terms) for _ in range(3)]
        for number, connection in enumerate(connections):
            pool.give(number, connection)
        assert len(pool) == 2
        assert pool.take(1) is connections[1]
        assert pool.take(1) is None
        await asyncio.sleep(0.3)
        assert len(pool) == 0
        assert pool.take(0) is None
        assert peer.commands.count("QUIT") == 2
        pool.give(1, connections[1])
        await pool.close()
        assert peer.commands.count("QUIT") == 3


async def test_a_connection_that_died_is_not_handed_out():
    bye = Reaction("250-x\r\n250 PIPELINING\r\n421 4.4.2 idle for too long", disconnect=True)
    async with ScriptedPeer({"EHLO": [bye]}) as peer:
        pool = ConnectionPool(2, timedelta(seconds=5))
        connection = await Connection.open(Remote("mx.test", *peer.address), SessionTerms(EgressSource("me.test")))
        pool.give(1, connection)
        await asyncio.sleep(0.05)
        assert pool.take(1) is None
        await pool.close()
