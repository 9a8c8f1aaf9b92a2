"""Second opinions against small servers on loopback that speak as spamd and rspamd do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from postwright.second_opinions import (
    CouldNotAsk,
    Opinion,
    OpinionRule,
    SecondOpinionPolicy,
    ask_rspamd,
    ask_spamd,
    second_opinions,
)

MESSAGE = b"Subject: x\r\n\r\nHello\r\n"
SHORT = timedelta(seconds=5)
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(talk: Talk) -> AsyncIterator[tuple[str, int]]:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[:2]
    finally:
        server.close()


def spamd(reply: bytes, heard: list[bytes] | None = None) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.read()
        if heard is not None:
            heard.append(asked)
        writer.write(reply)
        await writer.drain()

    return talk


def rspamd(status: str, body: bytes, heard: list[bytes] | None = None) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        if heard is not None:
            heard.append(head + await reader.readexactly(length))
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status.encode(), len(body)) + body)
        await writer.drain()

    return talk


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    await asyncio.sleep(2)


async def test_spamd_is_asked_as_its_protocol_says() -> None:
    heard: list[bytes] = []
    reply = b"SPAMD/1.1 0 EX_OK\r\nContent-length: 24\r\nSpam: True ; 15.2 / 5.0\r\n\r\nHTML_MESSAGE,MISSING_DATE"
    async with serving(spamd(reply, heard)) as place:
        opinion = await ask_spamd(MESSAGE, place, SHORT)
    rules = (OpinionRule("HTML_MESSAGE"), OpinionRule("MISSING_DATE"))
    assert opinion == Opinion("spamassassin", 15.2, 5.0, True, rules)
    assert heard == [b"SYMBOLS SPAMC/1.5\r\nContent-length: %d\r\n\r\n" % len(MESSAGE) + MESSAGE]


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (b"", "not SpamAssassin's"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "not SpamAssassin's"),
        (b"SPAMD/1.0 76 Bad header line\r\n\r\n", "refused: Bad header line"),
        (b"SPAMD/1.1 0 EX_OK\r\n\r\nHTML_MESSAGE", "no score"),
        (b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1.2.3 / 5.0\r\n\r\n", "no score"),
        (b"SPAMD/1.1 0 EX_OK\r\n" + b"x" * 3_000_000, "no score"),
    ],
)
async def test_an_odd_answer_of_spamd_is_no_opinion(reply: bytes, cause: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.write(reply)
        try:
            await writer.drain()
        except ConnectionError:
            return

    async with serving(talk) as place:
        opinion = await ask_spamd(MESSAGE, place, SHORT)
    assert isinstance(opinion, CouldNotAsk)
    assert cause in opinion.cause


async def test_rspamd_is_asked_with_the_password() -> None:
    heard: list[bytes] = []
    symbols = b'"symbols": {"A": {"score": 0.5}, "B": {"score": 7}}'
    body = b'{"score": 7.5, "required_score": 15, "action": "add header", %s}' % symbols
    async with serving(rspamd("200 OK", body, heard)) as (host, port):
        policy = SecondOpinionPolicy(rspamd=f"http://{host}:{port}/", rspamd_password="secret")
        opinion = await ask_rspamd(MESSAGE, policy)
    assert opinion == Opinion("rspamd", 7.5, 15.0, False, (OpinionRule("B", 7.0), OpinionRule("A", 0.5)))
    assert heard[0].startswith(b"POST /checkv2 HTTP/1.1\r\n")
    assert b"Password: secret\r\n" in heard[0]
    assert heard[0].endswith(b"\r\n\r\n" + MESSAGE)
    assert "secret" not in repr(policy)


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        ("403 Forbidden", b"{}", "answered 403"),
        ("302 Found", b"", "answered 302"),
        ("200 OK", b"<html>", "not JSON"),
        ("200 OK", b"[1]", "no score"),
        ("200 OK", b'{"score": NaN, "required_score": 1}', "no score"),
        ("200 OK", b'{"score": true, "required_score": 1}', "no score"),
        ("200 OK", b" " * 3_000_000, "too long"),
        ("200 OK", b"[" * 100_000, "not JSON"),
    ],
)
async def test_an_odd_answer_of_rspamd_is_no_opinion(status: str, body: bytes, cause: str) -> None:
    async with serving(rspamd(status, body)) as (host, port):
        opinion = await ask_rspamd(MESSAGE, SecondOpinionPolicy(rspamd=f"http://{host}:{port}"))
    assert isinstance(opinion, CouldNotAsk)
    assert cause in opinion.cause


async def test_who_is_silent_or_away_is_not_waited_for() -> None:
    async with serving(silent) as (host, port):
        policy = SecondOpinionPolicy((host, port), f"http://{host}:{port}", within=timedelta(milliseconds=200))
        told = await second_opinions(MESSAGE, policy)
    assert [one.cause for one in told if isinstance(one, CouldNotAsk)] == ["it did not answer in time"] * 2
    away = await second_opinions(MESSAGE, SecondOpinionPolicy((host, port), f"http://{host}:{port}"))
    assert all(isinstance(one, CouldNotAsk) and "cannot be reached" in one.cause for one in away)
    assert await second_opinions(MESSAGE, SecondOpinionPolicy()) == ()
