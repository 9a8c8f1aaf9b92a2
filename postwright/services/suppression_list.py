"""The suppression list: added by hand or from a file, listed."""

import csv
import io
from collections.abc import Sequence
from functools import partial

from hygiene.address_checks import check_address
from mailtypes.address import EmailAddress
from mailtypes.clock import Clock
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.store import suppressions
from postwright.store.database import Database
from postwright.store.suppressions import NewSuppression, Scope, Suppression

_MAX_REASON = 100
_MAX_ROWS = 100_000
_CHUNK = 1000  # a transaction that is longer keeps all other writers waiting


class SuppressionList:
    """Suppressions of all workspaces."""

    def __init__(self, database: Database, clock: Clock, *, test_environment: bool) -> None:
        self._database = database
        self._clock = clock
        self._test_environment = test_environment

    async def add(self, workspace_id: int, address_text: str, reason: str) -> bool:
        """Suppress an address for everything, at once and for queued mail too; ``False`` if it was already."""
        address = EmailAddress.parse(address_text)
        return await self._store(workspace_id, [_for_all(address, reason)]) == 1

    async def import_csv(self, workspace_id: int, content: bytes) -> tuple[int, Sequence[Problem]]:
        """Suppress the addresses of a CSV file (columns ``email`` and, if there is one, ``reason``).

        Returns how many are new, and the rows that were refused. Good rows are kept whatever the others say.
        """
        try:
            rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
            if "email" not in (rows.fieldnames or ()):
                raise RefusedError("no_address_column", "The first line must name a column 'email'.", field="file")
            read = [(rows.line_num, row) for row in rows]
        except (UnicodeDecodeError, csv.Error) as error:
            raise RefusedError("not_csv", "The file is not CSV in UTF-8.", field="file") from error
        if len(read) > _MAX_ROWS:
            raise RefusedError("too_many_rows", f"A file has at most {_MAX_ROWS:,} rows.", field="file")
        wanted: list[NewSuppression] = []
        problems: list[Problem] = []
        for line, row in read:
            check = check_address(row["email"] or "", test_environment=self._test_environment)
            if check.address is None:
                problems.append(Problem(str(check.refusal), check.sentence, "email", f"line {line}"))
            else:
                wanted.append(_for_all(check.address, row.get("reason") or "imported"))
        return await self._store(workspace_id, wanted), problems

    async def list(self, workspace_id: int, *, after: int = 0, limit: int = 100) -> Sequence[Suppression]:
        """Suppressions in the order in which they were added."""
        return await self._database.read(
            lambda connection: suppressions.list_suppressions(connection, workspace_id, after=after, limit=limit)
        )

    async def lift(self, workspace_id: int, suppression_id: int) -> None:
        """Let an address be written to again; raises ``NotFoundError``. The event log keeps what was lifted."""
        now = self._clock.now()
        if not await self._database.write(
            lambda connection: suppressions.lift(connection, workspace_id, suppression_id, now)
        ):
            raise NotFoundError("suppression")

    async def _store(self, workspace_id: int, wanted: Sequence[NewSuppression]) -> int:
        now = self._clock.now()
        changed = 0
        for at in range(0, len(wanted), _CHUNK):
            chunk = wanted[at : at + _CHUNK]
            changed += await self._database.write(
                partial(suppressions.suppress, workspace_id=workspace_id, wanted=chunk, now=now)
            )
        return changed


def _for_all(address: EmailAddress, reason: str) -> NewSuppression:
    return NewSuppression(address.text, address.key, Scope.ALL, 0, reason.strip()[:_MAX_REASON] or "manual")
