"""The journal of the tracking role: visits in an append-only file on this machine, before they are in the database.

A click is answered once it is synced here, so links work while the database is away, and a crash loses no click that
was answered. Whoever waits for a sync waits with others (natural group commit). Opens ride along, or are synced after
a quarter of a second; when there is no room for them they are dropped and counted. ``postwright.track.drain`` takes
the files into the database and deletes them.

A file begins with ``PWTJ``, a version, and the 16 octets of its id. Each record is its length and the CRC-32 of its
content (both 32 bits, most significant octet first), then the content: kind, delivery id, link, moment, the length of
the address, the address, the User-Agent header. A file belongs to the process that holds the lock on it.
"""

import asyncio
import errno
import fcntl
import logging
import os
import secrets
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client import Counter

from mailtypes.errors import StorageError, StorageFullError
from postwright.services.engagement_records import Visit, VisitKind
from postwright.store.writer import end_process
from tracking.verdicts.agents import MAX_USER_AGENT

_LOG = logging.getLogger(__name__)
_MAGIC: Final = b"PWTJ\x01"
HEADER_OCTETS: Final = len(_MAGIC) + 16
SUFFIX: Final = ".journal"
_FRAME = struct.Struct(">II")
_FIXED = struct.Struct(">BQHQB")
_MAX_ADDRESS: Final = 45
_MAX_CONTENT: Final = _FIXED.size + _MAX_ADDRESS + 4 * MAX_USER_AGENT
_CODES: Final = {
    VisitKind.OPEN: 1,
    VisitKind.CLICK: 2,
    VisitKind.LOOK: 3,
    VisitKind.UNSUBSCRIBE: 4,
    VisitKind.HONEYPOT: 5,
}
_KINDS: Final = {code: kind for kind, code in _CODES.items()}

DROPPED = Counter("postwright_track_dropped_total", "Opens that were not recorded", ["reason"])
_DROPPED_BUFFER, _DROPPED_DISK = DROPPED.labels("buffer"), DROPPED.labels("disk")


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """Bounds: octets in memory that wait for the disk, octets of files that wait for the database, octets after which
    a new file is begun, seconds that an open waits at most for its sync."""

    pending: int = 8 * 1024 * 1024
    backlog: int = 2 * 1024 * 1024 * 1024
    file: int = 64 * 1024 * 1024
    flush: float = 0.25


@dataclass(slots=True)
class JournalFile:
    """An open file: ``flushed`` octets of it are on the disk, ``taken`` of them in the database."""

    path: Path
    id: str
    descriptor: int
    flushed: int
    taken: int = HEADER_OCTETS

    def close(self) -> None:
        """Let go of the file and of the lock on it."""
        with suppress(OSError):
            os.close(self.descriptor)


def encode(visit: Visit) -> bytes:
    """A visit as a record."""
    address = visit.address[:_MAX_ADDRESS].encode("ascii", "replace")
    agent = visit.user_agent[:MAX_USER_AGENT].encode("utf-8", "replace")
    fixed = _FIXED.pack(_CODES[visit.kind], visit.delivery_id, visit.link, visit.at, len(address))
    content = fixed + address + agent
    return _FRAME.pack(len(content), zlib.crc32(content)) + content


def decode(octets: bytes, most: int) -> tuple[list[Visit], int]:
    """Up to ``most`` visits from the beginning of ``octets``, and how many octets they take.

    It ends before the first record that is not whole: a crash cuts the last one off.
    """
    visits: list[Visit] = []
    place = 0
    while len(visits) < most and place + _FRAME.size <= len(octets):
        length, checksum = _FRAME.unpack_from(octets, place)
        content = octets[place + _FRAME.size : place + _FRAME.size + length]
        if not _FIXED.size <= length <= _MAX_CONTENT or len(content) < length or zlib.crc32(content) != checksum:
            break
        code, delivery_id, link, at, address_length = _FIXED.unpack_from(content)
        kind = _KINDS.get(code)
        if kind is None:
            break
        rest = content[_FIXED.size :]
        address, agent = rest[:address_length].decode("ascii", "replace"), rest[address_length:]
        visits.append(Visit(kind, delivery_id, at, link, address, agent.decode("utf-8", "replace")))
        place += _FRAME.size + length
    return visits, place


