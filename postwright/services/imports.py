"""Import of contacts: a job that runs in chunks, resumes after a cut, and names every row not taken as it stood.

A file is stored in pieces and read in pieces. A chunk of rows is one transaction together with the job's counters; the
next chunk is read and judged in a thread meanwhile. What of a file is a duplicate the database knows, so memory does
not grow with the file. The same file with the same options is imported once.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial
from itertools import islice
from secrets import token_hex
from typing import Any, BinaryIO, Final, cast

from sqlalchemy import Connection

from hygiene.address_verdict import AddressJudge, AddressRules
from mailtypes.clock import Clock, microseconds
from mailtypes.errors import ConfigurationError
from mailtypes.saying import say
from postwright.services.contact_fields import make_coercer
from postwright.services.errors import NotFoundError, RefusedError
from postwright.services.import_files import PIECE, Preview, StoredFile, digest_of, look_at, plan_and_count
from postwright.services.import_options import (
    ColumnUse,
    ImportConsent,
    ImportOptions,
    ImportPlan,
    check_options,
)
from postwright.services.import_report import REPORT_HEADER, report_lines, with_findings
from postwright.services.import_rows import RowSorter, SortedRows, Values, in_chunks
from postwright.services.import_tables import open_table
from postwright.store import blobs, contact_fields, contacts, imports
from postwright.store.contacts import ContactList
from postwright.store.database import Database
from postwright.store.imported_contacts import BatchConsent, ImportBatch, put_imported
from postwright.store.imports import ImportJob, Progress, Refusal

CHUNK_ROWS = 2500
_UPLOAD_LASTS = timedelta(hours=2)
_DRAFT_LASTS = timedelta(days=2)
_REPORT_PAGE: Final = 5000
_SETTLED: Final = frozenset({"finished", "failed"})


class ContactImports:
    """Starts import jobs and does their work."""

    def __init__(self, database: Database, clock: Clock, *, test_environment: bool) -> None:
        self._database = database
        self._clock = clock
        self._test_environment = test_environment

    @property
    def test_environment(self) -> bool:
        """Whether ``.test`` domains pass: in the sandbox alone."""
        return self._test_environment

    async def start(
        self,
        workspace_id: int,
        list_name: str,
        file_name: str,
        content: bytes | BinaryIO,
        options: ImportOptions | None = None,
    ) -> int:
        """Store the file and a waiting job; returns the job's id, that of the job which did the same before if any.

        Raises ``RefusedError`` for what is no table, and where the encoding has to be said.
        """
        file = io.BytesIO(content) if isinstance(content, bytes) else content
        checked = check_options(options or ImportOptions())
        check_list_name(list_name, "list")
        plan, rows = await asyncio.to_thread(plan_and_count, file, file_name, checked)
        sha256 = await asyncio.to_thread(digest_of, file)
        if not checked.again:
            same = await self._same(workspace_id, list_name, plan, sha256)
            if same is not None:
                return same
        job_id = await self._store_file(workspace_id, list_name, file_name, file, sha256)
        return await self._begin(workspace_id, job_id, (plan, rows), sha256, again=checked.again)

    async def preview(self, file: BinaryIO, file_name: str, options: ImportOptions | None = None) -> Preview:
        """How a file would be read, with guesses for what was not said; raises ``RefusedError`` for no table."""
        return await asyncio.to_thread(look_at, file, file_name, check_options(options or ImportOptions()))

    async def store_draft(self, workspace_id: int, list_name: str, file_name: str, file: BinaryIO) -> int:
        """Store a file whose mapping is said later (``preview_draft``, ``begin_draft``); returns the job's id."""
        check_list_name(list_name, "list")
        await asyncio.to_thread(look_at, file, file_name, ImportOptions())
        sha256 = await asyncio.to_thread(digest_of, file)
        return await self._store_file(workspace_id, list_name, file_name, file, sha256)

    async def preview_draft(self, workspace_id: int, job_id: int, options: ImportOptions | None = None) -> Preview:
        """``preview`` of a draft's file; raises ``NotFoundError`` where there is no such draft."""
        job = await self._draft(workspace_id, job_id)
        checked = check_options(options or ImportOptions())
        return await asyncio.to_thread(look_at, self._file(job), job.file_name, checked)

    async def begin_draft(self, workspace_id: int, job_id: int, options: ImportOptions) -> int:
        """A draft's rows are read from now on; returns the id of the job that does it or did the same before."""
        job, checked = await self._draft(workspace_id, job_id), check_options(options)
        file = self._file(job)
        plan, rows = await asyncio.to_thread(plan_and_count, file, job.file_name, checked)
        sha256 = await asyncio.to_thread(digest_of, file)
        return await self._begin(workspace_id, job_id, (plan, rows), sha256, again=checked.again)

    async def _draft(self, workspace_id: int, job_id: int) -> ImportJob:
        job = await self.job(workspace_id, job_id)
        if job.state != "draft":
            raise RefusedError("import_begun", say("The import has begun already; its mapping stands."))
        return job

    async def _same(self, workspace_id: int, list_name: str, plan: ImportPlan, sha256: str) -> int | None:
        def look(connection: Connection) -> int | None:
            target = contacts.find_list(connection, workspace_id, list_name.strip())
            if target is None:
                return None
            return imports.find_same_job(connection, workspace_id, plan.fingerprint(sha256, target.id))

        return await self._database.read(look)

    async def _store_file(self, workspace_id: int, list_name: str, file_name: str, file: BinaryIO, sha256: str) -> int:
        """A draft with the file in pieces, each in a transaction of its own, so that nobody waits for a large one."""
        now = self._clock.now()

        def begin(connection: Connection) -> tuple[int, int]:
            target = contacts.ensure_list(connection, workspace_id, list_name.strip(), now)
            blob_id = blobs.open_blob(connection, workspace_id, f"incoming:{token_hex(16)}", now)
            return imports.add_job(connection, workspace_id, target.id, (file_name[:200], blob_id), now), blob_id

        job_id, blob_id = await self._database.write(begin)
        file.seek(0)
        number = size = 0
        while piece := await asyncio.to_thread(file.read, PIECE):
            await self._database.write(
                partial(blobs.add_piece, workspace_id=workspace_id, blob_id=blob_id, number=number, content=piece)
            )
            number, size = number + 1, size + len(piece)

        def end(connection: Connection) -> None:
            kept = blobs.close_blob(connection, workspace_id, blob_id, sha256, size)
            imports.make_draft(connection, job_id, kept)
            if kept != blob_id:
                blobs.release_blob(connection, blob_id)

        await self._database.write(end)
        return job_id

    async def _begin(
        self, workspace_id: int, job_id: int, found: tuple[ImportPlan, int], sha256: str, *, again: bool
    ) -> int:
        plan, rows = found

        def begin(connection: Connection) -> int:
            job = imports.get_job(connection, workspace_id, job_id)
            assert job is not None  # stored before
            fingerprint = plan.fingerprint(sha256, job.list_id)
            same = None if again else imports.find_same_job(connection, workspace_id, fingerprint)
            if same is not None and same != job.id:
                _let_go(
                    connection, job, self._clock.now(), say("The same file was imported with the same options before.")
                )
                return same
            imports.begin_job(connection, job.id, plan.as_json(), fingerprint, rows)
            return job.id

        return await self._database.write(begin)

    def _file(self, job: ImportJob) -> BinaryIO:
        """The stored file of a job, piece by piece; read it in a thread."""
        assert job.blob_id is not None  # asked by the callers
        blob_id = job.blob_id

        def piece(number: int) -> bytes | None:
            return self._database.read_in_thread(lambda connection: blobs.get_piece(connection, blob_id, number))

        return cast("BinaryIO", io.BufferedReader(StoredFile(piece), PIECE))

    async def make_list(self, workspace_id: int, name: str) -> tuple[ContactList, bool]:
        """The list of that name, made where there is none, and whether it is new; raises ``RefusedError``."""
        check_list_name(name, "name")
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

    async def jobs(self, workspace_id: int, *, before: int | None = None, limit: int = 50) -> list[ImportJob]:
        """Jobs, the newest first, beginning before the id ``before``."""
        return await self._database.read(
            partial(imports.list_jobs, workspace_id=workspace_id, before=before, limit=limit)
        )

    async def refusals(self, workspace_id: int, job_id: int, *, after: int = 0, limit: int = 1000) -> list[Refusal]:
        """The refused rows of a job, beginning behind the row number ``after``."""
        return await self.report(workspace_id, job_id, outcome="refused", after=after, limit=limit)

    async def report(
        self, workspace_id: int, job_id: int, *, outcome: str = "", after: int = 0, limit: int = 1000
    ) -> list[Refusal]:
        """The rows that did not come in as they stood, refused, changed or flagged; behind the row number ``after``."""
        job = await self.job(workspace_id, job_id)
        return await self._database.read(
            partial(imports.list_report, job_id=job.id, outcome=outcome, after=after, limit=limit)
        )

    async def report_csv(self, workspace_id: int, job_id: int) -> AsyncIterator[str]:
        """The whole report as CSV, a page at a time."""
        yield REPORT_HEADER
        after = 0
        while page := await self.report(workspace_id, job_id, after=after, limit=_REPORT_PAGE):
            yield report_lines(page)
            after = page[-1].row_number

    async def refusals_by_code(self, workspace_id: int, job_id: int, outcome: str = "refused") -> dict[str, int]:
        """How many rows were refused (or flagged, or changed) for each reason."""
        job = await self.job(workspace_id, job_id)
        return await self._database.read(
            lambda connection: imports.refusals_by_code(connection, job.id, outcome=outcome)
        )

    async def run_jobs(self) -> int:
        """Do all jobs that wait or were cut off; returns how many were brought to their end."""
        await self._forget_stale()
        jobs = await self._database.read(imports.unfinished_jobs)
        for job in jobs:
            await self.run_job(job)
        return len(jobs)

    async def run_job(self, job: ImportJob) -> None:
        """Bring one job to its end, from where it stands; each chunk is one transaction with the job's counters."""
        found = await self._database.read(lambda connection: imports.get_job(connection, job.workspace_id, job.id))
        if found is None or found.blob_id is None or found.state not in {"waiting", "running"}:
            return  # it has come to its end already, perhaps since it was read
        job, plan = found, _plan_of(found)
        sorted_rows = self._sorted_rows(job, plan, await self._values(job.workspace_id))
        coming = asyncio.ensure_future(asyncio.to_thread(next, sorted_rows, None))
        try:
            while (chunk := await coming) is not None:
                coming = asyncio.ensure_future(asyncio.to_thread(next, sorted_rows, None))
                advanced = await self._store_chunk(job, plan, chunk)
                if advanced is None:
                    return  # another process has the job
                job = advanced
        except RefusedError as error:
            await self._finish(job, cause=str(error))
            return
        finally:
            await _settled(coming)
        await self._finish(job)

    async def _values(self, workspace_id: int) -> Values:
        definitions = await self._database.read(partial(contact_fields.list_fields, workspace_id=workspace_id))
        return Values(make_coercer(definitions), frozenset(one.name for one in definitions))

    def _sorted_rows(self, job: ImportJob, plan: ImportPlan, values: Values) -> Iterator[SortedRows]:
        """Chunks behind what the job has read already, sorted out; made in a thread."""
        table = open_table(self._file(job), plan.reading)
        judge = AddressJudge(AddressRules(test_environment=self._test_environment))
        sorter = RowSorter(plan, table.header, judge, values)
        for _ in islice(table.rows, job.rows_read):
            pass  # stored before the cut
        for chunk in in_chunks(table.rows, CHUNK_ROWS):
            yield sorter.sort(chunk)

    async def _finish(self, job: ImportJob, *, cause: str = "") -> None:
        now = self._clock.now()

        def finish(connection: Connection) -> None:
            current = imports.get_job(connection, job.workspace_id, job.id)
            if current is not None and current.blob_id is not None:  # else another process was first
                _let_go(connection, current, now, cause)

        await self._database.write(finish)

    async def _store_chunk(self, job: ImportJob, plan: ImportPlan, chunk: SortedRows) -> ImportJob | None:
        now, batch = self._clock.now(), _batch_of(job, plan)

        def store(connection: Connection) -> ImportJob | None:
            put = put_imported(connection, batch, chunk.accepted, now)
            progress = Progress(chunk.rows, put.created, put.updated, with_findings(chunk.report, put))
            if not imports.advance(connection, job, progress):
                raise _OvertakenError  # so that nothing of the chunk stays
            return imports.get_job(connection, job.workspace_id, job.id)

        try:
            return await self._database.write(store)
        except _OvertakenError:
            return None

    async def _forget_stale(self) -> None:
        now = self._clock.now()
        ends = (now - microseconds(_UPLOAD_LASTS), now - microseconds(_DRAFT_LASTS))
        for job in await self._database.read(lambda connection: imports.stale_jobs(connection, *ends)):
            cause = (
                say("The upload was cut off.") if job.state == "storing" else say("Nobody said how to read the file.")
            )
            await self._finish(job, cause=cause)


