"""Segments: filter trees over contacts, stored or not; counted, and read page by page."""

import json
from typing import Any

from fastapi import APIRouter, Response
from pydantic import Field

from hygiene.segments.describe import describe
from hygiene.segments.parse import parse
from postwright.api.callers import Caller, Reader, Sender
from postwright.api.cursors import make_page, read_cursor
from postwright.api.parameters import PageQuery
from postwright.api.representations import (
    Answer,
    Kind,
    Moment,
    Page,
    Text,
    Wanted,
    inward,
    moment,
    outward,
)
from postwright.services.segments import Segments
from postwright.store.contacts import Contact
from postwright.store.segments import Segment

SEGMENT = Kind("seg", "segment")
CONTACT = Kind("con", "contact")
_TREE = 'A condition such as `{"list": "news"}`, or several in `{"all": [...]}`, `{"any": [...]}`, `{"not": {...}}`.'


class NewSegmentWanted(Wanted):
    """A segment to store."""

    name: Text = Field(max_length=200, pattern=r"\S")
    tree: dict[str, Any] = Field(description=_TREE)


class SegmentChange(Wanted):
    """What to change of a segment; what is left out stays."""

    name: Text | None = Field(None, max_length=200, pattern=r"\S")
    tree: dict[str, Any] | None = Field(None, description=_TREE)


class TreeWanted(Wanted):
    """A tree that is not stored."""

    tree: dict[str, Any] = Field(description=_TREE)


class SegmentShown(Answer):
    """A stored segment; contacts enter and leave it by themselves."""

    id: str
    name: str
    tree: dict[str, Any]
    sentence: str = Field(description="What the tree says, in English.")
    created_at: Moment
    updated_at: Moment


class CountShown(Answer):
    """How many contacts are in a tree now."""

    contacts: int
    sentence: str


class SegmentContact(Answer):
    """A contact in a segment."""

    id: str
    address: str
    fields: dict[str, Any]


async def create_segment(wanted: NewSegmentWanted, caller: Sender, response: Response) -> SegmentShown:
    """Store a tree under a name. Lists, tags, fields and segments in it have to exist."""
    made = await _segments(caller).create(caller.workspace_id, wanted.name, wanted.tree)
    shown = _shown(made)
    response.headers["Location"] = f"/v1/segments/{shown.id}"
    return shown


async def list_segments(caller: Reader, query: PageQuery) -> Page[SegmentShown]:
    """All segments in the order in which they were made."""
    (after,) = read_cursor("segments", query.cursor)
    rows = await _segments(caller).page(caller.workspace_id, after=after, limit=query.limit + 1)
    return make_page("segments", rows, query.limit, _shown, lambda item: (item.id,), query.cursor)


async def count_segment(wanted: TreeWanted, caller: Reader) -> CountShown:
    """How many contacts are in a tree that is not stored."""
    tree = parse(wanted.tree)
    return CountShown(contacts=await _segments(caller).count(caller.workspace_id, tree), sentence=describe(tree))


async def get_segment(segment_id: str, caller: Reader) -> SegmentShown:
    """A segment."""
    return _shown(await _segments(caller).get(caller.workspace_id, inward(SEGMENT, segment_id)))


async def get_segment_count(segment_id: str, caller: Reader) -> CountShown:
    """How many contacts are in a segment now."""
    found = await _segments(caller).get(caller.workspace_id, inward(SEGMENT, segment_id))
    summary = await _segments(caller).summary(caller.workspace_id, found)
    return CountShown(contacts=summary.contacts, sentence=summary.sentence)


async def change_segment(segment_id: str, wanted: SegmentChange, caller: Sender) -> SegmentShown:
    """Give a segment another name or tree."""
    changed = await _segments(caller).change(
        caller.workspace_id, inward(SEGMENT, segment_id), name=wanted.name, document=wanted.tree
    )
    return _shown(changed)


async def delete_segment(segment_id: str, caller: Sender) -> Response:
    """Delete a segment; the contacts stay. One that other segments have in them is not deleted."""
    await _segments(caller).delete(caller.workspace_id, inward(SEGMENT, segment_id))
    return Response(status_code=204)


async def list_segment_contacts(segment_id: str, caller: Reader, query: PageQuery) -> Page[SegmentContact]:
    """The contacts who are in a segment now."""
    (after,) = read_cursor("segment_contacts", query.cursor)
    segments = _segments(caller)
    found = await segments.get(caller.workspace_id, inward(SEGMENT, segment_id))
    rows = await segments.contacts(caller.workspace_id, found.node, after=after, limit=query.limit + 1)
    return make_page("segment_contacts", rows, query.limit, _contact, lambda item: (item.id,), query.cursor)


def add_segment_routes(router: APIRouter) -> None:
    """The routes of segments."""
    router.add_api_route("/segments", create_segment, methods=["POST"], status_code=201)
    router.add_api_route("/segments", list_segments, methods=["GET"])
    router.add_api_route("/segments/count", count_segment, methods=["POST"])
    router.add_api_route("/segments/{segment_id}", get_segment, methods=["GET"])
    router.add_api_route("/segments/{segment_id}", change_segment, methods=["PATCH"])
    router.add_api_route("/segments/{segment_id}", delete_segment, methods=["DELETE"], status_code=204)
    router.add_api_route("/segments/{segment_id}/count", get_segment_count, methods=["GET"])
    router.add_api_route("/segments/{segment_id}/contacts", list_segment_contacts, methods=["GET"])


def _segments(caller: Caller) -> Segments:
    return Segments(caller.services.database, caller.services.clock)


def _shown(item: Segment) -> SegmentShown:
    return SegmentShown(
        id=outward(SEGMENT, item.created_at, item.id),
        name=item.name,
        tree=json.loads(item.tree),
        sentence=describe(item.node),
        created_at=moment(item.created_at),
        updated_at=moment(item.updated_at),
    )


def _contact(item: Contact) -> SegmentContact:
    return SegmentContact(
        id=outward(CONTACT, item.created_at, item.id), address=item.address, fields=json.loads(item.fields)
    )
