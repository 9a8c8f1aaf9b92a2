import asyncio

import pytest

HEAD = b"From: Ann <ann@sender.test>\r\nSubject: x\r\n\r\nbody"
SMUGGLED = b"MAIL FROM:<evil@sender.test>\r\nRCPT TO:<eve@example.com>\r\nDATA\r\nevil\r\n.\r\n"


async def in_data(connect):
    client = await connect()
    await client.envelope()
    await client.say(b"DATA\r\n")
    return client


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
        b"\r\n.\r\r\n",
    ],
)
@pytest.mark.parametrize("size", [1, 3, 10_000])
async def test_only_crlf_dot_crlf_ends_a_submission(listen, owner, end, size):
    _, connect = await listen()
    client = await in_data(connect)
    octets = HEAD + end + SMUGGLED
    for at in range(0, len(octets), size):
        client.writer.write(octets[at : at + size])
        await asyncio.sleep(0)
    assert (await client.hear()).startswith("550 5.6.0")
    assert await client.hear() == ""
    assert owner.accepted == []


@pytest.mark.parametrize("line", [b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n..\r\n", b"\r\n. \r\n", b"\r\n.x\r\n"])
async def test_other_lines_with_dots_do_not_end_it(listen, owner, line):
    _, connect = await listen()
    client = await in_data(connect)
    client.writer.write(HEAD + line)
    client.writer.write(b"more\r\n")
    await asyncio.sleep(0.02)
    assert not client.reader._buffer
    reply = await client.say(b".\r\n")
    assert reply.startswith("550 5.6.0" if b"\0" in line else "250")


async def test_commands_end_with_crlf_alone(listen, owner):
    _, connect = await listen()
    for octets in (b"EHLO a\nNOOP\n", b"EHLO a\rNOOP\r\n", b"EHLO a\r\r\n"):
        client = await connect()
        await client.hear()
        assert (await client.say(octets)).startswith("521 5.5.2")
        assert await client.rest() == ""


@pytest.mark.parametrize("size", [1, 2, 7])
async def test_the_end_is_found_in_pieces(listen, owner, size):
    _, connect = await listen()
    client = await in_data(connect)
    octets = HEAD + b"\r\n..\r\n...\r\n.\r\nNOOP\r\n"
    for at in range(0, len(octets), size):
        client.writer.write(octets[at : at + size])
        await asyncio.sleep(0.001)
    assert (await client.hear()).startswith("250 2.0.0 stored")
    assert (await client.hear()).startswith("250 2.0.0 ok")
    assert owner.accepted[0].content == HEAD + b"\r\n.\r\n..\r\n"


async def test_a_message_without_a_line_is_refused(listen, owner):
    _, connect = await listen()
    client = await in_data(connect)
    assert (await client.say(b".\r\n")).startswith("550 5.6.0 the message has no header")
    assert (await client.say(b"NOOP\r\n")).startswith("250")


@pytest.mark.parametrize(
    "command",
    [
        b"MAIL FROM:<ann@sender.test> ENVID=a+0D+0ABcc:x",
        b"MAIL FROM:<ann@sender.test> ENVID=a+00",
        b"MAIL FROM:<ann+0D@sender.test\x0d>",
        b"MAIL FROM:<a\x00nn@sender.test>",
        b'MAIL FROM:<"a\tb"@sender.test>',
        b"MAIL FROM:<ann@sender.test> X=\x0b",
        "MAIL FROM:<ann\u2028@sender.test> SMTPUTF8".encode(),
        "MAIL FROM:<ann\u0085@sender.test> SMTPUTF8".encode(),
    ],
)
async def test_no_line_end_or_nul_gets_into_the_envelope(listen, owner, command):
    _, connect = await listen()
    client = await connect()
    await client.sign_in()
    assert (await client.say(command + b"\r\n"))[:1] == "5"
    assert (await client.say(b"DATA\r\n"))[:3] in ("503", "")


async def test_over_long_command_lines_are_refused(listen, owner):
    _, connect = await listen()
    client = await connect()
    await client.sign_in()
    assert (await client.say(b"NOOP " + b"x" * 505 + b"\r\n")).startswith("250")
    assert (await client.say(b"NOOP " + b"x" * 506 + b"\r\n")).startswith("500 5.5.6")
    assert (await client.say(b"MAIL FROM:<ann@sender.test> AUTH=" + b"x" * 500 + b"\r\n")).startswith("250")
    assert (await client.say(b"RCPT TO:<a@sender.test> " + b"x" * 1200 + b"\r\n")).startswith("500 5.5.6")
    client.writer.write(b"NOOP " + b"x" * 100_000)
    assert (await client.hear()).startswith("500 5.5.6")
    assert await client.rest() == ""


async def test_over_long_text_lines_are_refused(listen, owner):
    _, connect = await listen()
    client = await in_data(connect)
    assert (await client.say(HEAD + b"\r\n." + b"." + b"x" * 997 + b"\r\n.\r\n")).startswith("250")
    await client.say(b"MAIL FROM:<ann@sender.test>\r\n")
    await client.say(b"RCPT TO:<bob@example.com>\r\n")
    reply = await client.data(HEAD + b"\r\n" + b"x" * 999 + b"\r\n")
    assert reply.startswith("550 5.6.0 line 5 of the message is longer than 998 octets")
    assert len(owner.accepted) == 1
