"""Contacts: read, made, changed, archived, tagged, counted up, exported; and what each of them went through."""

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from hygiene.segments.parse import parse
from hygiene.segments.tree import AllOf, InSegment, Node, OnList
from postwright.api.callers import Caller, Reader, Sender
from postwright.api.cursors import make_page, read_cursor
from postwright.api.representations import (
    LIST,
    Answer,
    Kind,
    Moment,
    Page,
    PageWanted,
    Reference,
    Text,
    Wanted,
    inward,
    inward_field,
    moment,
    optional_moment,
    outward,
)
from postwright.services.contact_lists import ContactLists
from postwright.services.contact_timeline import ContactTimeline, TimelineEntry
from postwright.services.contacts import (
    MOST_AT_ONCE,
    BulkChange,
    Contacts,
    ContactWanted,
    FullContact,
)
from postwright.services.errors import RefusedError
from postwright.services.segments import Segments, read_tree
from postwright.services.tracking_consents import SaidBy
from postwright.store.contact_book import ContactChange, ContactQuery

CONTACT = Kind("con", "contact")
SEGMENT = Kind("seg", "segment")
Fields = dict[Annotated[Text, Field(max_length=100)], str | int | float | bool | None]
Name = Annotated[Text, Field(max_length=200)]
Names = Annotated[list[Name], Field(max_length=20)]


class ContactFilter(PageWanted):
    """Which contacts; several filters hold together. Archived contacts are in no list and no segment."""

    list: str = Field("", max_length=100, description="The id of a list.")
    segment: str = Field("", max_length=100, description="The id of a segment.")
    tree: Text = Field("", max_length=20_000, description='A segment tree as JSON, such as `{"tag": "vip"}`.')
    search: Text = Field("", max_length=100, description="A part of the address or of a field's value.")
    archived: bool = Field(False, description="Archived contacts instead.")


class ExportWanted(PageWanted):
    """Which contacts, and how they are written."""

    limit: int = Field(100, exclude=True)
    format: Literal["csv", "ndjson"] = "csv"
    list: str = Field("", max_length=100, description="The id of a list.")
    segment: str = Field("", max_length=100, description="The id of a segment.")
    tree: Text = Field("", max_length=20_000, description="A segment tree as JSON.")
    archived: bool = Field(False, description="Archived contacts instead.")


class ContactWantedBody(Wanted):
    """A contact to make; where there is one with that address, it is brought up to date."""

    address: Text = Field(max_length=512)
    fields: Fields = Field(default_factory=dict)
    lists: Names = Field(default_factory=list, description="Lists by name; made where there are none.")
    tags: Names = Field(default_factory=list)
    locale: Text = Field("", max_length=40)
    time_zone: Text = Field("", max_length=80)


class ContactChangeBody(Wanted):
    """What to change; what is left out stays. A field that is null is taken away; an empty text takes away, too."""

    fields: Fields | None = None
    locale: Text | None = Field(None, max_length=40)
    time_zone: Text | None = Field(None, max_length=80)
    tracking: Literal["", "off", "aggregate", "last_open", "full"] | None = None
    tracking_wording: Text = Field(
        "",
        max_length=2000,
        description="What the contact read and agreed to, or refused; kept with the date where `tracking` changes.",
    )


class TagsWanted(Wanted):
    """Tags to give and to take."""

    add: Names = Field(default_factory=list)
    remove: Names = Field(default_factory=list)


class CounterWanted(Wanted):
    """By how much a number is moved on; it may be negative."""

    by: int | float = 1


class ManyWanted(Wanted):
    """Who is changed, by ids or by a segment tree, and how."""

    contacts: list[str] | None = Field(None, min_length=1, max_length=MOST_AT_ONCE)
    tree: dict[str, Any] | None = Field(None, description="A segment tree: everybody in it.")
    archived: bool = Field(False, description="With neither: everybody who is archived.")
    add_tags: Names = Field(default_factory=list)
    remove_tags: Names = Field(default_factory=list)
    add_lists: Names = Field(default_factory=list)
    remove_lists: Names = Field(default_factory=list)
    fields: Fields = Field(default_factory=dict)
    archive: bool | None = Field(None, description="true archives, false restores.")


class MembershipShown(Answer):
    """A list that a contact is on, since when, and where that came from."""

    list: Reference
    joined_at: Moment
    source: str


class ContactShown(Answer):
    """A contact."""

    id: str
    address: str
    fields: dict[str, Any]
    lists: list[MembershipShown]
    tags: list[str]
    locale: str | None
    time_zone: str | None
    tracking: str | None = Field(description="Overrides what the list says: off, aggregate, last_open or full.")
    archived_at: Moment | None
    created_at: Moment
    updated_at: Moment


class EntryShown(Answer):
    """Something that happened to a contact; `what` is the list, the tag, the scope or the campaign, `why` in words."""

    at: Moment
    kind: str = Field(description="added, joined_list, tagged, consent, suppressed_address, archived or mail")
    event: str = Field(description="The kind of the event where it is about a mail; the answer where it is consent.")
    what: str
    why: str


class TimelineShown(Answer):
    """What a contact went through, the newest first."""

    data: list[EntryShown]


