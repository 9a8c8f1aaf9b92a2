"""ENOSPC and EIO out of the kernel's mouth, by strace: nothing is acknowledged that is not stored."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

_WRITER = """
import asyncio, sys
from functools import partial
from sqlalchemy import text
from mailtypes.clock import SystemClock
from mailtypes.errors import StorageFullError
from postwright.store.database import Database

async def main():
    database = Database("sqlite:///" + sys.argv[1], SystemClock())
    await database.write(lambda connection: connection.execute(text("CREATE TABLE note (id INTEGER, filler TEXT)")))
    def store(number, connection):
        connection.execute(text("INSERT INTO note VALUES (:id, :filler)"), {"id": number, "filler": "x" * 3000})
    print("ready", flush=True)
    for number in range(300):
        try:
            await database.write(partial(store, number))
        except StorageFullError:
            print("full", number, flush=True)
        else:
            print("stored", number, flush=True)
    await database.close()

asyncio.run(main())
"""


@pytest.fixture
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("strace is missing: no fault could be injected")
        pytest.skip("strace is not installed")
    return found


def run(strace: str, path: Path, injection: str) -> tuple[int, list[int], list[int]]:
    """The exit code, what was acknowledged and what was refused for want of space."""
    calls = injection.partition(":")[0]
    command = [strace, "-f", "-qq", "-o", os.devnull, "-e", f"trace={calls}", "-e", f"inject={injection}"]
    ended = subprocess.run(
        [*command, sys.executable, "-c", _WRITER, str(path)], capture_output=True, text=True, timeout=100, check=False
    )
    lines = [line.split() for line in ended.stdout.splitlines() if line != "ready"]
    numbers = {word: [int(number) for said, number in lines if said == word] for word in ("stored", "full")}
    return ended.returncode, numbers["stored"], numbers["full"]


def stored(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as found:
        assert found.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [row[0] for row in found.execute("SELECT id FROM note ORDER BY id")]


@pytest.mark.chaos
@pytest.mark.parametrize("when", ["20", "57"])
def test_a_failed_sync_ends_the_process(strace: str, tmp_path: Path, when: str) -> None:
    path = tmp_path / "store.db"
    code, acknowledged, refused = run(strace, path, f"fdatasync,fsync:error=EIO:when={when}+")
    assert code == 74  # EX_IOERR: what was written before is unknown
    assert acknowledged
    assert refused == []
    assert len(acknowledged) < 300
    assert stored(path)[: len(acknowledged)] == acknowledged


@pytest.mark.chaos
def test_a_disk_that_fails_to_write_ends_the_process(strace: str, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    code, acknowledged, _ = run(strace, path, "pwrite64:error=EIO:when=200+")
    assert code == 74
    assert acknowledged
    assert stored(path)[: len(acknowledged)] == acknowledged


@pytest.mark.chaos
def test_a_full_disk_refuses_each_write_and_goes_on_when_there_is_room(strace: str, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    code, acknowledged, refused = run(strace, path, "pwrite64:error=ENOSPC:when=200..260")
    assert code == 0
    assert refused
    assert acknowledged[-1] == 299, "there was room again"
    assert sorted(acknowledged + refused) == list(range(300))
    assert stored(path) == acknowledged
