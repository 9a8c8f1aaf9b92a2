"""The suppression list: read, added to, filled from a file."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from postwright.api.callers import Admin, Reader, Sender
from postwright.api.cursors import make_page, read_cursor
from postwright.api.representations import (
    SUPPRESSION,
    Answer,
    Moment,
    Page,
    PageWanted,
    ProblemItem,
    Text,
    Wanted,
    inward,
    moment,
    optional_moment,
    outward,
    page_of,
)
from postwright.api.uploads import UPLOAD_BODY, read_upload
from postwright.store.suppressions import Scope, Suppression


class NewSuppressionWanted(Wanted):
    """An address that may not be written to any more."""

    address: Text = Field(max_length=512)
    reason: Text = Field("manual", max_length=100)


class SuppressionsWanted(PageWanted):
    """Which suppressions."""

    address: Text | None = Field(None, max_length=512, description="Only those of this address.")


class SuppressionShown(Answer):
    """An address that is not written to, within a scope."""

    id: str
    address: str
    scope: str = Field(description="all, stream or list")
    list: str | None = Field(description="The list, where the scope is one.")
    reason: str
    created_at: Moment
    expires_at: Moment | None


class SuppressionImport(Answer):
    """What came of a file: how many were new or changed, and every row that was refused."""

    added: int
    refused: int
    errors: list[ProblemItem]


async def create_suppression(wanted: NewSuppressionWanted, caller: Sender, response: Response) -> SuppressionShown:
    """Suppress an address for everything, at once and for queued mail too. 200 where it was suppressed already."""
    is_new = await caller.services.suppression_list.add(caller.workspace_id, wanted.address, wanted.reason)
    response.status_code = 201 if is_new else 200
    found = await caller.services.references.suppressions(caller.workspace_id, wanted.address)
    return _shown(next(item for item in found if item.scope == Scope.ALL), {})


async def list_suppressions(caller: Reader, query: Annotated[SuppressionsWanted, Query()]) -> Page[SuppressionShown]:
    """Suppressions in the order in which they were added."""
    (after,) = read_cursor("suppressions", query.cursor)
    references = caller.services.references
    if query.address is not None:
        all_of_one = await references.suppressions(caller.workspace_id, query.address)
        rows = page_of(all_of_one, lambda item: item.id, after, query.limit)
    else:
        rows = list(
            await caller.services.suppression_list.list(caller.workspace_id, after=after, limit=query.limit + 1)
        )
    lists = await references.list_ids(caller.workspace_id, (item.scope_id for item in rows if item.scope == Scope.LIST))
    return make_page(
        "suppressions", rows, query.limit, lambda item: _shown(item, lists), lambda item: (item.id,), query.cursor
    )


async def lift_suppression(suppression_id: str, caller: Admin) -> Response:
    """Let an address be written to again. The event log keeps that it was suppressed; messages that it stopped stay so.

    Lift only what was wrong: who unsubscribed or complained did not ask to be asked again.
    """
    await caller.services.suppression_list.lift(caller.workspace_id, inward(SUPPRESSION, suppression_id))
    return Response(status_code=204)


async def import_suppressions(request: Request, caller: Sender) -> SuppressionImport:
    """Suppress the addresses of a CSV file (`email`, `reason`). Good rows are kept whatever the others say."""
    upload = await read_upload(request, caller.services.max_upload)
    added, problems = await caller.services.suppression_list.import_csv(caller.workspace_id, upload.content)
    return SuppressionImport(added=added, refused=len(problems), errors=[ProblemItem.of(item) for item in problems])


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
    router.add_api_route("/suppressions/{suppression_id}", lift_suppression, methods=["DELETE"], status_code=204)
    router.add_api_route("/suppressions/import", import_suppressions, methods=["POST"], openapi_extra=UPLOAD_BODY)


def _shown(item: Suppression, lists: Mapping[int, str]) -> SuppressionShown:
    return SuppressionShown(
        id=outward(SUPPRESSION, item.created_at, item.id),
        address=item.address,
        scope=item.scope,
        list=lists.get(item.scope_id) if item.scope == Scope.LIST else None,
        reason=item.reason,
        created_at=moment(item.created_at),
        expires_at=optional_moment(item.expires_at),
    )
