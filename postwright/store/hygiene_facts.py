"""All of a contact that pruning may change, read, put, and put back exactly as it was."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from postwright.store.hygiene_people import carried_tags
from postwright.store.records import BY_ID, table

_contact, _membership, _activity = table("contact"), table("list_membership"), table("contact_activity")
_suppression, _win_back = table("suppression"), table("win_back")
_OF_SUPPRESSION = ("id", "scope", "scope_id", "reason", "note", "source_event_id", "created_at", "expires_at")


@dataclass(frozen=True, slots=True)
class Facts:
    """How a contact stands. All suppressions of the address are told, since any of them may be a person's wish.

    ``win_back`` is (plan, list, began at), ``membership`` the place on the list for winning back: (list, joined at,
    source). ``tags`` are those that protect. No address is in it: steps outlive a contact who asks to be forgotten.
    """

    archived_at: int | None
    suppressions: tuple[tuple[Any, ...], ...]
    win_back: tuple[int, int, int] | None
    membership: tuple[int, int, str] | None
    tags: tuple[str, ...] = ()

    def written(self) -> str:
        """As JSON."""
        return json.dumps(
            [self.archived_at, self.suppressions, self.win_back, self.membership, self.tags], separators=(",", ":")
        )

    @classmethod
    def read(cls, text: str) -> "Facts":
        """The way back."""
        archived_at, suppressions, win_back, membership, tags = json.loads(text)
        return cls(
            archived_at,
            tuple(tuple(one) for one in suppressions),
            None if win_back is None else tuple(win_back),
            None if membership is None else tuple(membership),
            tuple(tags),
        )


@dataclass(frozen=True, slots=True)
class FactsWanted:
    """Whose facts: ``win_back_list_id`` is the list that the plan's contacts are won back by."""

    workspace_id: int
    win_back_list_id: int | None
    tags: tuple[str, ...] = ()


def read_facts(
    connection: Connection, wanted: FactsWanted, ids: Sequence[int], *, lock: bool = False
) -> dict[int, tuple[str, Facts]]:
    """Address and facts of those of these contacts who are (still) there; ``lock`` keeps their rows until the end."""
    mine = (_contact.c.workspace_id == wanted.workspace_id, _contact.c.id.in_(ids))
    statement = select(_contact.c.id, _contact.c.address, _contact.c.address_key, _contact.c.archived_at)
    statement = statement.with_hint(_contact, BY_ID, "sqlite").where(*mine).order_by(_contact.c.id)
    contacts = connection.execute(statement.with_for_update() if lock else statement).all()
    suppressed = _suppressions(connection, wanted.workspace_id, [row.address_key for row in contacts])
    known = [int(row.id) for row in contacts]
    won_back = {
        int(row.contact_id): (int(row.plan_id), int(row.list_id), int(row.began_at))
        for row in connection.execute(select(_win_back).where(_win_back.c.contact_id.in_(known)))
    }
    places = _places(connection, wanted.win_back_list_id, known)
    tags = carried_tags(connection, wanted.workspace_id, known, wanted.tags)
    return {
        row.id: (
            row.address,
            Facts(
                row.archived_at,
                suppressed.get(row.address_key, ()),
                won_back.get(row.id),
                places.get(row.id),
                tuple(sorted(tags.get(row.id, ()))),
            ),
        )
        for row in contacts
    }


def _suppressions(
    connection: Connection, workspace_id: int, keys: Sequence[str]
) -> Mapping[str, tuple[tuple[Any, ...], ...]]:
    columns = [_suppression.c[name] for name in _OF_SUPPRESSION]
    statement = select(_suppression.c.address_key, *columns).where(
        _suppression.c.workspace_id == workspace_id, _suppression.c.address_key.in_(keys)
    )
    found: dict[str, tuple[tuple[Any, ...], ...]] = {}
    for key, *row in connection.execute(statement.order_by(_suppression.c.id)):
        found[key] = (*found.get(key, ()), tuple(row))
    return found


def _places(connection: Connection, list_id: int | None, ids: Sequence[int]) -> Mapping[int, tuple[int, int, str]]:
    if list_id is None:
        return {}
    rows = connection.execute(
        select(_membership.c.contact_id, _membership.c.list_id, _membership.c.joined_at, _membership.c.source).where(
            _membership.c.list_id == list_id, _membership.c.contact_id.in_(ids)
        )
    )
    return {int(row[0]): (int(row[1]), int(row[2]), str(row[3])) for row in rows}


def put_facts(connection: Connection, workspace_id: int, changes: Mapping[int, tuple[Facts, Facts]]) -> None:
    """Bring contacts from the first facts to the second, but for suppressions (``put_back_suppressions``) and tags."""
    archived = [
        {"of_contact": one, "at": wanted.archived_at}
        for one, (now, wanted) in sorted(changes.items())
        if now.archived_at != wanted.archived_at
    ]
    if archived:
        statement = update(_contact).where(_contact.c.id == bindparam("of_contact"))
        connection.execute(statement.values(archived_at=bindparam("at", type_=BigInteger())), archived)
    left = [one for one, (now, wanted) in changes.items() if now.win_back != wanted.win_back]
    connection.execute(delete(_win_back).where(_win_back.c.contact_id.in_(left)))
    _insert(
        connection,
        "win_back",
        [
            {
                "contact_id": one,
                "workspace_id": workspace_id,
                **dict(zip(("plan_id", "list_id", "began_at"), changes[one][1].win_back or (), strict=True)),
            }
            for one in left
            if changes[one][1].win_back is not None
        ],
    )
    moved = [one for one, (now, wanted) in changes.items() if now.membership != wanted.membership]
    for one in moved:
        place = changes[one][0].membership
        if place is not None:
            gone = (_membership.c.list_id == place[0], _membership.c.contact_id == one)
            connection.execute(delete(_membership).where(*gone))
    _insert(
        connection,
        "list_membership",
        [
            {
                "workspace_id": workspace_id,
                "contact_id": one,
                **dict(zip(("list_id", "joined_at", "source"), changes[one][1].membership or (), strict=True)),
            }
            for one in moved
            if changes[one][1].membership is not None
        ],
    )


def _insert(connection: Connection, name: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(insert(table(name)).on_conflict_do_nothing(), rows)


def put_back_suppressions(connection: Connection, changes: Mapping[int, tuple[Facts, Facts]]) -> None:
    """Take back the suppressions that are in the first facts and not in the second, and mend those that changed."""
    gone: list[int] = []
    for now, wanted in changes.values():
        before = {row[0]: row for row in wanted.suppressions}
        for row in now.suppressions:
            if row[0] not in before:
                gone.append(row[0])
            elif before[row[0]] != row:
                values = dict(zip(_OF_SUPPRESSION, before[row[0]], strict=True))
                connection.execute(update(_suppression).where(_suppression.c.id == row[0]).values(values))
    connection.execute(delete(_suppression).where(_suppression.c.id.in_(gone)))


def living_since(connection: Connection, ids: Sequence[int], since: int) -> set[int]:
    """Those of these contacts of whom a sign of life has come since a moment: an open, a click, a purchase."""
    signs = [_activity.c[f"last_{kind}_at"] >= since for kind in ("opened", "clicked", "acted")]
    found = select(_activity.c.contact_id).where(_activity.c.contact_id.in_(ids), or_(*signs))
    return {int(row[0]) for row in connection.execute(found)}
