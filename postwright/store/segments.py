"""Stored segments, and who is in a tree."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, func, select, update

from hygiene.segments.checking import check_fields
from hygiene.segments.document import as_document
from hygiene.segments.parse import parse
from hygiene.segments.references import resolve, segments_in
from hygiene.segments.tree import AllOf, ConsentIs, HasTag, LeftOut, Node, OnList, leaves
from mailtypes.clock import Microseconds
from postwright.store import contact_fields
from postwright.store.contacts import Contact
from postwright.store.records import fetch_all, fetch_one, insert_row, page, select_as, table
from postwright.store.segment_sql import Catalogue, members

_segment, _contact = table("segment"), table("contact")
_list, _tag, _stream = table("contact_list"), table("tag"), table("stream")
_MOST_LOOKED_UP = 500


@dataclass(frozen=True, slots=True)
class Segment:
    """A stored segment; ``tree`` is JSON."""

    id: int
    name: str
    tree: str
    created_at: int
    updated_at: int

    @property
    def node(self) -> Node:
        """The tree."""
        return parse(json.loads(self.tree))


@dataclass(frozen=True, slots=True)
class Audience:
    """Who is in ``tree`` as it stands in a workspace: its segments put in, its names looked up, its fields checked."""

    tree: Node
    catalogue: Catalogue


def add_segment(connection: Connection, workspace_id: int, name: str, tree: Node, now: Microseconds) -> int:
    """Store a segment; returns its id. The name must be free."""
    written = _written(tree)
    return insert_row(
        connection, _segment, workspace_id=workspace_id, name=name, tree=written, created_at=now, updated_at=now
    )


def get_segment(connection: Connection, workspace_id: int, segment_id: int) -> Segment | None:
    """The segment with that id."""
    return fetch_one(
        connection, Segment, _segment, _segment.c.workspace_id == workspace_id, _segment.c.id == segment_id
    )


def find_segment(connection: Connection, workspace_id: int, name: str) -> Segment | None:
    """The segment of that name."""
    return fetch_one(connection, Segment, _segment, _segment.c.workspace_id == workspace_id, _segment.c.name == name)


def list_segments(connection: Connection, workspace_id: int, *, after: int = 0, limit: int = 100) -> list[Segment]:
    """Segments in the order of their ids, beginning behind ``after``."""
    return page(connection, Segment, _segment, [_segment.c.workspace_id == workspace_id], after=after, limit=limit)


def change_segment(connection: Connection, segment: Segment, name: str, tree: Node, now: Microseconds) -> None:
    """Give a segment another name or tree."""
    connection.execute(
        update(_segment).where(_segment.c.id == segment.id).values(name=name, tree=_written(tree), updated_at=now)
    )


def delete_segment(connection: Connection, segment_id: int) -> None:
    """Delete it; whether others refer to it is asked before (``referring_segments``)."""
    connection.execute(delete(_segment).where(_segment.c.id == segment_id))


def referring_segments(connection: Connection, workspace_id: int, name: str) -> list[str]:
    """The names of the segments that have this one in them."""
    statement = select_as(Segment, _segment).where(_segment.c.workspace_id == workspace_id).order_by(_segment.c.name)
    return [one.name for one in fetch_all(connection, Segment, statement) if name in segments_in(one.node)]


def segments_naming_list(connection: Connection, workspace_id: int, name: str) -> list[str]:
    """The names of the segments that have a list in them, as a place or as what consent is about."""
    statement = select_as(Segment, _segment).where(_segment.c.workspace_id == workspace_id).order_by(_segment.c.name)
    found = fetch_all(connection, Segment, statement)
    return [one.name for one in found if any(_names_list(leaf, name) for _, leaf in leaves(one.node))]


def _names_list(leaf: object, name: str) -> bool:
    if isinstance(leaf, OnList):
        return leaf.name == name
    return isinstance(leaf, ConsentIs) and leaf.reach == "list" and leaf.name == name


def open_audience(connection: Connection, workspace_id: int, tree: Node, *, name: str | None = None) -> Audience:
    """Look up what a tree names; ``name`` is its own, where it is stored or about to be.

    Raises ``SegmentSyntaxError`` for segments that do not exist or contain themselves and for fields that cannot be
    compared like that; lists, tags and streams are found missing when the SQL is made.
    """
    trees: dict[str, Node | None] = {}

    def look_up(wanted: str) -> Node | None:
        if wanted not in trees:
            found = find_segment(connection, workspace_id, wanted)
            trees[wanted] = None if found is None else found.node
        return trees[wanted]

    resolved = resolve(tree, look_up, name=name)
    kinds = {one.name: one.kind for one in contact_fields.list_fields(connection, workspace_id)}
    check_fields(resolved, kinds)
    named = [leaf for _, leaf in leaves(resolved)]
    of_consent = [leaf for leaf in named if isinstance(leaf, ConsentIs)]
    lists = {leaf.name for leaf in named if isinstance(leaf, OnList)}
    lists |= {leaf.name for leaf in of_consent if leaf.reach == "list"}
    streams = {leaf.name for leaf in of_consent if leaf.reach == "stream"}
    tags = {leaf.name for leaf in named if isinstance(leaf, HasTag)}
    catalogue = Catalogue(
        workspace_id,
        _ids(connection, _list.c.id, _list.c.name, _list.c.workspace_id == workspace_id, lists),
        _ids(connection, _tag.c.id, _tag.c.name, _tag.c.workspace_id == workspace_id, tags),
        _ids(connection, _stream.c.id, _stream.c.name, _stream.c.workspace_id == workspace_id, streams),
        kinds,
    )
    return Audience(resolved, catalogue)


def without(tree: Node, excluded: Sequence[Node]) -> Node:
    """The tree but for who is known to be in any of the ``excluded``."""
    return AllOf((tree, *(LeftOut(one) for one in excluded))) if excluded else tree


def count_contacts(
    connection: Connection, audience: Audience, now: Microseconds, *, ids: tuple[int, int] | None = None
) -> int:
    """How many contacts are in; with ``ids`` only of those from the first id to before the second."""
    statement = _select(connection, audience, now, select(func.count()))
    if ids is not None:
        statement = statement.where(_contact.c.id >= ids[0], _contact.c.id < ids[1])
    return int(connection.execute(statement).scalar_one())


def segment_contacts(
    connection: Connection, audience: Audience, now: Microseconds, *, after: int = 0, limit: int = 100
) -> list[Contact]:
    """Contacts who are in, in the order of their ids, beginning behind ``after``. Nobody archived is among them."""
    statement = _page(_select(connection, audience, now, select_as(Contact, _contact)), after, limit)
    return [Contact(*row) for row in connection.execute(statement)]


def segment_keys(
    connection: Connection, audience: Audience, now: Microseconds, *, after: int = 0, limit: int = 2000
) -> list[tuple[int, str]]:
    """Id and address key of those: what freezing an audience chunk by chunk takes."""
    statement = _select(connection, audience, now, select(_contact.c.id, _contact.c.address_key))
    return [(row[0], row[1]) for row in connection.execute(_page(statement, after, limit))]


def is_in_audience(connection: Connection, audience: Audience, now: Microseconds, contact_id: int) -> bool:
    """Whether one contact is in."""
    statement = _select(connection, audience, now, select(_contact.c.id)).where(_contact.c.id == contact_id)
    return connection.execute(statement).first() is not None


def id_range(connection: Connection, workspace_id: int) -> tuple[int, int]:
    """The first id of the contacts who may be in segments, and one more than the last; (0, 0) where there is none."""
    statement = select(_contact.c.id).where(_contact.c.workspace_id == workspace_id, _contact.c.archived_at.is_(None))
    # The ends of the index; left to itself, SQLite looks for them from the ends of the table.
    statement = statement.with_hint(_contact, "INDEXED BY ix_contact_segment", "sqlite").limit(1)
    first = connection.execute(statement.order_by(_contact.c.id)).scalar()
    last = connection.execute(statement.order_by(_contact.c.id.desc())).scalar()
    return (0, 0) if first is None or last is None else (int(first), int(last) + 1)


def _select(connection: Connection, audience: Audience, now: Microseconds, columns: Select[Any]) -> Select[Any]:
    return members(columns, connection.dialect.name, audience.catalogue, now, audience.tree)


def _page(statement: Select[Any], after: int, limit: int) -> Select[Any]:
    return statement.where(_contact.c.id > after).order_by(_contact.c.id).limit(limit)


def _ids(
    connection: Connection,
    row_id: ColumnElement[int],
    name: ColumnElement[str],
    mine: ColumnElement[bool],
    wanted: set[str],
) -> dict[str, int]:
    found: dict[str, int] = {}
    names = sorted(wanted)
    for start in range(0, len(names), _MOST_LOOKED_UP):
        chunk = names[start : start + _MOST_LOOKED_UP]
        found |= {
            str(row[1]): int(row[0]) for row in connection.execute(select(row_id, name).where(mine, name.in_(chunk)))
        }
    return found


def _written(tree: Node) -> str:
    return json.dumps(as_document(tree), ensure_ascii=False)
