"""The one thread of a process that writes, by natural group commit.

Jobs that wait together are committed together: the first opens a transaction, whatever else is queued joins it until
the queue is empty or ``LONGEST_GROUP`` has passed, then one commit (one fsync) makes all of them durable and their
futures are resolved. Nothing waits for a fixed time. Where a job fails, the group is rolled back and each of its jobs
runs again in a transaction of its own, so a job must be repeatable: it may only read and write through the connection.
A job that lost against another process (PostgreSQL: deadlock, or a row that both looked for in vain and inserted) runs
again too. Where nobody can say whether the commit took place, nothing runs again.
"""

import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from mailtypes.clock import Clock
from mailtypes.errors import StorageError, StorageFullError, UnknownStorageStateError

LONGEST_GROUP = 20_000  # microseconds; longer transactions keep the other processes' writers waiting
EXIT_IO_ERROR = 74  # sysexits.h EX_IOERR
_TRIES = 3
_LOST_RACE = frozenset({"40001", "40P01", "23505"})
"""PostgreSQL's serialization_failure, deadlock_detected, unique_violation: gone when the winner's rows are seen."""

Work: TypeAlias = Callable[[Connection], Any]
_Job: TypeAlias = tuple[Work, "Future[Any]"]

log = logging.getLogger(__name__)


def end_process(cause: BaseException) -> None:
    """Leave at once: after a failed sync nobody knows what is on the disk (fsync errors are reported once only)."""
    log.critical("storage state unknown, ending the process: %s", cause)
    logging.shutdown()
    os._exit(EXIT_IO_ERROR)


class Writer:
    """Runs jobs in one thread over one connection; ``submit`` from any thread, await the future."""

    def __init__(
        self, engine: Engine, clock: Clock, *, on_unknown_state: Callable[[BaseException], None] = end_process
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._on_unknown_state = on_unknown_state
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._closed = False
        self._door = threading.Lock()  # nothing is queued behind the mark that ends the thread
        self._thread = threading.Thread(target=self._run, name="postwright-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Work) -> "Future[Any]":
        """Queue ``work``; the future has its result once it is durable, or its exception."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # what is queued cannot be called back
        with self._door:
            if self._closed:
                raise StorageError("the writer is closed")
            self._jobs.put((work, future))
        return future

    def close(self) -> None:
        """Finish what is queued and end the thread."""
        with self._door:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._jobs.get()) is not None:
            if not self._write_group(first):
                return

    def _write_group(self, first: _Job) -> bool:
        """Commit ``first`` and whoever joins; ``False`` when the end of the queue was met."""
        group = [first]
        goes_on = True
        try:
            with self._engine.begin() as connection:
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
            for (_, future), result in zip(group, results, strict=True):
                future.set_result(result)
        return goes_on

    def _recover(self, group: list[_Job], error: BaseException) -> None:
        failure = translate(error)
        unknown = isinstance(failure, UnknownStorageStateError)
        if unknown:
            self._on_unknown_state(failure)
        if unknown or _is_disconnect(error) or (len(group) == 1 and not _lost_race(error)):
            for _, future in group:
                future.set_exception(failure)
            return
        for work, future in group:
            self._write_alone(work, future)

    def _write_alone(self, work: Work, future: "Future[Any]") -> None:
        for left in reversed(range(_TRIES)):
            try:
                with self._engine.begin() as connection:
                    result = work(connection)
            except BaseException as error:
                if left and _lost_race(error):
                    continue
                failure = translate(error)
                if isinstance(failure, UnknownStorageStateError):
                    self._on_unknown_state(failure)
                future.set_exception(failure)
            else:
                future.set_result(result)
            return


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
