import asyncio
import resource
from datetime import timedelta

import pytest

MESSAGE = b"From: Ann <ann@sender.test>\r\nSubject: x\r\n\r\nHello\r\n"
SHORT = timedelta(milliseconds=100)


async def test_a_slow_command_line_ends_in_time(listen):
    _, connect = await listen(idle=SHORT)
    client = await connect()
    await client.hear()
    for octet in b"NOOP slow":
        client.writer.write(bytes([octet]))
        await asyncio.sleep(0.02)  # each octet in time, the line not
    assert (await client.hear()).startswith("421 4.4.2")
    assert await client.rest() == ""


async def test_a_slow_message_ends_in_time(listen, owner):
    server, connect = await listen(pace=SHORT, octets_per_pace=1000)
    client = await connect()
    await client.envelope()
    await client.say(b"DATA\r\n")
    for _ in range(200):
        client.writer.write(b"X: slow\r\n")
        await asyncio.sleep(0.01)
        if client.reader._buffer:
            break
    assert (await client.hear()).startswith("421 4.4.2")
    client.writer.transport.abort()
    await asyncio.sleep(0.05)
    assert owner.accepted == []
    assert server.gate.budget.left == server.gate.limits.octets_in_flight


async def test_a_message_that_keeps_its_pace_may_take_longer_than_idle(listen, owner):
    _, connect = await listen(pace=SHORT, octets_per_pace=100, idle=SHORT)
    client = await connect()
    await client.envelope()
    await client.say(b"DATA\r\n")
    client.writer.write(MESSAGE)
    for _ in range(25):
        client.writer.write(b"x" * 70 + b"\r\n")
        await asyncio.sleep(0.01)
    assert (await client.say(b".\r\n")).startswith("250")


async def test_a_client_that_reads_nothing_ends_in_time(listen):
    server, connect = await listen(idle=timedelta(milliseconds=300), commands_before_auth=10**9)
    client = await connect()
    client.writer.transport.pause_reading()
    for _ in range(200):
        client.writer.write(b"EHLO client.test\r\n" * 1000)
        await asyncio.sleep(0)
    await asyncio.sleep(2.6)  # idle, and the time in which the rest may be read
    assert not server._listeners.sessions
    assert server.gate.budget.left == server.gate.limits.octets_in_flight


async def test_a_slow_commit_is_waited_for(listen, owner):
    _, connect = await listen(idle=SHORT, session=SHORT)
    client = await connect()
    await client.envelope()
    owner.gate = asyncio.Event()
    answer = asyncio.ensure_future(client.data())
    await asyncio.sleep(0.3)
    assert not answer.done()
    owner.gate.set()
    assert (await answer).startswith("250")
    assert (await client.hear()).startswith("421 4.4.2")  # the session's time is over


@pytest.mark.parametrize("tls_first", [False, True])
async def test_a_handshake_that_does_not_come_ends_in_time(listen, server_tls, tls_first):
    server, connect = await listen(server_tls=server_tls, tls_first=tls_first, handshake=SHORT)
    client = await connect()
    if not tls_first:
        await client.hear()
        await client.say(b"STARTTLS\r\n")
    assert await client.rest() == ""
    assert not server._listeners.sessions


