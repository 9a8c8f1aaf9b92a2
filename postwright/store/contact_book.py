"""Contacts with all that is known of them: looked for, read page by page, changed one by one and many at once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, delete, func, or_, select, update

from hygiene.segments.tree import Node
from mailtypes.clock import Microseconds
from postwright.store import suppressions
from postwright.store.contacts import FieldValue, fields_json
from postwright.store.records import BY_DELIVERY, BY_ID, fetch_all, fetch_one, select_as, table
from postwright.store.segment_sql import members
from postwright.store.segments import open_audience

_contact, _list, _membership = table("contact"), table("contact_list"), table("list_membership")
_tag, _tagged = table("tag"), table("contact_tag")
_delivery, _event, _run, _campaign = table("delivery"), table("event"), table("run"), table("campaign")
_suppression = table("suppression")
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class ContactCard:
    """A contact; ``fields`` is a JSON object, ``tracking`` what overrides the list, times are in microseconds."""

    id: int
    address: str
    address_key: str
    domain: str
    fields: str
    created_at: int
    updated_at: int
    locale: str | None
    time_zone: str | None
    archived_at: int | None
    tracking: str | None


@dataclass(frozen=True, slots=True)
class Membership:
    """A list that a contact is on."""

    contact_id: int
    list_id: int
    name: str
    list_created_at: int
    joined_at: int
    source: str


@dataclass(frozen=True, slots=True)
class ContactQuery:
    """Who is meant. ``tree`` leaves archived contacts out; ``archived`` ``None``: both kinds.

    ``search`` is looked for in addresses and field values, as it is written.
    """

    tree: Node | None = None
    search: str = ""
    archived: bool | None = False


@dataclass(frozen=True, slots=True)
class ContactChange:
    """What to change of a contact. A field that is ``None`` is taken away; an empty locale or zone too."""

    fields: Mapping[str, FieldValue] | None = None
    locale: str | None = None
    time_zone: str | None = None
    tracking: str | None = None


@dataclass(frozen=True, slots=True)
class ContactEvent:
    """An event about a mail to a contact; ``mail`` names the campaign, or is empty."""

    id: int
    kind: str
    occurred_at: int
    data: str
    delivery_id: int
    run_id: int
    mail: str


@dataclass(frozen=True, slots=True)
class Stop:
    """A suppression of a contact's address."""

    scope: str
    scope_id: int
    reason: str
    created_at: int
    expires_at: int | None


def get_card(connection: Connection, workspace_id: int, contact_id: int) -> ContactCard | None:
    """The contact with that id."""
    mine = (_contact.c.workspace_id == workspace_id, _contact.c.id == contact_id)
    return fetch_one(connection, ContactCard, _contact, *mine)


def find_card(connection: Connection, workspace_id: int, address_key: str) -> ContactCard | None:
    """The contact with that address key."""
    mine = (_contact.c.workspace_id == workspace_id, _contact.c.address_key == address_key)
    return fetch_one(connection, ContactCard, _contact, *mine)


def list_cards(
    connection: Connection,
    workspace_id: int,
    query: ContactQuery,
    now: Microseconds,
    *,
    after: int = 0,
    limit: int = 100,
) -> list[ContactCard]:
    """Contacts in the order of their ids, beginning behind ``after``. Raises ``SegmentSyntaxError``."""
    statement = _matching(connection, workspace_id, query, now, select_as(ContactCard, _contact))
    return fetch_all(
        connection, ContactCard, statement.where(_contact.c.id > after).order_by(_contact.c.id).limit(limit)
    )


def list_ids(
    connection: Connection, workspace_id: int, query: ContactQuery, now: Microseconds, *, after: int, limit: int
) -> list[int]:
    """The ids alone, for changes of many."""
    statement = _matching(connection, workspace_id, query, now, select(_contact.c.id))
    rows = connection.execute(statement.where(_contact.c.id > after).order_by(_contact.c.id).limit(limit))
    return [int(row[0]) for row in rows]


