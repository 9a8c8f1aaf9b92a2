import asyncio
from datetime import timedelta

import pytest

from mailtypes.errors import StorageError
from mta.inbound import InboundLimits, RecipientDecision, ReturnPathHandler, ReturnPathServer

KNOWN = "b-known@bounce.sender.test"


class Stored(list):
    gate: asyncio.Event | None = None
    error: Exception | None = None

    async def __call__(self, message):
        if self.gate:
            await self.gate.wait()
        if self.error:
            raise self.error
        self.append(message)


async def decide(address):
    if not address.endswith("@bounce.sender.test"):
        return RecipientDecision.NOT_OURS
    return RecipientDecision.KNOWN if address == KNOWN else RecipientDecision.UNKNOWN


class Client:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def say(self, octets):
        self.writer.write(octets)
        return await self.hear()

    async def hear(self):
        lines = []
        async with asyncio.timeout(5):
            while line := await self.reader.readline():
                lines.append(line)
                if line[3:4] != b"-":
                    break
        return b"".join(lines).decode()

    async def envelope(self, rcpt_to=KNOWN):
        await self.say(b"EHLO mx.test\r\n")
        await self.say(b"MAIL FROM:<>\r\n")
        return await self.say(f"RCPT TO:<{rcpt_to}>\r\n".encode())


@pytest.fixture
def stored():
    return Stored()


@pytest.fixture
async def listen(stored):
    closing = []

    async def start(**limits):
        server = ReturnPathServer(ReturnPathHandler(stored, decide, InboundLimits(**limits)), "mx.sender.test")
        port = await server.start("127.0.0.1", 0)
        closing.append(server.close_with_421)

        async def connect():
            client = Client(*await asyncio.open_connection("127.0.0.1", port))
            closing.insert(0, lambda: asyncio.sleep(0, client.writer.transport.abort()))
            return client

        return server, connect

    yield start
    for close in closing:
        await close()


async def test_a_message_is_stored_before_250(listen, stored):
    _, connect = await listen()
    client = await connect()
    assert (await client.hear()).startswith("220 mx.sender.test")
    assert (await client.envelope()).startswith("250")
    assert (await client.say(b"DATA\r\n")).startswith("354")
    assert (await client.say(b"Subject: x\r\n\r\n..dot\r\n.\r\n")).startswith("250 2.0.0")
    [message] = stored
    assert (message.mail_from, message.rcpt_to, message.helo) == ("", (KNOWN,), "mx.test")
    assert message.content == b"Subject: x\r\n\r\n.dot\r\n"


async def test_no_250_while_the_sink_is_at_work(listen, stored):
    stored.gate = asyncio.Event()
    _, connect = await listen()
    client = await connect()
    await client.hear()
    await client.envelope()
    await client.say(b"DATA\r\n")
    answer = asyncio.ensure_future(client.say(b"x\r\n.\r\n"))
    await asyncio.sleep(0.05)
    assert not answer.done()
    stored.gate.set()
    assert (await answer).startswith("250")


@pytest.mark.parametrize("error", [StorageError("full"), RuntimeError("a fault")])
async def test_what_is_not_stored_is_asked_for_again(listen, stored, error):
    stored.error = error
    _, connect = await listen()
    client = await connect()
    await client.hear()
    await client.envelope()
    await client.say(b"DATA\r\n")
    assert (await client.say(b"x\r\n.\r\n")).startswith("451")


async def test_unknown_and_foreign_recipients(listen):
    _, connect = await listen()
    client = await connect()
    await client.hear()
    assert (await client.envelope("b-other@bounce.sender.test")).startswith("550 5.1.1")
    assert (await client.say(b"RCPT TO:<x@example.com>\r\n")).startswith("550 5.7.1")
    assert (await client.say(b"DATA\r\n")).startswith("503")


async def test_recipients_and_size_are_bounded(listen, stored):
    _, connect = await listen(recipients=2, message_octets=1000)
    client = await connect()
    await client.hear()
    await client.envelope()
    await client.say(b"RCPT TO:<%b>\r\n" % KNOWN.encode())
    assert (await client.say(b"RCPT TO:<%b>\r\n" % KNOWN.encode())).startswith("452")
    await client.say(b"DATA\r\n")
    assert (await client.say(b"0123456789\r\n" * 200 + b".\r\n")).startswith("552")
    assert stored == []


SMUGGLED = b"MAIL FROM:<evil@sender.test>\r\nRCPT TO:<%b>\r\nDATA\r\nevil\r\n.\r\n" % KNOWN.encode()


@pytest.mark.parametrize(
    "end",
    [
        b"\n.\n",
        b"\n.\r\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\n",
        b"\r\n.\r",
        b"\r\n\n.\r\n",
        b"\r\r\n.\r\n",
        b"\n\r\n.\r\n",
    ],
)
@pytest.mark.parametrize("size", [1, 3, 10_000])
async def test_only_crlf_dot_crlf_ends_a_message(listen, stored, end, size):
    _, connect = await listen()
    client = await connect()
    await client.hear()
    await client.envelope()
    await client.say(b"DATA\r\n")
    octets = b"Subject: x\r\n\r\nbody" + end + SMUGGLED
    for at in range(0, len(octets), size):
        client.writer.write(octets[at : at + size])
        await asyncio.sleep(0)
    assert (await client.hear()).startswith("521")
    assert await client.hear() == ""
    assert stored == []


async def test_commands_end_with_crlf_alone(listen):
    _, connect = await listen()
    client = await connect()
    await client.hear()
    assert (await client.say(b"EHLO mx.test\nMAIL FROM:<>\n")).startswith("521")


async def test_a_cr_and_lf_in_two_segments_are_one_line_end(listen, stored):
    _, connect = await listen()
    client = await connect()
    await client.hear()
    await client.envelope()
    await client.say(b"DATA\r\n")
    for octet in b"a\r\nb\r\n.\r\n":
        client.writer.write(bytes([octet]))
        await asyncio.sleep(0.001)
    assert (await client.hear()).startswith("250")
    assert stored[0].content == b"a\r\nb\r\n"


async def test_too_many_connections_are_told_so(listen):
    _, connect = await listen(connections=1)
    first = await connect()
    assert (await first.hear()).startswith("220")
    second = await connect()
    assert (await second.hear()).startswith("421")
    first.writer.close()
    await asyncio.sleep(0.05)
    assert (await (await connect()).hear()).startswith("220")


async def test_sessions_end_in_time(listen):
    _, connect = await listen(session=timedelta(milliseconds=100))
    client = await connect()
    await client.hear()
    assert (await client.hear()).startswith("421 4.4.2")


async def test_shutdown_answers_what_is_being_stored_and_says_421(listen, stored):
    stored.gate = asyncio.Event()
    server, connect = await listen()
    busy, idle = await connect(), await connect()
    await busy.hear()
    await idle.hear()
    await busy.envelope()
    await busy.say(b"DATA\r\n")
    busy.writer.write(b"x\r\n.\r\n")
    await asyncio.sleep(0.05)
    closing = asyncio.ensure_future(server.close_with_421())
    assert (await idle.hear()).startswith("421 4.3.2")
    stored.gate.set()
    assert (await busy.hear()).startswith("250")
    assert (await busy.hear()).startswith("421 4.3.2")
    await closing
    assert len(stored) == 1
