"""Contact imports: a job that is started, watched, and that names every row it refused."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from postwright.api.callers import Caller, Reader, Sender
from postwright.api.cursors import make_page, read_cursor
from postwright.api.parameters import PageQuery
from postwright.api.representations import (
    IMPORT,
    LIST,
    Answer,
    Moment,
    Page,
    Reference,
    Text,
    Wanted,
    inward,
    moment,
    optional_moment,
    outward,
    page_of,
)
from postwright.api.uploads import UPLOAD_BODY, read_upload
from postwright.store.contacts import ContactList
from postwright.store.imports import Refusal


class ImportWanted(BaseModel):
    """Where the contacts go."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    list: Text = Field(max_length=200, description="The list's name; it is made where there is none.")
    file_name: Text = Field("", max_length=200, description="What to call the file; the form's name otherwise.")


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
    cause: str
    created_at: Moment
    finished_at: Moment | None


class RefusedRow(Answer):
    """A row that was not imported; `row` is its line in the file, the header being line 1."""

    row: int
    value: str
    code: str
    reason: str


class NewListWanted(Wanted):
    """A list to make."""

    name: Text = Field(max_length=200, pattern=r"\S")


class ListShown(Answer):
    """A list of contacts."""

    id: str
    name: str
    contacts: int
    created_at: Moment


async def create_import(
    request: Request, response: Response, query: Annotated[ImportWanted, Query()], caller: Sender
) -> ImportShown:
    """Store a CSV file and start to import it. The column `email` has the addresses, all others are merge fields."""
    upload = await read_upload(request, caller.services.max_upload)
    name = query.file_name or upload.name[:200] or "contacts.csv"
    job_id = await caller.services.imports.start(caller.workspace_id, query.list, name, upload.content)
    shown = await _shown(caller, job_id)
    response.headers["Location"] = f"/v1/imports/{shown.id}"
    return shown


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


async def list_lists(caller: Reader, query: PageQuery) -> Page[ListShown]:
    """All lists with their numbers of contacts, in the order in which they were made."""
    (after,) = read_cursor("lists", query.cursor)
    found = await caller.services.references.lists(caller.workspace_id)
    rows = page_of(found, lambda item: item[0].id, after, query.limit)
    return make_page("lists", rows, query.limit, _list_shown, lambda item: (item[0].id,), query.cursor)


async def create_list(wanted: NewListWanted, caller: Sender, response: Response) -> ListShown:
    """Make a list. 200 where there is one of that name already."""
    made, is_new = await caller.services.imports.make_list(caller.workspace_id, wanted.name)
    response.status_code = 201 if is_new else 200
    shown = await _list(caller, made.id)
    response.headers["Location"] = f"/v1/lists/{shown.id}"
    return shown


async def get_list(list_id: str, caller: Reader) -> ListShown:
    """A list with its number of contacts."""
    return await _list(caller, inward(LIST, list_id))


async def _list(caller: Caller, list_id: int) -> ListShown:
    return _list_shown(await caller.services.references.list_with_count(caller.workspace_id, list_id))


def add_import_routes(router: APIRouter) -> None:
    """The routes of imports and lists."""
    router.add_api_route(
        "/imports",
        create_import,
        methods=["POST"],
        status_code=202,
        openapi_extra=UPLOAD_BODY,
    )
    router.add_api_route("/imports/{import_id}", get_import, methods=["GET"])
    router.add_api_route("/imports/{import_id}/refusals", list_import_refusals, methods=["GET"])
    router.add_api_route("/lists", list_lists, methods=["GET"])
    router.add_api_route(
        "/lists",
        create_list,
        methods=["POST"],
        status_code=201,
        responses={200: {"model": ListShown, "description": "There was one of that name already."}},
    )
    router.add_api_route("/lists/{list_id}", get_list, methods=["GET"])


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
        cause=job.cause,
        created_at=moment(job.created_at),
        finished_at=optional_moment(job.finished_at),
    )


def _refused_row(refusal: Refusal) -> RefusedRow:
    return RefusedRow(row=refusal.row_number, value=refusal.value, code=refusal.code, reason=refusal.reason)


def _list_shown(item: tuple[ContactList, int]) -> ListShown:
    found, contacts = item
    return ListShown(
        id=outward(LIST, found.created_at, found.id),
        name=found.name,
        contacts=contacts,
        created_at=moment(found.created_at),
    )
