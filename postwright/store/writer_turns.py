"""Whose turn it is to write to a SQLite file, among the processes of one machine.

SQLite has one writer at a time, and lets the others sleep and look again, for up to 100 ms a time: of several busy
processes one may look in vain for a second while the file is free most of it. Here they wait in the kernel, which wakes
the next one at once. Nothing is right or wrong by this: who takes no turn is kept apart by SQLite's own lock as before,
and the turn of a process that dies is over.
"""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class WriterTurns:
    """Turns at the SQLite file ``database``, which exists; the lock is on an empty file beside it, which stays."""

    def __init__(self, database: Path) -> None:
        owner = database.stat()
        flags = os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(f"{database}-turn", flags, stat.S_IMODE(owner.st_mode))
        if os.geteuid() == 0:
            # As SQLite does with its own side files: what root begins, the service has to be able to go on with.
            os.fchown(self._file, owner.st_uid, owner.st_gid)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for our turn and keep it."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Take no more turns."""
        os.close(self._file)
