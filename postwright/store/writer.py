"""The one thread of a process that writes, by natural group commit.

Jobs that wait together are committed together: the first opens a transaction, whatever else is queued joins it until
the queue is empty or ``LONGEST_GROUP`` has passed, then one commit (one fsync) makes all of them durable and their
futures are resolved. Nothing waits for a fixed time. Where a job fails, the group is rolled back and each of its jobs
runs again in a transaction of its own, so a job must be repeatable: it may only read and write through the connection.
A job that lost against another process (PostgreSQL: deadlock, or a row that both looked for in vain and inserted) runs
again too. Where nobody can say whether the commit took place, nothing runs again.
"""

import asyncio
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext, suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from mailtypes.clock import Clock
from mailtypes.errors import StorageError, StorageFullError, UnknownStorageStateError
from postwright.store.writer_turns import WriterTurns

LONGEST_GROUP = 20_000  # microseconds; longer transactions keep the other processes' writers waiting
EXIT_IO_ERROR = 74  # sysexits.h EX_IOERR
_TRIES = 3
_LOST_RACE = frozenset({"40001", "40P01", "23505"})
"""PostgreSQL's serialization_failure, deadlock_detected, unique_violation: gone when the winner's rows are seen."""

Work: TypeAlias = Callable[[Connection], Any]
_Settle: TypeAlias = Callable[[Any, BaseException | None], None]
_Job: TypeAlias = tuple[Work, _Settle]

log = logging.getLogger(__name__)


def end_process(cause: BaseException) -> None:
    """Leave at once: after a failed sync nobody knows what is on the disk (fsync errors are reported once only)."""
    log.critical("storage state unknown, ending the process: %s", cause)
    logging.shutdown()
    os._exit(EXIT_IO_ERROR)


class Writer:
    """Runs jobs in one thread over one connection; ``submit`` from any thread, await the future."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        *,
        on_unknown_state: Callable[[BaseException], None] = end_process,
        turns: WriterTurns | None = None,
    ) -> None:
        """``turns``: to be waited for before each transaction."""
        self._engine = engine
        self._turns = turns
        self._clock = clock
        self._on_unknown_state = on_unknown_state
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._closed = False
        self._door = threading.Lock()  # nothing is queued behind the mark that ends the thread
        # Checking a connection out and in costs as much as a small group. SQLite's cannot be lost in between; for a
        # server's the pool looks first whether it still stands.
        self._keeps_connection = engine.dialect.name == "sqlite"
        self._kept: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="postwright-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Work) -> "Future[Any]":
        """Queue ``work``; the future has its result once it is durable, or its exception."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # what is queued cannot be called back

        def settle(result: Any, error: BaseException | None) -> None:
            future.set_result(result) if error is None else future.set_exception(error)

        self._put((work, settle))
        return future

    async def write(self, work: Work) -> Any:
        """The same for a task; one that is cancelled does not call its work back."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Any] = loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            with suppress(RuntimeError):  # the loop is closed, nobody waits
                loop.call_soon_threadsafe(_tell, waiter, result, error)

        self._put((work, settle))
        return await waiter

    def _put(self, job: _Job) -> None:
        with self._door:
            if self._closed:
                raise StorageError("the writer is closed")
            self._jobs.put(job)

    def close(self) -> None:
        """Finish what is queued and end the thread."""
        with self._door:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (first := self._jobs.get()) is not None:
                if not self._write_group(first):
                    return
        finally:
            if self._kept is not None:
                self._kept.close()
            if self._turns is not None:
                self._turns.close()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        if not self._keeps_connection:
            with self._engine.begin() as connection:
                yield connection
            return
        connection = self._kept = self._kept or self._engine.connect()
        try:
            with self._turns.turn() if self._turns else nullcontext(), connection.begin():
                yield connection
        except BaseException:
            self._kept = None
            connection.close()
            raise

    def _write_group(self, first: _Job) -> bool:
        """Commit ``first`` and whoever joins; ``False`` when the end of the queue was met."""
        group = [first]
        goes_on = True
        try:
            with self._transaction() as connection:
                results = [first[0](connection)]
                deadline = self._clock.now() + LONGEST_GROUP
                while self._clock.now() < deadline:
                    try:
                        job = self._jobs.get_nowait()
                    except Empty:
                        break
                    if job is None:
                        goes_on = False
                        break
                    group.append(job)
                    results.append(job[0](connection))
        except BaseException as error:
            self._recover(group, error)
        else:
            for (_, settle), result in zip(group, results, strict=True):
                settle(result, None)
        return goes_on

    def _recover(self, group: list[_Job], error: BaseException) -> None:
        failure = translate(error)
        unknown = isinstance(failure, UnknownStorageStateError)
        if unknown:
            self._on_unknown_state(failure)
        if unknown or _is_disconnect(error) or (len(group) == 1 and not _lost_race(error)):
            for _, settle in group:
                settle(None, failure)
            return
        for work, settle in group:
            self._write_alone(work, settle)

    def _write_alone(self, work: Work, settle: _Settle) -> None:
        for left in reversed(range(_TRIES)):
            try:
                with self._transaction() as connection:
                    result = work(connection)
            except BaseException as error:
                if left and _lost_race(error):
                    continue
                failure = translate(error)
                if isinstance(failure, UnknownStorageStateError):
                    self._on_unknown_state(failure)
                settle(None, failure)
            else:
                settle(result, None)
            return


def _tell(waiter: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if not waiter.cancelled():
        waiter.set_result(result) if error is None else waiter.set_exception(error)


def _lost_race(error: BaseException) -> bool:
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _LOST_RACE


def _is_disconnect(error: BaseException) -> bool:
    return isinstance(error, DBAPIError) and error.connection_invalidated


def translate(error: BaseException) -> BaseException:
    """A driver's error as one of ours; anything else (a job's own exception) as it is."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return error
    code = getattr(error.orig, "sqlite_errorcode", None)
    if isinstance(code, int):
        primary = code & 0xFF
        if primary == sqlite3.SQLITE_FULL:
            return _caused(StorageFullError("the disk is full; nothing of this was stored"), error)
        if primary == sqlite3.SQLITE_IOERR:
            return _caused(UnknownStorageStateError(f"the disk failed: {error.orig}"), error)
        if primary == sqlite3.SQLITE_BUSY:
            return _caused(StorageError("the database was locked for too long; nothing of this was stored"), error)
    if getattr(error.orig, "sqlstate", None) == "53100":  # PostgreSQL: disk_full
        return _caused(StorageFullError("the database's disk is full; nothing of this was stored"), error)
    if error.connection_invalidated:
        return _caused(StorageError("the connection to the database was lost; look whether this was stored"), error)
    if isinstance(error, OperationalError) and not isinstance(code, int):
        return _caused(StorageError(f"the database cannot work now: {error.orig}"), error)
    return error


def _caused(failure: StorageError, error: BaseException) -> StorageError:
    failure.__cause__ = error
    return failure
