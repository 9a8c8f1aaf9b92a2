"""How quickly mail is taken in: by SMTP, recipients of bulks by HTTP, and stored contacts into a run.

    python benchmarks/submit.py

The real thing: `postwright serve --role smtp` and `--role http` in processes of their own, SQLite with
``synchronous=FULL`` on disk (or PostgreSQL), clients in further processes that wait for each answer. What was
acknowledged is counted in the database afterwards. CPU seconds are the server process's, so "a second and core" says
what one core does when it has nothing else to do; with PostgreSQL the database's own processes are not in it.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import machine
import stage
from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, text
from submission_stage import Install, make_install, served

from postwright.store.database import read_url
from postwright.wiring.application import Application

_CONNECTIONS = (1, 10, 50)
_SIZES = (5_000, 30_000)
_LONGEST = 1800.0


@dataclass(frozen=True)
class Figure:
    """One measurement: ``done`` things in ``seconds``, for ``cpu`` seconds of the server."""

    name: str
    aim: str
    done: int
    seconds: float
    cpu: float
    counted: int
    remark: str = ""

    @property
    def a_second(self) -> float:
        """As the clock on the wall has it."""
        return self.done / self.seconds

    @property
    def a_core(self) -> float:
        """For each second that the server computed."""
        return self.done / self.cpu if self.cpu else 0.0

    def as_json(self) -> dict[str, object]:
        """Everything."""
        rates = {"a_second": round(self.a_second), "a_second_and_core": round(self.a_core)}
        return {**asdict(self), **rates, "seconds": round(self.seconds, 3), "cpu": round(self.cpu, 2)}


def by_smtp(install: Install, messages: int) -> Iterator[Figure]:
    """Messages of two sizes over one, ten and fifty connections."""
    with served(install, "smtp") as pid:
        for octets in _SIZES:
            for connections in _CONNECTIONS:
                number = messages if connections > 1 else messages // 4
                words = [install.settings.submission.port, connections, number, octets]
                before, stored = machine.used(pid), _count(install, "message")
                said = _client("smtp_load.py", words, install.key)
                cpu = machine.used(pid).cpu - before.cpu
                aim = "1,500 a core" if octets == _SIZES[0] else "900 a core"
                yield Figure(
                    f"SMTP, {octets // 1000} KB, {connections} connections",
                    aim,
                    int(said["acknowledged"]),
                    said["seconds"],
                    cpu,
                    _count(install, "message") - stored,
                    f"{cpu / said['acknowledged'] * 1000:.2f} ms a message; client {said['client_cpu']:.1f} s",
                )


def by_http(install: Install, recipients: int, streamed: int) -> Iterator[Figure]:
    """Recipients with their own data: in calls of 10,000, then as one stream during which memory is watched."""
    with served(install, "http") as pid:
        for way, number in (("calls", recipients), ("stream", streamed)):
            words = [install.settings.http.port, way, number, install.template_id, pid]
            before, stored = machine.used(pid), _count(install, "delivery")
            said = _client("bulk_load.py", words, install.key)
            cpu = machine.used(pid).cpu - before.cpu
            memory = said["memory"]
            remark = f"resident {memory[0]:.0f} MB at first, {memory[1]:.0f} MB at most in the first tenth,"
            remark += f" {memory[2]:.0f} MB at most after it" if way == "stream" else f" {memory[2]:.0f} MB at most"
            yield Figure(
                f"HTTP, recipients of a bulk, {'one stream' if way == 'stream' else 'calls of 10,000'}",
                "10,000 a second",
                int(said["acknowledged"]),
                said["seconds"],
                cpu,
                _count(install, "delivery") - stored,
                remark,
            )


async def stored_contacts(install: Install, contacts: int) -> Figure:
    """Contacts of a list into a run, as the scheduler prepares it."""
    application = Application.open(install.settings)
    try:
        list_id = await stage.fill_list(application, install.workspace_id, contacts)
        _, run_id = await stage.send_campaign(application, install.workspace_id, list_id)
        run = await stage.run_of(application, run_id)
        stored = _count(install, "delivery")
        begun, cpu, done = time.perf_counter(), time.process_time(), 0
        while number := await application.scheduler.prepare(run):
            done += number
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    finally:
        await application.close()
    counted = _count(install, "delivery") - stored
    return Figure("stored contacts into a run", "80,000 a second", done, seconds, cpu, counted)


def _client(program: str, words: Sequence[object], key: str) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).with_name(program)), *map(str, words)]
    ended = subprocess.run(command, input=key, stdout=subprocess.PIPE, text=True, timeout=_LONGEST, check=False)
    if ended.returncode:
        sys.exit(f"{program} ended with status {ended.returncode}")
    said: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return said


def _count(install: Install, name: str) -> int:
    engine = create_engine(read_url(install.settings.database.url))
    try:
        with engine.connect() as connection:
            return int(connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one())
    finally:
        engine.dispose()


def measure(options: argparse.Namespace, folder: Path) -> tuple[dict[str, object], list[Figure]]:
    """Everything, in an empty folder."""
    install = asyncio.run(make_install(folder, options.database))
    rates = [round(machine.fsync_rate(folder))]
    figures: list[Figure] = []
    parts: dict[str, Callable[[], Iterator[Figure]]] = {
        "smtp": lambda: by_smtp(install, options.messages),
        "http": lambda: by_http(install, options.recipients, options.streamed),
        "contacts": lambda: iter([asyncio.run(stored_contacts(install, options.contacts))]),
    }
    for name, part in parts.items():
        if name in options.only:
            figures += part()
    rates.append(round(machine.fsync_rate(folder)))
    about: dict[str, object] = {
        "benchmark": "submit",
        "machine": machine.describe(),
        "database": read_url(install.settings.database.url).get_backend_name(),
        "fsync_a_second": rates,
    }
    return about, figures


def show(about: dict[str, object], figures: Sequence[Figure]) -> None:
    """The results as a table."""
    table = Table(
        "", "aim", "acknowledged", "a second", "a second and core", "", title=f"Taken in, {about['database']}"
    )
    for one in figures:
        table.add_row(one.name, one.aim, f"{one.done:,}", f"{one.a_second:,.0f}", f"{one.a_core:,.0f}", one.remark)
    Console(width=180).print(table)
    print(f"fsyncs of 4 KB a second, before and after: {about['fsync_a_second']}; {about['machine']}")


def main() -> int:
    """Measure, print, and fail where the database has not what was acknowledged."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=4_000, help="by SMTP, each time (a quarter by one connection)")
    parser.add_argument("--recipients", type=int, default=50_000, help="of a bulk, in calls of 10,000")
    parser.add_argument("--streamed", type=int, default=200_000, help="of a bulk, in one stream; a million: 1000000")
    parser.add_argument("--contacts", type=int, default=200_000, help="on the list of a campaign")
    parser.add_argument("--only", nargs="*", choices=("smtp", "http", "contacts"), default=("smtp", "http", "contacts"))
    parser.add_argument("--database", default="sqlite:///data/bench.db", help="the URL of an empty database")
    parser.add_argument("--folder", type=Path, default=None, help="where to make the working folder (on a real disk)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="postwright-bench-", dir=options.folder) as name:
        about, figures = measure(options, Path(name))
    if options.json:
        rows = [one.as_json() for one in figures]
        print(json.dumps({**about, "figures": rows}, indent=2))
    else:
        show(about, figures)
    lost = [one for one in figures if one.done != one.counted]
    for one in lost:
        print(f"{one.name}: {one.done} acknowledged, {one.counted} in the database", file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
