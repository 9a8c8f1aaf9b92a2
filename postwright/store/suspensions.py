"""What is not to be sent to for a while: destinations, providers, recipient domains; by a rule or by a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from mailtypes.clock import Microseconds
from postwright.store.records import fetch_all, select_as, table

_suspension, _destination = table("suspension"), table("destination")
_AT_ONCE = 5000  # bound values of one statement


class By(StrEnum):
    """Who suspended: one does not end what the other began."""

    RULE = "rule"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Suspended:
    """What is suspended; an empty ``egress`` means whatever address the mail would leave from."""

    workspace_id: int
    scope: str
    egress: str = ""


@dataclass(frozen=True, slots=True)
class Suspension:
    """A suspension as stored; without ``until`` it lasts until somebody ends it."""

    id: int
    scope: str
    egress: str
    kind: str
    until: int | None
    reason: str
    created_at: int


def destination_scope(destination_id: int) -> str:
    """The scope of one destination."""
    return f"destination:{destination_id}"


def provider_scope(provider: str) -> str:
    """The scope of everything that a provider runs."""
    return f"provider:{provider}"


def domain_scope(domain: str) -> str:
    """The scope of one recipient domain (A-labels)."""
    return f"domain:{domain}"


def suspend(connection: Connection, what: Suspended, by: By, reason: str, until: int | None, now: Microseconds) -> None:
    """Suspend, or change what is known of the suspension."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    same = {"workspace_id": what.workspace_id, "scope": what.scope, "egress": what.egress, "kind": str(by)}
    values = {"until": until, "reason": reason, "created_at": now}
    statement = insert(_suspension).values(**same, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=list(same), set_=values))


def resume(connection: Connection, what: Suspended, by: By) -> bool:
    """End a suspension; ``False`` where there was none."""
    same = (
        _suspension.c.workspace_id == what.workspace_id,
        _suspension.c.scope == what.scope,
        _suspension.c.egress == what.egress,
        _suspension.c.kind == str(by),
    )
    return connection.execute(delete(_suspension).where(*same)).rowcount > 0


def in_force(
    connection: Connection, workspace_id: int, now: Microseconds, scopes: Sequence[str] | None = None
) -> list[Suspension]:
    """The suspensions of a workspace that last at ``now``, the newest last; of these ``scopes`` only where given."""
    conditions: list[ColumnElement[bool]] = [_suspension.c.workspace_id == workspace_id, _lasts(now)]
    if scopes is not None:
        conditions.append(_suspension.c.scope.in_(list(scopes)))
    statement = select_as(Suspension, _suspension).where(*conditions).order_by(_suspension.c.created_at)
    return fetch_all(connection, Suspension, statement)


def stopped(connection: Connection, destinations: Sequence[int], egress: str, now: Microseconds) -> set[int]:
    """Those of ``destinations`` that nobody who sends from ``egress`` may send to: they or their provider rest."""
    in_question = select(_suspension.c.workspace_id, _suspension.c.scope).where(
        _suspension.c.egress.in_(("", egress)), _lasts(now)
    )
    scopes = {(int(row[0]), str(row[1])) for row in connection.execute(in_question)}
    if not scopes:
        return set()
    found: set[int] = set()
    for begin in range(0, len(destinations), _AT_ONCE):
        part = list(destinations[begin : begin + _AT_ONCE])
        known = select(_destination.c.id, _destination.c.workspace_id, _destination.c.provider)
        for row in connection.execute(known.where(_destination.c.id.in_(part))):
            if {(row[1], destination_scope(row[0])), (row[1], provider_scope(row[2]))} & scopes:
                found.add(int(row[0]))
    return found


def ended(connection: Connection, now: Microseconds) -> list[tuple[int, Suspension]]:
    """What people have suspended until a moment that has passed, with the workspace: nobody has said so yet."""
    statement = select(_suspension.c.workspace_id, *select_as(Suspension, _suspension).selected_columns).where(
        _suspension.c.kind == str(By.PERSON), _suspension.c.until <= now
    )
    return [(int(row[0]), Suspension(*row[1:])) for row in connection.execute(statement)]


def _lasts(now: Microseconds) -> ColumnElement[bool]:
    return or_(_suspension.c.until.is_(None), _suspension.c.until > now)
