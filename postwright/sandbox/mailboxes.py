"""What the providers received and refused: a SQLite file, written by one thread, read by whoever wants to.

``MailboxWriter`` commits before the provider answers 250, many messages in one transaction when many come.
``Mailboxes`` reads. The journal is a WAL without a sync at each commit: what was committed outlives the process
(also by kill -9), though not a power cut, which a sandbox need not survive.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailtypes.errors import StorageError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY, provider TEXT NOT NULL, folder TEXT NOT NULL, received_at INTEGER NOT NULL,
    client_ip TEXT NOT NULL, helo TEXT NOT NULL, mail_from TEXT NOT NULL, rcpt_to TEXT NOT NULL,
    rcpt_key TEXT NOT NULL, message_id TEXT NOT NULL, subject TEXT NOT NULL, size INTEGER NOT NULL,
    spf TEXT NOT NULL, dkim TEXT NOT NULL, dmarc TEXT NOT NULL, spf_domain TEXT NOT NULL,
    dkim_domain TEXT NOT NULL, author_domain TEXT NOT NULL, aligned TEXT NOT NULL, tls TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS message_rcpt ON message (rcpt_key, message_id);
CREATE TABLE IF NOT EXISTS content (message INTEGER PRIMARY KEY REFERENCES message, raw BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS refusal (
    id INTEGER PRIMARY KEY, provider TEXT NOT NULL, refused_at INTEGER NOT NULL, client_ip TEXT NOT NULL,
    helo TEXT NOT NULL, mail_from TEXT NOT NULL, rcpt_to TEXT NOT NULL, kind TEXT NOT NULL, reply TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS greylist (triplet TEXT PRIMARY KEY, first_seen INTEGER NOT NULL) WITHOUT ROWID;
"""
_MAX_BATCH = 200
_MAX_PAGE = 1000
_BUSY_SECONDS = 10.0
_RESULTS = ("spf", "dkim", "dmarc")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMessage:
    """One copy in one mailbox. ``received_at`` in microseconds, ``size`` in octets as received, ``id`` 0 until stored.

    ``spf``, ``dkim`` and ``dmarc`` are RFC 8601's tokens; ``aligned`` names the methods that passed in alignment,
    with commas; ``tls`` is the protocol's version or empty. ``subject`` is decoded.
    """

    id: int = 0
    provider: str
    folder: str
    received_at: int
    client_ip: str
    helo: str
    mail_from: str
    rcpt_to: str
    rcpt_key: str
    message_id: str
    subject: str
    size: int
    spf: str
    dkim: str
    dmarc: str
    spf_domain: str
    dkim_domain: str
    author_domain: str
    aligned: str
    tls: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedAttempt:
    """One no that a provider said: at RCPT for one recipient, or after DATA for each of them."""

    id: int = 0
    provider: str
    refused_at: int
    client_ip: str
    helo: str
    mail_from: str
    rcpt_to: str
    kind: str
    reply: str


@dataclass(frozen=True, slots=True)
class DuplicateRecipient:
    """A mailbox that holds more than one copy, and whether all of them carry one Message-ID."""

    rcpt_key: str
    copies: int
    one_message_id: bool


@dataclass(frozen=True, slots=True)
class MailboxSummary:
    """The whole sandbox at a glance. Times in microseconds, ``None`` where nothing was received.

    ``results`` maps ``spf``, ``dkim`` and ``dmarc`` to counts by token; ``refusals`` counts by kind;
    ``duplicates`` is cut at a thousand, ``duplicate_recipients`` counts them all.
    """

    messages: int
    recipients: int
    by_provider: Mapping[str, int]
    results: Mapping[str, Mapping[str, int]]
    refusals: Mapping[str, int]
    duplicate_recipients: int
    duplicates: Sequence[DuplicateRecipient]
    first_received_at: int | None
    last_received_at: int | None

    @property
    def received_per_second(self) -> float | None:
        """Messages a second between the first and the last, ``None`` where there is no such span."""
        if self.first_received_at is None or self.last_received_at is None:
            return None
        span = self.last_received_at - self.first_received_at
        return (self.messages - 1) * 1_000_000 / span if span else None


