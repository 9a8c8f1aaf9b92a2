"""How fast webhooks are delivered and events counted: ``python -m benchmarks.webhooks``; SQLite on disk, one process.

Webhooks go over TLS on loopback to a target in the same process, which answers after ``--answer`` milliseconds.
Each is about another recipient. With ``--pairs`` the same is told with one webhook in flight and with several, in turn.
"""

import argparse
import asyncio
import random
import ssl
import tempfile
import time
from functools import partial
from pathlib import Path

from sqlalchemy import create_engine

from dns_checks.testing import Zone
from mailtypes.clock import HOUR, Microseconds, SystemClock
from mailtypes.questions import DnsAnswer, DnsQuestion
from postwright.keyrings import read_key_ring, write_new_key
from postwright.outbound_http import HttpPolicy, OutboundHttp
from postwright.sandbox.authority import Authority
from postwright.services.webhook_deliveries import DeliveryTerms, WebhookDeliveries
from postwright.services.webhook_endpoints import EndpointChanges, Webhooks
from postwright.store import events, statistics
from postwright.store.database import Database
from postwright.store.events import NewEvent
from postwright.store.tables import metadata
from postwright.store.workspaces import create_workspace

RUN = 7


class _Resolver:
    """Every name is this machine."""

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        """Answer from a zone of one name."""
        return Zone.parse(f"{question.name}. A 127.0.0.1\n").answer(question)


class _Later(SystemClock):
    """An hour ahead, so that what was just recorded lies behind the watermark."""

    def now(self) -> Microseconds:
        """The present moment and an hour."""
        return Microseconds(super().now() + HOUR)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
            await reader.readexactly(int(length))
            if seconds:
                await asyncio.sleep(seconds)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
    except (EOFError, OSError):
        writer.close()


def _story(workspace: int, count: int, now: int) -> list[NewEvent]:
    """Deliveries to so many recipients; every fourth opens, every tenth clicks."""
    found = []
    for number in range(count):
        who, place = (RUN << 28) + number, number % 20
        found.append(NewEvent(workspace, "delivered", now, RUN, who, data={"remote": "mx.example.test"}))
        if place % 4 == 0:
            found.append(NewEvent(workspace, "opened", now, RUN, who, data={"verdict": "human", "rule": "x"}))
        if place % 10 == 0:
            found.append(NewEvent(workspace, "clicked", now, RUN, who, data={"link": place, "verdict": "human"}))
    return found


async def _measure(folder: Path, given: argparse.Namespace) -> None:
    clock, url = SystemClock(), f"sqlite:///{folder / 'postwright.db'}"
    engine = create_engine(url)
    metadata.create_all(engine)
    with engine.begin() as connection:
        workspace = create_workspace(connection, "main", clock.now())
    engine.dispose()
    write_new_key(folder / "master.key")
    database = Database(url, clock)
    for _ in range(given.pairs):
        for in_flight in (1, given.in_flight):
            await _tell(folder, database, workspace, given, in_flight)
    await _count(database, workspace, given.recipients)
    await database.close()


async def _tell(folder: Path, database: Database, workspace: int, given: argparse.Namespace, in_flight: int) -> None:
    ring = read_key_ring(folder / "master.key")
    issued = Authority(folder / "ca", SystemClock()).issue([f"h{number}.test" for number in range(given.endpoints)])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate_path, issued.key_path)
    answer = partial(_answer, seconds=given.answer / 1000)
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    policy = HttpPolicy(allow_private=True, ca_file=folder / "ca" / "root.pem", port=server.sockets[0].getsockname()[1])
    async with OutboundHttp(_Resolver(), policy) as http:
        service = Webhooks(database, _Later(), ring, http.check_url)
        made = [
            await service.create(workspace, EndpointChanges(f"https://h{number}.test/", "", ["replied"]))
            for number in range(given.endpoints)
        ]
        later = _Later().now()
        recipients = [(RUN << 28) + number for number in range(given.webhooks)]
        await _record(database, workspace, [NewEvent(workspace, "replied", later, RUN, who) for who in recipients])
        terms = DeliveryTerms(in_flight=in_flight)
        deliveries = WebhookDeliveries(database, _Later(), http, ring, random.Random(1), terms)
        began, burnt = time.perf_counter(), time.process_time()
        told = await deliveries.deliver_due()
        seconds, burnt = time.perf_counter() - began, time.process_time() - burnt
        print(
            f"{told:,} webhooks to {given.endpoints} endpoints, {in_flight} in flight: {told / seconds:,.0f} a second, "
            f"{1000 * burnt / told:.2f} ms of CPU each, the target's included"
        )
        for one in made:
            await service.remove(workspace, one[0].endpoint.id)
    server.close()


async def _count(database: Database, workspace: int, recipients: int) -> None:
    await _record(database, workspace, _story(workspace, recipients, SystemClock().now()))
    began, burnt, counted = time.perf_counter(), time.process_time(), 0
    while more := await database.write(lambda c: statistics.roll_up(c, workspace, limit=300)):
        counted += more
    seconds, burnt = time.perf_counter() - began, time.process_time() - burnt
    rows = await database.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM statistic").scalar_one())
    print(
        f"{counted:,} events counted: {counted / seconds:,.0f} a second, {counted / burnt:,.0f} by CPU time;", end=" "
    )
    print(f"{rows:,} rows")


async def _record(database: Database, workspace: int, wanted: list[NewEvent]) -> None:
    clock = _Later()
    for at in range(0, len(wanted), 2_000):
        part = wanted[at : at + 2_000]
        await database.write(lambda c, part=part: events.append(c, part, clock.now()))  # type: ignore[misc]
    await asyncio.sleep(2.1)  # the watermark stays two seconds behind
    await database.write(lambda c: events.roll_up(c, workspace, clock.now()))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipients", type=int, default=50_000)
    parser.add_argument("--endpoints", type=int, default=1)
    parser.add_argument("--webhooks", type=int, default=1_000)
    parser.add_argument("--in-flight", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--answer", type=float, default=0, help="milliseconds that the target takes to answer")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pw-webhooks-") as folder:
        asyncio.run(_measure(Path(folder), given))


if __name__ == "__main__":
    main()
