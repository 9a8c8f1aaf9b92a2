"""How many pixels and clicks one process of the role `track` answers, with every visit on the disk.

    python benchmarks/opens_and_clicks.py

The real thing: `postwright serve --role track` in a process of its own, SQLite with ``synchronous=FULL`` and the
journal on disk, `wrk` (apt-get install wrk) over loopback with genuine tokens of many recipients in a drawn order. A
click is answered after its sync. Afterwards what the database and the journal have is counted against the answers. CPU
seconds are the server process's, so "a second and core" says what one core does when it has nothing else to do.
"""

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

# This file is called like the package that it measures; the folder of the benchmarks has to stand behind the root.
sys.path.append(sys.path.pop(0))

import machine
import stage
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, create_engine, text

from mailtypes.clock import HOUR, SystemClock
from postwright.install.initialise import initialise
from postwright.sandbox.ports import free_ports
from postwright.services.engagement_records import VisitKind
from postwright.settings import CONFIG_VARIABLE, Settings, read_settings
from postwright.store import campaigns
from postwright.store.database import read_url
from postwright.store.public_ids import delivery_id
from postwright.track.journal import HEADER_OCTETS, decode
from postwright.wiring.application import Application
from tracking.tokens import TokenKind, make

_ROOT = Path(__file__).resolve().parent.parent
_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
_CONFIG = """\
log_level = "warning"

[database]
url = "sqlite:///bench.db"

[track]
hostname = "track.postwright.test"
port = {port}
processes = {processes}
"""
# Each request another recipient's token.
_LUA = """\
local paths = {{}}
for line in io.lines("{file}") do paths[#paths + 1] = line end
math.randomseed(os.time())
request = function()
  return wrk.format("GET", paths[math.random(#paths)])
end
"""


@dataclass(frozen=True)
class Figure:
    """What `wrk` said of one run, and what the server used for it."""

    name: str
    aim: str
    connections: int
    answered: int
    seconds: float
    p50: float
    p99: float
    errors: int
    cpu: float
    recorded: int
    waiting: int
    dropped: int
    memory: float

    @property
    def a_second(self) -> float:
        """As the clock on the wall has it."""
        return self.answered / self.seconds

    @property
    def a_core(self) -> float:
        """For each second that the server computed while it was asked."""
        return self.answered / self.cpu if self.cpu else 0.0


async def make_install(folder: Path, recipients: int, kind: VisitKind, processes: int) -> tuple[Settings, list[str]]:
    """A run whose mail was delivered an hour ago; gives the settings and the paths of its pixels or links."""
    (port,) = free_ports(1)
    config = folder / "postwright.toml"
    config.write_text(_CONFIG.format(port=port, processes=processes), encoding="utf-8")
    clock = SystemClock()
    done = await initialise(config, "bench@acme.test", "bench", clock)
    settings = read_settings(config)
    application = Application.open(settings)
    try:
        await stage.verified_domain(application, done.workspace_id)
        list_id = await stage.fill_list(application, done.workspace_id, recipients)
        _, run_id = await stage.send_campaign(application, done.workspace_id, list_id)
        while await application.scheduler.prepare(await stage.run_of(application, run_id)):
            pass
        then = clock.now() - HOUR

        def deliver(connection: Connection) -> None:
            connection.execute(text("UPDATE delivery SET state = 'delivered', settled_at = :then"), {"then": then})
            connection.execute(text("UPDATE run SET state = 'finished'"))

        await application.database.write(deliver)
        links = sorted(
            {number for _, number in await application.database.read(partial(campaigns.links_of, run_id=run_id))}
        )
        keys = application.token_keys
        ids = [delivery_id(run_id, number) for number in range(1, recipients + 1)]
        if kind is VisitKind.OPEN:
            paths = [f"/o/{make(TokenKind.PIXEL, one, 0, keys)}.gif" for one in ids]
        else:
            paths = [f"/c/{make(TokenKind.CLICK, one, random.choice(links), keys)}" for one in ids]
    finally:
        await application.close()
    return settings, paths


