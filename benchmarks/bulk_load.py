"""Sends recipients of a bulk by HTTP, in a process of its own; prints what was acknowledged, as JSON.

    python benchmarks/bulk_load.py PORT calls|stream RECIPIENTS TEMPLATE_ID SERVER_PID < key

``calls``: POST /v1/bulk with 10,000 recipients each. ``stream``: one bulk that is opened, filled by a stream of
records, and committed; the answer is read while the request is sent, and the server's resident memory is looked at.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import letter
import uvloop

from postwright.store.public_ids import public_id

_SENDER = "Acme Garden <hello@news.acme.test>"
_CALL = 10_000
_PIECE = 500  # records in one write
_DOMAINS = ("alpha.test", "beta.test", "gamma.test", "delta.test", "epsilon.test")


def _record(number: int) -> bytes:
    address = f"reader.{number:08}@{_DOMAINS[number % len(_DOMAINS)]}"
    return json.dumps({"address": address, "data": letter.fields(number)}, separators=(",", ":")).encode()


class Connection:
    """A client of HTTP/1.1 that can read while it writes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
        self._reader, self._writer, self._key = reader, writer, key

    def _begin(self, path: str, *fields: str) -> None:
        lines = (f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {self._key}", *fields, "", "")
        self._writer.write("\r\n".join(lines).encode())

    async def post(self, path: str, body: bytes) -> dict[str, object]:
        self._begin(path, "Content-Type: application/json", f"Content-Length: {len(body)}")
        self._writer.write(body)
        status, pieces = await self._answer()
        answer = b"".join([piece async for piece in pieces])
        if status not in (200, 202):
            sys.exit(f"{path}: {status} {answer[:500]!r}")
        found: dict[str, object] = json.loads(answer)
        return found

    async def stream(self, path: str, count: int) -> int:
        """Send that many records; returns how many were accepted."""
        self._begin(path, "Content-Type: application/x-ndjson", "Transfer-Encoding: chunked")
        sending = asyncio.ensure_future(self._send_records(count))
        status, pieces = await self._answer()
        text = b"".join([piece async for piece in pieces])
        await sending
        lines = [json.loads(line) for line in text.splitlines()]
        if status != 200 or "error" in lines[-1]:
            sys.exit(f"{path}: {status} {text[-500:]!r}")
        return sum(line["accepted"] for line in lines)

    async def _send_records(self, count: int) -> None:
        for first in range(0, count, _PIECE):
            lines = b"".join(_record(number) + b"\n" for number in range(first, min(first + _PIECE, count)))
            self._writer.write(f"{len(lines):x}\r\n".encode() + lines + b"\r\n")
            await self._writer.drain()
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    async def _answer(self) -> tuple[int, AsyncIterator[bytes]]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next((line for line in head.splitlines() if line.startswith("content-length:")), None)
        return int(head.split()[1]), self._body(int(length.split(":")[1]) if length else None)

    async def _body(self, length: int | None) -> AsyncIterator[bytes]:
        if length is not None:
            yield await self._reader.readexactly(length)
            return
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            yield await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)


class Memory:
    """The server's resident memory: at first, at most while the first tenth of the time passed, at most after it."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self.samples = [self._resident()]

    def _resident(self) -> float:
        lines = self._status.read_text("ascii", "replace").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    async def watch(self) -> None:
        while True:
            self.samples.append(self._resident())
            await asyncio.sleep(0.2)

    def told(self) -> tuple[float, float, float]:
        tenth = max(1, len(self.samples) // 10)
        return self.samples[0], max(self.samples[:tenth]), max(self.samples[tenth:] or self.samples)


async def _by_calls(connection: Connection, count: int, bulk: dict[str, object]) -> int:
    accepted = 0
    for first in range(0, count, _CALL):
        head = json.dumps(bulk).encode()[:-1]
        records = b",".join(_record(number) for number in range(first, min(first + _CALL, count)))
        answer = await connection.post("/v1/bulk", head + b',"recipients":[' + records + b"]}")
        accepted += int(str(answer["accepted"]))
    return accepted


async def _by_stream(connection: Connection, count: int, bulk: dict[str, object]) -> int:
    identity = (await connection.post("/v1/bulk", json.dumps(bulk).encode()))["id"]
    accepted = await connection.stream(f"/v1/bulk/{identity}/recipients", count)
    await connection.post(f"/v1/bulk/{identity}/commit", b"")
    return accepted


async def _main(port: int, way: str, count: int, template_id: int, pid: int) -> None:
    key = sys.stdin.readline().strip()
    connection = Connection(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 20), key)
    bulk: dict[str, object] = {"from": _SENDER, "template": public_id("tpl", 0, template_id)}
    memory = Memory(pid)
    watching = asyncio.ensure_future(memory.watch())
    begun = time.perf_counter()
    accepted = await (_by_stream if way == "stream" else _by_calls)(connection, count, bulk)
    seconds = time.perf_counter() - begun
    watching.cancel()
    print(
        json.dumps(
            {
                "acknowledged": accepted,
                "seconds": seconds,
                "client_cpu": time.process_time(),
                "memory": memory.told(),
            }
        )
    )


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1]), sys.argv[2], *(int(word) for word in sys.argv[3:6])))
