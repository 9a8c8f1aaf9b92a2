"""Contacts and lists."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from mailtypes.clock import Microseconds
from postwright.store.records import fetch_all, fetch_one, insert_row, page, select_as, table
from postwright.store.rowsets import TEXT, rows_json, rowset, storable

_contact, _list, _membership = table("contact"), table("contact_list"), table("list_membership")
_COLUMNS = {"address": TEXT, "address_key": TEXT, "domain": TEXT, "fields": TEXT}


@dataclass(frozen=True, slots=True)
class ContactList:
    """A list."""

    id: int
    workspace_id: int
    name: str
    created_at: int


@dataclass(frozen=True, slots=True)
class NewContact:
    """A contact as an import brings it; ``domain`` in A-labels."""

    address: str
    address_key: str
    domain: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact; ``fields`` is a JSON object."""

    id: int
    address: str
    address_key: str
    domain: str
    fields: str


def find_list(connection: Connection, workspace_id: int, name: str) -> ContactList | None:
    """The list of that name."""
    return fetch_one(connection, ContactList, _list, _list.c.workspace_id == workspace_id, _list.c.name == name)


def ensure_list(connection: Connection, workspace_id: int, name: str, now: Microseconds) -> ContactList:
    """The list of that name, made where there is none."""
    found = find_list(connection, workspace_id, name)
    if found is not None:
        return found
    list_id = insert_row(connection, _list, workspace_id=workspace_id, name=name, created_at=now)
    return ContactList(list_id, workspace_id, name, now)


def get_list(connection: Connection, workspace_id: int, list_id: int) -> ContactList | None:
    """The list with that id."""
    return fetch_one(connection, ContactList, _list, _list.c.workspace_id == workspace_id, _list.c.id == list_id)


def list_lists(connection: Connection, workspace_id: int) -> list[tuple[ContactList, int]]:
    """All lists by name, each with its number of contacts."""
    lists = fetch_all(
        connection, ContactList, select_as(ContactList, _list).where(_list.c.workspace_id == workspace_id)
    )
    sizes = {
        int(row[0]): int(row[1])
        for row in connection.execute(
            select(_membership.c.list_id, func.count())
            .where(_membership.c.workspace_id == workspace_id)
            .group_by(_membership.c.list_id)
        )
    }
    return [(item, sizes.get(item.id, 0)) for item in sorted(lists, key=lambda item: item.name)]


def put_on_list(
    connection: Connection,
    target: ContactList,
    contacts: Sequence[NewContact],
    source: str,
    now: Microseconds,
) -> tuple[int, int]:
    """Add contacts, bring known ones up to date (fields are merged), and put all of them on the list.

    The address keys must differ from each other. Returns how many are new to the workspace and how many were known.
    """
    rows = rows_json(
        [
            {
                "address": contact.address,
                "address_key": contact.address_key,
                "domain": contact.domain,
                "fields": json.dumps(
                    {storable(name): storable(value) for name, value in contact.fields.items()}, ensure_ascii=False
                ),
            }
            for contact in contacts
        ]
    )
    values = {"rows": rows, "workspace": target.workspace_id, "list": target.id, "now": now, "source": source}
    given = rowset(connection, "given", _COLUMNS)
    # CROSS JOIN, since SQLite then keeps the order: each given row finds its contact by the unique key. The other way
    # round it would read the whole JSON for every contact there is.
    same = "contact.workspace_id = :workspace AND contact.address_key = given.address_key"
    counting = text(f"SELECT count(*) FROM {given} CROSS JOIN contact WHERE {same}")
    known = int(connection.execute(counting, values).scalar_one())
    if connection.dialect.name == "postgresql":
        merged = "CAST(CAST(contact.fields AS JSONB) || CAST(excluded.fields AS JSONB) AS TEXT)"
    else:
        merged = "json_patch(contact.fields, excluded.fields)"
    connection.execute(
        text(
            "INSERT INTO contact (workspace_id, address, address_key, domain, fields, created_at, updated_at)"
            f" SELECT :workspace, address, address_key, domain, fields, :now, :now FROM {given} WHERE true"
            " ON CONFLICT (workspace_id, address_key) DO UPDATE"
            f" SET fields = {merged}, updated_at = excluded.updated_at"
        ),
        values,
    )
    connection.execute(
        text(
            "INSERT INTO list_membership (workspace_id, list_id, contact_id, joined_at, source)"
            f" SELECT :workspace, :list, contact.id, :now, :source FROM {given} CROSS JOIN contact WHERE {same}"
            " ON CONFLICT DO NOTHING"
        ),
        values,
    )
    return len(contacts) - known, known


def contacts_of_list(connection: Connection, list_id: int, *, after: int, limit: int) -> list[Contact]:
    """The contacts of a list in the order of their ids, beginning behind ``after``."""
    statement = (
        select_as(Contact, _contact)
        .join(_membership, _membership.c.contact_id == _contact.c.id)
        .where(_membership.c.list_id == list_id, _membership.c.contact_id > after)
        .order_by(_membership.c.contact_id)
        .limit(limit)
    )
    return fetch_all(connection, Contact, statement)


def keys_of_list(connection: Connection, list_id: int, *, after: int, limit: int) -> list[tuple[int, str]]:
    """Id and address key of the contacts of a list in the order of their ids, beginning behind ``after``."""
    statement = (
        select(_contact.c.id, _contact.c.address_key)
        .join(_membership, _membership.c.contact_id == _contact.c.id)
        .where(_membership.c.list_id == list_id, _membership.c.contact_id > after)
        .order_by(_membership.c.contact_id)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in connection.execute(statement)]


def list_contacts(connection: Connection, workspace_id: int, *, after: int = 0, limit: int = 100) -> list[Contact]:
    """The contacts of a workspace in the order of their ids, beginning behind ``after``."""
    return page(connection, Contact, _contact, [_contact.c.workspace_id == workspace_id], after=after, limit=limit)


def count_list(connection: Connection, list_id: int) -> int:
    """How many contacts are on a list."""
    return int(
        connection.execute(
            select(func.count()).select_from(_membership).where(_membership.c.list_id == list_id)
        ).scalar_one()
    )


def field_names(connection: Connection, list_id: int, *, sample: int = 10_000) -> set[str]:
    """The merge fields that the first ``sample`` contacts of a list have."""
    names: set[str] = set()
    for contact in contacts_of_list(connection, list_id, after=0, limit=sample):
        names.update(json.loads(contact.fields))
    return names