class Journal:
    """Writes the files of this process. All methods are for its event loop; ``open`` first, ``close`` at the end.

    ``files`` are those that are not all in the database, the last one is written; ``news`` is set when more of it is
    on the disk; ``accepted`` counts visits.
    """

    def __init__(
        self,
        folder: Path,
        limits: JournalLimits | None = None,
        *,
        on_unknown_state: Callable[[BaseException], None] = end_process,
    ) -> None:
        self._folder = folder
        self._limits = limits or JournalLimits()
        self._on_unknown_state = on_unknown_state
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="track-journal")
        self._pending: list[bytes] = []
        self._pending_octets = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.files: list[JournalFile] = []
        self.news = asyncio.Event()
        self.accepted = 0

    def open(self) -> None:
        """Begin a file."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.files.append(_create(self._folder))

    async def settle(self) -> None:
        """Write and sync what waits."""
        while self._pending or self._flushing is not None:
            self._kick()
            if self._flushing is not None:
                await asyncio.wait({self._flushing})

    async def close(self) -> None:
        """Write what waits, and let go of the files."""
        await self.settle()
        self._disk.shutdown()
        for file in self.files:
            file.close()

    @property
    def backlog(self) -> int:
        """Octets on the disk that are not in the database yet."""
        return sum(file.flushed - file.taken for file in self.files)

    def soon(self, visit: Visit) -> bool:
        """Take a visit that may be lost with the process; ``False`` where there is no room, and it is counted."""
        if self._pending_octets >= self._limits.pending:
            _DROPPED_BUFFER.inc()
            return False
        if self.backlog >= self._limits.backlog:
            _DROPPED_DISK.inc()
            return False
        self._append(encode(visit))
        if self._timer is None and self._flushing is None:
            self._timer = asyncio.get_running_loop().call_later(self._limits.flush, self._kick)
        return True

    async def durably(self, visit: Visit) -> None:
        """Take a visit; returns once it is synced. Raises ``StorageError`` where there is no room."""
        if self._pending_octets >= 2 * self._limits.pending:
            raise StorageError("too much waits for the disk; nothing of this was stored")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._append(encode(visit))
        self._waiters.append(waiter)
        self._kick()
        await waiter

    def _append(self, record: bytes) -> None:
        self.accepted += 1
        self._pending.append(record)
        self._pending_octets += len(record)

    def _kick(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._flushing is None and self._pending:
            self._flushing = asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        """Write and sync what waits, and whatever has come meanwhile that somebody waits for."""
        loop = asyncio.get_running_loop()
        try:
            while self._pending:
                octets, number, waiters = b"".join(self._pending), len(self._pending), self._waiters
                self._pending, self._pending_octets, self._waiters = [], 0, []
                try:
                    await loop.run_in_executor(self._disk, self._write, octets)
                except StorageError as error:
                    _DROPPED_DISK.inc(number - len(waiters))
                    _fail(waiters, error)
                    continue
                _tell(waiters)
                self.news.set()
                if not self._waiters:
                    break
        finally:
            self._flushing = None
            if self._pending and self._timer is None:
                self._timer = loop.call_later(self._limits.flush, self._kick)

    def _write(self, octets: bytes) -> None:
        """In the thread: append and sync; what did not fit is taken back."""
        file = self.files[-1]
        try:
            if file.flushed >= self._limits.file:
                file = _create(self._folder)
                self.files.append(file)
            written = 0
            while written < len(octets):
                written += os.pwrite(file.descriptor, memoryview(octets)[written:], file.flushed + written)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(file.descriptor, file.flushed)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFullError(
                    "the disk of the tracking journal is full; nothing of this was stored"
                ) from error
            raise StorageError(f"the tracking journal cannot be written: {error}") from error
        _sync(file.descriptor, self._on_unknown_state)
        file.flushed += len(octets)


def _sync(descriptor: int, on_unknown_state: Callable[[BaseException], None]) -> None:
    try:
        os.fdatasync(descriptor)
    except OSError as error:
        # Errors of a sync are reported once; nobody knows afterwards what is on the disk.
        on_unknown_state(error)
        raise StorageError("the tracking journal could not be synced") from error


def _create(folder: Path) -> JournalFile:
    identity = secrets.token_bytes(16)
    path = folder / f"{identity.hex()}{SUFFIX}"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.pwrite(descriptor, _MAGIC + identity, 0)
    os.fsync(descriptor)
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)  # the name has to be as durable as what stands under it
    finally:
        os.close(directory)
    return JournalFile(path, identity.hex(), descriptor, HEADER_OCTETS)


def left_behind(folder: Path, mine: set[Path]) -> list[JournalFile]:
    """The files of processes that are gone, locked by this one now. What is no journal is left alone."""
    found: list[JournalFile] = []
    for path in sorted(folder.glob(f"*{SUFFIX}")) if folder.exists() else ():
        if path in mine:
            continue
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # somebody lives who writes it
            os.close(descriptor)
            continue
        if os.fstat(descriptor).st_nlink == 0:  # its owner has just deleted it
            os.close(descriptor)
            continue
        header = os.pread(descriptor, HEADER_OCTETS, 0)
        if len(header) < HEADER_OCTETS:  # it ended before the first record
            path.unlink()
            os.close(descriptor)
        elif header.startswith(_MAGIC):
            size = os.fstat(descriptor).st_size
            found.append(JournalFile(path, header[len(_MAGIC) :].hex(), descriptor, size))
        else:
            _LOG.error("%s is no journal of this release; it stays where it is", path.name)
            os.close(descriptor)
    return found


def _tell(waiters: "list[asyncio.Future[None]]") -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


def _fail(waiters: "list[asyncio.Future[None]]", error: StorageError) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_exception(error)
