"""The suppression list: read, searched, added to, filled from files of other providers, written out, lifted."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from mailtypes.address import EmailAddress
from mailtypes.clock import from_datetime
from postwright.api.callers import Admin, Caller, Reader, Sender
from postwright.api.cursors import make_page, read_cursor
from postwright.api.representations import (
    LIST,
    SUPPRESSION,
    Answer,
    Moment,
    Page,
    PageWanted,
    ProblemItem,
    Text,
    Wanted,
    inward,
    inward_field,
    moment,
    optional_moment,
    outward,
)
from postwright.api.uploads import UPLOAD_BODY, read_upload
from postwright.services.errors import RefusedError
from postwright.services.suppression_files import FileForm
from postwright.services.suppression_list import Reach
from postwright.store.suppressions import Scope, Suppression, SuppressionFilter

_SCOPE = Literal["all", "stream", "list"]


class BaseQuery(BaseModel):
    """Parameters of a query; an unknown one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NewSuppressionWanted(Wanted):
    """An address that may not be written to any more."""

    address: Text = Field(max_length=512)
    reason: Text = Field("manual", max_length=100)
    scope: _SCOPE = Field("all", description="How far: everything, one stream, one list.")
    stream: Literal["marketing", "transactional"] = Field("marketing", description="Where the scope is a stream.")
    list: str | None = Field(None, description="The list, where the scope is one.")
    expires_at: Text | None = Field(None, max_length=40, description="Until when (RFC 3339); without it for good.")
    note: Text = Field("", max_length=500)


class SuppressionsWanted(PageWanted):
    """Which suppressions."""

    address: Text | None = Field(None, max_length=512, description="Only those of this address.")
    search: Text | None = Field(None, max_length=100, description="Only addresses with this part.")
    reason: Text | None = Field(None, max_length=100, description="Only those with this reason.")
    scope: _SCOPE | None = None
    list: Text | None = Field(None, max_length=60, description="Only those of this list.")
    active: bool = Field(False, description="Leave out those that have ended.")


class SuppressionShown(Answer):
    """An address that is not written to, within a scope."""

    id: str
    address: str
    scope: str = Field(description="all, stream or list")
    list: str | None = Field(description="The list, where the scope is one.")
    reason: str
    note: str
    created_at: Moment
    expires_at: Moment | None


class LiftWanted(BaseQuery):
    """Why it is lifted."""

    note: Text = Field("", max_length=500)


class ImportWanted(BaseQuery):
    """How far the rows of a file reach."""

    scope: Literal["auto", "all", "stream"] = Field(
        "auto", description="auto: unsubscribes and complaints stop marketing mail, all other rows stop everything."
    )


class ExportWanted(BaseQuery):
    """Whose form the file has."""

    form: FileForm = FileForm.POSTWRIGHT


class SuppressionImport(Answer):
    """What came of a file: how many were new or changed, and every row that was refused."""

    form: str = Field(description="Whose form the file had.")
    rows: int
    added: int
    refused: int
    errors: list[ProblemItem]


async def create_suppression(wanted: NewSuppressionWanted, caller: Sender, response: Response) -> SuppressionShown:
    """Suppress an address within a scope, at once and for queued mail too. 200 where it was suppressed already."""
    list_id = inward_field(LIST, wanted.list, "list") if wanted.list is not None else None
    reach = Reach(Scope(wanted.scope), wanted.stream, None, list_id, _ending(wanted.expires_at))
    suppression_list = caller.services.suppression_list
    is_new = await suppression_list.add(caller.workspace_id, wanted.address, wanted.reason, reach, note=wanted.note)
    response.status_code = 201 if is_new else 200
    key = EmailAddress.parse(wanted.address).key
    found = await suppression_list.find(
        caller.workspace_id, SuppressionFilter(address_key=key, scope=wanted.scope, scope_id=list_id), limit=500
    )
    lists = await _lists(caller, found)
    # Of the two streams, the one that was asked for is the newest, where it is new, and one of two where it is not.
    return _shown(max(found, key=lambda item: (item.created_at, item.id)), lists)


