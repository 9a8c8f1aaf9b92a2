"""Takes journals into the database: those of this process while it writes them, and those of processes that died."""

import asyncio
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from mailtypes.errors import StorageError
from postwright.services.engagement import Engagement
from postwright.track.journal import DROPPED, HEADER_OCTETS, Journal, JournalFile, decode, left_behind

_LOG = logging.getLogger(__name__)
_CHUNK: Final = 500  # a transaction that is longer keeps all other writers waiting
_READ: Final = 256 * 1024
_IDLE: Final = 1.0
_LOOK_AROUND: Final = 30.0
_FAULT_PAUSE: Final = 2.0
_LONGEST_REST: Final = 3.0
_LONGEST_CUT: Final = 16 * 1024 * 1024  # what may have been on its way to the disk at once
_SHARE: Final = 9.0
"""Pauses are this many times as long as the work before them while requests come in faster: those who ask go first."""


class Drain:
    """Runs beside the tracking endpoints; ``step`` can be called alone."""

    def __init__(self, engagement: Engagement, journal: Journal, folder: Path) -> None:
        self._engagement = engagement
        self._journal = journal
        self._folder = folder
        self._orphans: list[JournalFile] = []
        self._looked_at: float | None = None
        self._loaded_at: float | None = None

    async def run(self) -> None:
        """Until cancelled; what the database refuses is tried again."""
        loop = asyncio.get_running_loop()
        while True:
            begun, accepted = loop.time(), self._journal.accepted
            try:
                await self._refresh_targets(begun)
                taken = await self.step()
            except StorageError as error:
                _LOG.warning("the tracking journal waits, %d octets so far: %s", self._journal.backlog, error)
                await asyncio.sleep(_FAULT_PAUSE)
                continue
            if taken:
                is_busy = self._journal.accepted - accepted > taken
                await asyncio.sleep(min(_LONGEST_REST, (loop.time() - begun) * _SHARE) if is_busy else 0)
                continue
            self._journal.news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._journal.news.wait(), _IDLE)

    async def step(self) -> int:
        """Take one chunk of the oldest file; returns how many visits it had, 0 where nothing waits."""
        now = asyncio.get_running_loop().time()
        if self._looked_at is None or now - self._looked_at > _LOOK_AROUND:
            self._looked_at = now
            mine = {file.path for file in (*self._journal.files, *self._orphans)}
            self._orphans += await self._opened(left_behind(self._folder, mine))
        if self._orphans:
            taken = await self._take(self._orphans[0])
            if taken == 0:
                await self._finish(self._orphans[0])
                self._orphans.pop(0)
                return 1
            return taken
        taken = await self._take(self._journal.files[0])
        if taken == 0 and len(self._journal.files) > 1:
            await self._finish(self._journal.files[0])
            self._journal.files.pop(0)
            return 1
        return taken

    async def empty(self) -> None:
        """Take everything that is on the disk."""
        while await self.step():
            pass

    async def finish(self) -> None:
        """At the end, when the journal takes no more: take the rest, and delete what is taken."""
        await self.empty()
        for file in self._journal.files:
            await self._finish(file)

    def close(self) -> None:
        """Let go of the files of others."""
        for file in self._orphans:
            file.close()

    async def _opened(self, found: list[JournalFile]) -> list[JournalFile]:
        for file in found:
            file.taken = max(file.taken, await self._engagement.taken_of_journal(file.id))
        return found

    async def _take(self, file: JournalFile) -> int:
        wanted = min(_READ, file.flushed - file.taken)
        if wanted <= 0:
            return 0
        octets = os.pread(file.descriptor, wanted, file.taken)
        visits, used = decode(octets, _CHUNK)
        if not visits:
            if file in self._orphans:
                return 0  # cut off by the crash: nobody was told that this had been stored
            raise StorageError(f"{file.path.name} cannot be read at octet {file.taken}")
        # The first chunk of a file begins at 0: its header belongs to it.
        start = 0 if file.taken == HEADER_OCTETS else file.taken
        dropped = await self._engagement.take_from_journal(file.id, (start, file.taken + used), visits)
        DROPPED.labels("flood").inc(dropped)
        file.taken += used
        return len(visits)

    async def _finish(self, file: JournalFile) -> None:
        """Delete a file that is in the database; if the end leaves some octets over, keep it for people to look at."""
        rest = file.flushed - file.taken
        if rest > _LONGEST_CUT:
            kept = file.path.with_suffix(".damaged")
            file.path.rename(kept)
            _LOG.error("%s has %d octets that cannot be read; it is kept", kept.name, rest)
        else:
            file.path.unlink(missing_ok=True)
        await self._engagement.forget_journal(file.id)
        file.close()

    async def _refresh_targets(self, now: float) -> None:
        if self._loaded_at is None or now - self._loaded_at > _LOOK_AROUND:
            self._loaded_at = now
            await self._engagement.load_targets()
