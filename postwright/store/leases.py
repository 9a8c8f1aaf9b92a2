"""The durable queue of the delivery engine: lease, mark, record, reap (the states are in ``mta.delivery``).

Statements are text and take all their rows at once: this is the hot path, one round trip for a whole batch.
Conditions on ``state`` are written out, since SQLite matches a query to a partial index by its text.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, TextClause, text

from mailtypes.clock import Microseconds
from mta.delivery import NEXT_STATE, Happening, states_before
from postwright.store import events, suspensions
from postwright.store.database import TIME_SQL
from postwright.store.rowsets import BIGINT, TEXT, RowStatement, storable

_DUE = "state IN ('ready', 'deferred')"
IDENTITY = {"run_id": BIGINT, "id": BIGINT, "epoch": BIGINT}
_OUTCOME = IDENTITY | {"retry_at": BIGINT, "settled_at": BIGINT, "code": BIGINT, "reply": TEXT}
SAME_LEASE = "delivery.run_id = o.run_id AND delivery.id = o.id AND delivery.epoch = o.epoch"


@dataclass(frozen=True, slots=True)
class Lease:
    """A delivery that a worker holds, with what is needed to make and send its message."""

    id: int
    run_id: int
    workspace_id: int
    message_id: int
    contact_id: int | None
    epoch: int
    attempts: int
    address: str
    address_key: str
    variant: int
    merge_data: str
    queued_at: int
    expires_at: int
    first_attempt_at: int | None
    sender: int = 0

    @property
    def identity(self) -> dict[str, int]:
        """What a row must still agree with for the lease to hold."""
        return {"run_id": self.run_id, "id": self.id, "epoch": self.epoch}


@dataclass(frozen=True, slots=True)
class Taker:
    """Who leases: the worker's name, how long (microseconds), and the pool whose streams' mail it takes, if not all.

    ``egress`` is the place that it sends from; deliveries keep it.
    """

    worker: str
    duration: int
    pool: str | None = None
    egress: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt, in the store's words; ``detail`` goes into the event."""

    lease: Lease
    happening: Happening
    occurred_at: int
    retry_at: int | None
    code: int | None
    reply: str
    detail: Mapping[str, object]


_LEASE_COLUMNS = ", ".join(Lease.__slots__)
_LOCKED = {"sqlite": "", "postgresql": " FOR UPDATE SKIP LOCKED"}
"""By dialect. PostgreSQL runs a locking SELECT in a WITH once; directly in an IN it may run it for every row that it
looks at, and skip other locked rows each time, so that more than the limit are taken."""


_NOT_SUSPENDED = (
    " AND NOT EXISTS (SELECT 1 FROM suspension s JOIN destination d ON d.workspace_id = s.workspace_id"
    " WHERE d.id = :destination AND s.scope IN ('destination:' || d.id, 'provider:' || d.provider) AND s.egress = ''"
    " AND (s.until IS NULL OR s.until > :now))"
    " AND NOT EXISTS (SELECT 1 FROM suspension s WHERE s.workspace_id = delivery.workspace_id"
    " AND s.scope = 'domain:' || delivery.domain AND (s.until IS NULL OR s.until > :now))"
)
"""Suspended for every address that mail leaves from; what is suspended for one is the worker's to ask."""

_GRANTED = (
    " AND (granted_until IS NULL OR (granted_until > :now AND (delivery.egress IS NULL OR delivery.egress = :egress)))"
)
"""What a warm-up counts leaves within the hour that it was counted in, from the place that it was counted for."""


def _of_pool(pool: str | None) -> str:
    """Where there are several pools: the runs whose stream is in one. Named, since every workspace has its own."""
    if pool is None:
        return ""
    return (
        " AND delivery.run_id IN (SELECT run.id FROM run JOIN stream ON stream.id = run.stream_id"
        " JOIN egress_pool ON egress_pool.id = stream.pool_id WHERE egress_pool.name = :pool)"
    )


