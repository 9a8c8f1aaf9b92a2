"""Deliveries that a warm-up counts: let out for an hour with a place to leave from, and taken back after it."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import Connection, literal_column, select, text, tuple_, update

from mailtypes.clock import Microseconds
from mta.delivery import Happening, next_state, states_before
from postwright.store import recipients
from postwright.store.campaigns import Run
from postwright.store.recipients import Ending
from postwright.store.records import table
from postwright.store.rowsets import BIGINT, TEXT, rows_json, rowset

_delivery = table("delivery")
_HELD = _delivery.c.state == literal_column("'held'")
AGAIN: Final = 50
"""The least priority of what was taken back: above every tier of engagement (store/preparation.py), below the sample of
a test."""
ENDED: Final = 0
"""In place of the end of a grant that a decision has ended before its hour was over."""
TAKEN_BACK = "warm-up"
"""Why a delivery waits whose grant is over, until the release that follows says more."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Until when a delivery may leave (``None``: nothing is counted), and from where alone (``None``: anywhere)."""

    until: int | None
    egress: str | None = None


def first_held(
    connection: Connection, run_id: int, domains: Sequence[str], now: Microseconds, *, limit: int
) -> list[str]:
    """The recipient domains of the ``limit`` held deliveries that come first, in their order: the most engaged first.

    Each domain's own order is in the index; here they are merged.
    """

    def of(domain: str) -> list[tuple[int, str]]:
        statement = (
            select(_delivery.c.priority)
            .with_hint(_delivery, "INDEXED BY ix_delivery_held", "sqlite")
            .where(_delivery.c.run_id == run_id, _delivery.c.domain == domain, _HELD)
            .where(_delivery.c.priority >= 0, _delivery.c.next_attempt_at <= now)
            .order_by(_delivery.c.priority.desc())
            .limit(limit)
        )
        return [(-int(row[0]), domain) for row in connection.execute(statement)]

    merged = heapq.merge(*(of(domain) for domain in domains))
    return [domain for _, (_, domain) in zip(range(limit), merged, strict=False)]


def release_granted(
    connection: Connection, run_id: int, place: tuple[str, int], grant: Grant, now: Microseconds, *, limit: int
) -> int:
    """Let out up to ``limit`` held recipients of ``place = (domain, destination)`` whose time has come; how many."""
    domain, destination_id = place
    few = (
        select(_delivery.c.run_id, _delivery.c.id)
        .with_hint(_delivery, "INDEXED BY ix_delivery_held", "sqlite")
        .where(_delivery.c.run_id == run_id, _delivery.c.domain == domain, _HELD)
        .where(_delivery.c.priority >= 0, _delivery.c.next_attempt_at <= now)
        .order_by(_delivery.c.priority.desc())
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("chosen", nesting=True)
    )
    chosen = tuple_(_delivery.c.run_id, _delivery.c.id).in_(select(few.c.run_id, few.c.id))
    values = recipients.released_values(connection, run_id, destination_id, now)
    values |= {"egress": grant.egress, "granted_until": grant.until}
    before = states_before(Happening.RELEASE)
    statement = update(_delivery).where(chosen, _delivery.c.state.in_(before))
    after = next_state(before[0], Happening.RELEASE)
    return connection.execute(statement.values(state=after, **values)).rowcount


_OVER = (
    "SELECT run_id, id FROM delivery WHERE granted_until IS NOT NULL AND state IN ('ready', 'deferred')"
    " AND next_attempt_at <= :now AND granted_until <= :now ORDER BY next_attempt_at LIMIT :limit"
)


def has_over(connection: Connection, now: Microseconds) -> bool:
    """Whether a delivery is due whose grant is over."""
    return connection.execute(text(_OVER), {"now": now, "limit": 1}).first() is not None


@dataclass(frozen=True, slots=True)
class LostGrant:
    """What some deliveries had whose grant is over and that were never tried: where to, from where (empty: anywhere
    of the pool), and until when.
    """

    destination_id: int
    egress: str
    until: int


def lost(connection: Connection, now: Microseconds, *, limit: int = 2000) -> list[LostGrant]:
    """The grants that ended by their hour, of the untried among those that ``take_back`` takes at ``now``."""
    statement = text(
        f"WITH chosen AS ({_OVER}) SELECT DISTINCT destination_id, COALESCE(egress, ''), granted_until"  # noqa: S608
        " FROM delivery JOIN chosen ON chosen.run_id = delivery.run_id AND chosen.id = delivery.id"
        f" WHERE attempts = 0 AND granted_until > {ENDED} AND destination_id IS NOT NULL"
    )
    return [LostGrant(*row) for row in connection.execute(statement, {"now": now, "limit": limit})]


_STOPPED = (
    "attempts = 0 AND run_id IN (SELECT run.id FROM run WHERE run.state IN ('preparing', 'sending'))"
    " AND NOT EXISTS (SELECT 1 FROM suspension s WHERE s.workspace_id = delivery.workspace_id"
    " AND s.scope = 'domain:' || delivery.domain)"
    " AND EXISTS (SELECT 1 FROM {stopped} WHERE one.destination_id = delivery.destination_id"
    " AND one.egress = COALESCE(delivery.egress, '') AND one.until = delivery.granted_until)"
)


