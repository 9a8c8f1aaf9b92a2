"""What recipients chose by themselves: unsubscribes that can be taken back, lists that they see, how much they want."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mailtypes.clock import Microseconds
from postwright.store.records import fetch_all, fetch_one, select_as, table
from postwright.store.suppressions import Scope

_contact, _list, _membership = table("contact"), table("contact_list"), table("list_membership")
_suppression, _event = table("suppression"), table("event")
_stream = table("stream")
_public, _preference = table("public_list"), table("contact_preference")
UNSUBSCRIBED = "unsubscribed"
"""The reason of suppressions that the recipient asked for, and may take back."""


@dataclass(frozen=True, slots=True)
class Person:
    """A contact as the pages that it sees need it."""

    id: int
    workspace_id: int
    address: str
    address_key: str
    locale: str | None
    tracking: str | None
    fields: str

    @property
    def language(self) -> str | None:
        """The language as far as it is known: the locale, else a field of that name."""
        found = self.locale or json.loads(self.fields).get("language")
        return str(found) if found else None


@dataclass(frozen=True, slots=True)
class Barred:
    """A suppression that is in force."""

    reason: str
    created_at: int


@dataclass(frozen=True, slots=True)
class PublicList:
    """A list that recipients may see."""

    list_id: int
    title: str
    description: str


@dataclass(frozen=True, slots=True)
class Preference:
    """At most ``most_mails`` marketing mails in ``within_days`` days."""

    most_mails: int
    within_days: int


def person_of(connection: Connection, workspace_id: int, address_key: str) -> Person | None:
    """The contact with that address key."""
    mine = (_contact.c.workspace_id == workspace_id, _contact.c.address_key == address_key)
    return fetch_one(connection, Person, _contact, *mine)


def barred(
    connection: Connection, workspace_id: int, address_key: str, place: tuple[Scope, int], now: Microseconds
) -> Barred | None:
    """The suppression of exactly this place (scope and its id), if it is in force."""
    return fetch_one(
        connection,
        Barred,
        _suppression,
        *_of_place(workspace_id, address_key, place),
        (_suppression.c.expires_at.is_(None)) | (_suppression.c.expires_at > now),
    )


def take_back(connection: Connection, workspace_id: int, address_key: str, place: tuple[Scope, int]) -> bool:
    """Remove an unsubscribe; what stands there for any other reason stays. Whether there was one."""
    asked = delete(_suppression).where(*_of_place(workspace_id, address_key, place))
    return connection.execute(asked.where(_suppression.c.reason == UNSUBSCRIBED)).rowcount > 0


def _of_place(workspace_id: int, address_key: str, place: tuple[Scope, int]) -> Sequence[ColumnElement[bool]]:
    return (
        _suppression.c.workspace_id == workspace_id,
        _suppression.c.address_key == address_key,
        _suppression.c.scope == str(place[0]),
        _suppression.c.scope_id == place[1],
    )


def has_unsubscribed_by(connection: Connection, delivery_id: int) -> bool:
    """Whether an unsubscribe by this delivery's mail is in the log."""
    mine = select(_event.c.id).where(_event.c.delivery_id == delivery_id, _event.c.kind == UNSUBSCRIBED)
    return connection.execute(mine.limit(1)).first() is not None


def join_list(
    connection: Connection, workspace_id: int, list_id: int, contact_id: int, source: str, now: Microseconds
) -> None:
    """Put a contact on a list; who is there stays as it is."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = {"workspace_id": workspace_id, "list_id": list_id, "contact_id": contact_id}
    statement = insert(_membership).values(**row, joined_at=now, source=source)
    connection.execute(statement.on_conflict_do_nothing())


def lists_of(connection: Connection, contact_id: int) -> set[int]:
    """The ids of the lists that a contact is on."""
    mine = select(_membership.c.list_id).where(_membership.c.contact_id == contact_id)
    return {int(row[0]) for row in connection.execute(mine)}


def public_lists(connection: Connection, workspace_id: int) -> list[PublicList]:
    """The lists that recipients may see, by title."""
    statement = select_as(PublicList, _public).where(_public.c.workspace_id == workspace_id).order_by(_public.c.title)
    return fetch_all(connection, PublicList, statement)


def publish_list(connection: Connection, workspace_id: int, shown: PublicList) -> None:
    """Let recipients see a list under a title; it is the workspace's own."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = {"list_id": shown.list_id, "title": shown.title, "description": shown.description}
    statement = insert(_public).values(workspace_id=workspace_id, **row)
    connection.execute(statement.on_conflict_do_update(index_elements=[_public.c.list_id], set_=row))


def hide_list(connection: Connection, workspace_id: int, list_id: int) -> bool:
    """Let recipients see a list no more; whether they did."""
    mine = delete(_public).where(_public.c.workspace_id == workspace_id, _public.c.list_id == list_id)
    return connection.execute(mine).rowcount > 0


def preference_of(connection: Connection, contact_id: int) -> Preference | None:
    """What a contact asked for, if it did."""
    return fetch_one(connection, Preference, _preference, _preference.c.contact_id == contact_id)


def set_preference(connection: Connection, person: Person, wanted: Preference | None, now: Microseconds) -> None:
    """Note how much mail a contact wants, ``None``: as it comes."""
    connection.execute(delete(_preference).where(_preference.c.contact_id == person.id))
    if wanted is not None:
        values = {"most_mails": wanted.most_mails, "within_days": wanted.within_days, "updated_at": now}
        row = {"contact_id": person.id, "workspace_id": person.workspace_id}
        connection.execute(_preference.insert().values(**row, **values))


def preferences_among(connection: Connection, contact_ids: Sequence[int]) -> dict[int, Preference]:
    """What those of these contacts asked for who did."""
    found: dict[int, Preference] = {}
    for at in range(0, len(contact_ids), 500):
        statement = select(_preference.c.contact_id, _preference.c.most_mails, _preference.c.within_days)
        mine = _preference.c.contact_id.in_(contact_ids[at : at + 500])
        for contact_id, mails, days in connection.execute(statement.where(mine)):
            found[int(contact_id)] = Preference(int(mails), int(days))
    return found


def change_person(connection: Connection, person: Person, now: Microseconds, **values: str | None) -> None:
    """Set ``locale`` or ``tracking`` of a contact."""
    mine = (_contact.c.workspace_id == person.workspace_id, _contact.c.id == person.id)
    connection.execute(update(_contact).where(*mine).values(**values, updated_at=now))


def tracking_of_list(connection: Connection, list_id: int) -> str | None:
    """How a list's mail is tracked, if it says."""
    found: str | None = connection.execute(select(_list.c.tracking).where(_list.c.id == list_id)).scalar_one_or_none()
    return found


def marketing_streams(connection: Connection, workspace_id: int) -> list[int]:
    """The ids of the streams that mail to lists goes by."""
    mine = (_stream.c.workspace_id == workspace_id, _stream.c.kind == "marketing")
    return [int(row[0]) for row in connection.execute(select(_stream.c.id).where(*mine).order_by(_stream.c.id))]