def own_ids(connection: Connection, workspace_id: int, ids: Sequence[int]) -> list[int]:
    """Those of the ids that are contacts of the workspace."""
    mine = (_contact.c.workspace_id == workspace_id, _contact.c.id.in_(ids))
    statement = select(_contact.c.id).with_hint(_contact, BY_ID, "sqlite").where(*mine).order_by(_contact.c.id)
    return [int(row[0]) for row in connection.execute(statement)]


def _matching(
    connection: Connection, workspace_id: int, query: ContactQuery, now: Microseconds, columns: Select[Any]
) -> Select[Any]:
    if query.tree is not None:
        audience = open_audience(connection, workspace_id, query.tree)
        statement = members(columns, connection.dialect.name, audience.catalogue, now, audience.tree)
    else:
        statement = columns.where(_contact.c.workspace_id == workspace_id)
        if query.archived is not None:
            archived = _contact.c.archived_at
            statement = statement.where(archived.is_not(None) if query.archived else archived.is_(None))
    if query.search:
        found = _contact.c.address_key.contains(query.search.lower(), autoescape=True)
        # As it stands in the JSON, where quotation marks and backslashes are escaped.
        written = json.dumps(query.search, ensure_ascii=False)[1:-1]
        statement = statement.where(or_(found, _contact.c.fields.contains(written, autoescape=True)))
    return statement


def memberships(connection: Connection, workspace_id: int, ids: Sequence[int]) -> dict[int, list[Membership]]:
    """The lists of contacts, by contact, in the order in which they joined."""
    found: dict[int, list[Membership]] = {}
    columns = (
        _membership.c.contact_id,
        _membership.c.list_id,
        _list.c.name,
        _list.c.created_at,
        _membership.c.joined_at,
        _membership.c.source,
    )
    for start in range(0, len(ids), _AT_ONCE):
        statement = (
            select(*columns)
            .with_hint(_membership, "INDEXED BY ix_list_membership_contact_id", "sqlite")  # or it reads all lists
            .join(_list, _list.c.id == _membership.c.list_id)
            .where(
                _membership.c.workspace_id == workspace_id, _membership.c.contact_id.in_(ids[start : start + _AT_ONCE])
            )
            .order_by(_membership.c.joined_at, _membership.c.list_id)
        )
        for row in connection.execute(statement):
            found.setdefault(int(row[0]), []).append(Membership(*row))
    return found


def tags_of(connection: Connection, workspace_id: int, ids: Sequence[int]) -> dict[int, list[tuple[str, int]]]:
    """The tags of contacts with the moment of each, by contact, by name."""
    found: dict[int, list[tuple[str, int]]] = {}
    for start in range(0, len(ids), _AT_ONCE):
        statement = (
            select(_tagged.c.contact_id, _tag.c.name, _tagged.c.tagged_at)
            .with_hint(_tagged, "INDEXED BY ix_contact_tag_contact_id", "sqlite")  # or it reads all that are tagged
            .join(_tag, _tag.c.id == _tagged.c.tag_id)
            .where(_tagged.c.workspace_id == workspace_id, _tagged.c.contact_id.in_(ids[start : start + _AT_ONCE]))
            .order_by(_tag.c.name)
        )
        for contact_id, name, at in connection.execute(statement):
            found.setdefault(int(contact_id), []).append((str(name), int(at)))
    return found


def change_contact(
    connection: Connection, workspace_id: int, contact_id: int, change: ContactChange, now: Microseconds
) -> bool:
    """Change a contact, whose row is locked, so that two who change different fields both do; ``False``: no such."""
    mine = (_contact.c.workspace_id == workspace_id, _contact.c.id == contact_id)
    row = connection.execute(select(_contact.c.fields).where(*mine).with_for_update()).one_or_none()
    if row is None:
        return False
    values: dict[str, Any] = {"updated_at": now}
    if change.fields:
        merged = json.loads(row[0]) | dict(change.fields)
        values["fields"] = fields_json({name: value for name, value in merged.items() if value is not None})
    for name in ("locale", "time_zone", "tracking"):
        wanted = getattr(change, name)
        if wanted is not None:
            values[name] = wanted or None
    connection.execute(update(_contact).where(*mine).values(values))
    return True