def take_back(
    connection: Connection, now: Microseconds, stopped: Sequence[LostGrant] = (), *, limit: int = 2000
) -> int:
    """Hold up to ``limit`` deliveries that are due and whose grant is over; returns how many.

    They come before those who were not let out yet. Who was not tried has lost no time: where the expiry counts from
    the release, the next release begins it anew. Who lost one of the grants ``stopped`` without having been tried is
    marked (``store.warm_up_held_back``), until the next release: the end of the grant is kept below zero.
    """
    locked = " FOR UPDATE SKIP LOCKED" if connection.dialect.name == "postgresql" else ""
    own = "SELECT run.expires_at FROM run WHERE run.id = delivery.run_id AND run.expiry IS NOT NULL"
    values: dict[str, object] = {"now": now, "limit": limit, "why": TAKEN_BACK}
    mark = "NULL"
    if stopped:
        columns = {"destination_id": BIGINT, "egress": TEXT, "until": BIGINT}
        condition = _STOPPED.format(stopped=rowset(connection, "one", columns, "stopped"))
        mark = f"CASE WHEN {condition} THEN -granted_until ELSE NULL END"
        values["stopped"] = rows_json([asdict(one) for one in stopped])
    statement = text(
        f"UPDATE delivery SET state = 'held', waits_for = :why, granted_until = {mark},"  # noqa: S608
        f" priority = CASE WHEN priority BETWEEN 0 AND {AGAIN} THEN {AGAIN} ELSE priority END,"
        f" expires_at = CASE WHEN attempts = 0 THEN COALESCE(({own}), expires_at) ELSE expires_at END"
        " WHERE (run_id, id) IN"
        f" (WITH chosen AS ({_OVER}{locked}) SELECT run_id, id FROM chosen) AND state IN ('ready', 'deferred')"
    )
    return connection.execute(statement, values).rowcount


@dataclass(frozen=True, slots=True)
class Reach:
    """Whose mail: of a sender domain, or of the streams that use a pool (every pool, where it is ``None``).

    ``provider`` narrows it to the mail to one.
    """

    domain_id: int | None = None
    pool: str | None = None
    provider: str | None = None


def end_grants(connection: Connection, reach: Reach, now: Microseconds) -> int:
    """Let nothing more leave that is not on its way: what is let out, with or without a grant, is taken back soon."""
    values: dict[str, object] = {"now": now}
    runs = "SELECT run.id FROM run WHERE run.state IN ('preparing', 'sending', 'paused') AND run.is_test = :no"
    values["no"] = False
    if reach.domain_id is not None:
        runs += " AND run.domain_id = :domain"
        values["domain"] = reach.domain_id
    elif reach.pool is not None:
        runs += (
            " AND run.stream_id IN (SELECT stream.id FROM stream JOIN egress_pool ON egress_pool.id = stream.pool_id"
            " WHERE egress_pool.name = :pool)"
        )
        values["pool"] = reach.pool
    to = ""
    if reach.provider is not None:
        to = " AND destination_id IN (SELECT id FROM destination WHERE provider = :provider)"
        values["provider"] = reach.provider
    by_state = " INDEXED BY ix_delivery_run_state" if connection.dialect.name == "sqlite" else ""
    statement = text(
        f"UPDATE delivery{by_state} SET granted_until = {ENDED}"  # noqa: S608
        f" WHERE run_id IN ({runs}) AND state IN ('ready', 'deferred')"
        f" AND (granted_until IS NULL OR granted_until > :now){to}"
    )
    return connection.execute(statement, values).rowcount


def cut(connection: Connection, run: Run, domain: str, why: str, now: Microseconds, *, limit: int) -> int:
    """Cancel up to ``limit`` held recipients of a domain who were not tried yet, with an event each; how many."""
    chosen = (
        select(_delivery.c.id)
        .with_hint(_delivery, "INDEXED BY ix_delivery_held", "sqlite")
        .where(_delivery.c.run_id == run.id, _delivery.c.domain == domain, _HELD)
        .where(_delivery.c.priority >= 0, _delivery.c.attempts == 0)
        .limit(limit)
    )
    ids = [int(row[0]) for row in connection.execute(chosen.with_for_update(skip_locked=True))]
    return recipients.end_chosen(connection, run, ids, Ending(Happening.CANCEL, why), now) if ids else 0


def held_by_domain(connection: Connection, run_id: int) -> Mapping[str, int]:
    """How many of a run wait at each recipient domain, and may be released."""
    statement = text(
        "SELECT domain, count(*) FROM delivery WHERE run_id = :run AND state = 'held' AND priority >= 0 GROUP BY domain"
    )
    return {str(row[0]): int(row[1]) for row in connection.execute(statement, {"run": run_id})}
