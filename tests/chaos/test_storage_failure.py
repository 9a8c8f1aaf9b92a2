"""A disk that is full or broken: what was acknowledged is stored, what could not be stored was not acknowledged."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection, text

from mailtypes.clock import SystemClock
from mailtypes.errors import StorageFullError
from postwright.install.initialise import initialise
from postwright.services.accounts import KeyScope
from postwright.serving.http import create_app
from postwright.settings import read_settings
from postwright.wiring.application import Application

_WRITER = """
import asyncio, resource, sys
from functools import partial
from sqlalchemy import text
from mailtypes.clock import SystemClock
from postwright.store.database import Database

async def main():
    database = Database("sqlite:///" + sys.argv[1], SystemClock())
    await database.write(lambda connection: connection.execute(text("CREATE TABLE note (id INTEGER, filler TEXT)")))
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))  # beyond it writes fail, as on a broken disk
    def store(number, connection):
        connection.execute(text("INSERT INTO note VALUES (:id, :filler)"), {"id": number, "filler": "x" * 3000})
    for number in range(2000):
        await database.write(partial(store, number))
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.fixture
async def application(tmp_path: Path):
    await initialise(tmp_path / "postwright.toml", "admin@acme.test", "main", SystemClock())
    one = Application.open(read_settings(tmp_path / "postwright.toml"))
    yield one
    await one.close()


@pytest.fixture
def room(application: Application):
    """``room(pages)`` bounds the database's file, as a full disk does; ``room(None)`` makes space again."""

    def bound(pages: int | None) -> None:
        def set_limit(connection) -> None:
            size = connection.execute(text("PRAGMA page_count")).scalar_one()
            connection.execute(text(f"PRAGMA max_page_count = {1 << 30 if pages is None else size + pages}"))

        application.database._writer.submit(set_limit).result()

    return bound


async def test_a_full_disk_refuses_and_keeps_what_it_has_acknowledged(application: Application, room) -> None:
    workspace = 1
    _, key = await application.accounts.create_key(workspace, "test", frozenset({KeyScope.ADMIN}))
    transport = httpx.ASGITransport(create_app(application), raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:

        async def suppress(number: int) -> int:
            addresses = "\n".join(f"reader{number}.{one}@mailhub.org" for one in range(50))
            answer = await client.post(
                "/v1/suppressions/import", content=f"email\n{addresses}\n", headers={"Content-Type": "text/csv"}
            )
            assert answer.status_code != 200 or answer.json()["added"] == 50
            return answer.status_code

        assert await suppress(0) == 200
        room(4)
        statuses = [await suppress(number) for number in range(1, 40)]
        assert set(statuses) == {200, 503} or set(statuses) == {200, 507}, statuses
        acknowledged = {0, *(number for number, status in enumerate(statuses, 1) if status == 200)}
        assert await stored(application) == acknowledged  # each whole, or not at all
        room(None)
        assert await suppress(1000) == 200
        assert await stored(application) == acknowledged | {1000}


async def stored(application: Application) -> set[int]:
    rows = await application.database.read(
        lambda connection: connection.execute(text("SELECT address_key FROM suppression")).scalars().all()
    )
    numbers = [int(key.removeprefix("reader").partition(".")[0]) for key in rows]
    assert all(numbers.count(number) == 50 for number in set(numbers))
    return set(numbers)


async def test_a_write_that_finds_no_space_says_so(application: Application, room) -> None:
    def fill(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE IF NOT EXISTS filler (content BLOB)"))
        connection.execute(text("INSERT INTO filler VALUES (zeroblob(1000000))"))

    room(10)
    with pytest.raises(StorageFullError):
        await application.database.write(fill)
    room(None)
    await application.database.write(fill)


def test_a_broken_disk_ends_the_process_and_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    ended = subprocess.run(
        [sys.executable, "-c", _WRITER, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    acknowledged = [int(line) for line in ended.stdout.split()]
    assert ended.returncode == 74, ended.stderr  # EX_IOERR: nobody knows what is on the disk
    assert len(acknowledged) > 10
    with closing(sqlite3.connect(path)) as found:
        rows = [row[0] for row in found.execute("SELECT id FROM note ORDER BY id")]
        assert found.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert rows[: len(acknowledged)] == acknowledged
