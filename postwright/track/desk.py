"""What lives as long as the tracking server does: the journal, its way into the database, and our tracking hosts."""

import asyncio
import logging
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from prometheus_client import Gauge

from mailtypes.errors import StorageError
from postwright.services.engagement import Engagement
from postwright.services.tracking_hosts import TrackingHosts
from postwright.track.drain import Drain
from postwright.track.journal import Journal, JournalLimits

_LOG = logging.getLogger(__name__)
_LAST_SECONDS: Final = 8.0
_SWITCH_SECONDS: Final = 0.000_5
_BACKLOG = Gauge("postwright_track_journal_octets", "Octets of the journal that are not in the database yet")


class TrackDesk:
    """``open`` before the first request, ``close`` after the last; ``folder`` is for the journals of this machine."""

    def __init__(
        self, engagement: Engagement, hosts: TrackingHosts, folder: Path, limits: JournalLimits | None = None
    ) -> None:
        self.hosts = hosts
        self._engagement = engagement
        self._journal = Journal(folder, limits)
        self._drain = Drain(engagement, self._journal, folder)
        self._draining: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin a journal; what earlier processes have left is taken into the database beside the requests."""
        # The thread that writes to the database may keep the interpreter for this long while requests wait.
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._journal.open()
        self._engagement.intake = self._journal
        _BACKLOG.set_function(lambda: self._journal.backlog)
        self._draining = asyncio.create_task(self._drain.run())

    async def close(self) -> None:
        """Sync what waits and take what can be taken in a few seconds; the rest stays on the disk for the next one."""
        if self._draining is not None:
            self._draining.cancel()
            with suppress(asyncio.CancelledError):
                await self._draining
        await self._journal.settle()
        try:
            await asyncio.wait_for(self._drain.finish(), _LAST_SECONDS)
        except (StorageError, TimeoutError):
            _LOG.warning("%d octets of the tracking journal wait for the next start", self._journal.backlog)
        await self._journal.close()
        self._drain.close()
