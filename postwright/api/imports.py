"""Contact imports: a job that is started, watched, and that names every row that it did not take as it stood."""

import builtins
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from postwright.api.callers import Caller, Reader, Sender
from postwright.api.cursors import make_page, read_cursor
from postwright.api.parameters import PageQuery
from postwright.api.representations import (
    IMPORT,
    Answer,
    Moment,
    Page,
    Reference,
    Text,
    inward,
    moment,
    optional_moment,
    outward,
)
from postwright.api.uploads import TABLE_BODY, receive_table
from postwright.services.errors import RefusedError
from postwright.services.import_options import ExistingRule, ImportConsent, ImportOptions, Judgement, read_column
from postwright.services.import_rows import read_moment
from postwright.store.imports import Refusal


class TableWanted(BaseModel):
    """How a file is read; what is left out is found, but for an encoding that could only be guessed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    file_name: Text = Field("", max_length=200, description="What to call the file; the form's name otherwise.")
    encoding: str = Field("", max_length=40, description="Such as utf-8 or windows-1255.")
    format: Literal["", "csv", "ndjson"] = ""
    delimiter: Literal["", ",", ";", "\t", "|"] = ""
    map: list[Text] = Field(
        [],
        max_length=100,
        description="What a column is, once for each: `name=address`, `name=field:city`, `=list`, `=tag`, `=locale`,"
        " `=time_zone`, `=consent_at`, `=ignore`. Columns that are not named are guessed, as the preview shows.",
    )


class ImportWanted(TableWanted):
    """Where the contacts go, and what becomes of doubts and of contacts who are known."""

    list: Text = Field(max_length=200, description="The list's name; it is made where there is none.")
    existing: ExistingRule = Field(ExistingRule.OVERWRITE, description="What becomes of fields of known contacts.")
    refuse: builtins.list[str] = Field([], max_length=20, description="Doubts that refuse a row; else they flag it.")
    accept: builtins.list[str] = Field([], max_length=20, description="Doubts that are not worth a word.")
    tag: builtins.list[Text] = Field([], max_length=20, description="Tags for all rows.")
    consent_scope: Literal["", "all", "list"] = Field("", description="What all rows agreed to.")
    consent_source: Text = Field("", max_length=200, description="Where and how they gave it; needed with a scope.")
    consent_wording: Text = Field("", max_length=4000)
    consent_at: str = Field("", max_length=40, description="When, for rows without a moment of their own.")
    again: bool = Field(False, description="Do it once more, though the same was imported before.")


class PreviewShown(Answer):
    """A file as it would be read. `certain` is false where the encoding is a guess, which has to be confirmed."""

    encoding: str
    certain: bool
    candidates: builtins.list[str]
    format: str
    delimiter: str
    columns: builtins.list["ColumnShown"]
    rows: builtins.list[builtins.list[str]]


class ColumnShown(Answer):
    """A column, and what it is taken for."""

    name: str
    use: str


class ImportShown(Answer):
    """An import job."""

    id: str
    list: Reference
    file_name: str
    state: str = Field(description="waiting, running, finished or failed (then with a cause)")
    rows_total: int
    rows_read: int
    progress: float = Field(description="The part of the rows that has been read, from 0 to 1.")
    created: int = Field(description="Contacts that are new to the workspace.")
    updated: int = Field(description="Contacts that were known.")
    refused: int
    refused_by_code: dict[str, int]
    flagged: int = Field(description="Rows that were taken with a doubt, or without a value that did not fit.")
    cause: str
    created_at: Moment
    finished_at: Moment | None


class RefusedRow(Answer):
    """A row that was not imported as it stood; `row` is its line in the file, the header being line 1."""

    row: int
    outcome: str = Field(description="refused, changed (a value was left out) or flagged (taken, with a doubt)")
    value: str
    code: str
    reason: str
    suggestion: str = Field(description="The address that was most likely meant, or empty.")


async def create_import(
    request: Request, response: Response, query: Annotated[ImportWanted, Query()], caller: Sender
) -> ImportShown:
    """Store a CSV, TSV or NDJSON file and start to import it. The same file with the same options is imported once.

    The column `email` has the addresses and all others are merge fields, unless `map` says otherwise.
    """
    async with receive_table(request, caller.services.max_upload) as (file, own_name):
        name = query.file_name or own_name[:200] or "contacts.csv"
        options = _options(query)
        job_id = await caller.services.imports.start(caller.workspace_id, query.list, name, file, options)
    shown = await _shown(caller, job_id)
    response.headers["Location"] = f"/v1/imports/{shown.id}"
    return shown


async def preview_import(request: Request, query: Annotated[TableWanted, Query()], caller: Sender) -> PreviewShown:
    """How a file would be read: its encoding, what each column is taken for, and the first rows. Nothing is stored."""
    async with receive_table(request, caller.services.max_upload) as (file, own_name):
        name = query.file_name or own_name[:200] or "contacts.csv"
        found = await caller.services.imports.preview(file, name, _reading(query))
    uses = [f"{one.use}:{one.name}" if one.name else str(one.use) for one in found.columns]
    return PreviewShown(
        encoding=found.reading.encoding,
        certain=found.is_sure,
        candidates=list(found.detected.candidates),
        format=found.reading.format,
        delimiter=found.reading.delimiter,
        columns=[ColumnShown(name=name, use=use) for name, use in zip(found.header, uses, strict=True)],
        rows=[list(row) for row in found.rows],
    )


async def list_imports(caller: Reader, query: PageQuery) -> Page[ImportShown]:
    """Imports, the newest first."""
    (before,) = read_cursor("imports", query.cursor)
    rows = await caller.services.imports.jobs(caller.workspace_id, before=before or None, limit=query.limit + 1)
    shown = [await _shown(caller, job.id) for job in rows[: query.limit]]
    by_id = dict(zip((job.id for job in rows), shown, strict=False))
    return make_page("imports", rows, query.limit, lambda job: by_id[job.id], lambda job: (job.id,), query.cursor)


async def get_import_report(import_id: str, caller: Reader) -> StreamingResponse:
    """Every row that did not come in as it stood, as a CSV file: line, outcome, value, code, reason, suggestion."""
    job = await caller.services.imports.job(caller.workspace_id, inward(IMPORT, import_id))
    headers = {"Content-Disposition": f'attachment; filename="import-{job.id}-report.csv"'}
    lines = caller.services.imports.report_csv(caller.workspace_id, job.id)
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)


async def get_import(import_id: str, caller: Reader) -> ImportShown:
    """How far an import is."""
    return await _shown(caller, inward(IMPORT, import_id))


async def list_import_refusals(import_id: str, caller: Reader, query: PageQuery) -> Page[RefusedRow]:
    """The rows that were refused, each with its line, code and reason."""
    (after,) = read_cursor("refusals", query.cursor)
    rows = await caller.services.imports.refusals(
        caller.workspace_id, inward(IMPORT, import_id), after=after, limit=query.limit + 1
    )
    return make_page("refusals", rows, query.limit, _refused_row, lambda row: (row.row_number,), query.cursor)


def add_import_routes(router: APIRouter) -> None:
    """The routes of imports."""
    router.add_api_route("/imports", create_import, methods=["POST"], status_code=202, openapi_extra=TABLE_BODY)
    router.add_api_route("/imports/preview", preview_import, methods=["POST"], openapi_extra=TABLE_BODY)
    router.add_api_route("/imports", list_imports, methods=["GET"])
    router.add_api_route("/imports/{import_id}", get_import, methods=["GET"])
    router.add_api_route("/imports/{import_id}/refusals", list_import_refusals, methods=["GET"])
    router.add_api_route(
        "/imports/{import_id}/report",
        get_import_report,
        methods=["GET"],
        response_class=StreamingResponse,
        responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "The report."}},
    )


def _reading(query: TableWanted) -> ImportOptions:
    columns = {}
    for one in query.map:
        name, _, use = one.rpartition("=")
        columns[name.strip()] = read_column(use)
    return ImportOptions(query.encoding, query.format, query.delimiter, columns)


def _options(query: ImportWanted) -> ImportOptions:
    judgements = dict.fromkeys(query.accept, Judgement.ACCEPT) | dict.fromkeys(query.refuse, Judgement.REFUSE)
    consent = None
    if query.consent_scope:
        try:
            given_at = read_moment(query.consent_at) if query.consent_at else None
        except ValueError as error:
            raise RefusedError("bad_moment", str(error), field="consent_at") from error
        consent = ImportConsent(query.consent_scope, query.consent_source, query.consent_wording, given_at)
    return replace(
        _reading(query),
        existing=query.existing,
        judgements=judgements,
        tags=tuple(query.tag),
        consent=consent,
        again=query.again,
    )


async def _shown(caller: Caller, job_id: int) -> ImportShown:
    job = await caller.services.imports.job(caller.workspace_id, job_id)
    by_code = await caller.services.imports.refusals_by_code(caller.workspace_id, job_id)
    return ImportShown(
        id=outward(IMPORT, job.created_at, job.id),
        list=await caller.services.references.list_of(caller.workspace_id, job.list_id),
        file_name=job.file_name,
        state=job.state,
        rows_total=job.rows_total,
        rows_read=job.rows_read,
        progress=job.rows_read / job.rows_total if job.rows_total else float(job.finished_at is not None),
        created=job.created,
        updated=job.updated,
        refused=job.refused,
        refused_by_code=by_code,
        flagged=job.flagged,
        cause=job.cause,
        created_at=moment(job.created_at),
        finished_at=optional_moment(job.finished_at),
    )


def _refused_row(refusal: Refusal) -> RefusedRow:
    return RefusedRow(
        row=refusal.row_number,
        outcome=refusal.outcome,
        value=refusal.value,
        code=refusal.code,
        reason=refusal.reason,
        suggestion=refusal.suggestion,
    )
