"""Addresses that may not be written to, and stopping what is queued to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, and_, or_, select, true, update
from sqlalchemy.dialects import postgresql, sqlite

from mailtypes.clock import Microseconds
from mta.delivery import Happening, states_before
from postwright.store import events
from postwright.store.records import page, table

_suppression, _delivery, _run = table("suppression"), table("delivery"), table("run")


class Scope(StrEnum):
    """How far a suppression reaches."""

    ALL = "all"
    STREAM = "stream"
    LIST = "list"


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


def suppress(connection: Connection, workspace_id: int, wanted: Sequence[NewSuppression], now: Microseconds) -> int:
    """Store suppressions and stop what is queued to those addresses within their scopes; returns how many are new.

    In one transaction, and effective at once: a delivery that a worker has leased is stopped too, as long as it is
    not being transmitted.
    """
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    added = 0
    for item in wanted:
        values = {name: getattr(item, name) for name in NewSuppression.__slots__}
        added += connection.execute(
            insert(_suppression).values(workspace_id=workspace_id, created_at=now, **values).on_conflict_do_nothing()
        ).rowcount
        _stop_queued(connection, workspace_id, item, now)
    return added


def _stop_queued(connection: Connection, workspace_id: int, item: NewSuppression, now: Microseconds) -> None:
    reach: ColumnElement[bool] = true()
    if item.scope is Scope.STREAM:
        reach = _delivery.c.run_id.in_(select(_run.c.id).where(_run.c.stream_id == item.scope_id))
    elif item.scope is Scope.LIST:
        reach = _delivery.c.run_id.in_(select(_run.c.id).where(_run.c.list_id == item.scope_id))
    stopped = connection.execute(
        update(_delivery)
        .where(
            _delivery.c.workspace_id == workspace_id,
            _delivery.c.address_key == item.address_key,
            _delivery.c.state.in_(states_before(Happening.SUPPRESS)),
            reach,
        )
        .values(state="suppressed", settled_at=now, reply_text=item.reason)
        .returning(_delivery.c.id, _delivery.c.run_id, _delivery.c.contact_id)
    ).all()
    events.append(
        connection,
        [
            events.NewEvent(workspace_id, "suppressed", now, run_id, delivery_id, contact_id, {"reason": item.reason})
            for delivery_id, run_id, contact_id in stopped
        ],
        now,
    )


def reasons(
    connection: Connection, workspace_id: int, address_keys: Sequence[str], place: tuple[int, int], now: Microseconds
) -> dict[str, str]:
    """Which of these addresses may not be written to in ``place = (stream id, list id)``, and why."""
    stream_id, list_id = place
    statement = select(_suppression.c.address_key, _suppression.c.reason).where(
        _suppression.c.workspace_id == workspace_id,
        _suppression.c.address_key.in_(address_keys),
        or_(_suppression.c.expires_at.is_(None), _suppression.c.expires_at > now),
        or_(
            _suppression.c.scope == Scope.ALL,
            and_(_suppression.c.scope == Scope.STREAM, _suppression.c.scope_id == stream_id),
            and_(_suppression.c.scope == Scope.LIST, _suppression.c.scope_id == list_id),
        ),
    )
    return {str(row[0]): str(row[1]) for row in connection.execute(statement)}


def list_suppressions(
    connection: Connection, workspace_id: int, *, address_key: str | None = None, after: int = 0, limit: int = 100
) -> list[Suppression]:
    """Suppressions in the order of their ids, of one address or of all."""
    conditions = [_suppression.c.workspace_id == workspace_id]
    if address_key is not None:
        conditions.append(_suppression.c.address_key == address_key)
    return page(connection, Suppression, _suppression, conditions, after=after, limit=limit)
