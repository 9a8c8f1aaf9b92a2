"""Group commit: what is acknowledged is durable, and whoever fails, fails alone."""

import asyncio
import fcntl
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Engine, create_engine, event, func, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.pool import NullPool

from mailtypes.clock import SystemClock
from mailtypes.errors import ConfigurationError, StorageError, StorageFullError, UnknownStorageStateError
from postwright.store import workspaces
from postwright.store.database import Database, open_engine, read_url
from postwright.store.records import insert_row, table
from postwright.store.writer import Writer
from postwright.store.writer_turns import WriterTurns

_workspace = table("workspace")


def _add(name: str) -> Callable[[Connection], int]:
    return lambda connection: insert_row(connection, _workspace, name=name, created_at=0)


def _names(connection: Connection) -> set[str]:
    return {str(row[0]) for row in connection.execute(select(_workspace.c.name))}


class Parked:
    """A writer that is busy until ``go``, so that what is submitted meanwhile makes one group."""

    def __init__(self, engine: Engine, **options: Any) -> None:
        self.engine = engine
        self.writer = Writer(engine, SystemClock(), **options)
        self._gate = threading.Event()
        self._started = threading.Event()
        self._first = self.writer.submit(self._wait)
        assert self._started.wait(10)

    def _wait(self, connection: Connection) -> None:
        self._started.set()
        assert self._gate.wait(10)

    def go(self) -> None:
        self._gate.set()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = open_engine(read_url(database_url))
    yield made
    made.dispose()


@pytest.fixture
def other_engine(database_url: str) -> Iterator[Engine]:
    made = create_engine(read_url(database_url), poolclass=NullPool)
    yield made
    made.dispose()


def _outcome(future: "Future[Any]") -> object:
    return future.exception(10) or future.result(10)


def test_one_that_fails_does_not_harm_the_others_of_its_group(engine: Engine, other_engine: Engine) -> None:
    parked = Parked(engine)

    def own_error(connection: Connection) -> None:
        _add("rolled back")(connection)
        raise LookupError("mine")

    good = [parked.writer.submit(_add(f"good {number}")) for number in range(3)]
    bad = parked.writer.submit(own_error)
    after = [parked.writer.submit(_add(f"after {number}")) for number in range(3)]
    duplicate = parked.writer.submit(_add("good 0"))
    parked.go()
    with pytest.raises(LookupError, match="mine"):
        bad.result(10)
    with pytest.raises(IntegrityError):
        duplicate.result(10)
    assert all(isinstance(one.result(10), int) for one in good + after)
    parked.writer.close()
    with other_engine.connect() as connection:
        assert _names(connection) == {f"good {n}" for n in range(3)} | {f"after {n}" for n in range(3)}


def test_a_result_is_known_only_when_others_can_see_it(engine: Engine, other_engine: Engine) -> None:
    parked = Parked(engine)
    missing: list[str] = []
    seen: list[str] = []

    def look(name: str) -> Callable[["Future[Any]"], None]:
        def on_done(_future: "Future[Any]") -> None:
            with other_engine.connect() as connection:
                (seen if name in _names(connection) else missing).append(name)

        return on_done

    for number in range(8):
        name = f"w{number}"
        parked.writer.submit(_add(name)).add_done_callback(look(name))
    parked.go()
    parked.writer.close()
    assert missing == []
    assert len(seen) == 8


def test_closing_finishes_what_is_queued_and_refuses_the_rest(engine: Engine, other_engine: Engine) -> None:
    parked = Parked(engine)
    queued = [parked.writer.submit(_add(f"w{number}")) for number in range(20)]
    closing = threading.Thread(target=parked.writer.close)
    closing.start()
    parked.go()
    closing.join(10)
    assert not closing.is_alive()
    assert all(one.done() and one.exception() is None for one in queued)
    with pytest.raises(StorageError, match="closed"):
        parked.writer.submit(_add("late"))
    parked.writer.close()  # twice does no harm
    with other_engine.connect() as connection:
        assert len(_names(connection)) == 20


