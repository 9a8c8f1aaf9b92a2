"""How many personalised, RSA-2048-signed messages of about 29 KB get delivered in a second.

    python benchmarks/send.py --recipients 20000 --workers 2
    python benchmarks/send.py --series

A series is the table of docs/performance.md: one process and two, in clear text and with STARTTLS, to a sink of our
own and to Postfix's, and 200 connections to a sink whose every answer takes 50 ms.

The real thing on both sides of the measurement: contacts in a list, a campaign sent and scheduled by the services,
`postwright serve --role deliver` in a process of its own, SQLite with ``synchronous=FULL`` on disk. The sink is another
process on loopback and shares the machine. All recipients are scheduled before the delivery process starts.

The clock runs from the first message that is composed until the database says that the last outcome is durable.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dkim
import machine
import stage
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, create_engine, text

from postwright.sandbox.nameserver import NameServer
from postwright.sandbox.zones import ZoneDirectory, publish_zone
from postwright.settings import CONFIG_VARIABLE
from postwright.store.database import read_url

_KEPT = 5
_LONGEST = 900.0
_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Taken:
    """What a sink counted; ``octets`` is ``None`` where it does not count them."""

    messages: int
    octets: int | None
    connections: int | None


@dataclass(frozen=True)
class Shape:
    """One measurement: to whom, by how many processes, and how."""

    sink: str = "own"
    workers: int = 1
    tls: bool = False
    delay: float = 0.0  # seconds that each answer of the sink takes
    connections: int = 30  # of one process, to all three destinations together
    threads: int = 1

    def __str__(self) -> str:
        words = [f"{self.workers} process{'es' if self.workers > 1 else ''}", "STARTTLS" if self.tls else "clear text"]
        if self.delay:
            words += [f"{self.connections * self.workers} connections", f"answers after {self.delay * 1000:.0f} ms"]
        return ", ".join([*words, f"to {self.sink}"])


class OwnSink:
    """``benchmarks/sink.py`` in a process of its own."""

    name = "benchmarks/sink.py"

    def __init__(self, folder: Path, shape: "Shape") -> None:
        manner = ["--delay", str(shape.delay), *(["--tls", str(folder)] if shape.tls else [])]
        kept = ["--keep", str(_KEPT), "--into", str(folder)]
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("sink.py")), *kept, *manner],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def close(self) -> Taken:
        """End it; what it counted."""
        said, _ = self.process.communicate(timeout=30)
        return Taken(**json.loads(said.splitlines()[-1]))


class PostfixSink:
    """Postfix's ``smtp-sink``, which counts on its standard output (``-c``)."""

    name = "smtp-sink"

    def __init__(self, folder: Path, shape: "Shape", port: int | None = None) -> None:
        if shape.tls or shape.delay:
            sys.exit("smtp-sink speaks no TLS and takes no time; use --sink own.")
        program = shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            sys.exit("smtp-sink is not installed; it comes with Postfix.")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1]) if port is None else port
        # Run by root it wants a user to become.
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        self._log = folder / "smtp-sink.out"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen([program, *user, "-c", f"127.0.0.1:{self.port}", "500"], stdout=log)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        sys.exit("smtp-sink did not start")

    def close(self) -> Taken:
        """End it; what it counted."""
        time.sleep(0.5)
        self.process.terminate()
        self.process.wait(30)
        return Taken(self.counted(), None, None)

    def counted(self) -> int:
        """How many messages it has taken so far."""
        # "sess=30 quit=30 mesg=20000", written over itself; the last one may be half written.
        with self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - 400))
            counts = [int(number) for number in re.findall(rb"mesg=(\d+)\s", log.read())]
        return max(counts, default=0)


_SINKS: dict[str, type[OwnSink] | type[PostfixSink]] = {"own": OwnSink, "smtp-sink": PostfixSink}


