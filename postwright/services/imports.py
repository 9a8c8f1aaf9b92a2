"""Import of contacts from CSV: a job that runs in chunks, resumes after a cut, and names every row that it refused."""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from hygiene.address_checks import AddressCheck, check_address
from mailtypes.clock import Clock
from postwright.services.errors import NotFoundError, RefusedError
from postwright.store import blobs, contacts, imports
from postwright.store.contacts import ContactList, NewContact
from postwright.store.database import Database
from postwright.store.imports import ImportJob, Progress, Refusal

CHUNK_ROWS = 1000
MAX_COLUMNS = 100
MAX_FIELD_CHARACTERS = 4096
_OPEN_QUOTE = "Perhaps a quotation mark is not closed: the lines up to the next one belong to this row."
_ADDRESS_COLUMNS = ("email", "e-mail", "address", "mail", "email address", "דואל", 'דוא"ל')


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the file: the number of its first line, and its cells or why it has none."""

    number: int
    cells: list[str]
    fault: str = ""


class ContactImports:
    """Starts import jobs and does their work."""

    def __init__(self, database: Database, clock: Clock, *, test_environment: bool) -> None:
        self._database = database
        self._clock = clock
        self._test_environment = test_environment

    async def start(self, workspace_id: int, list_name: str, file_name: str, content: bytes) -> int:
        """Store the file and a waiting job; returns the job's id. Raises ``RefusedError`` for what is no table."""
        _check_list_name(list_name, "list")
        header, rows = _open_table(content)
        _address_column(header)
        total = sum(1 for _ in rows)
        now = self._clock.now()

        def store(connection: Connection) -> int:
            target = contacts.ensure_list(connection, workspace_id, list_name.strip(), now)
            blob_id = blobs.put_blob(connection, workspace_id, content, now)
            return imports.add_job(connection, workspace_id, target.id, (file_name[:200], blob_id), total, now)

        return await self._database.write(store)

    async def make_list(self, workspace_id: int, name: str) -> tuple[ContactList, bool]:
        """The list of that name, made where there is none, and whether it is new; raises ``RefusedError``."""
        _check_list_name(name, "name")
        now = self._clock.now()

        def make(connection: Connection) -> tuple[ContactList, bool]:
            is_new = contacts.find_list(connection, workspace_id, name.strip()) is None
            return contacts.ensure_list(connection, workspace_id, name.strip(), now), is_new

        return await self._database.write(make)

    async def job(self, workspace_id: int, job_id: int) -> ImportJob:
        """How far a job is; raises ``NotFoundError``."""
        found = await self._database.read(lambda connection: imports.get_job(connection, workspace_id, job_id))
        if found is None:
            raise NotFoundError("import")
        return found

    async def refusals(self, workspace_id: int, job_id: int, *, after: int = 0, limit: int = 1000) -> list[Refusal]:
        """The refused rows of a job, beginning behind the row number ``after``."""
        job = await self.job(workspace_id, job_id)
        return await self._database.read(
            lambda connection: imports.list_refusals(connection, job.id, after=after, limit=limit)
        )

    async def refusals_by_code(self, workspace_id: int, job_id: int) -> dict[str, int]:
        """How many rows were refused for each reason."""
        job = await self.job(workspace_id, job_id)
        return await self._database.read(lambda connection: imports.refusals_by_code(connection, job.id))

    async def run_jobs(self) -> int:
        """Do all jobs that wait or were cut off; returns how many were brought to their end."""
        jobs = await self._database.read(imports.unfinished_jobs)
        for job in jobs:
            await self.run_job(job)
        return len(jobs)

    async def run_job(self, job: ImportJob) -> None:
        """Bring one job to its end, from where it stands; each chunk is one transaction with the job's counters."""
        opened = await self._database.read(lambda connection: _open_job(connection, job))
        if opened is None:
            return  # it has come to its end already, perhaps since it was read
        job, content = opened
        header, rows = _open_table(content)
        column = _address_column(header)
        seen: dict[str, int] = {}
        position = 0
        for chunk in _chunks(rows):
            accepted, refusals = self._sort_out(header, column, chunk, seen)
            position += len(chunk)
            if position <= job.rows_read:
                continue  # done before the cut; read again only to know which addresses were seen
            advanced = await self._store_chunk(job, accepted, refusals, len(chunk))
            if advanced is None:
                return  # another process has the job
            job = advanced
        await self._finish(job)

    async def _finish(self, job: ImportJob) -> None:
        now = self._clock.now()

        def finish(connection: Connection) -> None:
            current = imports.get_job(connection, job.workspace_id, job.id)
            if current is None or current.blob_id is None:
                return  # another process was first; the file is let go of once, since another job may share it
            imports.finish_job(connection, job.id, now)
            blobs.release_blob(connection, current.blob_id)

        await self._database.write(finish)

    async def _store_chunk(
        self, job: ImportJob, accepted: Sequence[NewContact], refusals: Sequence[Refusal], rows: int
    ) -> ImportJob | None:
        now = self._clock.now()

        def store(connection: Connection) -> ImportJob | None:
            target = contacts.get_list(connection, job.workspace_id, job.list_id)
            assert target is not None  # lists are not deleted while a job refers to them
            created, updated = contacts.put_on_list(connection, target, accepted, f"import:{job.file_name}", now)
            if not imports.advance(connection, job, Progress(rows, created, updated, refusals)):
                return None
            return imports.get_job(connection, job.workspace_id, job.id)

        return await self._database.write(store)

    def _sort_out(
        self, header: list[str], column: int, rows: Sequence[_Row], seen: dict[str, int]
    ) -> tuple[list[NewContact], list[Refusal]]:
        """Good rows as contacts, the others with their reasons; ``seen`` maps address keys to their first row."""
        accepted: list[NewContact] = []
        refusals: list[Refusal] = []
        for row in rows:
            refusal = _shape_fault(header, column, row)
            check = None if refusal else check_address(row.cells[column], test_environment=self._test_environment)
            if check is not None:
                refusal = _address_fault(row, column, check, seen)
            if refusal is not None:
                refusals.append(refusal)
            elif check is not None and check.address is not None:
                address = check.address
                seen[address.key] = row.number
                fields = {
                    name: cell.strip()
                    for place, (name, cell) in enumerate(zip(header, row.cells, strict=True))
                    if place != column and cell.strip()
                }
                accepted.append(NewContact(address.text, address.key, address.domain.ascii, fields))
        return accepted, refusals


