"""Posting: the same guards as for fetching, one connection for a row, and only the first octets of an answer."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from mailtypes.questions import Unanswered
from postwright.outbound_http import HttpPolicy, HttpPosted, OutboundHttp
from tests.outbound.conftest import ZoneResolver, page, raw

ZONE = """
web.acme.test. A 127.0.0.1
private.acme.test. A 10.0.0.1
private.acme.test. AAAA ::1
"""
URL = "https://web.acme.test/hook?x=1"
HEADERS = {"Content-Type": "application/json", "webhook-id": "evt_1"}


@pytest.fixture
def client(root: Any) -> Any:
    def make(server: Any, **changes: Any) -> OutboundHttp:
        policy = {"allow_private": True, "ca_file": root, "port": server.port if server else 443, **changes}
        return OutboundHttp(ZoneResolver(ZONE), HttpPolicy(**{"whole": timedelta(seconds=3), **policy}))

    return make


async def _post(http: OutboundHttp, url: str = URL, body: bytes = b'{"a":1}', most: int = 100) -> Any:
    async with http, http.target(url, most) as target:
        return await target.post(body, HEADERS)


async def test_a_post_with_its_body_and_header_fields(web: Any, client: Any) -> None:
    bodies = []

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        bodies.append(head)
        await page(b"thanks", "202 Accepted", Retry_After="7")(head, writer)

    server = await web(answer)
    assert await _post(client(server)) == HttpPosted(202, b"thanks", "7")
    head = server.heads[0].lower()
    assert head.startswith(b"post /hook?x=1 http/1.1\r\n")
    for line in (b"host: web.acme.test", b"content-length: 7", b"content-type: application/json", b"webhook-id: evt_1"):
        assert b"\r\n" + line + b"\r\n" in head
    assert head.count(b"\r\nhost:") == 1
    assert server.server_names == ["web.acme.test"]


async def test_a_redirect_is_an_answer_and_is_not_followed(web: Any, client: Any) -> None:
    server = await web(page(b"", "307 Temporary Redirect", Location="https://web.acme.test/elsewhere"))
    assert (await _post(client(server))).status == 307
    assert len(server.heads) == 1


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://web.acme.test/", "only https"),
        ("https://127.0.0.1/", "names an address"),
        ("https://[::1]/", "names"),
        ("https://2130706433/", "names an address"),
        ("https://user:pw@web.acme.test/", "user name"),
        ("https://web.acme.test:22/", "port 22"),
        ("https://private.acme.test/", "no public address"),
        ("https://missing.acme.test/", ""),
    ],
)
async def test_the_guards_hold_for_posts(client: Any, url: str, cause: str) -> None:
    answer = await _post(client(None, allow_private=False), url)
    assert isinstance(answer, Unanswered)
    assert cause in answer.cause
    if cause and "public" not in cause:
        assert cause in (client(None).check_url(url) or "")


async def test_what_may_be_posted_to_is_told_beforehand(client: Any) -> None:
    http = client(None)
    assert http.check_url(URL) is None
    assert http.check_url("https://web.acme.test:443/") is None
    assert http.check_url("nonsense")
    await http.aclose()


async def test_an_endless_answer_is_cut_and_a_slow_one_given_up(web: Any, client: Any) -> None:
    endless = raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", *[b"x" * 1000] * 50)
    server = await web(endless)
    assert await _post(client(server), most=1500) == HttpPosted(200, b"x" * 1500)
    slow = await web(raw(b"HTTP/1.1 ", b"200 OK\r\n", delay=5))
    assert await _post(client(slow, whole=timedelta(milliseconds=300))) == Unanswered("timeout")


async def test_an_answer_that_breaks_off_behind_its_status_has_its_status(web: Any, client: Any) -> None:
    server = await web(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
    answer = await _post(client(server))
    assert (answer.status, answer.answer) == (200, b"half")


async def test_a_row_shares_a_connection_and_survives_its_end(client: Any, authority: Any) -> None:
    """A server that keeps each connection for three requests; the name is asked for once."""
    seen: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(0)
        try:
            for _ in range(3):
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(7)
                seen[-1] += 1
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                await writer.drain()
        except (EOFError, OSError):
            pass
        finally:
            writer.transport.abort()

    import ssl  # noqa: PLC0415

    issued = authority.issue(("web.acme.test",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate_path, issued.key_path)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]

    class _Place:
        def __init__(self) -> None:
            self.port = port

    http = client(_Place())
    async with http, http.target(URL) as target:
        answers = [await target.post(b'{"a":1}', HEADERS) for _ in range(8)]
        asked = len(http._resolver.asked)
    server.close()
    assert answers == [HttpPosted(200, b"ok")] * 8
    assert seen == [3, 3, 2]
    assert asked == 2  # A and AAAA, once