def due_destinations(connection: Connection, now: Microseconds, egress: str = "", pool: str | None = None) -> list[int]:
    """The destinations that have something due, found by skipping along the index from one to the next.

    Those that are suspended for whoever sends from ``egress`` are left out.
    """
    found: list[int] = []
    step = text(f"SELECT min(destination_id) FROM delivery WHERE {_DUE} AND destination_id > :last")
    due = text(
        f"SELECT 1 FROM delivery WHERE {_DUE} AND destination_id = :id AND next_attempt_at <= :now{_GRANTED}"
        f"{_of_pool(pool)} LIMIT 1"
    )
    values = {"now": now, "egress": egress} | ({} if pool is None else {"pool": pool})
    last: int | None = connection.execute(step, {"last": 0}).scalar_one_or_none()
    while last is not None:
        if connection.execute(due, values | {"id": last}).first() is not None:
            found.append(int(last))
        last = connection.execute(step, {"last": last}).scalar_one_or_none()
    stopped = suspensions.stopped(connection, found, egress, now) if found else set()
    return [one for one in found if one not in stopped]


def next_due_at(connection: Connection, now: Microseconds) -> int | None:
    """When the next delivery falls due after ``now``, at whichever destination; ``None`` where none will."""
    statement = text(f"SELECT min(next_attempt_at) FROM delivery WHERE {_DUE} AND next_attempt_at > :now")
    found: int | None = connection.execute(statement, {"now": now}).scalar_one_or_none()
    return found


def lease(connection: Connection, taker: Taker, destination_id: int, limit: int, now: Microseconds) -> list[Lease]:
    """Give ``taker`` up to ``limit`` due deliveries of a destination.

    Nothing while the destination or its provider is suspended, and nothing for a recipient domain that is.
    """
    values = {"worker": taker.worker, "destination": destination_id, "limit": limit, "duration": taker.duration}
    values |= {"now": now, "egress": taker.egress} | ({} if taker.pool is None else {"pool": taker.pool})
    rows = connection.execute(_lease_statement(connection.dialect.name, _of_pool(taker.pool)), values)
    return sorted((Lease(*row) for row in rows), key=lambda item: item.id)


@cache
def _lease_statement(dialect: str, of_pool: str) -> TextClause:
    return text(
        "UPDATE delivery SET state = 'leased', epoch = epoch + 1, attempts = attempts + 1, worker = :worker,"
        " egress = COALESCE(NULLIF(:egress, ''), egress),"
        f" lease_until = {TIME_SQL[dialect]} + :duration"
        " WHERE (run_id, id) IN (WITH chosen AS ("
        f"SELECT run_id, id FROM delivery WHERE {_DUE} AND destination_id = :destination"
        f" AND next_attempt_at <= :now{_NOT_SUSPENDED}{_GRANTED}{of_pool} ORDER BY next_attempt_at"
        f" LIMIT :limit{_LOCKED[dialect]}) SELECT run_id, id FROM chosen) AND {_DUE} RETURNING {_LEASE_COLUMNS}"
    )


def mark_transmitting(connection: Connection, leases: Sequence[Lease], duration: int, now: Microseconds) -> set[int]:
    """Note that these are about to be sent; returns the ids that are still leased to us under the same epoch.

    The first attempt's moment is kept for good: Message-ID and Date follow from it.
    """
    statement = _mark_statement(connection.dialect.name)
    rows = [(item.run_id, item.id, item.epoch) for item in leases]
    return {found[0] for found in statement.apply(connection, rows, duration, now)}