class CountedShown(Answer):
    """A number of a contact after it was moved on."""

    value: int | float


class ManyShown(Answer):
    """How many contacts were meant."""

    contacts: int


class TagShown(Answer):
    """A tag with its number of contacts."""

    name: str
    contacts: int
    created_at: Moment


class TagList(Answer):
    """All tags by name."""

    data: list[TagShown]


class TagWanted(Wanted):
    """A tag to make."""

    name: Text = Field(max_length=200, pattern=r"\S")


async def list_contacts(caller: Reader, query: Annotated[ContactFilter, Query()]) -> Page[ContactShown]:
    """Contacts in the order in which they came."""
    (after,) = read_cursor("contacts", query.cursor)
    asked = await _query(caller, query, query.search)
    rows = await contacts_of(caller).page(caller.workspace_id, asked, after=after, limit=query.limit + 1)
    return make_page("contacts", rows, query.limit, contact_shown, lambda item: (item.card.id,), query.cursor)


async def create_contact(wanted: ContactWantedBody, caller: Sender, response: Response) -> ContactShown:
    """Make a contact. 200 where there is one with that address: fields are merged, lists and tags are added."""
    found = ContactWanted(wanted.address, wanted.fields, wanted.lists, wanted.tags, wanted.locale, wanted.time_zone)
    made, is_new = await contacts_of(caller).create(caller.workspace_id, found)
    response.status_code = 201 if is_new else 200
    shown = contact_shown(made)
    response.headers["Location"] = f"/v1/contacts/{shown.id}"
    return shown


async def get_contact(contact_id: str, caller: Reader) -> ContactShown:
    """A contact."""
    return contact_shown(await contacts_of(caller).get(caller.workspace_id, inward(CONTACT, contact_id)))


async def change_contact(contact_id: str, wanted: ContactChangeBody, caller: Sender) -> ContactShown:
    """Change fields, language, time zone or tracking.

    More tracking than before is kept as a consent given now, by this key; none any more as one withdrawn.
    """
    change = ContactChange(wanted.fields, wanted.locale, wanted.time_zone, wanted.tracking)
    said = SaidBy(f"api:{caller.client.name}", wanted.tracking_wording)
    row_id = inward(CONTACT, contact_id)
    return contact_shown(await contacts_of(caller).change(caller.workspace_id, row_id, change, said))


async def archive_contact(contact_id: str, caller: Sender) -> ContactShown:
    """Archive a contact, who gets no campaigns any more, queued ones included, and is in no segment.

    Nothing is forgotten.
    """
    return await _changed(caller, contact_id, BulkChange(archive=True))


async def restore_contact(contact_id: str, caller: Sender) -> ContactShown:
    """Bring an archived contact back."""
    return await _changed(caller, contact_id, BulkChange(archive=False))


async def tag_contact(contact_id: str, wanted: TagsWanted, caller: Sender) -> ContactShown:
    """Give a contact tags, and take tags away."""
    return await _changed(caller, contact_id, BulkChange(add_tags=wanted.add, remove_tags=wanted.remove))


async def count_contact_field(contact_id: str, name: str, wanted: CounterWanted, caller: Sender) -> CountedShown:
    """Move a number on. Two who do so at once both count."""
    row_id = inward(CONTACT, contact_id)
    return CountedShown(value=await contacts_of(caller).count_up(caller.workspace_id, row_id, name, wanted.by))


async def get_contact_timeline(contact_id: str, caller: Reader) -> TimelineShown:
    """The newest two hundred things that happened to a contact, with why."""
    timeline = ContactTimeline(caller.services.database)
    entries = await timeline.entries(caller.workspace_id, inward(CONTACT, contact_id))
    return TimelineShown(data=[_entry(one) for one in entries])


async def change_contacts(wanted: ManyWanted, caller: Sender) -> ManyShown:
    """Do the same to up to a thousand contacts by their ids, or to everybody in a tree."""
    if (wanted.contacts is not None) + (wanted.tree is not None) + wanted.archived != 1:
        raise RefusedError("who", "Say either contacts, tree or archived.", field="contacts")
    change = BulkChange(
        wanted.add_tags, wanted.remove_tags, wanted.add_lists, wanted.remove_lists, wanted.fields, wanted.archive
    )
    chosen: list[int] | ContactQuery
    if wanted.contacts is not None:
        chosen = [inward_field(CONTACT, one, "contacts") for one in wanted.contacts]
    else:
        chosen = ContactQuery(parse(wanted.tree)) if wanted.tree is not None else ContactQuery(archived=True)
    return ManyShown(contacts=await contacts_of(caller).change_many(caller.workspace_id, chosen, change))


async def export_contacts(caller: Reader, query: Annotated[ExportWanted, Query()]) -> StreamingResponse:
    """All that is known of contacts, as CSV or as NDJSON; an import reads either back."""
    asked = await _query(caller, query, "")
    contacts = contacts_of(caller)
    await contacts.page(caller.workspace_id, asked, limit=1)  # what is wrong with the tree is told before the answer
    is_csv = query.format == "csv"
    lines = (contacts.export_csv if is_csv else contacts.export_ndjson)(caller.workspace_id, asked)
    media_type = "text/csv; charset=utf-8" if is_csv else "application/x-ndjson"
    headers = {"Content-Disposition": f'attachment; filename="contacts.{query.format}"'}
    return StreamingResponse(lines, media_type=media_type, headers=headers)