def test_a_caller_that_goes_away_does_not_stop_the_writer(engine: Engine) -> None:
    parked = Parked(engine)
    assert not parked.writer.submit(_add("queued")).cancel()
    parked.go()
    assert isinstance(parked.writer.submit(_add("next")).result(10), int)
    parked.writer.close()


async def test_a_task_that_is_cancelled_leaves_the_database_usable(world: Any) -> None:
    tasks = [asyncio.create_task(world.write(workspaces.create_workspace, f"w{n}", world.now)) for n in range(20)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await world.write(workspaces.create_workspace, "after", world.now)


async def test_reads_cannot_write(world: Any) -> None:
    with pytest.raises(Exception, match=r"readonly|read-only"):
        await world.read(workspaces.create_workspace, "second", world.now)
    assert await world.read(_names) == {"main"}


async def test_several_processes_write_at_once(world: Any, open_database: Callable[[], Database]) -> None:
    """On one SQLite file they take turns; nobody is told that it is locked."""

    async def process(number: int) -> None:
        for turn in range(5):
            database = open_database()  # opening and closing takes locks, too
            await asyncio.gather(*(database.write(_add(f"{number}/{turn}/{one}")) for one in range(10)))
            await database.close()

    await asyncio.gather(*(process(number) for number in range(4)))
    assert await world.read(lambda c: c.execute(select(func.count()).select_from(_workspace)).scalar_one()) == 201


# --- SQLite's disk -------------------------------------------------------------------------------------------------


def test_a_full_disk_acknowledges_nothing(sqlite_url: str) -> None:
    engine = open_engine(read_url(sqlite_url))

    @event.listens_for(engine, "connect")
    def _no_more_room(connection: Any, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 20}")

    parked = Parked(engine)
    jobs = [parked.writer.submit(_add(f"{number}" + "x" * 3000)) for number in range(60)]
    parked.go()
    outcomes = [_outcome(job) for job in jobs]
    parked.writer.close()
    stored = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, int)]
    refused = [outcome for outcome in outcomes if not isinstance(outcome, int)]
    assert stored
    assert refused
    assert all(isinstance(one, StorageFullError) for one in refused)
    with engine.connect() as connection:
        assert {name.rstrip("x") for name in _names(connection)} == {str(number) for number in stored}
    engine.dispose()


def _fails_at_commit(engine: Engine, code: int) -> list[int]:
    """Let every commit fail as the driver says it; returns the list that counts them."""
    commits: list[int] = []

    @event.listens_for(engine, "commit")
    def _on_commit(_connection: Connection) -> None:
        commits.append(1)
        cause = sqlite3.OperationalError("disk I/O error")
        cause.sqlite_errorcode = code
        raise OperationalError("COMMIT", None, cause)

    return commits


def test_a_failed_sync_ends_the_process_and_nothing_runs_again(sqlite_url: str) -> None:
    engine = open_engine(read_url(sqlite_url))
    commits = _fails_at_commit(engine, sqlite3.SQLITE_IOERR_FSYNC)
    ended: list[BaseException] = []
    parked = Parked(engine, on_unknown_state=ended.append)
    jobs = [parked.writer.submit(_add(f"w{number}")) for number in range(3)]
    parked.go()
    assert all(isinstance(_outcome(job), UnknownStorageStateError) for job in jobs)
    parked.writer.close()
    assert [type(one) for one in ended] == [UnknownStorageStateError] * len(commits)
    assert len(commits) <= 2  # the parked one and the group: nobody tried the jobs one by one
    engine.dispose()


