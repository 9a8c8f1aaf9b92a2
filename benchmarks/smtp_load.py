"""Submits messages by SMTP as quickly as it can, in a process of its own; prints what was acknowledged, as JSON.

    python benchmarks/smtp_load.py PORT CONNECTIONS MESSAGES OCTETS < key

MAIL, RCPT and DATA go in one write (RFC 2920); the next message of a connection waits for the 250 of the one before.
Without a key nobody signs in.
"""

import asyncio
import base64
import json
import sys
import time
from collections.abc import Iterator

import uvloop

_SENDER = "orders@news.acme.test"
_FILLER = b"The parcel with your early seed and the copper ladder left the orchard this morning.\r\n"


def message(number: int, octets: int) -> bytes:
    """A receipt of about that size; no two are alike."""
    head = (
        f"From: Acme Garden <{_SENDER}>\r\nTo: reader.{number:07}@alpha.test\r\nSubject: Your order {number}\r\n"
        f"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <order.{number}@news.acme.test>\r\n"
        'MIME-Version: 1.0\r\nContent-Type: text/plain; charset="utf-8"\r\n\r\n'
        f"Good morning, this is about order {number}.\r\n"
    ).encode()
    return head + _FILLER * ((octets - len(head)) // len(_FILLER))


class Connection:
    """One client; sends what comes from ``numbers``, which all of them share."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def _expect(self, code: bytes) -> None:
        while (line := await self._reader.readline())[3:4] == b"-":
            continue
        if not line.startswith(code):
            raise ConnectionError(f"{line!r} instead of {code!r}")

    async def sign_in(self, key: str) -> None:
        await self._expect(b"220")
        self._writer.write(b"EHLO bench.acme.test\r\n")
        await self._expect(b"250")
        if not key:
            return
        plain = base64.b64encode(f"\0bench\0{key}".encode())
        self._writer.write(b"AUTH PLAIN " + plain + b"\r\n")
        await self._expect(b"235")

    async def send_all(self, numbers: Iterator[int], octets: int) -> int:
        sent = 0
        for number in numbers:
            content = message(number, octets)
            self._writer.write(
                f"MAIL FROM:<bounces@acme.test> SIZE={len(content)}\r\n"
                f"RCPT TO:<reader.{number:07}@alpha.test>\r\nDATA\r\n".encode()
            )
            for code in (b"250", b"250", b"354"):
                await self._expect(code)
            self._writer.write(content + b".\r\n")
            await self._expect(b"250")
            sent += 1
        self._writer.write(b"QUIT\r\n")
        await self._expect(b"221")
        self._writer.close()
        return sent


async def _main(port: int, connections: int, messages: int, octets: int) -> None:
    key = sys.stdin.readline().strip()
    clients = [Connection(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(connections)]
    for client in clients:
        await client.sign_in(key)
    numbers = iter(range(messages))
    begun_at, begun = time.time(), time.perf_counter()
    sent = sum(await asyncio.gather(*(client.send_all(numbers, octets) for client in clients)))
    seconds = time.perf_counter() - begun
    said = {"acknowledged": sent, "begun_at": begun_at, "seconds": seconds, "client_cpu": time.process_time()}
    print(json.dumps(said))


if __name__ == "__main__":
    uvloop.run(_main(*(int(word) for word in sys.argv[1:5])))