def lock_tracking(connection: Connection, workspace_id: int, contact_id: int) -> str | None:
    """How a contact is tracked, with its row locked until the end; ``None``: no wish of its own, or no such contact."""
    mine = (_contact.c.workspace_id == workspace_id, _contact.c.id == contact_id)
    found: str | None = connection.execute(select(_contact.c.tracking).where(*mine).with_for_update()).scalar()
    return found


def archive(connection: Connection, workspace_id: int, ids: Sequence[int], now: Microseconds) -> int:
    """Archive contacts and stop what is queued to them; returns how many were not archived before."""
    changed = _mark(connection, workspace_id, ids, _contact.c.archived_at.is_(None), {"archived_at": now})
    suppressions.stop_archived(connection, workspace_id, changed, now)
    return len(changed)


def restore(connection: Connection, workspace_id: int, ids: Sequence[int]) -> int:
    """Bring archived contacts back; returns how many there were. What was stopped meanwhile stays stopped."""
    return len(_mark(connection, workspace_id, ids, _contact.c.archived_at.is_not(None), {"archived_at": None}))


def _mark(
    connection: Connection, workspace_id: int, ids: Sequence[int], only: Any, values: dict[str, Any]
) -> list[int]:
    """Change those of these contacts; returns the ids of whom it changed."""
    changed: list[int] = []
    for start in range(0, len(ids), _AT_ONCE):
        those = _contact.c.id.in_(ids[start : start + _AT_ONCE])
        mine = (_contact.c.workspace_id == workspace_id, those, only)
        statement = update(_contact).with_hint(BY_ID, dialect_name="sqlite").where(*mine).values(values)
        changed += [int(row[0]) for row in connection.execute(statement.returning(_contact.c.id))]
    return changed


def leave_list(connection: Connection, workspace_id: int, list_id: int, ids: Sequence[int]) -> int:
    """Take contacts off a list; returns how many were on it."""
    left = 0
    for start in range(0, len(ids), _AT_ONCE):
        mine = (_membership.c.workspace_id == workspace_id, _membership.c.list_id == list_id)
        those = _membership.c.contact_id.in_(ids[start : start + _AT_ONCE])
        left += connection.execute(delete(_membership).where(*mine, those)).rowcount
    return left


def contact_events(connection: Connection, workspace_id: int, address_key: str, *, limit: int) -> list[ContactEvent]:
    """What happened to the newest mails to an address, the newest event first."""
    deliveries = (
        select(_delivery.c.id, _delivery.c.run_id)
        .where(_delivery.c.workspace_id == workspace_id, _delivery.c.address_key == address_key)
        .order_by(_delivery.c.id.desc())
        .limit(limit)
    )
    runs = {int(row[0]): int(row[1]) for row in connection.execute(deliveries)}
    found: list[ContactEvent] = []
    ids = list(runs)
    names = _mail_names(connection, workspace_id, sorted(set(runs.values())))
    columns = (_event.c.id, _event.c.kind, _event.c.occurred_at, _event.c.data, _event.c.delivery_id)
    for start in range(0, len(ids), _AT_ONCE):
        mine = (_event.c.delivery_id.in_(ids[start : start + _AT_ONCE]), _event.c.workspace_id == workspace_id)
        statement = select(*columns).with_hint(_event, BY_DELIVERY, "sqlite").where(*mine)
        newest = statement.order_by(_event.c.occurred_at.desc(), _event.c.id.desc()).limit(limit)
        for row in connection.execute(newest):
            run_id = runs[int(row[4])]
            found.append(ContactEvent(*row, run_id, names.get(run_id, "")))
    found.sort(key=lambda one: (one.occurred_at, one.id), reverse=True)
    return found[:limit]