async def run(options: argparse.Namespace, shape: Shape, folder: Path) -> dict[str, object]:
    """One measurement in an empty folder."""
    zones = folder / "zones"
    zones.mkdir()
    for name, content in stage.zones().items():
        publish_zone(zones, name, content)
    name_server = NameServer(ZoneDirectory(zones))
    sink = _SINKS[shape.sink](folder, shape)
    try:
        connections = -(-shape.connections // stage.DESTINATIONS)
        batch = 100 if shape.connections <= 50 else 25  # every connection shall get some
        ports = stage.Ports(await name_server.start(), sink.port, shape.threads, connections, batch)
        ready = await stage.make_ready(folder, options.recipients, ports, options.database)
        before = _limits(folder)
        engine = create_engine(read_url(ready.settings.database.url))
        with engine.connect() as connection:
            measured = await _deliver(folder, connection, ready.run_id, sink.process.pid, shape.workers)
            key = connection.execute(text("SELECT selector, public_record FROM dkim_key")).one()
        engine.dispose()
        after = _limits(folder)
    except BaseException:
        sink.process.kill()
        raise
    finally:
        await name_server.close()
    taken = sink.close()
    verified = _verified(folder, str(key[0]), str(key[1]))
    return {
        "benchmark": "send",
        "machine": machine.describe(),
        "database": read_url(ready.settings.database.url).get_backend_name(),
        "shape": str(shape),
        "sink": sink.name,
        "processes": shape.workers,
        "recipients": options.recipients,
        "sink_counted": taken.messages,
        "connections": taken.connections,
        "message_octets": round(taken.octets / taken.messages) if taken.octets else None,
        "dkim_valid": verified,
        "scheduling_seconds": round(ready.scheduling, 3),
        "signing_threads": shape.threads,
        **measured,
        "rsa_2048_one_thread": [before[0], after[0]],
        "rsa_2048_two_threads": [before[1], after[1]],
        "rsa_2048_eight_at_a_time": [before[3], after[3]],
        "fsync_a_second": [before[2], after[2]],
    }


def _limits(folder: Path) -> tuple[int, int, int, int | None]:
    together = machine.multi_buffer_rate()
    fsyncs = round(machine.fsync_rate(folder))
    return round(machine.rsa_rate(1)), round(machine.rsa_rate(2)), fsyncs, together and round(together)


async def _deliver(folder: Path, connection: Connection, run_id: int, sink_pid: int, number: int) -> dict[str, object]:
    """Start the delivery processes and wait until nothing is on its way."""
    workers = _begin(folder, number)
    signatures: list[float] = []

    def sample() -> None:
        # CPU time of a signature while all this goes on: what the machine makes of it, beside what we make of it.
        signatures.append(machine.rsa_cpu())

    try:
        # What a process does before its first message (imports, above all) is told apart.
        await _until(workers, connection, lambda found: found != _WAITING, (0.02, lambda: None))
        started = [machine.used(worker.pid) for worker in workers]
        sink_before, own_before = machine.used(sink_pid), time.process_time()
        await _until(workers, connection, lambda found: not any(found), (0.1, sample))
        ended = time.time()  # within 0.1 s of the last commit
        used, sink_used = [machine.used(worker.pid) for worker in workers], machine.used(sink_pid)
        own = time.process_time() - own_before
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.wait(60)
    row = connection.execute(
        text(
            "SELECT min(first_attempt_at), count(*) FILTER (WHERE state = 'delivered') FROM delivery WHERE run_id = :id"
        ),
        {"id": run_id},
    ).one()
    seconds, delivered = ended - int(row[0]) / 1_000_000, int(row[1])
    cpu = sum(after.cpu - before.cpu for after, before in zip(used, started, strict=True))
    return {
        "delivered": delivered,
        "seconds": round(seconds, 3),
        "messages_a_second": round(delivered / seconds, 1),
        "cpu_ms_a_message": {
            "delivery": round(cpu / delivered * 1000, 3),
            "of_which_rsa_2048": round(statistics.median(signatures) * 1000, 3) if signatures else None,
            "sink": round((sink_used.cpu - sink_before.cpu) / delivered * 1000, 3),
            "benchmark": round(own / delivered * 1000, 3),
        },
        "cpu_seconds_to_start": round(sum(each.cpu for each in started), 2),
        "peak_mb_a_process": round(max(each.memory for each in used), 1),
    }


def _begin(folder: Path, number: int) -> "list[subprocess.Popen[bytes]]":
    """Delivery processes as ``postwright serve`` begins them: where each core has one, it stays there."""
    cores = sorted(os.sched_getaffinity(0))
    workers = []
    for each in range(number):
        workers.append(
            subprocess.Popen(
                [sys.executable, "-m", "postwright", "serve", "--no-prepare", "--follow-parent", "--role", "deliver"],
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                env={
                    "MALLOC_ARENA_MAX": "2",
                    **os.environ,
                    CONFIG_VARIABLE: str(folder / "postwright.toml"),
                    "PYTHONPATH": str(_ROOT),
                },
            )
        )
        if 1 < len(cores) <= number:
            os.sched_setaffinity(workers[-1].pid, {cores[each % len(cores)]})
    return workers


_UNDER_WAY = (
    ("ix_delivery_due", "state IN ('ready', 'deferred')"),
    ("ix_delivery_leased", "state IN ('leased', 'transmitting')"),
    ("ix_delivery_ambiguous", "state = 'ambiguous'"),
)
"""Partial indexes and what is in them. SQLite is told which to take, or it reads a whole other one each time."""
_WAITING = [True, False, False]


async def _until(
    workers: "list[subprocess.Popen[bytes]]",
    connection: Connection,
    is_it: Callable[[list[bool]], bool],
    pause: tuple[float, Callable[[], None]],
) -> None:
    """Look every so many seconds which of ``_UNDER_WAY`` there are, until ``is_it`` says so."""
    every, meanwhile = pause
    hint = "INDEXED BY %s" if connection.dialect.name == "sqlite" else "/* %s */"
    while True:
        found = [
            connection.execute(text(f"SELECT 1 FROM delivery {hint % index} WHERE {states} LIMIT 1")).first()
            is not None
            for index, states in _UNDER_WAY
        ]
        connection.rollback()
        if is_it(found):
            return
        for worker in workers:
            if worker.poll() is not None:
                sys.exit(f"a delivery process ended with status {worker.returncode}")
        meanwhile()
        await asyncio.sleep(every)


def _verified(folder: Path, selector: str, record: str) -> str:
    """How many of the messages that the sink kept are valid for dkimpy."""
    kept = sorted(folder.glob("*.eml"))
    name = f"{selector}._domainkey.{stage.SENDER}."

    def published(asked: bytes, timeout: int = 5) -> bytes:  # noqa: ARG001 - the signature is dkimpy's
        return record.encode() if asked.decode() == name else b""

    valid = sum(dkim.verify(file.read_bytes(), dnsfunc=published) for file in kept)
    return f"{valid} of {len(kept)}"


def show(result: dict[str, object]) -> None:
    """One result as a table."""
    table = Table(title="Composed, signed, delivered", show_header=False)
    for name, value in result.items():
        words = ", ".join(f"{key} {part}" for key, part in value.items()) if isinstance(value, dict) else str(value)
        table.add_row(name.replace("_", " "), words)
    Console().print(table)


def show_all(results: list[dict[str, Any]]) -> None:
    """A series as a table."""
    first = results[0]
    title = f"Composed, signed, delivered: {first['message_octets']} octets, {first['database']}, {first['machine']}"
    table = Table(title=title)
    for name in (
        "",
        "a second",
        "CPU ms each",
        "RSA of it",
        "sink",
        "MB",
        "raw RSA 1 / 2 threads; by 8",
        "fsyncs a second",
    ):
        table.add_column(name)
    for result in results:
        cpu = result["cpu_ms_a_message"]
        table.add_row(
            result["shape"],
            f"{result['messages_a_second']:.0f}",
            *(str(cpu[name]) for name in ("delivery", "of_which_rsa_2048", "sink")),
            f"{result['peak_mb_a_process']:.0f}",
            f"{result['rsa_2048_one_thread'][0]} / {result['rsa_2048_two_threads'][0]}; "
            f"{result['rsa_2048_eight_at_a_time'][0]}",
            str(result["fsync_a_second"][0]),
        )
    Console(width=160).print(table)


def series() -> list[Shape]:
    """What ``--series`` measures."""
    shapes = [Shape(workers=workers, tls=tls) for tls in (False, True) for workers in (1, 2)]
    if shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin:/usr/local/sbin"):
        shapes += [Shape("smtp-sink", workers) for workers in (1, 2)]
    return [*shapes, Shape(workers=2, tls=True, delay=0.05, connections=100)]


def measure(options: argparse.Namespace, shape: Shape) -> dict[str, object]:
    """One measurement in a folder of its own; ends the program where the counts differ."""
    with tempfile.TemporaryDirectory(prefix="postwright-bench-", dir=options.folder) as name:
        result = asyncio.run(asyncio.wait_for(run(options, shape, Path(name)), _LONGEST))
    counts = {result["recipients"], result["delivered"], result["sink_counted"]}
    if len(counts) != 1 or (shape.sink == "own" and result["dkim_valid"] != f"{_KEPT} of {_KEPT}"):
        show(result)
        sys.exit("The counts differ, or a signature is not valid.")
    return result


def main() -> int:
    """Measure and print; fails where the counts differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", action="store_true", help="measure the whole table")
    parser.add_argument("--recipients", type=int, default=None, help="by default 20,000, in a series 6,000 (18,000)")
    parser.add_argument("--sink", choices=_SINKS, default="own")
    parser.add_argument("--workers", type=int, default=1, help="delivery processes (deliver.processes)")
    parser.add_argument("--tls", action="store_true", help="the sink offers STARTTLS")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that each answer of the sink takes")
    parser.add_argument("--connections", type=int, default=30, help="of each process")
    parser.add_argument("--threads", type=int, default=1, help="signing threads (deliver.signing_threads)")
    parser.add_argument("--database", default="sqlite:///data/bench.db", help="the URL of an empty database")
    parser.add_argument("--folder", type=Path, default=None, help="where to make the working folder (on a real disk)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    options.recipients = options.recipients or (6_000 if options.series else 20_000)
    if options.series:
        each = options.recipients
        results = []
        for shape in series():
            options.recipients = 3 * each if shape.delay else each  # many connections need time to be opened
            results.append(measure(options, shape))
        print(json.dumps(results, indent=2)) if options.json else show_all(results)
        return 0
    manner = (options.tls, options.delay, options.connections, options.threads)
    result = measure(options, Shape(options.sink, options.workers, *manner))
    print(json.dumps(result, indent=2)) if options.json else show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
