"""The one thread of a process that writes, by natural group commit.

Jobs that wait together are committed together: the first opens a transaction, whatever else is queued joins it until
the queue is empty or ``LONGEST_GROUP`` has passed, then one commit (one fsync) makes all of them durable and their
futures are resolved. Nothing waits for a fixed time. Where a job fails, the group is rolled back and each of its jobs
runs again in a transaction of its own, so a job must be repeatable: it may only read and write through the connection.
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
from sqlalchemy.exc import DBAPIError

from mailtypes.clock import Clock
from mailtypes.errors import StorageError, StorageFullError, UnknownStorageStateError

LONGEST_GROUP = 20_000  # microseconds; longer transactions keep the other processes' writers waiting
EXIT_IO_ERROR = 74  # sysexits.h EX_IOERR

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
        self._thread = threading.Thread(target=self._run, name="postwright-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Work) -> "Future[Any]":
        """Queue ``work``; the future has its result once it is durable, or its exception."""
        if self._closed:
            raise StorageError("the writer is closed")
        future: Future[Any] = Future()
        self._jobs.put((work, future))
        return future

    def close(self) -> None:
        """Finish what is queued and end the thread."""
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
        if isinstance(failure, UnknownStorageStateError):
            self._on_unknown_state(failure)
        if len(group) == 1:
            group[0][1].set_exception(failure)
            return
        for work, future in group:
            try:
                with self._engine.begin() as connection:
                    result = work(connection)
            except BaseException as own_error:
                own_failure = translate(own_error)
                if isinstance(own_failure, UnknownStorageStateError):
                    self._on_unknown_state(own_failure)
                future.set_exception(own_failure)
            else:
                future.set_result(result)


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
        return _caused(StorageError("the connection to the database was lost"), error)
    return error


def _caused(failure: StorageError, error: BaseException) -> StorageError:
    failure.__cause__ = error
    return failure
