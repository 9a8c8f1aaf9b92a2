"""Tags and consents of contacts."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from mailtypes.clock import Microseconds
from postwright.store.records import fetch_all, insert_row, select_as, table

_tag, _tagged = table("tag"), table("contact_tag")
_consent, _state = table("consent"), table("consent_state")


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag."""

    id: int
    name: str
    created_at: int


@dataclass(frozen=True, slots=True)
class NewConsent:
    """What somebody said: ``scope`` is all, stream or list, with its id (0 for all); ``wording`` what they read."""

    contact_id: int
    scope: str
    scope_id: int
    state: str
    source: str
    wording: str
    occurred_at: int
    client_ip: str | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """An entry as stored."""

    id: int
    contact_id: int
    scope: str
    scope_id: int
    state: str
    source: str
    wording: str
    client_ip: str | None
    occurred_at: int


def ensure_tag(connection: Connection, workspace_id: int, name: str, now: Microseconds) -> int:
    """The id of the tag of that name, made where there is none."""
    mine = (_tag.c.workspace_id == workspace_id, _tag.c.name == name)
    found = connection.execute(select(_tag.c.id).where(*mine)).scalar()
    if found is not None:
        return int(found)
    return insert_row(connection, _tag, workspace_id=workspace_id, name=name, created_at=now)


def list_tags(connection: Connection, workspace_id: int) -> list[tuple[Tag, int]]:
    """All tags by name, each with its number of contacts."""
    tags = fetch_all(connection, Tag, select_as(Tag, _tag).where(_tag.c.workspace_id == workspace_id))
    counted = connection.execute(
        select(_tagged.c.tag_id, func.count()).where(_tagged.c.workspace_id == workspace_id).group_by(_tagged.c.tag_id)
    )
    sizes = {int(row[0]): int(row[1]) for row in counted}
    return [(one, sizes.get(one.id, 0)) for one in sorted(tags, key=lambda one: one.name)]


def tag_contacts(
    connection: Connection, workspace_id: int, tag_id: int, contact_ids: Sequence[int], now: Microseconds
) -> None:
    """Give contacts a tag; who has it keeps it. The contacts are the workspace's own."""
    if not contact_ids:
        return
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    rows = [
        {"workspace_id": workspace_id, "tag_id": tag_id, "contact_id": one, "tagged_at": now}
        for one in sorted(set(contact_ids))
    ]
    connection.execute(insert(_tagged).on_conflict_do_nothing(), rows)


def untag_contacts(connection: Connection, workspace_id: int, tag_id: int, contact_ids: Sequence[int]) -> None:
    """Take a tag from contacts."""
    for start in range(0, len(contact_ids), 500):
        chunk = contact_ids[start : start + 500]
        connection.execute(
            delete(_tagged).where(
                _tagged.c.workspace_id == workspace_id, _tagged.c.tag_id == tag_id, _tagged.c.contact_id.in_(chunk)
            )
        )


def append_consents(connection: Connection, workspace_id: int, consents: Sequence[NewConsent]) -> None:
    """Add entries; the newest of each contact and scope (the later of two of the same moment) is what segments see."""
    if not consents:
        return
    names = NewConsent.__slots__
    rows = [{name: getattr(one, name) for name in names} | {"workspace_id": workspace_id} for one in consents]
    connection.execute(_consent.insert(), rows)
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    kept = [column.name for column in _state.columns]
    statement = insert(_state)
    statement = statement.on_conflict_do_update(
        index_elements=list(_state.primary_key.columns),
        set_={"state": statement.excluded.state, "occurred_at": statement.excluded.occurred_at},
        where=statement.excluded.occurred_at >= _state.c.occurred_at,
    )
    in_one_order = sorted(rows, key=lambda row: (row["contact_id"], row["occurred_at"]))
    connection.execute(statement, [{name: row[name] for name in kept} for row in in_one_order])


def list_consents(connection: Connection, workspace_id: int, contact_id: int) -> list[Consent]:
    """All that a contact ever said, the oldest entry first."""
    mine = (_consent.c.workspace_id == workspace_id, _consent.c.contact_id == contact_id)
    return fetch_all(connection, Consent, select_as(Consent, _consent).where(*mine).order_by(_consent.c.id))
