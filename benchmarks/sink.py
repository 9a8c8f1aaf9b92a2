"""A quick SMTP sink: takes everything, counts whole messages, says what it counted when its input ends.

    python benchmarks/sink.py PORT --keep 5 --into FOLDER --tls FOLDER --delay 0.05

It knows just enough of RFC 5321 and RFC 2920 for clients that send the next commands behind the final dot.
"""

import argparse
import asyncio
import contextlib
import datetime
import json
import os
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_GREETING = b"220 sink.test ESMTP\r\n"
_EHLO = b"250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n%b250 SIZE 52428800\r\n"
_END = b"\r\n.\r\n"
_COMMANDS = 2048  # octets


class Count:
    """What came in so far; the first ``keep`` messages are kept as files."""

    def __init__(self, keep: int, folder: Path) -> None:
        self.messages = 0
        self.octets = 0
        self.connections = 0
        self.handshakes: set[asyncio.Task[None]] = set()
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


@dataclass(frozen=True)
class Manner:
    """How the sink behaves: whether it offers STARTTLS, and how many seconds each answer takes."""

    tls: ssl.SSLContext | None
    delay: float


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, count: Count, manner: Manner) -> None:
        self._count = count
        self._manner = manner
        self._offers_tls = manner.tls is not None
        self._in_data = False
        self._keeping = False
        self._line = b""
        self._tail = b""
        self._pieces: list[bytes] = []
        self._octets = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._count.connections += 1
        self._answer(_GREETING)

    def data_received(self, data: bytes) -> None:
        while data:
            data = self._take_content(data) if self._in_data else self._take_commands(data)

    def _take_content(self, data: bytes) -> bytes:
        """Take content up to its end; returns what comes behind it."""
        joined = self._tail + data
        # Behind the end come no more than a few commands: a client has to wait for the answer to the next DATA.
        end = joined.find(_END, max(len(joined) - _COMMANDS, 0))
        taken = data if end < 0 else data[: end + len(_END) - len(self._tail)]
        self._octets += len(taken)
        if self._keeping:
            self._pieces.append(taken)
        if end < 0:
            self._tail = joined[-4:]
            return b""
        self._count.take(self._pieces, self._octets - 3)
        self._in_data, self._pieces, self._octets = False, [], 0
        self._answer(b"250 2.0.0 taken\r\n")
        return data[len(taken) :]

    def _take_commands(self, data: bytes) -> bytes:
        """Answer commands up to DATA; returns what comes behind it."""
        data = self._line + data
        replies = []
        while not self._in_data and (end := data.find(b"\r\n")) >= 0:
            replies.append(self._reply(data[:end]))
            data = data[end + 2 :]
        if answer := b"".join(replies):
            self._answer(answer)
        self._line, rest = (b"", data) if self._in_data else (data, b"")
        return rest

    def _answer(self, replies: bytes) -> None:
        if self._manner.delay:
            asyncio.get_running_loop().call_later(self._manner.delay, self._write, replies)
        else:
            self._write(replies)

    def _write(self, replies: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(replies)

    def _begin_tls(self) -> None:
        # Nothing is read any more: what comes behind our answer is for TLS, however quickly it comes.
        self._offers_tls = False
        self._transport.pause_reading()
        self._count.handshakes.add(task := asyncio.ensure_future(self._start_tls()))
        task.add_done_callback(self._count.handshakes.discard)

    async def _start_tls(self) -> None:
        assert self._manner.tls is not None
        await asyncio.sleep(self._manner.delay)
        self._write(b"220 2.0.0 go ahead\r\n")
        with contextlib.suppress(OSError):
            loop = asyncio.get_running_loop()
            transport = await loop.start_tls(self._transport, self, self._manner.tls, server_side=True)
            if transport is not None:
                self._transport = transport

    def _reply(self, line: bytes) -> bytes:
        command = line[:4].upper()
        if command == b"DATA":
            self._in_data, self._tail = True, b"\r\n"
            self._keeping = self._count.keep > 0
            self._count.keep -= self._keeping
            return b"354 go on\r\n"
        if command == b"EHLO":
            return _EHLO % (b"250-STARTTLS\r\n" if self._offers_tls else b"")
        if command == b"STAR":
            self._begin_tls()
            return b""
        if command == b"QUIT":
            return b"221 2.0.0 goodbye\r\n"
        return b"250 2.0.0 ok\r\n"


async def _serve(port: int, count: Count, manner: Manner) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def readable() -> None:
        if not os.read(0, 1024):
            loop.remove_reader(0)
            ended.set()

    server = await loop.create_server(lambda: Session(count, manner), "127.0.0.1", port, backlog=512)
    loop.add_reader(0, readable)
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.wait()
    server.close()
    print(count.report(), flush=True)


def _context(folder: Path) -> ssl.SSLContext:
    """A server's context with a certificate that nobody has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sink.test")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    day = datetime.timedelta(days=1)
    certificate = builder.not_valid_before(now - day).not_valid_after(now + day).sign(key, hashes.SHA256())
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "sink.pem"
    file.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("port", type=int, nargs="?", default=0)
    parser.add_argument("--keep", type=int, default=0, help="how many messages to keep")
    parser.add_argument("--into", type=Path, default=Path(), help="the folder for them")
    parser.add_argument(
        "--tls", type=Path, default=None, help="offer STARTTLS; the folder for a certificate of its own"
    )
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that each answer takes")
    options = parser.parse_args(sys.argv[1:])
    manner = Manner(_context(options.tls) if options.tls else None, options.delay)
    uvloop.run(_serve(options.port, Count(options.keep, options.into), manner))


if __name__ == "__main__":
    main()
