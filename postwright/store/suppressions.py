"""Addresses that may not be written to, and stopping what is queued to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, TextClause, delete, or_, select, text

from mailtypes.clock import Microseconds
from mta.delivery import Happening, states_before
from postwright.store import erased, events
from postwright.store.leases import IDENTITY, SAME_LEASE, Lease
from postwright.store.records import BY_ID, fetch_one, page, table
from postwright.store.rowsets import BIGINT, TEXT, rows_json, rowset, rowset_of

_COLUMNS = {
    "address": TEXT,
    "address_key": TEXT,
    "scope": TEXT,
    "scope_id": BIGINT,
    "reason": TEXT,
    "note": TEXT,
    "source_event_id": BIGINT,
    "expires_at": BIGINT,
}
_suppression, _delivery, _run = table("suppression"), table("delivery"), table("run")
_contact = table("contact")
_AT_ONCE: Final = 500
ARCHIVED: Final = "archived"
"""Why nothing is sent to a contact that was archived, though no suppression says so."""


class Scope(StrEnum):
    """How far a suppression reaches."""

    ALL = "all"
    STREAM = "stream"
    LIST = "list"


class SuppressionReason(StrEnum):
    """Why Postwright itself suppresses; people and API clients may give other reasons in words."""

    HARD_BOUNCE = "hard_bounce"
    SOFT_BOUNCES = "soft_bounces"
    COMPLAINT = "complaint"
    UNSUBSCRIBED = "unsubscribed"
    MANUAL = "manual"
    IMPORTED = "imported"
    ERASED = "erased"
    DORMANT = "dormant"


@dataclass(frozen=True, slots=True)
class NewSuppression:
    """An address to suppress within a scope; ``scope_id`` is the stream's or the list's id, 0 for all."""

    address: str
    address_key: str
    scope: Scope
    scope_id: int
    reason: str
    source_event_id: int | None = None
    expires_at: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Suppression:
    """A stored suppression."""

    id: int
    address: str
    address_key: str
    scope: str
    scope_id: int
    reason: str
    created_at: int
    expires_at: int | None
    source_event_id: int | None = None
    note: str = ""


def suppress(connection: Connection, workspace_id: int, wanted: Sequence[NewSuppression], now: Microseconds) -> int:
    """Store suppressions and stop what is queued to those addresses within their scopes; returns how many changed.

    In one transaction, and effective at once: a delivery that a worker has leased is stopped too, as long as it is
    not being transmitted. One that is there already is replaced by one that lasts longer, and else left as it is.
    """
    # Who was erased is suppressed already, and the address must not come back by this way.
    gone = erased.erased_among(connection, workspace_id, (item.address_key for item in wanted))
    wanted = [item for item in wanted if item.address_key not in gone]
    if not wanted:
        return 0
    _wait_for_preparation(connection, workspace_id)
    different: dict[tuple[str, Scope, int], NewSuppression] = {}
    for item in wanted:
        place = (item.address_key, item.scope, item.scope_id)
        if place not in different or _lasts_longer(item, different[place]):
            different[place] = item
    values = {
        "rows": rows_json([{name: getattr(item, name) for name in _COLUMNS} for item in different.values()]),
        "workspace": workspace_id,
        "now": now,
    }
    changed = connection.execute(_storing(connection), values).all()
    _stop_queued(connection, workspace_id, values, now)
    return len(changed)


def stop_archived(connection: Connection, workspace_id: int, ids: Sequence[int], now: Microseconds) -> None:
    """Stop what is queued to contacts that were just archived.

    In the transaction that archives, as ``suppress`` does it; what came by the address alone (a single message of an
    API client, a bulk) is not the contact's and goes on. Who comes back gets the next mail: this one stays stopped.
    """
    if not ids:
        return
    _wait_for_preparation(connection, workspace_id)
    given = []
    for start in range(0, len(ids), _AT_ONCE):
        mine = (_contact.c.workspace_id == workspace_id, _contact.c.id.in_(ids[start : start + _AT_ONCE]))
        keys = select(_contact.c.id, _contact.c.address_key).with_hint(_contact, BY_ID, "sqlite").where(*mine)
        for contact_id, key in connection.execute(keys):
            given.append({"address_key": key, "scope": _CONTACT, "scope_id": contact_id, "reason": ARCHIVED})
    _stop_queued(connection, workspace_id, {"rows": rows_json(given), "workspace": workspace_id, "now": now}, now)


def _wait_for_preparation(connection: Connection, workspace_id: int) -> None:
    """Let a chunk of recipients that another process is writing be seen by ``_stop_queued``.

    Whoever prepares holds the run's row; without this, PostgreSQL would show neither process what the other does.
    """
    connection.execute(
        select(_run.c.id)
        .where(_run.c.workspace_id == workspace_id, _run.c.state == "preparing")
        .order_by(_run.c.id)
        .with_for_update(key_share=True)
    ).all()


def _lasts_longer(one: NewSuppression, other: NewSuppression) -> bool:
    return other.expires_at is not None and (one.expires_at is None or one.expires_at > other.expires_at)


def _storing(connection: Connection) -> TextClause:
    columns = ", ".join(_COLUMNS)
    replaced = ", ".join(f"{name} = excluded.{name}" for name in ("note", "expires_at", "created_at"))
    # What happened weighs more than what somebody decided: who may lift it goes by the reason.
    replaced += "".join(
        f", {name} = CASE WHEN excluded.reason = 'manual' AND suppression.expires_at > :now"
        f" THEN suppression.{name} ELSE excluded.{name} END"
        for name in ("reason", "source_event_id")
    )
    return text(
        f"INSERT INTO suppression (workspace_id, created_at, {columns})"
        f" SELECT :workspace, :now, {columns} FROM {rowset(connection, 'given', _COLUMNS)} WHERE true"
        f" ON CONFLICT (workspace_id, address_key, scope, scope_id) DO UPDATE SET {replaced}"
        " WHERE suppression.expires_at IS NOT NULL"
        " AND (excluded.expires_at IS NULL OR excluded.expires_at > suppression.expires_at) RETURNING id"
    )


def _stop_queued(connection: Connection, workspace_id: int, values: dict[str, object], now: Microseconds) -> None:
    stopped = (_stop_found if connection.dialect.name == "sqlite" else _stop)(connection, values)
    events.append(
        connection,
        [
            events.NewEvent(workspace_id, "suppressed", now, run_id, delivery_id, contact_id, {"reason": reason})
            for delivery_id, run_id, contact_id, reason in stopped
        ],
        now,
    )


_CONTACT: Final = "contact"
"""Beside the scopes of suppressions: what is queued to one contact."""
_STOPPABLE = ", ".join(f"'{state}'" for state in states_before(Happening.SUPPRESS))
_IN_SCOPE = (
    "delivery.workspace_id = :workspace AND delivery.address_key = given.address_key"
    f" AND delivery.state IN ({_STOPPABLE})"
    f" AND (given.scope = 'all' OR (given.scope = '{_CONTACT}' AND delivery.contact_id = given.scope_id)"
    " OR EXISTS (SELECT 1 FROM run AS r WHERE r.id = delivery.run_id AND"
    " ((given.scope = 'stream' AND r.stream_id = given.scope_id)"
    " OR (given.scope = 'list' AND r.list_id = given.scope_id))))"
)


def _stop(connection: Connection, values: dict[str, object]) -> Sequence[Row[*tuple[Any, ...]]]:
    statement = text(
        "UPDATE delivery SET state = 'suppressed', settled_at = :now, reply_text = given.reason"
        f" FROM {rowset(connection, 'given', _COLUMNS)} WHERE {_IN_SCOPE}"
        " RETURNING delivery.id, delivery.run_id, delivery.contact_id, delivery.reply_text"
    )
    return connection.execute(statement, values).all()


def _stop_found(connection: Connection, values: dict[str, object]) -> Sequence[Row[*tuple[Any, ...]]]:
    """The same for SQLite, which begins an UPDATE with every delivery of the workspace. It has one writer at a time."""
    statement = text(
        "SELECT delivery.id, delivery.run_id, delivery.contact_id, given.reason"
        f" FROM {rowset(connection, 'given', _COLUMNS)} CROSS JOIN delivery INDEXED BY ix_delivery_address"
        f" WHERE {_IN_SCOPE}"
    )
    found = {row[0]: row for row in connection.execute(statement, values)}
    if found:
        change = "UPDATE delivery SET state = 'suppressed', settled_at = ?, reply_text = ? WHERE run_id = ? AND id = ?"
        rows = [(values["now"], row[3], row[1], row[0]) for row in found.values()]
        connection.exec_driver_sql(change, rows)
    return list(found.values())


def reasons(
    connection: Connection,
    workspace_id: int,
    address_keys: Sequence[str],
    place: tuple[int, int | None],
    now: Microseconds,
) -> dict[str, str]:
    """Which of these addresses may not be written to in ``place = (stream id, list id or none)``, and why."""
    if not address_keys:
        return {}
    stream_id, list_id = place
    keys = rows_json([{"address_key": key} for key in address_keys])
    values = {"keys": keys, "workspace": workspace_id, "stream": stream_id, "list": list_id, "now": now}
    found = {str(row[0]): str(row[1]) for row in connection.execute(_reasons(connection.dialect.name), values)}
    return found | dict.fromkeys(erased.erased_among(connection, workspace_id, address_keys), erased.REASON)


@cache
def _reasons(dialect: str) -> TextClause:
    given = rowset_of(dialect, "given", {"address_key": TEXT}, "keys")
    # CROSS JOIN: SQLite begins with the side that is named first, here the few addresses asked about.
    return text(
        f"SELECT s.address_key, s.reason FROM {given} CROSS JOIN suppression AS s"
        " WHERE s.workspace_id = :workspace AND s.address_key = given.address_key"
        " AND (s.expires_at IS NULL OR s.expires_at > :now)"
        " AND (s.scope = 'all' OR (s.scope = 'stream' AND s.scope_id = :stream)"
        " OR (s.scope = 'list' AND s.scope_id = CAST(:list AS BIGINT)))"
    )


_BARRED = (
    "SELECT s.reason FROM suppression AS s JOIN run AS r ON r.id = delivery.run_id"
    " WHERE s.workspace_id = delivery.workspace_id AND s.address_key = delivery.address_key"
    " AND (s.expires_at IS NULL OR s.expires_at > :now)"
    " AND (s.scope = 'all' OR (s.scope = 'stream' AND s.scope_id = r.stream_id)"
    " OR (s.scope = 'list' AND s.scope_id = r.list_id))"
)
_SHELVED = "SELECT 1 FROM contact WHERE contact.id = delivery.contact_id AND contact.archived_at IS NOT NULL"


def stop_leased(connection: Connection, leases: Sequence[Lease], now: Microseconds) -> set[int]:
    """Stop those of these leased deliveries that may not be sent any more; returns their ids.

    Their address is suppressed within their scope, or their contact archived. That stops what is queued when it is
    stored, too; this finds what was queued at the same moment, and what was being transmitted then and is due again.
    """
    rows = connection.execute(
        text(
            "UPDATE delivery SET state = 'suppressed', settled_at = :now, worker = NULL, lease_until = NULL,"
            f" reply_text = COALESCE(({_BARRED} ORDER BY s.id LIMIT 1), '{ARCHIVED}')"
            f" FROM {rowset(connection, 'o', IDENTITY)} WHERE {SAME_LEASE} AND delivery.state = 'leased'"
            f" AND (EXISTS ({_BARRED}) OR EXISTS ({_SHELVED})) RETURNING delivery.id, delivery.reply_text"
        ),
        {"rows": rows_json([item.identity for item in leases]), "now": now},
    )
    stopped = {int(row[0]): str(row[1]) for row in rows} | _stop_erased(connection, leases, now)
    events.append(
        connection,
        [
            events.NewEvent(
                item.workspace_id,
                "suppressed",
                now,
                item.run_id,
                item.id,
                item.contact_id,
                {"reason": stopped[item.id]},
            )
            for item in leases
            if item.id in stopped
        ],
        now,
    )
    return set(stopped)


def _stop_erased(connection: Connection, leases: Sequence[Lease], now: Microseconds) -> dict[int, str]:
    """Stop those of these leased deliveries whose recipient was erased; returns the reason by their ids."""
    gone = {
        (workspace_id, key)
        for workspace_id in {item.workspace_id for item in leases}
        for key in erased.erased_among(
            connection, workspace_id, (item.address_key for item in leases if item.workspace_id == workspace_id)
        )
    }
    theirs = [item.identity for item in leases if (item.workspace_id, item.address_key) in gone]
    if not theirs:
        return {}
    rows = connection.execute(
        text(
            "UPDATE delivery SET state = 'suppressed', settled_at = :now, worker = NULL, lease_until = NULL,"
            f" reply_text = :why FROM {rowset(connection, 'o', IDENTITY)} WHERE {SAME_LEASE}"
            " AND delivery.state = 'leased' RETURNING delivery.id"
        ),
        {"rows": rows_json(theirs), "now": now, "why": erased.REASON},
    )
    return {int(row[0]): erased.REASON for row in rows}


@dataclass(frozen=True, slots=True)
class SuppressionFilter:
    """Which suppressions; ``None`` means any. ``search``: a part of the address; ``active_at`` leaves the ended out."""

    address_key: str | None = None
    search: str | None = None
    reason: str | None = None
    scope: str | None = None
    scope_id: int | None = None
    active_at: int | None = None


def find_suppressions(
    connection: Connection, workspace_id: int, wanted: SuppressionFilter, *, after: int = 0, limit: int = 100
) -> list[Suppression]:
    """Suppressions in the order of their ids, beginning behind ``after``."""
    conditions = _conditions(workspace_id, wanted)
    return page(connection, Suppression, _suppression, conditions, after=after, limit=limit)


def _conditions(workspace_id: int, wanted: SuppressionFilter) -> list[ColumnElement[bool]]:
    conditions = [_suppression.c.workspace_id == workspace_id]
    for name in ("address_key", "reason", "scope", "scope_id"):
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(_suppression.c[name] == value)
    if wanted.search:
        part = wanted.search.lower()
        conditions.append(_suppression.c.address_key.contains(part, autoescape=True))
    if wanted.active_at is not None:
        ends = _suppression.c.expires_at
        conditions.append(or_(ends.is_(None), ends > wanted.active_at))
    return conditions


def list_suppressions(
    connection: Connection, workspace_id: int, *, address_key: str | None = None, after: int = 0, limit: int = 100
) -> list[Suppression]:
    """Suppressions in the order of their ids, of one address or of all."""
    wanted = SuppressionFilter(address_key=address_key)
    return find_suppressions(connection, workspace_id, wanted, after=after, limit=limit)


def get_suppression(connection: Connection, workspace_id: int, suppression_id: int) -> Suppression | None:
    """The suppression with that id."""
    mine = (_suppression.c.workspace_id == workspace_id, _suppression.c.id == suppression_id)
    return fetch_one(connection, Suppression, _suppression, *mine)


def lift(
    connection: Connection, workspace_id: int, suppression_id: int, now: Microseconds, *, by: str = "", note: str = ""
) -> bool:
    """Remove a suppression and log that it is gone; ``False`` where there is none. What it stopped stays stopped."""
    removed = connection.execute(
        delete(_suppression)
        .where(_suppression.c.workspace_id == workspace_id, _suppression.c.id == suppression_id)
        .returning(_suppression.c.address, _suppression.c.scope, _suppression.c.reason)
    ).one_or_none()
    if removed is None:
        return False
    data = {"address": str(removed[0]), "scope": str(removed[1]), "reason": str(removed[2])}
    data |= {name: value for name, value in (("by", by), ("note", note)) if value}
    events.append(connection, [events.NewEvent(workspace_id, "suppression_lifted", now, data=data)], now)
    return True
