"""A run's recipients before they are due and while they stop: prepare, release, hold, cancel, expire, count."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    case,
    func,
    literal_column,
    select,
    text,
    tuple_,
    update,
)

from mailtypes.clock import Microseconds
from mailtypes.saying import say
from mta.delivery import TERMINAL, DeliveryState, Happening, next_state, states_before
from postwright.store import events
from postwright.store.campaigns import Run
from postwright.store.public_ids import run_of_delivery
from postwright.store.records import fetch_all, select_as, table

_delivery, _run = table("delivery"), table("run")
_UNDER_WAY = tuple(str(state) for state in DeliveryState if state not in TERMINAL)

BY_MESSAGE = {
    "sqlite": "delivery AS of_message INDEXED BY sqlite_autoindex_delivery_2",
    "postgresql": "delivery AS of_message",
}
"""By dialect, the deliveries found by the key (workspace, run, message, address).

SQLite takes the primary key otherwise, and reads the whole run: a day of mail.
"""

Teller = Callable[[int, int | None, str], Mapping[str, Any]]
"""What an event says of an ending beside its cause, from attempts, last reply code and last reply text."""


def _nothing(_attempts: int, _code: int | None, _text: str) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Ending:
    """How deliveries end that no attempt ended: what happens, why, and what ``tell`` adds to the event of each."""

    happening: Happening
    cause: str = ""
    tell: Teller = _nothing


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A delivery as it stands, for those who ask."""

    id: int
    run_id: int
    workspace_id: int
    message_id: int
    contact_id: int | None
    record_key: str | None
    address: str
    address_key: str
    domain: str
    variant: int
    state: str
    waits_for: str
    attempts: int
    deferrals: int
    ambiguities: int
    queued_at: int
    next_attempt_at: int
    first_attempt_at: int | None
    settled_at: int | None
    reply_code: int | None
    reply_text: str


@dataclass(frozen=True, slots=True)
class RunCounts:
    """How many recipients of a run stand where; ``ambiguous_ever`` and ``deferred_ever`` count the past too."""

    by_state: dict[str, int]
    deferred_ever: int
    ambiguous_ever: int

    @property
    def total(self) -> int:
        """All recipients so far."""
        return sum(self.by_state.values())

    @property
    def settled(self) -> int:
        """Those of whom nothing more will come."""
        return self.total - sum(self.by_state.get(state, 0) for state in _UNDER_WAY)


def held_domains(connection: Connection, run_id: int, *, limit: int = 1000) -> list[str]:
    """The recipient domains of a run that have somebody held who may be released."""
    held = (_delivery.c.run_id == run_id, _HELD, _delivery.c.priority >= 0)
    statement = select(_delivery.c.domain).where(*held).distinct().limit(limit)
    return [str(row[0]) for row in connection.execute(statement)]


def release(
    connection: Connection, run_id: int, domain: str, destination_id: int, now: Microseconds, *, limit: int
) -> int:
    """Make up to ``limit`` held recipients of a domain ready whose time has come, the most engaged first.

    Returns how many. Who was tried before keeps the time of the next attempt. The expiry of a run that has one of its
    own for each recipient (``Run.expiry``) begins here.
    """
    is_due = (_delivery.c.next_attempt_at <= now) | (_delivery.c.attempts > 0)
    few = (
        select(_delivery.c.run_id, _delivery.c.id)
        .with_hint(_delivery, "INDEXED BY ix_delivery_held", "sqlite")
        .where(_delivery.c.run_id == run_id, _delivery.c.domain == domain, _HELD, _delivery.c.priority >= 0, is_due)
        .order_by(_delivery.c.priority.desc())
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("chosen", nesting=True)
    )
    chosen = tuple_(_delivery.c.run_id, _delivery.c.id).in_(select(few.c.run_id, few.c.id))
    return _move(connection, Happening.RELEASE, chosen, released_values(connection, run_id, destination_id, now))