def test_a_lock_that_lasts_too_long_is_told_as_such(sqlite_url: str) -> None:
    engine = open_engine(read_url(sqlite_url))

    @event.listens_for(engine, "connect")
    def _impatient(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA busy_timeout = 50")

    writer = Writer(engine, SystemClock())
    holder = sqlite3.connect(read_url(sqlite_url).database or "", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="locked for too long"):
        writer.submit(_add("w")).result(10)
    holder.execute("COMMIT")
    holder.close()
    assert isinstance(writer.submit(_add("w")).result(10), int)
    writer.close()
    engine.dispose()


def test_sqlite_is_set_up_to_keep_what_it_acknowledges(sqlite_url: str) -> None:
    engine = open_engine(read_url(sqlite_url))
    with engine.connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


# --- PostgreSQL's races and losses ---------------------------------------------------------------------------------


async def test_a_deadlock_is_resolved_by_running_again(postgres_url: str) -> None:
    databases = [Database(postgres_url, SystemClock()) for _ in range(2)]
    ids = [await databases[0].write(_add(name)) for name in ("a", "b")]
    both_hold_one = threading.Barrier(2)

    def crossing(first: int, second: int) -> Callable[[Connection], int]:
        tries: list[int] = []

        def work(connection: Connection) -> int:
            tries.append(1)
            for step, row in enumerate((first, second)):
                connection.execute(text("UPDATE workspace SET created_at = created_at + 1 WHERE id = :id"), {"id": row})
                if step == 0 and len(tries) == 1:
                    both_hold_one.wait(10)
            return len(tries)

        return work

    tries = await asyncio.gather(databases[0].write(crossing(*ids)), databases[1].write(crossing(*ids[::-1])))
    assert max(tries) > 1  # the victim ran again, and perhaps more than once
    counted = await databases[0].read(lambda c: c.execute(select(_workspace.c.created_at)).scalars().all())
    assert counted == [2, 2]
    for one in databases:
        await one.close()


async def test_a_lost_connection_is_told_and_the_next_write_goes_well(postgres_url: str) -> None:
    database = Database(postgres_url, SystemClock())
    tries: list[int] = []

    def cut_off(connection: Connection) -> None:
        tries.append(1)
        own = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (own,))
        connection.execute(text("SELECT 1"))

    with pytest.raises(StorageError):
        await database.write(cut_off)
    assert len(tries) == 1
    assert await database.write(_add("after"))
    await database.close()


async def test_a_database_that_is_away_is_a_storage_error(tmp_path: Path) -> None:
    database = Database(f"postgresql://nobody@/nothing?host={tmp_path}", SystemClock())
    with pytest.raises(StorageError):
        await database.write(_add("w"))
    await database.close()


@pytest.mark.parametrize("url", ["", "mysql://host/name", "sqlite://", "sqlite:///:memory:", "nonsense"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"database\.url"):
        read_url(url)


def test_a_turn_is_kept_through_the_transaction_and_given_up_after_it(sqlite_url: str) -> None:
    url = read_url(sqlite_url)
    engine = open_engine(url)
    with open(f"{url.database}-turn", "ab") as outside:

        def is_taken(_connection: Connection | None = None) -> bool:
            try:
                fcntl.flock(outside, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            fcntl.flock(outside, fcntl.LOCK_UN)
            return False

        def fails(connection: Connection) -> None:
            assert is_taken(connection)
            raise LookupError

        writer = Writer(engine, SystemClock(), turns=WriterTurns(Path(str(url.database))))
        assert writer.submit(is_taken).result(10)
        with pytest.raises(LookupError):
            writer.submit(fails).result(10)
        writer.close()
        assert not is_taken()
    engine.dispose()


def test_a_job_waits_for_whoever_has_the_turn(sqlite_url: str) -> None:
    url = read_url(sqlite_url)
    engines = [open_engine(url) for _ in range(2)]
    turns = [WriterTurns(Path(str(url.database))) for _ in range(2)]
    parked = Parked(engines[0], turns=turns[0])
    second = Writer(engines[1], SystemClock(), turns=turns[1])
    waiting = second.submit(_names)
    parked.writer.submit(_add("first"))
    assert not waiting.done()
    parked.go()
    assert waiting.result(10) == {"first"}, "after all of the group that had the turn"
    parked.writer.close()
    second.close()
    for engine in engines:
        engine.dispose()