class _Transition:
    """An update of the rows ``o`` that still hold, which tells ``(id, epoch)`` of those it changed.

    SQLite is asked first which those are: it gives updated rows back one by one, and the interpreter's lock is let go
    and fought for again at each. Nobody else writes in between, since the transaction began as a writing one.
    """

    def __init__(self, dialect: str, columns: Mapping[str, str], changes: str, condition: str) -> None:
        held = f"{SAME_LEASE} AND {condition}"
        update = f"UPDATE delivery SET {changes} FROM o WHERE {held}"
        self._select: RowStatement | None = None
        if dialect == "sqlite":
            pairs = "json_group_array(json_array(delivery.id, delivery.epoch))"
            # CROSS JOIN keeps the order: a few rows, and a seek for each (SQLite's documented way).
            self._select = RowStatement(dialect, IDENTITY, f"SELECT {pairs} FROM o CROSS JOIN delivery WHERE {held}")
        else:
            update += " RETURNING delivery.id, delivery.epoch"
        self._update = RowStatement(dialect, columns, update)

    def apply(self, connection: Connection, rows: Sequence[tuple[Any, ...]], *values: Any) -> list[tuple[int, int]]:
        """``rows`` begin with the columns of ``IDENTITY``."""
        if self._select is None:
            updated = self._update.execute(connection, rows, *values).all()
            return [(row.id, row.epoch) for row in updated]
        found = json.loads(self._select.execute(connection, [row[:3] for row in rows]).scalar_one())
        self._update.execute(connection, rows, *values)
        return [(each[0], each[1]) for each in found]


@cache
def _mark_statement(dialect: str) -> _Transition:
    return _Transition(
        dialect,
        IDENTITY,
        f"state = 'transmitting', lease_until = {TIME_SQL[dialect]} + ?,"
        " first_attempt_at = COALESCE(delivery.first_attempt_at, ?)",
        "delivery.state = 'leased'",
    )


def renew(connection: Connection, worker: str, duration: int) -> int:
    """Extend everything that ``worker`` holds; returns how much that is."""
    statement = text(
        f"UPDATE delivery SET lease_until = {TIME_SQL[connection.dialect.name]} + :duration"
        " WHERE state IN ('leased', 'transmitting') AND worker = :worker"
    )
    return connection.execute(statement, {"worker": worker, "duration": duration}).rowcount


def record(connection: Connection, outcomes: Sequence[Outcome], now: Microseconds) -> set[int]:
    """Store outcomes with an event each; returns the ids that took them.

    An outcome is dropped, and leaves no event, where somebody else has leased the delivery since (the epoch differs),
    or where the table of states does not allow it (the delivery was suppressed meanwhile, say).
    """
    applied: list[Outcome] = []
    for happening in dict.fromkeys(outcome.happening for outcome in outcomes):
        by_attempt: dict[tuple[int, int], Outcome] = {}
        for outcome in outcomes:
            if outcome.happening is happening:
                by_attempt.setdefault((outcome.lease.id, outcome.lease.epoch), outcome)
        statement = _record_statement(connection.dialect.name, happening)
        rows = [_row(outcome, now) for outcome in by_attempt.values()]
        applied += [by_attempt[identity] for identity in statement.apply(connection, rows)]
    kinds = [(outcome, EVENT_KIND.get(outcome.happening)) for outcome in applied]
    events.append(connection, [_event(outcome, kind) for outcome, kind in kinds if kind], now)
    return {outcome.lease.id for outcome in applied}


EVENT_KIND: Mapping[Happening, str] = {
    Happening.ACCEPTED: "delivered",
    Happening.TRANSIENT: "deferred",
    Happening.PERMANENT: "failed",
    Happening.UNKNOWN: "ambiguous",
}
"""The event that tells of an outcome; what was given back unsent leaves none."""

_LATER = "next_attempt_at = COALESCE(o.retry_at, delivery.next_attempt_at)"
_CHANGES: Mapping[Happening, str] = {
    Happening.ACCEPTED: "settled_at = o.settled_at",
    Happening.PERMANENT: "settled_at = o.settled_at",
    Happening.TRANSIENT: f"{_LATER}, deferrals = delivery.deferrals + 1",
    Happening.UNKNOWN: f"{_LATER}, ambiguities = delivery.ambiguities + 1",
    Happening.NOT_SENT: "attempts = delivery.attempts - 1",
    Happening.LEASE_LOST: "attempts = delivery.attempts - 1",
}