def _open_job(connection: Connection, job: ImportJob) -> tuple[ImportJob, bytes] | None:
    """The job as it stands now and its file, ``None`` where it has ended."""
    current = imports.get_job(connection, job.workspace_id, job.id)
    if current is None or current.blob_id is None:
        return None
    return current, blobs.get_blob(connection, current.blob_id)


def _check_list_name(name: str, field: str) -> None:
    if not name.strip() or len(name) > 200 or not name.isprintable():
        # It stands in the List-Id field of every message, where a line break would fail all of them.
        sentence = "A list has a name of 1 to 200 characters, all of which can be printed."
        raise RefusedError("list_name", sentence, field=field)


def _open_table(content: bytes) -> tuple[list[str], Iterator[_Row]]:
    """Header and rows of a CSV file in UTF-8 (with or without a byte order mark)."""
    if not content.removeprefix(codecs.BOM_UTF8).strip():
        raise RefusedError("empty_file", "The file is empty.", field="file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RefusedError(
            "encoding", f"Line {line} is not UTF-8.", field="file", next_step="Save the file as CSV in UTF-8."
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=False)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error:
        header = []  # a first line of more than 131,072 characters: whatever this is, it is no header
    named = [name for name in header if name]
    if not header or len(header) > MAX_COLUMNS or len(set(named)) != len(header):
        raise RefusedError(
            "header",
            "The first line must name every column once, at most a hundred.",
            field="file",
            next_step="Write a header such as email,first_name,city.",
        )
    return header, _rows(reader)


def _rows(reader: Any) -> Iterator[_Row]:
    end = reader.line_num
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield _Row(end + 1, [], f"The row cannot be read ({error}). {_OPEN_QUOTE}")
            end = reader.line_num
            continue
        if cells:
            yield _Row(end + 1, cells)
        end = reader.line_num


def _chunks(rows: Iterator[_Row]) -> Iterator[list[_Row]]:
    chunk: list[_Row] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK_ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _address_column(header: list[str]) -> int:
    for place, name in enumerate(header):
        if name.casefold() in _ADDRESS_COLUMNS:
            return place
    raise RefusedError(
        "no_address_column",
        "No column holds addresses.",
        field="file",
        next_step="Name the column with the addresses 'email' in the first line.",
    )


def _shape_fault(header: list[str], column: int, row: _Row) -> Refusal | None:
    shown = ",".join(row.cells)[:200]
    if row.fault:
        return Refusal(row.number, shown, "not_csv", row.fault)
    if len(row.cells) != len(header):
        reason = f"The row has {len(row.cells)} cells, the header has {len(header)}."
        hint = f" {_OPEN_QUOTE}" if any("\n" in cell for cell in row.cells) else ""
        return Refusal(row.number, shown, "columns", reason + hint)
    if any(len(cell) > MAX_FIELD_CHARACTERS for cell in row.cells):
        return Refusal(row.number, shown, "too_long", f"A cell has more than {MAX_FIELD_CHARACTERS} characters.")
    for place, cell in enumerate(row.cells):
        if place != column and any(ord(character) < 32 and character not in "\t\n\r" for character in cell):
            return Refusal(
                row.number, shown, "control_character", f"The column {header[place]} has a control character."
            )
    return None


def _address_fault(row: _Row, column: int, check: AddressCheck, seen: dict[str, int]) -> Refusal | None:
    if check.address is None:
        return Refusal(row.number, row.cells[column][:200], str(check.refusal), check.sentence)
    if check.address.key in seen:
        first = seen[check.address.key]
        return Refusal(row.number, row.cells[column][:200], "duplicate", f"The address stands in line {first} already.")
    return None