_MESSAGE_COLUMNS = tuple(name for name in ReceivedMessage.__dataclass_fields__ if name != "id")
_REFUSAL_COLUMNS = tuple(name for name in RefusedAttempt.__dataclass_fields__ if name != "id")
# Column names come from the dataclasses above, never from input.
_INSERT_MESSAGE = (
    f"INSERT INTO message ({', '.join(_MESSAGE_COLUMNS)}) VALUES ({', '.join('?' * len(_MESSAGE_COLUMNS))})"  # noqa: S608
)
_INSERT_REFUSAL = (
    f"INSERT INTO refusal ({', '.join(_REFUSAL_COLUMNS)}) VALUES ({', '.join('?' * len(_REFUSAL_COLUMNS))})"  # noqa: S608
)


class Mailboxes:
    """Reads the mailboxes; cheap to make, safe to use from any thread, never in the way of the writer."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def list_messages(
        self, rcpt: str | None = None, provider: str | None = None, limit: int = 50, before: int | None = None
    ) -> list[ReceivedMessage]:
        """The newest messages first, at most ``limit`` (up to 1,000) with an id below ``before``.

        ``rcpt`` is an ``EmailAddress.key``.
        """
        sql = (
            "SELECT * FROM message WHERE (:rcpt IS NULL OR rcpt_key = :rcpt)"
            " AND (:provider IS NULL OR provider = :provider) AND (:before IS NULL OR id < :before)"
            " ORDER BY id DESC LIMIT :limit"
        )
        with self._open() as database:
            wanted = {"rcpt": rcpt, "provider": provider, "before": before, "limit": min(max(limit, 1), _MAX_PAGE)}
            rows = database.execute(sql, wanted)
            return [ReceivedMessage(**dict(row)) for row in rows]

    def get(self, message_id: int) -> tuple[ReceivedMessage, bytes] | None:
        """One message with its octets as stored (trace headers above those received), or ``None``."""
        sql = "SELECT message.*, raw FROM message JOIN content ON content.message = message.id WHERE message.id = ?"
        with self._open() as database:
            row = database.execute(sql, (message_id,)).fetchone()
        if row is None:
            return None
        columns = dict(row)
        raw = columns.pop("raw")
        return ReceivedMessage(**columns), raw

    def list_refusals(
        self, kind: str | None = None, limit: int = 50, before: int | None = None
    ) -> list[RefusedAttempt]:
        """The newest refusals first, as ``list_messages``."""
        sql = (
            "SELECT * FROM refusal WHERE (:kind IS NULL OR kind = :kind) AND (:before IS NULL OR id < :before)"
            " ORDER BY id DESC LIMIT :limit"
        )
        with self._open() as database:
            wanted = {"kind": kind, "before": before, "limit": min(max(limit, 1), _MAX_PAGE)}
            rows = database.execute(sql, wanted)
            return [RefusedAttempt(**dict(row)) for row in rows]

    def recipient_keys(self) -> set[str]:
        """The keys of all mailboxes that received anything."""
        with self._open() as database:
            return {row[0] for row in database.execute("SELECT DISTINCT rcpt_key FROM message")}

    def summary(self) -> MailboxSummary:
        """Counts over everything that was received and refused, from one moment."""
        with self._open() as database:
            database.execute("BEGIN")
            totals = database.execute(
                "SELECT count(*), count(DISTINCT rcpt_key), min(received_at), max(received_at) FROM message"
            ).fetchone()
            repeated = " FROM message GROUP BY rcpt_key HAVING count(*) > 1"
            duplicates = database.execute(
                f"SELECT rcpt_key, count(*), min(message_id) = max(message_id){repeated} LIMIT {_MAX_PAGE}"
            ).fetchall()
            return MailboxSummary(
                messages=totals[0],
                recipients=totals[1],
                by_provider=_counts(database, "message", "provider"),
                results={column: _counts(database, "message", column) for column in _RESULTS},
                refusals=_counts(database, "refusal", "kind"),
                duplicate_recipients=database.execute(f"SELECT count(*) FROM (SELECT 1{repeated})").fetchone()[0],  # noqa: S608
                duplicates=[DuplicateRecipient(row[0], row[1], bool(row[2])) for row in duplicates],
                first_received_at=totals[2],
                last_received_at=totals[3],
            )

    def greylist(self) -> dict[str, int]:
        """When each greylisted triplet was first seen, oldest first."""
        with self._open() as database:
            return dict(database.execute("SELECT triplet, first_seen FROM greylist ORDER BY first_seen").fetchall())

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)) as database:
                database.row_factory = sqlite3.Row
                database.execute(f"PRAGMA busy_timeout = {int(_BUSY_SECONDS * 1000)}")
                yield database
        except sqlite3.Error as error:
            raise StorageError(f"the mailboxes at {self._path} cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class _Job:
    write: Callable[[sqlite3.Connection], None]
    done: "asyncio.Future[None]"


class MailboxWriter:
    """The one writer: a thread that commits whatever has queued up, at once. ``start`` before the first use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Make the file and its tables where absent, and begin to take work; call it on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._path)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(_SCHEMA)
        self._thread = threading.Thread(target=self._run, name="mailbox-writer", daemon=True)
        self._thread.start()

    async def store(self, messages: Sequence[ReceivedMessage], raw: bytes) -> None:
        """Keep one copy for each recipient; returns when committed, raises ``StorageError`` where it was not."""

        def write(database: sqlite3.Connection) -> None:
            for message in messages:
                values = [getattr(message, name) for name in _MESSAGE_COLUMNS]
                row = database.execute(_INSERT_MESSAGE, values)
                database.execute("INSERT INTO content (message, raw) VALUES (?, ?)", (row.lastrowid, raw))

        await self._submit(write)

    async def refuse(self, attempts: Sequence[RefusedAttempt], greylisted: tuple[str, int] | None = None) -> None:
        """Log refusals; ``greylisted`` is a triplet with the moment at which it was first seen."""

        def write(database: sqlite3.Connection) -> None:
            for attempt in attempts:
                database.execute(_INSERT_REFUSAL, [getattr(attempt, name) for name in _REFUSAL_COLUMNS])
            if greylisted is not None:
                database.execute("INSERT OR REPLACE INTO greylist (triplet, first_seen) VALUES (?, ?)", greylisted)

        await self._submit(write)

    async def close(self) -> None:
        """Commit what is queued and end the thread."""
        if self._thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    async def _submit(self, write: Callable[[sqlite3.Connection], None]) -> None:
        if self._thread is None or self._loop is None:
            raise StorageError("the mailboxes are closed")
        job = _Job(write, self._loop.create_future())
        self._jobs.put(job)
        await job.done

    def _run(self) -> None:
        # isolation_level=None: transactions begin where we say so.
        with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous = NORMAL")
            while (first := self._jobs.get()) is not None:
                batch = [first]
                closing_down = self._gather(batch)
                error = _commit(database, batch)
                if self._loop is not None and not self._loop.is_closed():
                    self._loop.call_soon_threadsafe(_tell, batch, error)
                if closing_down:
                    return

    def _gather(self, batch: list[_Job]) -> bool:
        """Add what is waiting; true where the end was among it."""
        while len(batch) < _MAX_BATCH:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return False
            if job is None:
                return True
            batch.append(job)
        return False


def _commit(database: sqlite3.Connection, batch: Sequence[_Job]) -> Exception | None:
    try:
        database.execute("BEGIN IMMEDIATE")
        for job in batch:
            job.write(database)
        database.execute("COMMIT")
    except (sqlite3.Error, OverflowError, UnicodeError) as error:
        if database.in_transaction:
            database.execute("ROLLBACK")
        return error
    return None


def _tell(batch: Sequence[_Job], error: Exception | None) -> None:
    for job in batch:
        if job.done.done():  # whoever waited has gone
            continue
        if error is None:
            job.done.set_result(None)
        else:
            job.done.set_exception(StorageError(f"the mailboxes could not be written: {error}"))


def _counts(database: sqlite3.Connection, table: str, column: str) -> dict[str, Any]:
    rows = database.execute(f"SELECT {column}, count(*) FROM {table} GROUP BY {column} ORDER BY {column}")  # noqa: S608
    return {row[0]: row[1] for row in rows}