async def list_suppressions(caller: Reader, query: Annotated[SuppressionsWanted, Query()]) -> Page[SuppressionShown]:
    """Suppressions in the order in which they were added."""
    (after,) = read_cursor("suppressions", query.cursor)
    wanted = SuppressionFilter(
        None if query.address is None else EmailAddress.parse(query.address).key,
        query.search,
        query.reason,
        query.scope,
        None if query.list is None else inward_field(LIST, query.list, "list"),
        caller.services.clock.now() if query.active else None,
    )
    if query.list is not None and query.scope != "list":
        raise RefusedError("bad_scope", "A list is looked for with the scope 'list'.", field="scope")
    rows = list(
        await caller.services.suppression_list.find(caller.workspace_id, wanted, after=after, limit=query.limit + 1)
    )
    lists = await _lists(caller, rows)
    return make_page(
        "suppressions", rows, query.limit, lambda item: _shown(item, lists), lambda item: (item.id,), query.cursor
    )


async def lift_suppression(suppression_id: str, caller: Admin, query: Annotated[LiftWanted, Query()]) -> Response:
    """Let an address be written to again. The event log keeps that it was suppressed; messages that it stopped stay so.

    Lift only what was wrong: who unsubscribed or complained did not ask to be asked again.
    """
    row_id = inward(SUPPRESSION, suppression_id)
    await caller.services.suppression_list.lift(caller.workspace_id, row_id, by=caller.client.name, note=query.note)
    return Response(status_code=204)


async def import_suppressions(
    request: Request, caller: Sender, query: Annotated[ImportWanted, Query()]
) -> SuppressionImport:
    """Suppress the addresses of a file: CSV with `email` and perhaps `reason`, or what other providers write.

    Exports of SendGrid, Mailgun, SES, Postmark and Mailchimp (CSV, or the JSON of their APIs) are known by the names of
    their columns. Good rows are kept whatever the others say.
    """
    upload = await read_upload(request, caller.services.max_upload)
    reach = None if query.scope == "auto" else Reach(Scope(query.scope))
    found = await caller.services.suppression_list.import_file(caller.workspace_id, upload.content, reach)
    return SuppressionImport(
        form=str(found.form),
        rows=found.rows,
        added=found.added,
        refused=len(found.problems),
        errors=[ProblemItem.of(item) for item in found.problems],
    )


async def export_suppressions(caller: Reader, query: Annotated[ExportWanted, Query()]) -> Response:
    """Everything that bars now, as CSV in the form that a provider reads."""
    pieces = caller.services.suppression_list.export(caller.workspace_id, query.form)
    name = f"suppressions-{query.form}.csv"
    return StreamingResponse(
        pieces, media_type="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def add_suppression_routes(router: APIRouter) -> None:
    """The routes of the suppression list."""
    router.add_api_route(
        "/suppressions",
        create_suppression,
        methods=["POST"],
        status_code=201,
        responses={200: {"model": SuppressionShown, "description": "It was suppressed already."}},
    )
    router.add_api_route("/suppressions", list_suppressions, methods=["GET"])
    router.add_api_route(
        "/suppressions/export",
        export_suppressions,
        methods=["GET"],
        response_class=StreamingResponse,
        responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "The file."}},
    )
    router.add_api_route("/suppressions/{suppression_id}", lift_suppression, methods=["DELETE"], status_code=204)
    router.add_api_route("/suppressions/import", import_suppressions, methods=["POST"], openapi_extra=UPLOAD_BODY)


def _shown(item: Suppression, lists: Mapping[int, str]) -> SuppressionShown:
    return SuppressionShown(
        id=outward(SUPPRESSION, item.created_at, item.id),
        address=item.address,
        scope=item.scope,
        list=lists.get(item.scope_id) if item.scope == Scope.LIST else None,
        reason=item.reason,
        note=item.note,
        created_at=moment(item.created_at),
        expires_at=optional_moment(item.expires_at),
    )


async def _lists(caller: Caller, rows: Sequence[Suppression]) -> Mapping[int, str]:
    ids = (item.scope_id for item in rows if item.scope == Scope.LIST)
    return await caller.services.references.list_ids(caller.workspace_id, ids)


def _ending(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return from_datetime(datetime.fromisoformat(text))
    except (ValueError, OverflowError) as error:
        step = "Write such as 2027-01-31T00:00:00Z."
        raise RefusedError(
            "bad_moment", "That is no moment with a zone.", field="expires_at", next_step=step
        ) from error
