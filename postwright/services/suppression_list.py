"""The suppression list: added to by hand or from files, searched, written out, lifted."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from hygiene.address_checks import check_address
from mailtypes.address import EmailAddress
from mailtypes.clock import Clock, Microseconds
from mailtypes.saying import say
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.services.suppression_files import FileForm, FileRow, read_file, write_csv
from postwright.store import contacts, suppressions, workspaces
from postwright.store.database import Database
from postwright.store.rowsets import storable
from postwright.store.suppressions import NewSuppression, Scope, Suppression, SuppressionFilter

BY_HAND = "manual"
_MAX_REASON = 100
_MAX_NOTE = 500
_CHUNK = 1000  # a transaction that is longer keeps all other writers waiting
_PAGE = 5000
_STREAM = "marketing"


@dataclass(frozen=True, slots=True)
class Reach:
    """How far: everything, a stream by its name, or a list by its name or id; until a moment, or for good."""

    scope: Scope = Scope.ALL
    stream: str = _STREAM
    list_name: str | None = None
    list_id: int | None = None
    expires_at: int | None = None


EVERYTHING = Reach()


@dataclass(frozen=True, slots=True)
class ImportedSuppressions:
    """What came of a file: whose form it has, how many are new or last longer now, and the rows that were refused."""

    form: FileForm
    rows: int
    added: int
    problems: Sequence[Problem]


class SuppressionList:
    """Suppressions of all workspaces."""

    def __init__(self, database: Database, clock: Clock, *, test_environment: bool) -> None:
        self._database = database
        self._clock = clock
        self._test_environment = test_environment

    async def add(
        self, workspace_id: int, address_text: str, reason: str, reach: Reach = EVERYTHING, *, note: str = ""
    ) -> bool:
        """Suppress an address, at once and for queued mail too; ``False`` if it was already, for as long.

        Raises ``AddressSyntaxError`` and ``RefusedError``.
        """
        address = EmailAddress.parse(address_text)
        now = self._clock.now()
        if reach.expires_at is not None and reach.expires_at <= now:
            raise RefusedError("past", say("The end lies in the past."), field="expires_at")
        place = await self._database.read(partial(_place, workspace_id=workspace_id, reach=reach))
        why = reason.strip()[:_MAX_REASON] or BY_HAND
        wanted = NewSuppression(
            address.text, address.key, *place, why, None, reach.expires_at, note.strip()[:_MAX_NOTE]
        )
        return await self._store(workspace_id, [wanted]) == 1

    async def import_file(self, workspace_id: int, content: bytes, reach: Reach | None = None) -> ImportedSuppressions:
        """Suppress the addresses of a file in any form of ``suppression_files``; good rows are kept in any case.

        Without ``reach`` each row says how far: who complained or unsubscribed gets no more marketing mail, all others
        nothing at all.
        """
        found = read_file(content)
        places = await self._database.read(partial(_places, workspace_id=workspace_id, reach=reach))
        wanted: list[NewSuppression] = []
        problems: list[Problem] = []
        for row in found.rows:
            check = check_address(row.address, test_environment=self._test_environment)
            if check.address is None:
                problems.append(
                    Problem(str(check.refusal), check.sentence, "email", say("line %(line)s", line=row.place))
                )
            else:
                wanted.append(_of_row(check.address, row, places, reach))
        added = await self._store(workspace_id, wanted)
        return ImportedSuppressions(found.form, len(found.rows), added, problems)

    async def import_csv(self, workspace_id: int, content: bytes) -> tuple[int, Sequence[Problem]]:
        """How many of a file are new, and the rows that were refused."""
        found = await self.import_file(workspace_id, content)
        return found.added, found.problems

    async def find(
        self, workspace_id: int, wanted: SuppressionFilter, *, after: int = 0, limit: int = 100
    ) -> Sequence[Suppression]:
        """Suppressions in the order in which they were added, beginning behind ``after``."""
        work = partial(suppressions.find_suppressions, workspace_id=workspace_id, wanted=wanted)
        return await self._database.read(partial(work, after=after, limit=limit))

    async def list(self, workspace_id: int, *, after: int = 0, limit: int = 100) -> Sequence[Suppression]:
        """All of them, in the order in which they were added."""
        return await self.find(workspace_id, SuppressionFilter(), after=after, limit=limit)

    async def get(self, workspace_id: int, suppression_id: int) -> Suppression:
        """A suppression; raises ``NotFoundError``."""
        work = partial(suppressions.get_suppression, workspace_id=workspace_id, suppression_id=suppression_id)
        found = await self._database.read(work)
        if found is None:
            raise NotFoundError("suppression")
        return found

    async def export(
        self, workspace_id: int, form: FileForm, wanted: SuppressionFilter | None = None
    ) -> AsyncIterator[str]:
        """What bars now, as CSV in a provider's form, a piece at a time."""
        active = wanted or SuppressionFilter(active_at=self._clock.now())
        after, is_first = 0, True
        while True:
            rows = await self.find(workspace_id, active, after=after, limit=_PAGE)
            lines = list(write_csv(form, rows))
            yield "".join(lines if is_first or len(lines) == len(rows) else lines[1:])
            if len(rows) < _PAGE:
                return
            after, is_first = rows[-1].id, False

    async def lift(
        self, workspace_id: int, suppression_id: int, *, by: str = "", note: str = "", is_admin: bool = True
    ) -> None:
        """Let an address be written to again; raises ``NotFoundError`` and ``RefusedError``.

        What ``needs_admin`` takes a note as well. The event log keeps what and why.
        """
        now, why = self._clock.now(), note.strip()[:_MAX_NOTE]

        def work(connection: Connection) -> None:
            found = suppressions.get_suppression(connection, workspace_id, suppression_id)
            if found is None:
                raise NotFoundError("suppression")
            _check_may_lift(found, why, is_admin=is_admin)
            suppressions.lift(connection, workspace_id, suppression_id, now, by=by, note=why)

        await self._database.write(work)

    async def put_back(self, workspace_id: int, gone: Suppression) -> None:
        """Suppress again what was lifted, as it was."""
        wanted = NewSuppression(
            gone.address,
            gone.address_key,
            Scope(gone.scope),
            gone.scope_id,
            gone.reason,
            gone.source_event_id,
            gone.expires_at,
            gone.note,
        )
        await self._store(workspace_id, [wanted])

    async def _store(self, workspace_id: int, wanted: Sequence[NewSuppression]) -> int:
        now = self._clock.now()
        changed = 0
        for at in range(0, len(wanted), _CHUNK):
            chunk = wanted[at : at + _CHUNK]
            changed += await self._database.write(
                partial(suppressions.suppress, workspace_id=workspace_id, wanted=chunk, now=now)
            )
        return changed


