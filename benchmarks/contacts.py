"""How quickly a million contacts are imported, and how quickly segments over them are counted.

    python benchmarks/contacts.py

The real thing: the import service over a CSV file made by rule, then activity for nine of ten contacts (twelve weekly
mails, some opened and clicked), then each tree counted by the segment service, the best of three. Fails where the
database has not what the file had, or a count is not what the rule gives.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import machine
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, text

from hygiene.segments.parse import parse
from mailtypes.clock import DAY, ManualClock, SystemClock
from postwright.services.imports import ContactImports
from postwright.services.segments import Segments
from postwright.store import schema, workspaces
from postwright.store.database import Database

TODAY = 20_000
NOW = TODAY * DAY
_CITIES = ("Leeds", "York", "Bath", "Exeter", "Derby", "Truro", "Ripon", "Wells", "Ely", "Durham")
_PLANS = ("basic", "plus", "club")
_STRIDE = 7_919  # prime: addresses come in no order, as they do in real files

TREES: dict[str, Any] = {
    "everybody": {"all": []},
    "on the list": {"list": "news"},
    "added in 30 days": {"joined": {"within_days": 30}},
    "a domain": {"domain": "d7.example.com"},
    "received 5, opened none in 60 days, clicked none in 180": {
        "all": [
            {"activity": "received", "op": "at_least", "value": 5},
            {"activity": "opened", "op": "none", "within_days": 60},
            {"activity": "clicked", "op": "none", "within_days": 180},
        ]
    },
    "the same, on the list": {
        "all": [
            {"list": "news"},
            {"activity": "received", "op": "at_least", "value": 5},
            {"activity": "opened", "op": "none", "within_days": 60},
            {"activity": "clicked", "op": "none", "within_days": 180},
        ]
    },
    "opened the last three": {"opened_in_a_row": 3},
    "city is Leeds": {"field": "city", "op": "is", "value": "leeds"},
    "received at least 5 in 90 days": {"activity": "received", "op": "at_least", "value": 5, "within_days": 90},
}


def rows(number: int) -> Iterator[str]:
    """The file, line by line."""
    yield "email,first_name,last_name,city,plan,points\n"
    for place in range(number):
        person = place * _STRIDE % number
        yield (
            f"person{person}@d{person % 997}.example.com,Ada{place % 50},Abbott{place % 77},{_CITIES[place % 10]},"
            f"{_PLANS[place % 3]},{place * 37 % 5000}\n"
        )


_ACTIVITY = f"""INSERT INTO contact_activity (contact_id, workspace_id, received, last_received_at, opened,
 last_opened_at, clicked, last_clicked_at, acted, received_since_opened, received_since_clicked, opened_in_a_row,
 soft_bounces)
 SELECT id, workspace_id, 12, {NOW} - (id % 7) * {DAY}, id % 13,
 CASE WHEN id % 13 > 0 THEN {NOW} - ((id * 31) % 400) * {DAY} END, (id % 5) / 2,
 CASE WHEN id % 5 > 1 THEN {NOW} - ((id * 17) % 500) * {DAY} END, 0, id % 20, id % 40, id % 4, 0
 FROM contact WHERE id % 10 <> 3 ORDER BY id"""
_DAYS = f"""INSERT INTO contact_day (contact_id, day, workspace_id, received, opened, clicked, acted)
 WITH RECURSIVE week(n) AS (SELECT 11 UNION ALL SELECT n - 1 FROM week WHERE n > 0)
 SELECT contact.id, {TODAY} - (contact.id % 7) - week.n * 7, contact.workspace_id, 1, 0, 0, 0
 FROM contact CROSS JOIN week WHERE contact.id % 10 <> 3 ORDER BY 1, 2"""
_JOINED = f"UPDATE contact SET created_at = {NOW} - (id * 7919 % 900) * {DAY}"


def expected(number: int) -> dict[str, int]:
    """What the rule gives."""
    ids = range(1, number + 1)

    def quiet(one: int) -> bool:
        opened = one % 13 > 0 and one * 31 % 400 < 60
        clicked = one % 5 > 1 and one * 17 % 500 < 180
        return one % 10 != 3 and not opened and not clicked

    count: Callable[[Any], int] = sum
    dormant = count(quiet(one) for one in ids)
    return {
        "everybody": number,
        "on the list": number,
        "added in 30 days": count(one * 7919 % 900 <= 30 for one in ids),
        "a domain": count(place * _STRIDE % number % 997 == 7 for place in range(number)),
        "received 5, opened none in 60 days, clicked none in 180": dormant,
        "the same, on the list": dormant,
        "opened the last three": count(one % 10 != 3 and one % 4 >= 3 for one in ids),
        "city is Leeds": len(range(0, number, 10)),
        "received at least 5 in 90 days": count(one % 10 != 3 for one in ids),
    }


async def import_file(database: Database, workspace: int, content: bytes) -> dict[str, Any]:
    """Import through the service; seconds, CPU seconds and memory."""
    imports = ContactImports(database, SystemClock(), test_environment=False)
    before, begun = machine.used(os.getpid()), time.perf_counter()
    await imports.start(workspace, "news", "people.csv", content)
    await imports.run_jobs()
    seconds, after = time.perf_counter() - begun, machine.used(os.getpid())
    return {"seconds": seconds, "cpu": after.cpu - before.cpu, "memory_before": before.memory, "memory": after.memory}


async def count_segments(database: Database, workspace: int) -> dict[str, tuple[int, float, float]]:
    """By tree: the count, the best of three times, and the CPU seconds of that time."""
    segments = Segments(database, ManualClock(NOW))
    figures = {}
    for name, document in TREES.items():
        tries = []
        for _ in range(3):
            begun, cpu = time.perf_counter(), time.process_time()
            number = await segments.count(workspace, parse(document))
            tries.append((time.perf_counter() - begun, time.process_time() - cpu))
        figures[name] = (number, *min(tries))
    return figures


async def measure(url: str, number: int) -> dict[str, Any]:
    """Import, activity, counts."""
    await asyncio.to_thread(schema.upgrade, url)
    database = Database(url, SystemClock())
    try:
        workspace = await database.write(lambda one: workspaces.create_workspace(one, "main", SystemClock().now()))
        imported = await import_file(database, workspace, "".join(rows(number)).encode())

        def fill(connection: Connection) -> None:
            for statement in (_JOINED, _ACTIVITY, _DAYS):
                connection.execute(text(statement))

        await database.write(fill)
        counted = await count_segments(database, workspace)
    finally:
        await database.close()
    return {"contacts": number, "import": imported, "counts": counted}


def main() -> int:
    """Measure, print, and fail where a count is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--database", default=None, help="the URL of an empty database; else a new SQLite file")
    parser.add_argument("--folder", type=Path, default=None, help="where to make the working folder (on a real disk)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="postwright-bench-", dir=options.folder) as folder:
        fsyncs = machine.fsync_rate(Path(folder))
        found = asyncio.run(measure(options.database or f"sqlite:///{folder}/contacts.db", options.contacts))
    about = machine.describe() | {"fsyncs": round(fsyncs), "load": os.getloadavg()[0]}
    wanted = expected(options.contacts)
    wrong = [name for name, (number, *_) in found["counts"].items() if number != wanted[name]]
    if options.json:
        print(json.dumps({"machine": about, **found, "wrong": wrong}))
    else:
        _print(about, found)
    for name in wrong:
        print(f"{name}: counted {found['counts'][name][0]}, the rule gives {wanted[name]}", file=sys.stderr)
    return 1 if wrong else 0


def _print(about: dict[str, Any], found: dict[str, Any]) -> None:
    console = Console(highlight=False)
    console.print(", ".join(f"{name}: {value}" for name, value in about.items()))
    one = found["import"]
    table = Table("what", "contacts", "seconds", "CPU seconds", "peak MB")
    memory = f"{one['memory_before']:.0f} to {one['memory']:.0f}"
    table.add_row("import", f"{found['contacts']:,}", f"{one['seconds']:.1f}", f"{one['cpu']:.1f}", memory)
    for name, (number, seconds, cpu) in found["counts"].items():
        table.add_row(name, f"{number:,}", f"{seconds:.2f}", f"{cpu:.2f}", "")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
