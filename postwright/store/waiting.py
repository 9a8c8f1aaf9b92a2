"""What waits, by destination, recipient domain or run: counted, made due at once, held, or failed by an admin.

What a worker has leased or is transmitting is left alone: it ends by itself. Conditions on ``state`` are written out,
since SQLite matches a query to a partial index by its text.
"""
# ruff: noqa: S608  statements are put together from constants of this module, values are bound

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from mailtypes.clock import Microseconds
from mta.delivery import NEXT_STATE, DeliveryState, Happening
from postwright.store import events
from postwright.store.rowsets import BIGINT, rows_json, rowset, storable

_DUE = "state IN ('ready', 'deferred')"
_LOCKED = {"sqlite": "", "postgresql": " FOR UPDATE SKIP LOCKED"}
_MOVED = {"run_id": BIGINT, "id": BIGINT}


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits at one destination. ``oldest_at`` is when the oldest came into the queue, ``next_at`` the next try."""

    destination_id: int
    ready: int = 0
    deferred: int = 0
    under_way: int = 0
    oldest_at: int | None = None
    next_at: int | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which deliveries of a workspace: exactly one of a destination, a recipient domain, a run."""

    workspace_id: int
    destination_id: int | None = None
    domain: str | None = None
    run_id: int | None = None

    @property
    def condition(self) -> str:
        """SQL for the end of a SELECT; its values are ``values``."""
        # The plus and the order, and elsewhere what stands behind a state, keep SQLite from going through everybody
        # who has arrived already.
        if self.destination_id is not None:
            return "+workspace_id = :workspace AND destination_id = :destination"
        if self.domain is not None:
            return "+workspace_id = :workspace AND domain = :domain"
        return "+workspace_id = :workspace AND run_id = :run ORDER BY state"

    @property
    def values(self) -> dict[str, object]:
        """The values of ``condition``."""
        named = {"destination": self.destination_id, "domain": self.domain, "run": self.run_id}
        return {"workspace": self.workspace_id} | {name: value for name, value in named.items() if value is not None}


def by_destination(connection: Connection, workspace_id: int) -> dict[int, Waiting]:
    """What waits at each destination of a workspace, and how many are with workers."""
    found: dict[int, Waiting] = {}
    counted = (
        "SELECT destination_id, sum(CASE state WHEN 'ready' THEN 1 ELSE 0 END),"
        " sum(CASE state WHEN 'deferred' THEN 1 ELSE 0 END), 0, min(queued_at), min(next_attempt_at)"
        f" FROM delivery WHERE {_DUE} AND destination_id > 0 AND +workspace_id = :workspace GROUP BY destination_id"
    )
    for row in connection.execute(text(counted), {"workspace": workspace_id}):
        found[int(row[0])] = _waiting(row)
    leased = (
        "SELECT destination_id, 0, 0, count(*), min(queued_at), NULL FROM delivery"
        " WHERE state IN ('leased', 'transmitting') AND destination_id > 0 AND +workspace_id = :workspace"
        " GROUP BY destination_id"
    )
    for row in connection.execute(text(leased), {"workspace": workspace_id}):
        before, at_work = found.get(int(row[0]), Waiting(int(row[0]))), _waiting(row)
        found[at_work.destination_id] = Waiting(
            at_work.destination_id,
            before.ready,
            before.deferred,
            at_work.under_way,
            min(at for at in (before.oldest_at, at_work.oldest_at) if at is not None),
            before.next_at,
        )
    return found


def _waiting(row: Row[Any]) -> Waiting:
    numbers = [None if value is None else int(value) for value in row]
    return Waiting(numbers[0] or 0, numbers[1] or 0, numbers[2] or 0, numbers[3] or 0, numbers[4], numbers[5])


def domains_at(connection: Connection, destination_id: int, *, limit: int = 10) -> list[tuple[str, int]]:
    """The recipient domains with the most that waits at a destination."""
    statement = text(
        f"SELECT domain, count(*) FROM delivery WHERE {_DUE} AND destination_id = :destination"
        " GROUP BY domain ORDER BY 2 DESC, 1 LIMIT :limit"
    )
    rows = connection.execute(statement, {"destination": destination_id, "limit": limit})
    return [(str(row[0]), int(row[1])) for row in rows]


