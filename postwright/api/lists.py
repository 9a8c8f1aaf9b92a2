"""Lists of contacts: made, renamed, tracked, deleted where nothing uses them, and who is on them."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import Field

from hygiene.segments.tree import OnList
from postwright.api.callers import Caller, Reader, Sender
from postwright.api.contacts import ContactShown, contact_shown, contacts_of, lists_of
from postwright.api.cursors import make_page, read_cursor
from postwright.api.parameters import PageQuery
from postwright.api.representations import LIST, Answer, Moment, Page, Text, Wanted, inward, moment, outward, page_of
from postwright.store.contact_book import ContactQuery
from postwright.store.contacts import ContactList


class NewListWanted(Wanted):
    """A list to make."""

    name: Text = Field(max_length=200, pattern=r"\S")


class ListChange(Wanted):
    """What to change of a list; what is left out stays. An empty tracking: as the workspace says."""

    name: Text | None = Field(None, max_length=200, pattern=r"\S")
    tracking: Literal["", "off", "aggregate", "last_open", "full"] | None = None


class ListShown(Answer):
    """A list of contacts."""

    id: str
    name: str
    contacts: int
    tracking: str = Field(description="off, aggregate, last_open or full; empty: as the workspace says")
    created_at: Moment


async def list_lists(caller: Reader, query: PageQuery) -> Page[ListShown]:
    """All lists with their numbers of contacts, in the order in which they were made."""
    (after,) = read_cursor("lists", query.cursor)
    found = await caller.services.references.lists(caller.workspace_id)
    tracking = await lists_of(caller).list_tracking(caller.workspace_id)
    rows = page_of(found, lambda item: item[0].id, after, query.limit)
    return make_page(
        "lists", rows, query.limit, lambda item: _shown(item, tracking), lambda item: (item[0].id,), query.cursor
    )


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


async def change_list(list_id: str, wanted: ListChange, caller: Sender) -> ListShown:
    """Give a list another name or tracking. A list that segments name keeps its name."""
    row_id = inward(LIST, list_id)
    await lists_of(caller).change_list(caller.workspace_id, row_id, name=wanted.name, tracking=wanted.tracking)
    return await _list(caller, row_id)


async def delete_list(list_id: str, caller: Sender) -> Response:
    """Delete a list; its contacts stay. One that campaigns, imports, segments or suppressions name is not deleted."""
    await lists_of(caller).delete_list(caller.workspace_id, inward(LIST, list_id))
    return Response(status_code=204)


async def list_list_contacts(list_id: str, caller: Reader, query: PageQuery) -> Page[ContactShown]:
    """The contacts on a list who are not archived."""
    (after,) = read_cursor("list_contacts", query.cursor)
    found, _ = await caller.services.references.list_with_count(caller.workspace_id, inward(LIST, list_id))
    asked = ContactQuery(OnList(found.name))
    rows = await contacts_of(caller).page(caller.workspace_id, asked, after=after, limit=query.limit + 1)
    return make_page("list_contacts", rows, query.limit, contact_shown, lambda item: (item.card.id,), query.cursor)


def add_list_routes(router: APIRouter) -> None:
    """The routes of lists."""
    router.add_api_route("/lists", list_lists, methods=["GET"])
    router.add_api_route(
        "/lists",
        create_list,
        methods=["POST"],
        status_code=201,
        responses={200: {"model": ListShown, "description": "There was one of that name already."}},
    )
    router.add_api_route("/lists/{list_id}", get_list, methods=["GET"])
    router.add_api_route("/lists/{list_id}", change_list, methods=["PATCH"])
    router.add_api_route("/lists/{list_id}", delete_list, methods=["DELETE"], status_code=204)
    router.add_api_route("/lists/{list_id}/contacts", list_list_contacts, methods=["GET"])


async def _list(caller: Caller, list_id: int) -> ListShown:
    found = await caller.services.references.list_with_count(caller.workspace_id, list_id)
    return _shown(found, await lists_of(caller).list_tracking(caller.workspace_id))


def _shown(item: tuple[ContactList, int], tracking: dict[int, str]) -> ListShown:
    found, contacts = item
    return ListShown(
        id=outward(LIST, found.created_at, found.id),
        name=found.name,
        contacts=contacts,
        tracking=tracking.get(found.id, ""),
        created_at=moment(found.created_at),
    )