def _mail_names(connection: Connection, workspace_id: int, run_ids: Sequence[int]) -> dict[int, str]:
    names: dict[int, str] = {}
    for start in range(0, len(run_ids), _AT_ONCE):
        statement = (
            select(_run.c.id, _campaign.c.name)
            .join(_campaign, _campaign.c.id == _run.c.campaign_id)
            .where(_run.c.workspace_id == workspace_id, _run.c.id.in_(run_ids[start : start + _AT_ONCE]))
        )
        names |= {int(row[0]): str(row[1]) for row in connection.execute(statement)}
    return names


def stops_of(connection: Connection, workspace_id: int, address_key: str) -> list[Stop]:
    """The suppressions of an address, the oldest first."""
    mine = (_suppression.c.workspace_id == workspace_id, _suppression.c.address_key == address_key)
    statement = select_as(Stop, _suppression).where(*mine).order_by(_suppression.c.created_at)
    return fetch_all(connection, Stop, statement)


def rename_list(connection: Connection, workspace_id: int, list_id: int, name: str) -> None:
    """Give a list another name; it must be free."""
    mine = (_list.c.workspace_id == workspace_id, _list.c.id == list_id)
    connection.execute(update(_list).where(*mine).values(name=name))


def set_list_tracking(connection: Connection, workspace_id: int, list_id: int, tracking: str | None) -> None:
    """How mail to the list is tracked: off, aggregate, last_open, full, or as the workspace says."""
    mine = (_list.c.workspace_id == workspace_id, _list.c.id == list_id)
    connection.execute(update(_list).where(*mine).values(tracking=tracking))


def list_tracking(connection: Connection, workspace_id: int) -> dict[int, str]:
    """The tracking of the lists that say it, by list id."""
    statement = select(_list.c.id, _list.c.tracking).where(
        _list.c.workspace_id == workspace_id, _list.c.tracking.is_not(None)
    )
    return {int(row[0]): str(row[1]) for row in connection.execute(statement)}


def delete_list(connection: Connection, workspace_id: int, list_id: int) -> None:
    """Delete a list that nothing refers to, with its memberships; the contacts stay."""
    connection.execute(
        delete(_membership).where(_membership.c.workspace_id == workspace_id, _membership.c.list_id == list_id)
    )
    connection.execute(delete(_list).where(_list.c.workspace_id == workspace_id, _list.c.id == list_id))


def users_of_list(connection: Connection, workspace_id: int, list_id: int) -> list[str]:
    """What refers to a list, by the names of the tables; ``list_membership`` is not among them."""
    found = []
    for name, source in sorted(_list.metadata.tables.items()):
        for column in source.columns:
            refers = any(key.column is _list.c.id for key in column.foreign_keys)
            if name == "list_membership" or not refers:
                continue
            if connection.execute(select(func.count()).select_from(source).where(column == list_id)).scalar_one():
                found.append(name)
    scoped = select(_suppression.c.id).where(
        _suppression.c.workspace_id == workspace_id, _suppression.c.scope == "list", _suppression.c.scope_id == list_id
    )
    if connection.execute(scoped.limit(1)).first():
        found.append("suppression")
    return found


def delete_tag(connection: Connection, workspace_id: int, tag_id: int) -> None:
    """Delete a tag; whoever carried it does not any more."""
    connection.execute(delete(_tagged).where(_tagged.c.workspace_id == workspace_id, _tagged.c.tag_id == tag_id))
    connection.execute(delete(_tag).where(_tag.c.workspace_id == workspace_id, _tag.c.id == tag_id))


def find_tag(connection: Connection, workspace_id: int, name: str) -> int | None:
    """The id of the tag of that name."""
    found = connection.execute(select(_tag.c.id).where(_tag.c.workspace_id == workspace_id, _tag.c.name == name))
    row = found.one_or_none()
    return None if row is None else int(row[0])
