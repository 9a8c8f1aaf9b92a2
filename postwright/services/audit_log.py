"""Who did what: every request that changes something, from the pages and the API."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.exc import SQLAlchemyError

from mailtypes.clock import Clock
from mailtypes.errors import SurroundingsError
from postwright.store import audit_log
from postwright.store.audit_log import AuditEntry, NewAuditEntry
from postwright.store.database import Database

_LONGEST = 300
_log = logging.getLogger("postwright.audit")


class AuditLog:
    """Written by the edges, read by admins."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def note(self, entry: NewAuditEntry) -> None:
        """Write an entry down. What was done is done: a database that refuses it is told of in the process's log."""
        short = replace(entry, target=entry.target[:_LONGEST], who=entry.who[:_LONGEST], at=self._clock.now())
        try:
            await self._database.write(lambda connection: audit_log.add_entry(connection, short))
        except (SQLAlchemyError, SurroundingsError):
            _log.exception("%s by %s could not be written to the audit log", short.action, short.who)

    async def newest(
        self, workspace_id: int, *, who: str = "", before: int = 0, limit: int = 100
    ) -> Sequence[AuditEntry]:
        """The newest entries, the newest first."""
        return await self._database.read(
            lambda connection: audit_log.newest_entries(connection, workspace_id, who=who, before=before, limit=limit)
        )
