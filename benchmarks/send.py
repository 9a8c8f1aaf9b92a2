"""How many personalised, RSA-2048-signed messages of about 29 KB one delivery process gets delivered in a second.

    python benchmarks/send.py --recipients 20000

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
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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


class OwnSink:
    """``benchmarks/sink.py`` in a process of its own."""

    name = "benchmarks/sink.py"

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("sink.py")), "--keep", str(_KEPT), "--into", str(folder)],
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

    def __init__(self, folder: Path) -> None:
        program = shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            sys.exit("smtp-sink is not installed; it comes with Postfix.")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
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
        # "sess=30 quit=30 mesg=20000", written over itself.
        counts = [int(number) for number in re.findall(rb"mesg=(\d+)", self._log.read_bytes())]
        return Taken(max(counts, default=0), None, None)


_SINKS = {"own": OwnSink, "smtp-sink": PostfixSink}


async def run(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """One measurement in an empty folder."""
    zones = folder / "zones"
    zones.mkdir()
    for name, content in stage.zones().items():
        publish_zone(zones, name, content)
    name_server = NameServer(ZoneDirectory(zones))
    sink = _SINKS[options.sink](folder)
    try:
        ports = stage.Ports(await name_server.start(), sink.port, options.threads)
        ready = await stage.make_ready(folder, options.recipients, ports, options.database)
        before = _limits(folder)
        engine = create_engine(read_url(ready.settings.database.url))
        with engine.connect() as connection:
            measured = await _deliver(folder, connection, ready.run_id, sink.process.pid)
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
        "sink": sink.name,
        "recipients": options.recipients,
        "sink_counted": taken.messages,
        "connections": taken.connections,
        "message_octets": round(taken.octets / taken.messages) if taken.octets else None,
        "dkim_valid": verified,
        "scheduling_seconds": round(ready.scheduling, 3),
        "signing_threads": options.threads,
        **measured,
        "rsa_2048_one_thread": [before[0], after[0]],
        "rsa_2048_two_threads": [before[1], after[1]],
        "fsync_a_second": [before[2], after[2]],
    }


def _limits(folder: Path) -> tuple[int, int, int]:
    return round(machine.rsa_rate(1)), round(machine.rsa_rate(2)), round(machine.fsync_rate(folder))


async def _deliver(folder: Path, connection: Connection, run_id: int, sink_pid: int) -> dict[str, object]:
    """Start the delivery process and wait until nothing is on its way."""
    worker = subprocess.Popen(  # noqa: ASYNC220 - begun once, before anything waits
        [sys.executable, "-m", "postwright", "serve", "--no-prepare", "--follow-parent", "--role", "deliver"],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        env={**os.environ, CONFIG_VARIABLE: str(folder / "postwright.toml"), "PYTHONPATH": str(_ROOT)},
    )
    try:
        # What a process does before its first message (imports, above all) is told apart.
        await _until(worker, connection, lambda found: found != _WAITING, 0.02)
        started, sink_before, own_before = machine.used(worker.pid), machine.used(sink_pid), time.process_time()
        await _until(worker, connection, lambda found: not any(found), 0.1)
        ended = time.time()  # within 0.1 s of the last commit
        worker_used, sink_used = machine.used(worker.pid), machine.used(sink_pid)
        own = time.process_time() - own_before
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    row = connection.execute(
        text(
            "SELECT min(first_attempt_at), count(*) FILTER (WHERE state = 'delivered') FROM delivery WHERE run_id = :id"
        ),
        {"id": run_id},
    ).one()
    seconds = ended - int(row[0]) / 1_000_000
    return {
        "delivered": int(row[1]),
        "seconds": round(seconds, 3),
        "messages_a_second": round(int(row[1]) / seconds, 1),
        "cpu_seconds": {
            "delivery": round(worker_used.cpu - started.cpu, 2),
            "delivery_start": round(started.cpu, 2),
            "sink": round(sink_used.cpu - sink_before.cpu, 2),
            "benchmark": round(own, 2),
        },
        "delivery_peak_mb": round(worker_used.memory, 1),
    }


_UNDER_WAY = (
    "state IN ('ready', 'deferred')",
    "state IN ('leased', 'transmitting')",
    "state = 'ambiguous'",
)
"""As the partial indexes have it, so that looking costs nothing."""
_WAITING = [True, False, False]


async def _until(
    worker: "subprocess.Popen[bytes]", connection: Connection, is_it: Callable[[list[bool]], bool], every: float
) -> None:
    """Look every so many seconds which of ``_UNDER_WAY`` there are, until ``is_it`` says so."""
    while True:
        found = [
            connection.execute(text(f"SELECT 1 FROM delivery WHERE {states} LIMIT 1")).first() is not None
            for states in _UNDER_WAY
        ]
        connection.rollback()
        if is_it(found):
            return
        if worker.poll() is not None:
            sys.exit(f"the delivery process ended with status {worker.returncode}")
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
    """The result as a table."""
    table = Table(title="Composed, signed, delivered", show_header=False)
    for name, value in result.items():
        words = ", ".join(f"{key} {part}" for key, part in value.items()) if isinstance(value, dict) else str(value)
        table.add_row(name.replace("_", " "), words)
    Console().print(table)


def main() -> int:
    """Measure, print, and fail where the counts differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipients", type=int, default=20_000)
    parser.add_argument("--sink", choices=_SINKS, default="own")
    parser.add_argument("--threads", type=int, default=2, help="signing threads (deliver.signing_threads)")
    parser.add_argument("--database", default="sqlite:///data/bench.db", help="the URL of an empty database")
    parser.add_argument("--folder", type=Path, default=None, help="where to make the working folder (on a real disk)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="postwright-bench-", dir=options.folder) as name:
        result = asyncio.run(asyncio.wait_for(run(options, Path(name)), _LONGEST))
    print(json.dumps(result, indent=2)) if options.json else show(result)
    counts = {result["recipients"], result["delivered"], result["sink_counted"]}
    if len(counts) != 1 or (options.sink == "own" and result["dkim_valid"] != f"{_KEPT} of {_KEPT}"):
        print("The counts differ, or a signature is not valid.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