def last_word(connection: Connection, destination_id: int) -> str:
    """The reply or cause of the deferral that waits longest from now; empty where there is none."""
    statement = text(
        f"SELECT reply_code, reply_text FROM delivery WHERE {_DUE} AND destination_id = :destination"
        " AND deferrals > 0 ORDER BY next_attempt_at DESC LIMIT 1"
    )
    row = connection.execute(statement, {"destination": destination_id}).one_or_none()
    return "" if row is None else " ".join(str(part) for part in row if part)


def make_due(connection: Connection, which: Selection, now: Microseconds, *, limit: int = 5000) -> int:
    """Let up to ``limit`` deferred deliveries be tried at once; returns how many."""
    later = f"{_DUE} AND state || '' = 'deferred' AND next_attempt_at > :now"
    statement = text(
        f"UPDATE delivery SET next_attempt_at = :now WHERE {_chosen(connection, which, later)} AND state = 'deferred'"
    )
    return connection.execute(statement, {**which.values, "now": now, "limit": limit}).rowcount


def hold_back(connection: Connection, which: Selection, reason: str, *, limit: int = 5000) -> int:
    """Take up to ``limit`` ready or deferred deliveries back into ``held``; returns how many."""
    return len(_hold(connection, which, reason, limit))


def fail(
    connection: Connection, which: Selection, reason: str, by: str, now: Microseconds, *, limit: int = 2000
) -> int:
    """Fail up to ``limit`` deliveries that wait, with an event each; returns how many.

    The table of states knows no way from ``ready`` to ``failed`` but by ``held``, so that is the way they go, in one
    transaction. Nobody is suppressed for it: no receiver has said anything.
    """
    reason, held = storable(reason), []
    if which.destination_id is None:  # first those, since the others will be held as well in a moment
        chosen = _chosen(connection, which, "state = 'held' AND domain > ''")
        # Locked by an update that says why they are about to go.
        locked = f"UPDATE delivery SET waits_for = :reason WHERE {chosen} AND state = 'held' RETURNING run_id, id"
        held = _pairs(connection, locked, {**which.values, "reason": reason, "limit": limit})
    held += _hold(connection, which, reason, limit - len(held))
    if not held:
        return 0
    after = NEXT_STATE[DeliveryState.HELD, Happening.PERMANENT]
    rows = connection.execute(
        text(
            f"UPDATE delivery SET state = '{after}', settled_at = :now, waits_for = '', reply_code = NULL,"
            f" reply_text = :reason FROM {rowset(connection, 'o', _MOVED)}"
            " WHERE delivery.run_id = o.run_id AND delivery.id = o.id AND delivery.state || '' = 'held'"
            " RETURNING delivery.workspace_id, delivery.run_id, delivery.id, delivery.contact_id"
        ),
        {
            "rows": rows_json([{"run_id": row[0], "id": row[1]} for row in held]),
            "now": now,
            "reason": reason,
        },
    ).all()
    data: Mapping[str, object] = {"cause": reason, "by": by}
    events.append(
        connection, [events.NewEvent(row[0], str(after), now, row[1], row[2], row[3], data) for row in rows], now
    )
    return len(rows)


def _hold(connection: Connection, which: Selection, reason: str, limit: int) -> list[tuple[int, int]]:
    after = NEXT_STATE[DeliveryState.READY, Happening.HOLD]
    assert after is NEXT_STATE[DeliveryState.DEFERRED, Happening.HOLD]
    moved = (
        f"UPDATE delivery SET state = '{after}', waits_for = :reason"
        f" WHERE {_chosen(connection, which, _DUE)} AND {_DUE} RETURNING run_id, id"
    )
    return _pairs(connection, moved, {**which.values, "reason": storable(reason), "limit": limit})


def _pairs(connection: Connection, statement: str, values: Mapping[str, object]) -> list[tuple[int, int]]:
    return [(int(row[0]), int(row[1])) for row in connection.execute(text(statement), values)]


def _chosen(connection: Connection, which: Selection, condition: str) -> str:
    # In a WITH, so that PostgreSQL takes the locking SELECT once (see postwright.store.leases).
    return (
        f"(run_id, id) IN (WITH chosen AS (SELECT run_id, id FROM delivery WHERE {condition} AND {which.condition}"
        f" LIMIT :limit{_LOCKED[connection.dialect.name]}) SELECT run_id, id FROM chosen)"
    )
