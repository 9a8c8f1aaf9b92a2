"""Import jobs and the rows that they refused."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from mailtypes.clock import Microseconds
from postwright.store.records import fetch_all, fetch_one, insert_row, select_as, table
from postwright.store.rowsets import storable

_job, _refusal = table("import_job"), table("import_refusal")


@dataclass(frozen=True, slots=True)
class ImportJob:
    """An import: waiting, running, finished or failed (then with a cause)."""

    id: int
    workspace_id: int
    list_id: int
    blob_id: int | None
    file_name: str
    state: str
    rows_read: int
    rows_total: int
    created: int
    updated: int
    refused: int
    cause: str
    created_at: int
    finished_at: int | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that was not imported; ``row_number`` is its line in the file, the header being line 1."""

    row_number: int
    value: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """What one chunk adds to a job."""

    rows_read: int
    created: int
    updated: int
    refusals: Sequence[Refusal]


def add_job(
    connection: Connection, workspace_id: int, list_id: int, file: tuple[str, int], rows_total: int, now: Microseconds
) -> int:
    """Store a waiting job for ``file = (name, blob id)``; returns its id."""
    file_name, blob_id = file
    return insert_row(
        connection,
        _job,
        workspace_id=workspace_id,
        list_id=list_id,
        blob_id=blob_id,
        file_name=file_name,
        state="waiting",
        rows_total=rows_total,
        created_at=now,
    )


def get_job(connection: Connection, workspace_id: int, job_id: int) -> ImportJob | None:
    """The job with that id."""
    return fetch_one(connection, ImportJob, _job, _job.c.workspace_id == workspace_id, _job.c.id == job_id)


def unfinished_jobs(connection: Connection) -> list[ImportJob]:
    """Jobs that wait or were cut off, the oldest first."""
    statement = select_as(ImportJob, _job).where(_job.c.state.in_(("waiting", "running"))).order_by(_job.c.id)
    return fetch_all(connection, ImportJob, statement)


def advance(connection: Connection, job: ImportJob, progress: Progress) -> bool:
    """Count a chunk in, in the transaction that stores its contacts.

    ``False`` (and nothing changed) where another process has advanced the job since ``job`` was read.
    """
    moved = connection.execute(
        update(_job)
        .where(_job.c.id == job.id, _job.c.rows_read == job.rows_read, _job.c.state.in_(("waiting", "running")))
        .values(
            state="running",
            rows_read=_job.c.rows_read + progress.rows_read,
            created=_job.c.created + progress.created,
            updated=_job.c.updated + progress.updated,
            refused=_job.c.refused + len(progress.refusals),
        )
    ).rowcount
    if moved and progress.refusals:
        connection.execute(
            _refusal.insert(),
            [
                {
                    "workspace_id": job.workspace_id,
                    "job_id": job.id,
                    "row_number": refusal.row_number,
                    "value": storable(refusal.value),
                    "code": refusal.code,
                    "reason": refusal.reason,
                }
                for refusal in progress.refusals
            ],
        )
    return moved == 1


def finish_job(connection: Connection, job_id: int, now: Microseconds, *, cause: str = "") -> None:
    """End a job: finished, or failed where there is a cause. It lets go of its file; the caller releases the blob."""
    connection.execute(
        update(_job)
        .where(_job.c.id == job_id)
        .values(state="failed" if cause else "finished", cause=cause, finished_at=now, blob_id=None)
    )


def list_refusals(connection: Connection, job_id: int, *, after: int = 0, limit: int = 1000) -> list[Refusal]:
    """The refused rows of a job, beginning behind the row number ``after``."""
    statement = (
        select_as(Refusal, _refusal)
        .where(_refusal.c.job_id == job_id, _refusal.c.row_number > after)
        .order_by(_refusal.c.row_number)
        .limit(limit)
    )
    return fetch_all(connection, Refusal, statement)


def refusals_by_code(connection: Connection, job_id: int) -> dict[str, int]:
    """How many rows were refused for each reason."""
    statement = (
        select(_refusal.c.code, func.count())
        .where(_refusal.c.job_id == job_id)
        .group_by(_refusal.c.code)
        .order_by(func.count().desc(), _refusal.c.code)
    )
    return {str(row[0]): int(row[1]) for row in connection.execute(statement)}