async def test_a_thousand_idle_connections(listen, owner):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2300 and hard < 2300:
        pytest.fail("the test needs 2,300 file descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2300), hard))
    try:
        server, connect = await listen(connections=1001, connections_per_peer=1001)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        idle = [await connect() for _ in range(1000)]
        for client in idle:
            assert (await client.hear()).startswith("220")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024
        busy = await connect()
        await busy.envelope()
        assert (await busy.data()).startswith("250")
        assert (await (await connect()).hear()).startswith("421 4.7.0")
        idle[0].writer.transport.abort()
        await asyncio.sleep(0.05)
        assert (await (await connect()).hear()).startswith("220")
        await server.close_with_421()
        assert (await idle[-1].hear()).startswith("421 4.3.2")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_connections_of_one_peer_are_bounded(listen):
    _, connect = await listen(connections_per_peer=2)
    assert (await (await connect()).hear()).startswith("220")
    assert (await (await connect()).hear()).startswith("220")
    assert (await (await connect()).hear()).startswith("421 4.7.0")


async def test_mail_in_flight_is_bounded_over_all_connections(listen, owner):
    server, connect = await listen(octets_in_flight=50_000)
    first, second = await connect(), await connect()
    await first.envelope()
    await second.envelope()
    await first.say(b"DATA\r\n")
    first.writer.write(MESSAGE + (b"x" * 70 + b"\r\n") * 600)
    await asyncio.sleep(0.05)
    assert 0 < server.gate.budget.left < 10_000
    assert (await second.data(MESSAGE + (b"x" * 70 + b"\r\n") * 200)).startswith("452 4.3.1")
    assert (await second.say(b"MAIL FROM:<ann@sender.test> SIZE=20000\r\n")).startswith("452 4.3.1")
    assert (await first.say(b".\r\n")).startswith("250")
    assert server.gate.budget.left == 50_000
    assert (await second.say(b"MAIL FROM:<ann@sender.test> SIZE=20000\r\n")).startswith("250")


async def test_an_exhausted_budget_is_told_before_the_data(listen, owner):
    server, connect = await listen()
    client = await connect()
    await client.envelope()
    left = server.gate.budget.left
    assert server.gate.budget.take(left)
    assert (await client.say(b"DATA\r\n")).startswith("452 4.3.1")
    server.gate.budget.give_back(left)
    assert (await client.data()).startswith("250")


async def test_the_size_is_bounded(listen, owner):
    _, connect = await listen(message_octets=10_000)
    client = await connect()
    await client.sign_in()
    assert (await client.say(b"MAIL FROM:<ann@sender.test> SIZE=10001\r\n")).startswith("552 5.3.4")
    await client.say(b"MAIL FROM:<ann@sender.test>\r\n")
    await client.say(b"RCPT TO:<bob@example.com>\r\n")
    assert (await client.data(MESSAGE + (b"x" * 70 + b"\r\n") * 150)).startswith("552 5.3.4")
    await client.say(b"MAIL FROM:<ann@sender.test>\r\n")
    await client.say(b"RCPT TO:<bob@example.com>\r\n")
    await client.say(b"DATA\r\n")
    client.writer.write((b"x" * 70 + b"\r\n") * 2000)
    assert (await client.hear()).startswith("552 5.3.4")  # before the end, which need not come
    assert await client.rest() == ""
    assert owner.accepted == []


async def test_errors_and_commands_without_mail_are_bounded(listen):
    _, connect = await listen(errors=3, commands_before_auth=5)
    client = await connect()
    await client.hear()
    client.writer.write(b"FOO\r\n" * 10)
    assert (await client.rest()).count("\r\n") == 4
    other = await connect()
    await other.hear()
    other.writer.write(b"NOOP\r\n" * 10)
    assert "421 4.7.0 too many commands" in await other.rest()


async def test_pipelined_commands_do_not_pile_up(listen, owner):
    server, connect = await listen(octets_in_flight=100_000)
    client = await connect()
    await client.sign_in()
    waiting = asyncio.Event()

    async def recipient(submitter, address):
        await waiting.wait()

    owner.recipient = recipient
    await client.say(b"MAIL FROM:<ann@sender.test>\r\n")
    client.writer.write(b"RCPT TO:<bob@example.com>\r\n" + b"NOOP\r\n" * 100_000)
    await asyncio.sleep(0.1)
    [session] = server._listeners.sessions or [None]
    assert session is None or len(session._unread()) <= 100_000 + 256 * 1024
    assert server.gate.budget.left >= 0
    waiting.set()
    client.writer.transport.abort()
    await asyncio.sleep(0.05)