class _OvertakenError(Exception):
    """Another process has advanced the job."""


async def _settled(coming: "asyncio.Future[Any]") -> None:
    """Wait for the thread, so that nothing reads on behind the job's back."""
    await asyncio.gather(coming, return_exceptions=True)


def _let_go(connection: Connection, job: ImportJob, now: Any, cause: str) -> None:
    imports.finish_job(connection, job.id, now, cause=cause)
    if job.blob_id is not None:
        blobs.release_blob(connection, job.blob_id)


def _plan_of(job: ImportJob) -> ImportPlan:
    if "reading" in job.options:
        return ImportPlan.from_json(job.options)
    raise ConfigurationError(f"Import {job.id} was begun by an earlier release. Upload its file again.")


def _batch_of(job: ImportJob, plan: ImportPlan) -> ImportBatch:
    options, consent = plan.options, None
    given = options.consent
    if given is None and any(column.use is ColumnUse.CONSENT_AT for column in plan.columns):
        given = ImportConsent("list", f"import:{job.file_name}", "")
    if given is not None:
        scope_id = job.list_id if given.scope == "list" else 0
        consent = BatchConsent(given.scope, scope_id, given.source, given.wording, given.given_at or job.created_at)
    source = f"import:{job.file_name}"
    return ImportBatch(job.workspace_id, job.list_id, job.id, source, options.existing, options.tags, consent)


def check_list_name(name: str, field: str) -> None:
    """Raise ``RefusedError`` for what cannot name a list."""
    if not name.strip() or len(name) > 200 or not name.isprintable():
        # It stands in the List-Id field of every message, where a line break would fail all of them.
        sentence = say("A list has a name of 1 to 200 characters, all of which can be printed.")
        raise RefusedError("list_name", sentence, field=field)