def released_values(connection: Connection, run_id: int, destination_id: int, now: Microseconds) -> dict[str, object]:
    """What a release sets beside the state. What a warm-up granted before is over."""
    is_sqlite = connection.dialect.name == "sqlite"
    greatest, least = (func.max, func.min) if is_sqlite else (func.greatest, func.least)
    expiry = select(_run.c.expiry).where(_run.c.id == run_id).scalar_subquery()
    return {
        "destination_id": destination_id,
        "waits_for": "",
        "granted_until": None,
        "next_attempt_at": greatest(_delivery.c.next_attempt_at, now),
        "expires_at": case(
            (_delivery.c.attempts > 0, _delivery.c.expires_at),
            else_=least(_delivery.c.expires_at, func.coalesce(now + expiry, _delivery.c.expires_at)),
        ),
    }


def explain_wait(connection: Connection, run_id: int, domain: str, reason: str, *, limit: int = 10_000) -> int:
    """Write down why the held recipients of a domain wait."""
    mine = (*_held_at(domain), _delivery.c.priority >= 0, _delivery.c.waits_for != reason)
    chosen = _some(run_id, limit, *mine)
    return connection.execute(update(_delivery).where(chosen).values(waits_for=reason)).rowcount


def fail_held(connection: Connection, run: Run, domain: str, ending: Ending, now: Microseconds, *, limit: int) -> int:
    """Fail held recipients whose domain takes no mail, with an event each."""
    return _settle(connection, run, ending, _some(run.id, limit, *_held_at(domain)), now)


def hold(connection: Connection, run_id: int, reason: str, *, limit: int = 5000) -> int:
    """Take up to ``limit`` ready or deferred recipients of a run back."""
    chosen = _some(run_id, limit, _delivery.c.state.in_(states_before(Happening.HOLD)))
    return _move(connection, Happening.HOLD, chosen, {"waits_for": reason})


def stopped_runs(connection: Connection) -> list[Run]:
    """Paused and cancelled runs to which deliveries have come back that were out when they were stopped."""

    def has(happening: Happening) -> ColumnElement[bool]:
        some = (_delivery.c.run_id == _run.c.id, _delivery.c.state.in_(states_before(happening)))
        # SQLite reads the whole run otherwise, over and over for one that was cancelled.
        by_state = select(_delivery.c.id).with_hint(_delivery, "INDEXED BY ix_delivery_run_state", "sqlite")
        return by_state.where(*some).exists()

    statement = select_as(Run, _run).where(
        ((_run.c.state == "paused") & has(Happening.HOLD)) | ((_run.c.state == "cancelled") & has(Happening.CANCEL))
    )
    return fetch_all(connection, Run, statement.order_by(_run.c.id))


def cancel(connection: Connection, run: Run, now: Microseconds, *, limit: int = 5000) -> int:
    """Cancel up to ``limit`` recipients of a run that are not being transmitted, with an event each."""
    chosen = _some(run.id, limit, _delivery.c.state.in_(states_before(Happening.CANCEL)))
    return _settle(connection, run, Ending(Happening.CANCEL, say("the run was cancelled")), chosen, now)


def cancel_chosen(connection: Connection, run: Run, delivery_ids: Sequence[int], now: Microseconds) -> int:
    """Cancel those of these recipients of a run that are not being transmitted, with an event each; returns how many.

    Whoever is on the wire or has arrived stays as it is.
    """
    return end_chosen(connection, run, delivery_ids, Ending(Happening.CANCEL, say("the message was cancelled")), now)


def end_chosen(connection: Connection, run: Run, delivery_ids: Sequence[int], ending: Ending, now: Microseconds) -> int:
    """End those of these recipients of a run for whom ``ending`` is possible, with an event each; returns how many."""
    chosen = (_delivery.c.run_id == run.id) & _delivery.c.id.in_(delivery_ids)
    return _settle(connection, run, ending, chosen, now)


