"""One database behind two doors: reads by the async engine, writes by the group-committing writer thread.

SQLite (WAL, ``synchronous=FULL``) and PostgreSQL take the same repositories: functions over a SQLAlchemy
``Connection``. ``Database.read`` hands them a read-only one, ``Database.write`` the writer's.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from mailtypes.clock import Clock
from mailtypes.errors import ConfigurationError
from postwright.store.erased import KEYS_OPTION, ErasureKeySource
from postwright.store.writer import Writer, translate
from postwright.store.writer_turns import WriterTurns

T = TypeVar("T")
_BUSY_TIMEOUT_MS = 30_000
_READERS = 4
WIDE_CACHE_KIB = 64 * 1024
"""Keys come in no order, so the upper pages of the indexes of a million contacts had better stay in memory."""
NARROW_CACHE_KIB = 8 * 1024
"""For a process that goes through a list in the order of its rows: what it has passed it does not see again."""
_CHECKPOINT_PAGES = 16_000
"""64 MB of log between checkpoints: a page that changes in every chunk is copied back once and not each time."""


TIME_SQL: Mapping[str, str] = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
}
"""By dialect, the database's own clock in microseconds; leases are fenced by it, since machines' clocks differ."""


class Database:
    """Open with the URL ``sqlite:///file`` or ``postgresql://user@host/name``; close when done."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        erasure_keys: ErasureKeySource | None = None,
        *,
        cache_kib: int = WIDE_CACHE_KIB,
    ) -> None:
        """``erasure_keys`` is asked once somebody was erased (``store.erased``); ``cache_kib``: SQLite's, to write."""
        parsed = self._url = read_url(url)
        self.dialect = parsed.get_backend_name()
        self._options = {KEYS_OPTION: erasure_keys}
        self._sync: Engine = open_engine(parsed, cache_kib).execution_options(**self._options)
        self._async = _open_async_engine(parsed, self._options) if self.dialect == "postgresql" else None
        turns = WriterTurns(Path(str(parsed.database))) if self.dialect == "sqlite" else None
        self._writer = Writer(self._sync, clock, turns=turns)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="postwright-reader")

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a read-only transaction and return what it returns; may raise ``StorageError``."""
        if self._async is None:
            # An asynchronous driver hands each single call over to a thread; this hands over the whole.
            return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_in_thread, work)
        try:
            async with self._async.connect() as connection:
                return await connection.run_sync(work)
        except DBAPIError as error:
            raise translate(error) from error

    def read_in_thread(self, work: Callable[[Connection], T]) -> T:
        """The same for worker threads, which wait for the answer; never from an event loop."""
        try:
            with self._threads_engine.connect() as connection:
                return work(connection)
        except DBAPIError as error:
            raise translate(error) from error

    @cached_property
    def _threads_engine(self) -> Engine:
        if self.dialect == "sqlite":
            engine = create_engine(self._url, execution_options=self._options)
            _prepare_sqlite(engine, begin="BEGIN", cache_kib=None)
            return engine
        options = {**self._options, "postgresql_readonly": True}
        return create_engine(self._url, pool_pre_ping=True, execution_options=options)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in the writer's next group; returns once its changes are durable."""
        result: T = await self._writer.write(work)
        return result

    async def close(self) -> None:
        """Finish what is queued and let go of the connections."""
        await asyncio.to_thread(self._writer.close)
        self._readers.shutdown()
        if self._async is not None:
            await self._async.dispose()
        self._sync.dispose()
        if "_threads_engine" in self.__dict__:
            self._threads_engine.dispose()


def read_url(url: str) -> URL:
    """Check a database URL; raises ``ConfigurationError`` for anything but SQLite files and PostgreSQL."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError("database.url is not a URL; write sqlite:///file or postgresql://host/name") from error
    backend = parsed.get_backend_name()
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed.set(drivername="sqlite")
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigurationError(f"database.url: '{backend}' is not supported; write sqlite:///file or postgresql://…")


def open_engine(url: URL, cache_kib: int = WIDE_CACHE_KIB) -> Engine:
    """A synchronous engine that writes: every SQLite transaction begins IMMEDIATE."""
    if url.get_backend_name() == "sqlite":
        _make_private(Path(str(url.database)))
        engine = create_engine(url)
        _prepare_sqlite(engine, begin="BEGIN IMMEDIATE", cache_kib=cache_kib)
        return engine
    # Jobs are repeatable and touch rows through conditional updates; READ COMMITTED is what those are written for.
    return create_engine(url, pool_pre_ping=True, isolation_level="READ COMMITTED")


def _make_private(file: Path) -> None:
    """Contacts are nobody else's business: a new database is its owner's alone (SQLite's side files follow it)."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.touch(mode=0o600, exist_ok=True)


def _open_async_engine(url: URL, options: Mapping[str, Any]) -> AsyncEngine:
    return create_async_engine(url, pool_pre_ping=True, execution_options={**options, "postgresql_readonly": True})


class _WithHints(SQLiteCompiler):
    """SQLAlchemy leaves hints out for SQLite, which has ``INDEXED BY``."""

    def get_from_hint_text(self, table: object, text: str | None) -> str | None:  # noqa: ARG002 - SQLAlchemy calls it so
        return text


def _prepare_sqlite(engine: Engine, *, begin: str, cache_kib: int | None) -> None:
    """Take transactions into our own hands: a deferred BEGIN that turns into a write fails whatever the timeout.

    ``cache_kib`` is the page cache of one that writes, ``None`` where nothing may be written.
    """
    engine.dialect.statement_compiler = _WithHints

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        if cache_kib is None:
            cursor.execute("PRAGMA query_only = ON")
        else:
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.execute("PRAGMA foreign_keys = ON")
            cursor.execute(f"PRAGMA cache_size = -{cache_kib}")
            cursor.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
