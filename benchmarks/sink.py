"""A quick SMTP sink: takes everything, counts whole messages, says what it counted when its input ends.

    python benchmarks/sink.py PORT --keep 5 --into FOLDER

It knows just enough of RFC 5321 for a client that waits for the reply to the final dot before the next command.
"""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

import uvloop

_GREETING = b"220 sink.test ESMTP\r\n"
_EHLO = b"250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 52428800\r\n"
_END = b"\r\n.\r\n"


class Count:
    """What came in so far; the first ``keep`` messages are kept as files."""

    def __init__(self, keep: int, folder: Path) -> None:
        self.messages = 0
        self.octets = 0
        self.connections = 0
        self.keep = keep
        self._folder = folder

    def take(self, pieces: list[bytes], octets: int) -> None:
        """One more whole message, in ``pieces`` where it is to be kept."""
        self.messages += 1
        self.octets += octets
        if pieces:
            content = b"".join(pieces).removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
            (self._folder / f"{self.messages:06}.eml").write_bytes(content)

    def report(self) -> str:
        """As JSON."""
        return json.dumps({"messages": self.messages, "octets": self.octets, "connections": self.connections})


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._in_data = False
        self._keeping = False
        self._line = b""
        self._tail = b""
        self._pieces: list[bytes] = []
        self._octets = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._count.connections += 1
        transport.write(_GREETING)

    def data_received(self, data: bytes) -> None:
        if self._in_data:
            self._take_content(data)
        else:
            self._take_commands(data)

    def _take_content(self, data: bytes) -> None:
        self._octets += len(data)
        if self._keeping:
            self._pieces.append(data)
        self._tail = (self._tail + data)[-5:] if len(data) < 5 else data[-5:]
        if self._tail == _END:
            self._count.take(self._pieces, self._octets - 3)
            self._in_data, self._pieces, self._octets = False, [], 0
            self._transport.write(b"250 2.0.0 taken\r\n")

    def _take_commands(self, data: bytes) -> None:
        *lines, self._line = (self._line + data).split(b"\r\n")
        self._transport.write(b"".join([self._reply(line) for line in lines]))

    def _reply(self, line: bytes) -> bytes:
        command = line[:4].upper()
        if command == b"DATA":
            self._in_data, self._tail = True, b"\r\n"
            self._keeping = self._count.keep > 0
            self._count.keep -= self._keeping
            return b"354 go on\r\n"
        if command == b"EHLO":
            return _EHLO
        if command == b"QUIT":
            return b"221 2.0.0 goodbye\r\n"
        return b"250 2.0.0 ok\r\n"


async def _serve(port: int, count: Count) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def readable() -> None:
        if not os.read(0, 1024):
            loop.remove_reader(0)
            ended.set()

    server = await loop.create_server(lambda: Session(count), "127.0.0.1", port, backlog=512)
    loop.add_reader(0, readable)
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.wait()
    server.close()
    print(count.report(), flush=True)


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("port", type=int, nargs="?", default=0)
    parser.add_argument("--keep", type=int, default=0, help="how many messages to keep")
    parser.add_argument("--into", type=Path, default=Path(), help="the folder for them")
    options = parser.parse_args(sys.argv[1:])
    uvloop.run(_serve(options.port, Count(options.keep, options.into)))


if __name__ == "__main__":
    main()
