"""kill -9 of the process that delivers webhooks, under load: nothing is lost, nothing overtakes, repeats are few.

A round is one kill; several rounds meet the same log. Four seeded rounds; ``make chaos`` does fifty (CHAOS_ROUNDS).
"""

import asyncio
import os
import random
import signal
import ssl
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from standardwebhooks.webhooks import Webhook

from mailtypes.clock import SystemClock
from postwright.keyrings import read_key_ring, write_new_key
from postwright.sandbox.authority import Authority
from postwright.services.webhook_endpoints import EndpointChanges, Webhooks
from postwright.store import events
from postwright.store.database import Database
from postwright.store.events import NewEvent
from postwright.store.tables import metadata
from postwright.store.workspaces import create_workspace

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "4"))
ROOT = Path(__file__).resolve().parents[2]
EVENTS, BATCH, KILLS = 1500, 50, min(5, ROUNDS)
LEASE_SECONDS = 5  # longer than a busy machine keeps a process waiting: a turn that is lost is repeated, too
PROCESS = """
import asyncio, random, sys
from pathlib import Path
from dns_checks.testing import Zone
from mailtypes.clock import SECOND, SystemClock
from postwright.keyrings import read_key_ring
from postwright.outbound_http import HttpPolicy, OutboundHttp
from postwright.services.webhook_deliveries import DeliveryTerms, WebhookDeliveries
from postwright.store.database import Database

class Resolver:
    zone = Zone.parse("hooks.acme.test. A 127.0.0.1\\n")
    async def ask(self, question):
        return self.zone.answer(question)

async def main(folder, port, lease):
    clock = SystemClock()
    database = Database(f"sqlite:///{folder / 'postwright.db'}", clock)
    policy = HttpPolicy(allow_private=True, ca_file=folder / "ca" / "root.pem", port=port)
    http = OutboundHttp(Resolver(), policy)
    ring = read_key_ring(folder / "master.key")
    terms = DeliveryTerms(lease=lease * SECOND)
    deliveries = WebhookDeliveries(database, clock, http, ring, random.Random(), terms)
    print("ready", flush=True)
    while True:
        deliveries.begin()
        await asyncio.sleep(0.02)

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
"""


class Target:
    """Takes webhooks over TLS; every one that it has acknowledged is in ``acknowledged``, in the order of coming."""

    def __init__(self, secret: str) -> None:
        self.verifier = Webhook(secret)
        self.acknowledged: list[tuple[str, int]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n")
                fields = (line.split(": ", 1) for line in head[1:] if ": " in line)
                headers = {name.lower(): value for name, value in fields}
                payload = self.verifier.verify(await reader.readexactly(int(headers["content-length"])), headers)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
                self.acknowledged.append((payload["data"]["id"], payload["data"]["details"]["n"]))
        except (EOFError, OSError):
            pass
        finally:
            writer.transport.abort()


def _begin(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(folder), str(port), str(LEASE_SECONDS)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    return process


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout
    process.stdout.close()


async def _happen(database: Database, workspace: int, clock: SystemClock) -> None:
    """The log grows while webhooks are delivered and processes die."""
    for at in range(0, EVENTS, BATCH):
        now = clock.now()
        made = [NewEvent(workspace, "domain_drift", now, data={"n": number}) for number in range(at, at + BATCH)]
        await database.write(partial(events.append, events=made, now=now))
        await asyncio.sleep(0.05)


async def _count(database: Database, workspace: int, clock: SystemClock) -> None:
    """The watermark moves on, as the scheduler moves it."""
    while True:
        await database.write(partial(events.roll_up, workspace_id=workspace, now=clock.now()))
        await asyncio.sleep(0.1)


@pytest.mark.chaos
@pytest.mark.parametrize("number", range(ROUNDS // KILLS))
async def test_what_happened_is_told_whoever_dies(number: int, tmp_path: Path, told: Any) -> None:
    chance, clock = random.Random(number), SystemClock()
    engine = create_engine(f"sqlite:///{tmp_path / 'postwright.db'}")
    metadata.create_all(engine)
    with engine.begin() as connection:
        workspace = create_workspace(connection, "main", clock.now())
    write_new_key(tmp_path / "master.key")
    issued = Authority(tmp_path / "ca", clock).issue(("hooks.acme.test",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate_path, issued.key_path)
    database = Database(f"sqlite:///{tmp_path / 'postwright.db'}", clock)
    service = Webhooks(database, clock, read_key_ring(tmp_path / "master.key"), lambda _: None)
    made, secret = await service.create(workspace, EndpointChanges("https://hooks.acme.test/in", "", ["domain_drift"]))
    target = Target(secret)
    server = await asyncio.start_server(target.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    happening = asyncio.create_task(_happen(database, workspace, clock))
    counting = asyncio.create_task(_count(database, workspace, clock))
    process = await asyncio.to_thread(_begin, tmp_path, port)
    try:
        for kill in range(1, KILLS + 1):
            had = len(target.acknowledged)
            await _until(partial(_has_more, target, had))
            await asyncio.sleep(chance.uniform(0, 0.3))
            _end(process)
            if number or kill < KILLS:  # once the lease has to run out by itself
                with engine.begin() as connection:
                    connection.execute(text("UPDATE webhook_endpoint SET lease_until = 0"))
            process = await asyncio.to_thread(_begin, tmp_path, port)
        await happening
        await _until(lambda: _reached(engine, made.endpoint.id) == EVENTS)
    finally:
        _end(process)
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)
        server.close()
        await database.close()
    _check(target.acknowledged)
    told({"kills while webhooks are delivered": KILLS, "events told": EVENTS})
    engine.dispose()


def _has_more(target: Target, had: int) -> bool:
    return len(target.acknowledged) > had


async def _until(is_so: Any) -> None:
    deadline = time.monotonic() + 40
    while not is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def _reached(engine: Any, endpoint: int) -> int:
    question = "SELECT count(*) FROM webhook_delivery WHERE state = 'delivered' AND endpoint_id = :id"
    with engine.connect() as connection:
        return int(connection.execute(text(question), {"id": endpoint}).scalar_one())


def _check(acknowledged: list[tuple[str, int]]) -> None:
    """Each is there; it goes back only after a death, and then by no more than a second's worth."""
    numbers = [one for _, one in acknowledged]
    assert set(numbers) == set(range(EVENTS))
    assert len({webhook_id for webhook_id, _ in acknowledged}) == EVENTS  # repeats have the same id
    backwards = [place for place in range(1, len(numbers)) if numbers[place] <= numbers[place - 1]]
    assert len(backwards) <= KILLS
    assert all(numbers[place] == numbers[place - 1] + 1 for place in range(1, len(numbers)) if place not in backwards)
