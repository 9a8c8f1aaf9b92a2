"""Contacts and lists."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from mailtypes.clock import Microseconds
from postwright.store.records import BY_ID, fetch_all, fetch_one, insert_row, select_as, table
from postwright.store.rowsets import TEXT, rows_json, rowset, storable

_contact, _list, _membership = table("contact"), table("contact_list"), table("list_membership")
FieldValue = str | int | float | bool | None
"""What a merge field holds; ``None`` takes it away."""
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
    fields: Mapping[str, FieldValue]


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact; ``fields`` is a JSON object."""

    id: int
    address: str
    address_key: str
    domain: str
    fields: str
    created_at: int = 0


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

    The address keys must differ from each other. A field that is ``None`` is taken away. Returns how many are new to
    the workspace and how many were known.
    """
    if not contacts:
        return 0, 0
    rows = [(one.address, one.address_key, one.domain, fields_json(one.fields)) for one in contacts]
    put = _put_into_postgresql if connection.dialect.name == "postgresql" else _put_into_sqlite
    created = put(connection, target, rows, source, now)
    return created, len(contacts) - created


_ENCODE = json.JSONEncoder(ensure_ascii=False).encode
_Row = tuple[str, str, str, str]


def fields_json(fields: Mapping[str, FieldValue]) -> str:
    """Fields as they are stored, in a form that both databases take."""
    written = _ENCODE(fields)
    if "\\u0000" not in written and (written.isascii() or storable(written) == written):
        return written
    return _ENCODE({storable(name): storable(one) if isinstance(one, str) else one for name, one in fields.items()})


def _put_into_postgresql(
    connection: Connection, target: ContactList, rows: Sequence[_Row], source: str, now: Microseconds
) -> int:
    """One statement each, over all rows; returns how many contacts are new."""
    given = rowset(connection, "given", _COLUMNS)
    values = {
        "rows": rows_json([dict(zip(_COLUMNS, row, strict=True)) for row in rows]),
        "workspace": target.workspace_id,
        "list": target.id,
        "now": now,
        "source": source,
    }
    same = "contact.workspace_id = :workspace AND contact.address_key = given.address_key"
    counting = text(f"SELECT count(*) FROM {given} CROSS JOIN contact WHERE {same}")
    known = int(connection.execute(counting, values).scalar_one())
    merged = "jsonb_strip_nulls(CAST(contact.fields AS JSONB) || CAST(excluded.fields AS JSONB))"
    connection.execute(
        text(
            "INSERT INTO contact (workspace_id, address, address_key, domain, fields, created_at, updated_at)"
            " SELECT :workspace, address, address_key, domain, fields, :now, :now"
            f" FROM {given} WHERE true ON CONFLICT (workspace_id, address_key) DO UPDATE"
            f" SET fields = CAST({merged} AS TEXT), updated_at = excluded.updated_at"
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
    return len(rows) - known


_PUT = (
    "INSERT INTO contact (workspace_id, address, address_key, domain, fields, created_at, updated_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (workspace_id, address_key) DO UPDATE"
    " SET fields = json_patch(contact.fields, excluded.fields), updated_at = excluded.updated_at"
)
_PUT_NEW_ON_LIST = (
    "INSERT INTO list_membership (workspace_id, list_id, contact_id, joined_at, source)"
    " SELECT ?, ?, id, ?, ? FROM contact WHERE id > ?"
)
_PUT_ON_LIST = (
    "INSERT INTO list_membership (workspace_id, list_id, contact_id, joined_at, source)"
    " SELECT ?, ?, id, ?, ? FROM contact WHERE workspace_id = ? AND address_key = ? ON CONFLICT DO NOTHING"
)


def _put_into_sqlite(
    connection: Connection, target: ContactList, rows: Sequence[_Row], source: str, now: Microseconds
) -> int:
    """Row by row, which in the process is quicker; returns how many contacts are new.

    There is one writer, and ids go up: whoever has a higher id than anybody before is new.
    """
    newest = connection.exec_driver_sql("SELECT coalesce(max(id), 0) FROM contact").scalar_one()
    connection.exec_driver_sql(_PUT, [(target.workspace_id, *row, now, now) for row in rows])
    membership = (target.workspace_id, target.id, now, source)
    created = connection.exec_driver_sql(_PUT_NEW_ON_LIST, (*membership, newest)).rowcount
    if created < len(rows):
        connection.exec_driver_sql(_PUT_ON_LIST, [(*membership, target.workspace_id, row[1]) for row in rows])
    return created


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
    """Id and address key of the contacts of a list who are not archived, in the order of their ids from ``after``."""
    statement = (
        select(_contact.c.id, _contact.c.address_key)
        .join(_membership, _membership.c.contact_id == _contact.c.id)
        .where(_membership.c.list_id == list_id, _membership.c.contact_id > after, _contact.c.archived_at.is_(None))
        .order_by(_membership.c.contact_id)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in connection.execute(statement)]


def list_contacts(connection: Connection, workspace_id: int, *, after: int = 0, limit: int = 100) -> list[Contact]:
    """The contacts of a workspace in the order of their ids, beginning behind ``after``."""
    mine = (_contact.c.workspace_id == workspace_id, _contact.c.id > after)
    statement = select_as(Contact, _contact).with_hint(_contact, BY_ID, "sqlite").where(*mine)
    return fetch_all(connection, Contact, statement.order_by(_contact.c.id).limit(limit))


def find_contact(connection: Connection, workspace_id: int, address_key: str) -> Contact | None:
    """The contact of that address."""
    return fetch_one(
        connection, Contact, _contact, _contact.c.workspace_id == workspace_id, _contact.c.address_key == address_key
    )


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


def field_names_of_workspace(connection: Connection, workspace_id: int, *, sample: int = 2_000) -> set[str]:
    """The merge fields that the first ``sample`` contacts of a workspace have."""
    names: set[str] = set()
    for contact in list_contacts(connection, workspace_id, limit=sample):
        names.update(json.loads(contact.fields))
    return names


def put_contact(connection: Connection, workspace_id: int, contact: NewContact, now: Microseconds) -> bool:
    """Add a contact, or merge the fields of a known one; whether it is new. It is put on no list."""
    row = (contact.address, contact.address_key, contact.domain, fields_json(contact.fields))
    known = (_contact.c.workspace_id == workspace_id, _contact.c.address_key == contact.address_key)
    found = connection.execute(select(_contact.c.id, _contact.c.fields).where(*known).with_for_update()).one_or_none()
    if found is None:
        names = dict(zip(_COLUMNS, row, strict=True))
        insert_row(connection, _contact, workspace_id=workspace_id, **names, created_at=now, updated_at=now)
        return True
    merged = json.loads(found[1]) | dict(contact.fields)
    kept = fields_json({name: value for name, value in merged.items() if value is not None})
    connection.execute(_contact.update().where(_contact.c.id == found[0]).values(fields=kept, updated_at=now))
    return False