def needs_admin(suppression: Suppression) -> bool:
    """Whether only an admin lifts it, with a note: all that people or their providers asked for, in whatever words.

    What somebody here put onto the list by hand, somebody here takes off it.
    """
    return suppression.reason != BY_HAND


def _check_may_lift(suppression: Suppression, note: str, *, is_admin: bool) -> None:
    if not needs_admin(suppression):
        return
    if not is_admin:
        raise RefusedError(
            "admin_needed",
            say("Only an admin lifts what was not suppressed by hand."),
            next_step=say("Ask an admin of your workspace."),
        )
    if not note:
        raise RefusedError(
            "note_needed",
            say("This was not suppressed by hand, so lifting it takes a note."),
            field="note",
            next_step=say("Say why the address may be written to again."),
        )


_Place = tuple[Scope, int]


def _place(connection: Connection, workspace_id: int, reach: Reach) -> _Place:
    if reach.scope is Scope.ALL:
        return Scope.ALL, 0
    if reach.scope is Scope.STREAM:
        stream = workspaces.find_stream(connection, workspace_id, reach.stream)
        if stream is None:
            step = say("The streams are marketing and transactional.")
            raise RefusedError(
                "no_such_stream",
                say("There is no stream '%(stream)s'.", stream=reach.stream[:60]),
                field="stream",
                next_step=step,
            )
        return Scope.STREAM, stream.id
    found = None
    if reach.list_id is not None:
        found = contacts.get_list(connection, workspace_id, reach.list_id)
    elif reach.list_name:
        found = contacts.find_list(connection, workspace_id, reach.list_name)
    if found is None:
        raise RefusedError(
            "no_such_list", say("There is no such list."), field="list", next_step=say("Name a list that exists.")
        )
    return Scope.LIST, found.id


@dataclass(frozen=True, slots=True)
class _Places:
    """Where rows go that say nothing, and where those go that ask for no more marketing mail."""

    usual: _Place
    marketing: _Place


def _places(connection: Connection, workspace_id: int, reach: Reach | None) -> _Places:
    marketing = _place(connection, workspace_id, Reach(Scope.STREAM))
    usual = (Scope.ALL, 0) if reach is None else _place(connection, workspace_id, reach)
    return _Places(usual, marketing if reach is None else usual)


def _of_row(address: EmailAddress, row: FileRow, places: _Places, reach: Reach | None) -> NewSuppression:
    # What another install wrote of a list that is not here is still about newsletters.
    is_narrow = row.scope in (Scope.STREAM, Scope.LIST) if row.scope else not row.asks_all
    place = places.marketing if is_narrow else places.usual
    expires_at: Microseconds | int | None = row.expires_at if reach is None else reach.expires_at
    return NewSuppression(
        address.text, address.key, *place, storable(row.reason[:_MAX_REASON]), None, expires_at, storable(row.note)
    )