def deliveries_of_message(
    connection: Connection, workspace_id: int, run_id: int, message_id: int
) -> list[DeliveryRecord]:
    """The deliveries of a whole message in the order of their ids."""
    found = text(
        f"(run_id, id) IN (SELECT run_id, id FROM {BY_MESSAGE[connection.dialect.name]} WHERE"  # noqa: S608
        " workspace_id = :workspace AND run_id = :run AND message_id = :message)"
    ).bindparams(workspace=workspace_id, run=run_id, message=message_id)
    statement = select_as(DeliveryRecord, _delivery).where(found)
    return sorted(fetch_all(connection, DeliveryRecord, statement), key=lambda row: row.id)


def expire(connection: Connection, run: Run, tell: Teller, now: Microseconds, *, limit: int = 5000) -> int:
    """Expire up to ``limit`` recipients that are too old."""
    chosen = _some(
        run.id,
        limit,
        _delivery.c.state.in_(states_before(Happening.EXPIRE)),
        _delivery.c.expires_at <= now,
        by_state=True,
    )
    return _settle(connection, run, Ending(Happening.EXPIRE, tell=tell), chosen, now)


_HELD = _delivery.c.state == literal_column("'held'")


def _held_at(domain: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    # As a range, since with an equality SQLite prefers the primary key, and reads all who have arrived already.
    return _delivery.c.domain.between(domain, domain), _HELD


def _some(run_id: int, limit: int, *conditions: ColumnElement[bool], by_state: bool = False) -> ColumnElement[bool]:
    """Up to ``limit`` of a run; ``by_state`` leads SQLite to the index where it would read the whole run instead."""
    few = (
        select(_delivery.c.run_id, _delivery.c.id)
        .where(_delivery.c.run_id == run_id, *conditions)
        .order_by(*([_delivery.c.state] if by_state else []))  # never by id: that is the whole run again
        .limit(limit)
        # PostgreSQL: rows that another process is changing are left to it; in a WITH, so that the limit holds.
        .with_for_update(skip_locked=True)
        .cte("chosen", nesting=True)
    )
    return tuple_(_delivery.c.run_id, _delivery.c.id).in_(select(few.c.run_id, few.c.id))


def _move(connection: Connection, happening: Happening, chosen: ColumnElement[bool], values: dict[str, object]) -> int:
    before = states_before(happening)
    after = next_state(before[0], happening)
    statement = update(_delivery).where(chosen, _delivery.c.state.in_(before)).values(state=after, **values)
    return connection.execute(statement).rowcount


def _settle(connection: Connection, run: Run, ending: Ending, chosen: ColumnElement[bool], now: Microseconds) -> int:
    """Move deliveries into a terminal state and log one event for each, named by the state."""
    before = states_before(ending.happening)
    after = str(next_state(before[0], ending.happening))
    values: dict[str, object] = {"state": after, "settled_at": now}
    if ending.cause:
        values["reply_text"] = ending.cause
    settled = connection.execute(
        update(_delivery)
        .where(chosen, _delivery.c.state.in_(before))
        .values(**values)
        .returning(
            *(_delivery.c.id, _delivery.c.contact_id, _delivery.c.reply_text),
            *(_delivery.c.attempts, _delivery.c.reply_code),
        )
    ).all()
    events.append(connection, [_ended(run, after, row, ending.tell, now) for row in settled], now)
    return len(settled)


def _ended(run: Run, kind: str, row: Row[Any], tell: Teller, now: Microseconds) -> events.NewEvent:
    cause = str(row.reply_text)
    data = {"cause": cause, **tell(row.attempts, row.reply_code, cause)}
    return events.NewEvent(run.workspace_id, kind, now, run.id, row.id, row.contact_id, data)


def count_run(connection: Connection, run_id: int) -> RunCounts:
    """Where the recipients of a run stand."""
    by_state = {
        str(state): int(number)
        for state, number in connection.execute(
            select(_delivery.c.state, func.count()).where(_delivery.c.run_id == run_id).group_by(_delivery.c.state)
        )
    }
    ever = connection.execute(
        select(func.count().filter(_delivery.c.deferrals > 0), func.count().filter(_delivery.c.ambiguities > 0)).where(
            _delivery.c.run_id == run_id
        )
    ).one()
    return RunCounts(by_state, int(ever[0]), int(ever[1]))


def finish_if_done(connection: Connection, run: Run, now: Microseconds) -> bool:
    """Finish a sending run in which nobody is on the way, and that nobody joins any more.

    Ambiguous ones under the rule ``hold`` wait for a person.
    """
    if run.open_until is not None and now < run.open_until:
        return False
    under_way = select(_delivery.c.id).where(_delivery.c.run_id == run.id, _delivery.c.state.in_(_UNDER_WAY))
    if connection.execute(under_way.limit(1)).first() is not None:
        return False
    done = connection.execute(
        update(_run).where(_run.c.id == run.id, _run.c.state == "sending").values(state="finished", finished_at=now)
    ).rowcount
    if not done:
        return False
    campaign = table("campaign")
    connection.execute(
        update(campaign).where(campaign.c.id == run.campaign_id, campaign.c.state == "sending").values(state="finished")
    )
    return True


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries to list; ``None`` means any."""

    run_id: int | None = None
    address_key: str | None = None
    state: DeliveryState | None = None


def list_deliveries(
    connection: Connection, workspace_id: int, wanted: DeliveryFilter, *, after: int = 0, limit: int = 100
) -> list[DeliveryRecord]:
    """Deliveries in the order of their ids, beginning behind ``after``."""
    conditions: list[ColumnElement[bool]] = [_delivery.c.workspace_id == workspace_id]
    if wanted.run_id is not None:
        conditions.append(_delivery.c.run_id == wanted.run_id)
    if wanted.address_key is not None:
        conditions.append(_delivery.c.address_key == wanted.address_key)
    if wanted.state is not None:
        conditions.append(_delivery.c.state == wanted.state)
    statement = select_as(DeliveryRecord, _delivery).where(*conditions, _delivery.c.id > after)
    if wanted.run_id is not None and wanted.state is not None and wanted.address_key is None:
        # SQLite goes by the ids otherwise, and reads the whole run for the few that failed.
        statement = statement.with_hint(_delivery, "INDEXED BY ix_delivery_run_state", "sqlite")
    return fetch_all(connection, DeliveryRecord, statement.order_by(_delivery.c.id).limit(limit))


def merge_value(connection: Connection, run_id: int, delivery: int, name: str) -> str:
    """One merge field of a recipient as it was frozen, empty where there is none."""
    frozen = connection.execute(
        select(_delivery.c.merge_data).where(_delivery.c.run_id == run_id, _delivery.c.id == delivery)
    ).scalar_one_or_none()
    return str(json.loads(frozen).get(name, "")) if frozen else ""


def get_delivery(connection: Connection, run_id: int, delivery: int) -> DeliveryRecord | None:
    """One delivery."""
    rows: Sequence[DeliveryRecord] = fetch_all(
        connection,
        DeliveryRecord,
        select_as(DeliveryRecord, _delivery).where(_delivery.c.run_id == run_id, _delivery.c.id == delivery),
    )
    return rows[0] if rows else None


def newest_delivered(
    connection: Connection, workspace_id: int, address_key: str, span: tuple[int, int], delivery: int | None = None
) -> DeliveryRecord | None:
    """The newest delivery to an address that was settled as delivered in ``span``; with ``delivery`` that one alone."""
    mine = [_delivery.c.workspace_id == workspace_id, _delivery.c.address_key == address_key]
    if delivery is not None:
        mine += [_delivery.c.run_id == run_of_delivery(delivery), _delivery.c.id == delivery]
    else:
        mine += [_delivery.c.state == "delivered", _delivery.c.settled_at.between(*span)]
    statement = select_as(DeliveryRecord, _delivery).where(*mine).order_by(_delivery.c.settled_at.desc()).limit(1)
    rows = fetch_all(connection, DeliveryRecord, statement)
    return rows[0] if rows else None
