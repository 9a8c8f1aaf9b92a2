"""TLS servers on loopback with certificates of the sandbox's authority, and a resolver from a dictionary."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvloop

from dns_checks.testing import Zone
from mailtypes.clock import SystemClock
from mailtypes.questions import DnsAnswer, DnsQuestion
from postwright.sandbox.authority import Authority

Script = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


class ZoneResolver:
    """A resolver that answers from a zone and counts."""

    def __init__(self, zone: str) -> None:
        self.asked: list[DnsQuestion] = []
        self._zone = Zone.parse(zone)

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        self.asked.append(question)
        return self._zone.answer(question)


@dataclass
class WebServer:
    """Reads one request head a connection, hands it to the script, and closes."""

    script: Script
    names: tuple[str, ...]
    authority: Authority
    heads: list[bytes] = field(default_factory=list)
    server_names: list[str | None] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> None:
        issued = self.authority.issue(self.names)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(issued.certificate_path, issued.key_path)
        context.sni_callback = lambda _, name, __: self.server_names.append(name)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            await self.script(head, writer)
            await writer.drain()
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort() if writer.transport.is_closing() else writer.close()


def page(body: bytes = b"hello", status: str = "200 OK", **headers: str) -> Script:
    async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: text/plain"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return answer


def raw(*chunks: bytes, delay: float = 0.0) -> Script:
    async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(delay)

    return answer


@pytest.fixture(params=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), SystemClock())


@pytest.fixture(scope="session")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("other"), SystemClock())


@pytest.fixture
async def web(authority: Authority):
    """``await web(script, *names)`` starts a server."""
    servers: list[WebServer] = []

    async def start(script: Script, *names: str, by: Authority | None = None) -> WebServer:
        server = WebServer(script, names or ("web.acme.test",), by or authority)
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
def root(authority: Authority) -> Path:
    return authority.root_path
