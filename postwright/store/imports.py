"""Import jobs, and what became of the rows that did not come in as they stood."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from mailtypes.clock import Microseconds
from postwright.store.records import fetch_all, fetch_one, insert_row, select_as, table
from postwright.store.rowsets import storable

_LONGEST_REASON = 1000
_job, _refusal = table("import_job"), table("import_refusal")


@dataclass(frozen=True, slots=True)
class ImportJob:
    """An import: storing, draft, waiting, running, finished or failed (then with a cause); ``options`` is JSON."""

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
    flagged: int
    options: str
    fingerprint: str
    cause: str
    created_at: int
    finished_at: int | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that was not imported as it stood; ``row_number`` is its line in the file, the header being line 1.

    ``outcome`` is refused, changed (a value was left out) or flagged (taken, with a doubt).
    """

    row_number: int
    value: str
    code: str
    reason: str
    outcome: str = "refused"
    suggestion: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """What one chunk adds to a job."""

    rows_read: int
    created: int
    updated: int
    refusals: Sequence[Refusal]


def add_job(connection: Connection, workspace_id: int, list_id: int, file: tuple[str, int], now: Microseconds) -> int:
    """Store a job that is storing its file, ``file = (name, blob id)``; returns its id."""
    file_name, blob_id = file
    return insert_row(
        connection,
        _job,
        workspace_id=workspace_id,
        list_id=list_id,
        blob_id=blob_id,
        file_name=file_name,
        state="storing",
        created_at=now,
    )


def make_draft(connection: Connection, job_id: int, blob_id: int) -> None:
    """The file is stored whole; how it is read is still to be said."""
    stored = (_job.c.id == job_id, _job.c.state == "storing")
    connection.execute(update(_job).where(*stored).values(state="draft", blob_id=blob_id))


def begin_job(connection: Connection, job_id: int, options: str, fingerprint: str, rows_total: int) -> bool:
    """A draft waits for its turn from now on; ``False`` where it does already."""
    values = {"options": options, "fingerprint": fingerprint, "rows_total": rows_total, "state": "waiting"}
    return (
        connection.execute(update(_job).where(_job.c.id == job_id, _job.c.state == "draft").values(values)).rowcount
        == 1
    )


def find_same_job(connection: Connection, workspace_id: int, fingerprint: str) -> int | None:
    """The newest job that did, does or will do exactly this; failed ones did not."""
    statement = (
        select(_job.c.id)
        .where(_job.c.workspace_id == workspace_id, _job.c.fingerprint == fingerprint, _job.c.state != "failed")
        .order_by(_job.c.id.desc())
        .limit(1)
    )
    found = connection.execute(statement).scalar()
    return None if found is None else int(found)


def stale_jobs(connection: Connection, stored_before: int, drawn_before: int) -> list[ImportJob]:
    """Uploads that were cut off, and drafts that nobody came back to."""
    storing = (_job.c.state == "storing") & (_job.c.created_at < stored_before)
    draft = (_job.c.state == "draft") & (_job.c.created_at < drawn_before)
    return fetch_all(connection, ImportJob, select_as(ImportJob, _job).where(storing | draft).order_by(_job.c.id))


def list_jobs(
    connection: Connection, workspace_id: int, *, before: int | None = None, limit: int = 50
) -> list[ImportJob]:
    """Jobs, the newest first, beginning before the id ``before``."""
    statement = select_as(ImportJob, _job).where(_job.c.workspace_id == workspace_id)
    if before is not None:
        statement = statement.where(_job.c.id < before)
    return fetch_all(connection, ImportJob, statement.order_by(_job.c.id.desc()).limit(limit))


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
    refused = sum(one.outcome == "refused" for one in progress.refusals)
    moved = connection.execute(
        update(_job)
        .where(_job.c.id == job.id, _job.c.rows_read == job.rows_read, _job.c.state.in_(("waiting", "running")))
        .values(
            state="running",
            rows_read=_job.c.rows_read + progress.rows_read,
            created=_job.c.created + progress.created,
            updated=_job.c.updated + progress.updated,
            refused=_job.c.refused + refused,
            flagged=_job.c.flagged + len(progress.refusals) - refused,
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
                    "reason": storable(refusal.reason)[:_LONGEST_REASON],
                    "outcome": refusal.outcome,
                    "suggestion": storable(refusal.suggestion),
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
    return list_report(connection, job_id, outcome="refused", after=after, limit=limit)


def list_report(
    connection: Connection, job_id: int, *, outcome: str = "", after: int = 0, limit: int = 1000
) -> list[Refusal]:
    """What became of the rows that did not come in as they stood, beginning behind the row number ``after``."""
    statement = select_as(Refusal, _refusal).where(_refusal.c.job_id == job_id, _refusal.c.row_number > after)
    if outcome:
        statement = statement.where(_refusal.c.outcome == outcome)
    return fetch_all(connection, Refusal, statement.order_by(_refusal.c.row_number).limit(limit))


def refusals_by_code(connection: Connection, job_id: int, outcome: str = "refused") -> dict[str, int]:
    """How many rows were refused for each reason; or flagged, or changed."""
    statement = (
        select(_refusal.c.code, func.count())
        .where(_refusal.c.job_id == job_id, _refusal.c.outcome == outcome)
        .group_by(_refusal.c.code)
        .order_by(func.count().desc(), _refusal.c.code)
    )
    return {str(row[0]): int(row[1]) for row in connection.execute(statement)}