@cache
def _record_statement(dialect: str, happening: Happening) -> _Transition:
    before = states_before(happening)
    after = NEXT_STATE[before[0], happening]
    allowed = ", ".join(f"'{state}'" for state in before)
    reply = ", reply_code = o.code, reply_text = o.reply" if happening in EVENT_KIND else ""
    return _Transition(
        dialect,
        _OUTCOME,
        f"state = '{after}', worker = NULL, lease_until = NULL, {_CHANGES[happening]}{reply}",
        f"delivery.state IN ({allowed})",
    )


def reap(connection: Connection, ambiguous_retry_at: int, now: Microseconds, *, limit: int = 1000) -> tuple[int, int]:
    """Take leases back that ran out; returns how many were not sent and how many are ambiguous now."""
    expired = f"lease_until < {TIME_SQL[connection.dialect.name]}"
    unsent = connection.execute(
        text(
            "UPDATE delivery SET state = 'ready', worker = NULL, lease_until = NULL, attempts = attempts - 1,"
            f" epoch = epoch + 1 WHERE {_chosen(connection, 'leased', expired)} AND state = 'leased'"
        ),
        {"limit": limit},
    ).rowcount
    # The epoch stays: the outcome of a worker that was only slow still counts until the delivery is tried again.
    rows = connection.execute(
        text(
            "UPDATE delivery SET state = 'ambiguous', worker = NULL, lease_until = NULL,"
            " ambiguities = ambiguities + 1, next_attempt_at = :retry_at"
            f" WHERE {_chosen(connection, 'transmitting', expired)} AND state = 'transmitting'"
            " RETURNING id, run_id, workspace_id, contact_id, attempts"
        ),
        {"limit": limit, "retry_at": ambiguous_retry_at},
    ).all()
    events.append(
        connection,
        [
            events.NewEvent(row[2], "ambiguous", now, row[1], row[0], row[3], {"attempt": row[4], "cause": "lease"})
            for row in rows
        ],
        now,
    )
    return unsent, len(rows)


def retry_ambiguous(connection: Connection, now: Microseconds, *, limit: int = 1000) -> int:
    """Make ambiguous deliveries ready again whose stream says so and whose time has come."""
    # The plus keeps SQLite from going by run, and so through everybody who has arrived already.
    by_rule = (
        "next_attempt_at <= :now AND +run_id IN (SELECT run.id FROM run JOIN stream ON stream.id = run.stream_id"
        " WHERE stream.ambiguous_rule = 'retry' AND run.state IN ('sending', 'preparing'))"
    )
    statement = text(
        f"UPDATE delivery SET state = 'ready' WHERE {_chosen(connection, 'ambiguous', by_rule)} AND state = 'ambiguous'"
    )
    return connection.execute(statement, {"now": now, "limit": limit}).rowcount


def _chosen(connection: Connection, state: str, condition: str) -> str:
    # A partial index over two states is matched only by the condition as it was written there.
    also = " AND state IN ('leased', 'transmitting')" if state in {"leased", "transmitting"} else ""
    return (
        "(run_id, id) IN (WITH chosen AS ("
        f"SELECT run_id, id FROM delivery WHERE state = '{state}'{also} AND {condition}"
        f" LIMIT :limit{_LOCKED[connection.dialect.name]}) SELECT run_id, id FROM chosen)"
    )


def _row(outcome: Outcome, now: Microseconds) -> tuple[Any, ...]:
    """In the order of ``_OUTCOME``."""
    lease_ = outcome.lease
    reply = storable(outcome.reply)
    return lease_.run_id, lease_.id, lease_.epoch, outcome.retry_at, now, outcome.code, reply


def _event(outcome: Outcome, kind: str) -> events.NewEvent:
    lease_ = outcome.lease
    data = {"attempt": lease_.attempts, "reply_code": outcome.code, "reply": storable(outcome.reply), **outcome.detail}
    return events.NewEvent(
        lease_.workspace_id, kind, outcome.occurred_at, lease_.run_id, lease_.id, lease_.contact_id, data
    )