async def list_tags(caller: Reader) -> TagList:
    """All tags by name, with their numbers of contacts."""
    found = await lists_of(caller).tags(caller.workspace_id)
    rows = [TagShown(name=tag.name, contacts=count, created_at=moment(tag.created_at)) for tag, count in found]
    return TagList(data=rows)


async def create_tag(wanted: TagWanted, caller: Sender) -> TagList:
    """Make a tag that nobody carries yet; all tags are answered."""
    await lists_of(caller).make_tag(caller.workspace_id, wanted.name)
    return await list_tags(caller)


async def delete_tag(name: str, caller: Sender) -> Response:
    """Delete a tag; whoever carried it does not any more."""
    await lists_of(caller).delete_tag(caller.workspace_id, name)
    return Response(status_code=204)


def add_contact_routes(router: APIRouter) -> None:
    """The routes of contacts and tags."""
    add = router.add_api_route
    add("/contacts", list_contacts, methods=["GET"])
    made = {"model": ContactShown, "description": "There was one with that address already."}
    add("/contacts", create_contact, methods=["POST"], status_code=201, responses={200: made})
    add("/contacts/changes", change_contacts, methods=["POST"])
    add(
        "/contacts/export",
        export_contacts,
        methods=["GET"],
        response_class=StreamingResponse,
        responses={
            200: {
                "content": {kind: {"schema": {"type": "string"}} for kind in ("text/csv", "application/x-ndjson")},
                "description": "The contacts.",
            }
        },
    )
    add("/contacts/{contact_id}", get_contact, methods=["GET"])
    add("/contacts/{contact_id}", change_contact, methods=["PATCH"])
    add("/contacts/{contact_id}/archive", archive_contact, methods=["POST"])
    add("/contacts/{contact_id}/restore", restore_contact, methods=["POST"])
    add("/contacts/{contact_id}/tags", tag_contact, methods=["POST"])
    add("/contacts/{contact_id}/fields/{name}/count", count_contact_field, methods=["POST"])
    add("/contacts/{contact_id}/timeline", get_contact_timeline, methods=["GET"])
    add("/tags", list_tags, methods=["GET"])
    add("/tags", create_tag, methods=["POST"], status_code=201)
    add("/tags/{name}", delete_tag, methods=["DELETE"], status_code=204)


def contacts_of(caller: Caller) -> Contacts:
    """The contacts service; it judges addresses as the imports do."""
    services = caller.services
    return Contacts(services.database, services.clock, test_environment=services.imports.test_environment)


def lists_of(caller: Caller) -> ContactLists:
    """The lists and tags of contacts."""
    return ContactLists(caller.services.database, caller.services.clock)


def contact_shown(one: FullContact) -> ContactShown:
    """A contact for the outside."""
    card = one.card
    return ContactShown(
        id=outward(CONTACT, card.created_at, card.id),
        address=card.address,
        fields=json.loads(card.fields),
        lists=[
            MembershipShown(
                list=Reference(id=outward(LIST, member.list_created_at, member.list_id), name=member.name),
                joined_at=moment(member.joined_at),
                source=member.source,
            )
            for member in one.lists
        ],
        tags=list(one.tags),
        locale=card.locale,
        time_zone=card.time_zone,
        tracking=card.tracking,
        archived_at=optional_moment(card.archived_at),
        created_at=moment(card.created_at),
        updated_at=moment(card.updated_at),
    )


async def _changed(caller: Caller, contact_id: str, change: BulkChange) -> ContactShown:
    row_id, contacts = inward(CONTACT, contact_id), contacts_of(caller)
    await contacts.get(caller.workspace_id, row_id)
    await contacts.change_many(caller.workspace_id, [row_id], change)
    return contact_shown(await contacts.get(caller.workspace_id, row_id))


async def _query(caller: Caller, query: ContactFilter | ExportWanted, search: str) -> ContactQuery:
    parts: list[Node] = []
    if query.list:
        found, _ = await caller.services.references.list_with_count(
            caller.workspace_id, inward_field(LIST, query.list, "list")
        )
        parts.append(OnList(found.name))
    if query.segment:
        segments = Segments(caller.services.database, caller.services.clock)
        segment = await segments.get(caller.workspace_id, inward_field(SEGMENT, query.segment, "segment"))
        parts.append(InSegment(segment.name))
    if query.tree:
        parts.append(read_tree(query.tree))
    if parts and query.archived:
        raise RefusedError("archived", "Archived contacts are in no list and no segment.", field="archived")
    if not parts:
        return ContactQuery(search=search, archived=query.archived)
    return ContactQuery(parts[0] if len(parts) == 1 else AllOf(tuple(parts)), search)


def _entry(one: TimelineEntry) -> EntryShown:
    return EntryShown(at=moment(one.at), kind=one.kind, event=one.event, what=one.what, why=one.why)