@contextmanager
def served(folder: Path, settings: Settings) -> Iterator["list[subprocess.Popen[bytes]]"]:
    """The role in as many processes of its own as are set."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "postwright", "serve", "--no-prepare", "--follow-parent", "--role", "track"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            env={**os.environ, CONFIG_VARIABLE: str(folder / "postwright.toml"), "PYTHONPATH": str(_ROOT)},
        )
        for _ in range(settings.track.processes)
    ]
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", settings.track.port)) == 0:
                    break
            time.sleep(0.05)
        time.sleep(1 + 2 * (len(processes) - 1))  # link tables are read now, and the others begin to listen
        yield processes
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(60)


def load(folder: Path, settings: Settings, paths: list[str], options: tuple[int, int]) -> dict[str, float]:
    """Run `wrk`; (connections, seconds)."""
    connections, seconds = options
    listed, script = folder / "paths.txt", folder / "load.lua"
    listed.write_text("\n".join(paths), encoding="ascii")
    script.write_text(_LUA.format(file=listed), encoding="utf-8")
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--latency",
        "-s",
        str(script),
        "-H",
        f"User-Agent: {_AGENT}",
    ]
    said = subprocess.run(
        [*command, f"http://127.0.0.1:{settings.track.port}"], capture_output=True, text=True, check=True, timeout=120
    ).stdout
    requests = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", said)
    assert requests, said
    factor = {"ms": 0.001, "s": 1.0, "m": 60.0}
    found = {"answered": float(requests[1]), "seconds": float(requests[2]) * factor[requests[3]]}
    for name, share in (("p50", "50%"), ("p99", "99%")):
        latency = re.search(rf"{share}\s+([\d.]+)(us|ms|s)", said)
        assert latency, said
        found[name] = float(latency[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[latency[2]]
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    found["errors"] = sum(map(int, [*(wrong.groups() if wrong else ()), *(broken.groups() if broken else ())]))
    return found


def metric(settings: Settings, name: str) -> float:
    """The sum of a metric over its labels."""
    with socket.create_connection(("127.0.0.1", settings.track.port)) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(partial(connection.recv, 65536), b"")).decode()
    return sum(float(line.split()[-1]) for line in answer.splitlines() if re.match(rf"{name}(\{{| )", line))


def count(settings: Settings, kind: str) -> int:
    """How many events of a kind the database has."""
    engine = create_engine(read_url(settings.database.url))
    try:
        with engine.connect() as connection:
            asked = text("SELECT count(*) FROM event WHERE kind = :kind")
            return int(connection.execute(asked, {"kind": kind}).scalar_one())
    finally:
        engine.dispose()


def waiting(folder: Path, settings: Settings, kind: VisitKind) -> int:
    """How many visits of a kind are on the disk and not in the database, once the server has ended."""
    engine = create_engine(read_url(settings.database.url))
    with engine.connect() as connection:
        taken = {str(row[0]): int(row[1]) for row in connection.execute(text("SELECT id, taken FROM track_journal"))}
    engine.dispose()
    found = 0
    for file in (folder / "track").glob("*.journal"):
        visits, _ = decode(file.read_bytes()[taken.get(file.stem, HEADER_OCTETS) :], sys.maxsize)
        found += sum(one.kind is kind for one in visits)
    return found


def measure(folder: Path, options: argparse.Namespace) -> Iterator[Figure]:
    """Pixels and clicks, each with an install of its own."""
    for name, aim, event, kind in (
        ("pixels", "20,000 a second and core, p99 under 10 ms", "opened", VisitKind.OPEN),
        ("clicks", "3,000 a second, each synced", "clicked", VisitKind.CLICK),
    ):
        if name not in options.only:
            continue
        for connections in options.connections:
            place = folder / f"{name}-{connections}"
            place.mkdir()
            settings, paths = asyncio.run(make_install(place, options.recipients, kind, options.processes))
            with served(place, settings) as processes:
                before = [machine.used(one.pid) for one in processes]
                said = load(place, settings, paths, (connections, options.seconds))
                after = [machine.used(one.pid) for one in processes]
                dropped = int(metric(settings, "postwright_track_dropped_total"))
            yield Figure(
                name,
                aim,
                connections,
                int(said["answered"]),
                said["seconds"],
                said["p50"],
                said["p99"],
                int(said["errors"]),
                sum(one.cpu for one in after) - sum(one.cpu for one in before),
                count(settings, event),
                waiting(place, settings, kind),
                dropped,
                sum(one.memory for one in after),
            )


def show(about: dict[str, object], figures: list[Figure]) -> None:
    """The results as a table."""
    columns = (
        "",
        "aim",
        "conn.",
        "a second",
        "and core",
        "p50 ms",
        "p99 ms",
        "errors",
        "answered",
        "in database",
        "on disk",
        "dropped",
        "MB",
    )
    table = Table(*columns, title="Tracking, SQLite and journal on disk")
    for one in figures:
        numbers = (one.a_second, one.a_core)
        table.add_row(
            one.name, one.aim, str(one.connections), *(f"{number:,.0f}" for number in numbers), f"{one.p50:.2f}",
            f"{one.p99:.2f}", str(one.errors), f"{one.answered:,}", f"{one.recorded:,}", f"{one.waiting:,}",
            f"{one.dropped:,}", f"{one.memory:.0f}",
        )  # fmt: skip
    Console(width=200).print(table)
    print(f"fsyncs of 4 KB a second, before and after: {about['fsync_a_second']}; {about['machine']}")


def main() -> int:
    """Measure, print, and fail where a click that was answered is not in the database."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipients", type=int, default=50_000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, nargs="+", default=[64])
    parser.add_argument("--processes", type=int, default=1, help="tracking processes that share the port")
    parser.add_argument("--only", nargs="*", choices=("pixels", "clicks"), default=("pixels", "clicks"))
    parser.add_argument("--folder", type=Path, default=None, help="where to make the working folder (on a real disk)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    with tempfile.TemporaryDirectory(prefix="postwright-bench-", dir=options.folder) as name:
        rates = [round(machine.fsync_rate(Path(name)))]
        figures = list(measure(Path(name), options))
        rates.append(round(machine.fsync_rate(Path(name))))
    about: dict[str, object] = {
        "benchmark": "tracking",
        "machine": machine.describe(),
        "fsync_a_second": rates,
    }
    if options.json:
        rows = [{**asdict(one), "a_second": round(one.a_second), "a_core": round(one.a_core)} for one in figures]
        print(json.dumps({**about, "figures": rows}, indent=2))
    else:
        show(about, figures)
    lost = [one for one in figures if one.recorded + one.waiting + one.dropped < one.answered]
    for one in lost:
        print(f"{one.name}: {one.answered} answered, {one.recorded + one.waiting} kept", file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
