"""The pace of destinations and providers, shared by all workers: what replies made of it, slots, connections.

Whoever changes or takes something locks the row of its scope first, in the order of the scopes: on PostgreSQL two
workers never get the same remainder, and on SQLite there is one writer at a time anyway.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Connection, delete, func, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from mailtypes.clock import Microseconds
from mta.shaping.pace import ChangeKind, Pace, PaceChange
from mta.shaping.slots import Slots, interval_of, returned, take_slots
from postwright.store import events, suspensions
from postwright.store.database import TIME_SQL
from postwright.store.records import table
from postwright.store.suspensions import By, Suspended

_pace, _hold = table("destination_pace"), table("connection_hold")


@dataclass(frozen=True, slots=True, order=True)
class PaceKey:
    """Whose pace: a scope of a workspace, sent to from one address (``egress``)."""

    scope: str
    workspace_id: int
    egress: str


@dataclass(frozen=True, slots=True)
class HoldKey:
    """Whose connections: a worker's at a destination from one address."""

    workspace_id: int
    destination_id: int
    provider: str
    egress: str
    worker: str

    @property
    def paces(self) -> tuple[PaceKey, PaceKey]:
        """The pace of the destination and that of its provider."""
        return (
            PaceKey(suspensions.destination_scope(self.destination_id), self.workspace_id, self.egress),
            PaceKey(suspensions.provider_scope(self.provider), self.workspace_id, self.egress),
        )


def load_paces(connection: Connection, keys: Sequence[PaceKey]) -> dict[PaceKey, Pace]:
    """The pace of each key; one that nobody has troubled yet is at its ceiling."""
    found: dict[PaceKey, Pace] = {}
    for key in keys:
        stored = connection.execute(select(_pace.c.pace).where(*_same(key))).scalar_one_or_none()
        found[key] = Pace.from_json(stored) if stored else Pace()
    return found


def change_pace(
    connection: Connection,
    key: PaceKey,
    decide: Callable[[Pace], PaceChange | None],
    told: Mapping[str, object],
    now: Microseconds,
) -> PaceChange | None:
    """Let ``decide`` change a pace while nobody else does; what can be noticed leaves an event with ``told`` in it."""
    pace, _ = _lock(connection, key, now)
    change = decide(pace)
    if change is None:
        return None
    _save(connection, key, change.after, now)
    if change.is_visible:
        _tell_suspensions(connection, key, change, now)
        data = {**told, "scope": key.scope, "egress": key.egress, **change.document()}
        kind = f"destination_{change.kind}"
        events.append(connection, [events.NewEvent(key.workspace_id, kind, change.at, data=data)], now)
    return change


def _tell_suspensions(connection: Connection, key: PaceKey, change: PaceChange, now: Microseconds) -> None:
    suspended = Suspended(key.workspace_id, key.scope, key.egress)
    if change.kind is ChangeKind.SUSPENDED:
        reason = f"{change.rule}: {change.evidence}"
        suspensions.suspend(connection, suspended, By.RULE, reason, change.until, now)
    elif change.before.suspended_until is not None and change.after.suspended_until is None:
        suspensions.resume(connection, suspended, By.RULE)


def reserve_slots(
    connection: Connection, rates: Mapping[PaceKey, float], wanted: int, now: Microseconds, horizon: int
) -> dict[PaceKey, Slots]:
    """Slots of every key's rate (messages a second), up to ``wanted`` and as many of each; see ``take_slots``."""
    free = {key: _lock(connection, key, now)[1] for key in sorted(rates)}
    offered = {key: take_slots(free[key], interval_of(rate), wanted, now, horizon) for key, rate in rates.items()}
    count = min(slots.count for slots in offered.values())
    taken = {key: replace(slots, count=count) for key, slots in offered.items()}
    for key, slots in taken.items() if count else ():
        connection.execute(update(_pace).where(*_same(key)).values(next_free_at=slots.end))
    return taken


def return_slots(connection: Connection, taken: Mapping[PaceKey, Slots], used: int, now: Microseconds) -> None:
    """Give back what was not needed; slots that somebody has gone on from simply pass."""
    for key in sorted(taken):
        _, free = _lock(connection, key, now)
        connection.execute(update(_pace).where(*_same(key)).values(next_free_at=returned(free, taken[key], used)))


def hold_connections(
    connection: Connection, key: HoldKey, wanted: int, caps: tuple[int | None, int | None], duration: int
) -> int:
    """Let a worker use up to ``wanted`` connections for ``duration`` microseconds; returns how many it may.

    ``caps`` are those of the destination and of the provider, over all workers. A hold that ran out counts no more,
    so what a worker left behind comes back by itself. Where a cap was lowered, a worker gets fewer than it had.
    """
    time = TIME_SQL[connection.dialect.name]
    now = Microseconds(int(connection.execute(text(f"SELECT {time}")).scalar_one()))
    for pace_key in sorted(key.paces):
        _lock(connection, pace_key, now)
    connection.execute(delete(_hold).where(_hold.c.held_until <= now))
    granted = max(0, min(wanted, *(_left(connection, key, cap, place) for place, cap in enumerate(caps))))
    own = {"workspace_id": key.workspace_id, "destination_id": key.destination_id, "egress": key.egress}
    if not granted:
        connection.execute(delete(_hold).where(*_own(key)))
        return 0
    values = {"provider": key.provider, "connections": granted, "held_until": now + duration}
    statement = _insert(connection)(_hold).values(**own, worker=key.worker, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=[*own, "worker"], set_=values))
    return granted


def keep_connections(connection: Connection, key: HoldKey, connections: int, duration: int) -> bool:
    """Renew a worker's hold for as many as it uses, no more than it had; ``False`` where it ran out before."""
    now = int(connection.execute(text(f"SELECT {TIME_SQL[connection.dialect.name]}")).scalar_one())
    if not connections:
        connection.execute(delete(_hold).where(*_own(key)))
        return True
    live = (*_own(key), _hold.c.held_until > now, _hold.c.connections >= connections)
    renewed = update(_hold).where(*live).values(connections=connections, held_until=now + duration)
    return connection.execute(renewed).rowcount > 0


def _left(connection: Connection, key: HoldKey, cap: int | None, place: int) -> int:
    """What the others leave of a cap: of the destination's (``place`` 0) or the provider's."""
    if cap is None:
        return 1 << 30
    column, value = ((_hold.c.destination_id, key.destination_id), (_hold.c.provider, key.provider))[place]
    others = select(func.coalesce(func.sum(_hold.c.connections), 0)).where(
        _hold.c.workspace_id == key.workspace_id,
        column == value,
        _hold.c.egress == key.egress,
        (_hold.c.worker != key.worker) | (_hold.c.destination_id != key.destination_id),
    )
    return cap - int(connection.execute(others).scalar_one())


def let_go(connection: Connection, worker: str) -> None:
    """Give back every connection that ``worker`` holds."""
    connection.execute(delete(_hold).where(_hold.c.worker == worker))


def connections_held(connection: Connection, workspace_id: int) -> dict[int, int]:
    """By destination, how many connections workers may use at the moment."""
    live = text(f"connection_hold.held_until > {TIME_SQL[connection.dialect.name]}")
    statement = (
        select(_hold.c.destination_id, func.sum(_hold.c.connections))
        .where(_hold.c.workspace_id == workspace_id, live)
        .group_by(_hold.c.destination_id)
    )
    return {int(row[0]): int(row[1]) for row in connection.execute(statement)}


def share_of_connections(connection: Connection, key: HoldKey) -> float:
    """Which part of all connections to the provider from this address are the worker's own; 1 where it has none."""
    mine = func.coalesce(func.sum(_hold.c.connections).filter(_hold.c.worker == key.worker), 0)
    row = connection.execute(
        select(mine, func.coalesce(func.sum(_hold.c.connections), 0)).where(
            _hold.c.workspace_id == key.workspace_id, _hold.c.provider == key.provider, _hold.c.egress == key.egress
        )
    ).one()
    return int(row[0]) / int(row[1]) if row[0] else 1.0


def list_paces(connection: Connection, workspace_id: int) -> dict[PaceKey, Pace]:
    """Every pace of a workspace that was ever changed."""
    statement = select(_pace.c.scope, _pace.c.egress, _pace.c.pace).where(_pace.c.workspace_id == workspace_id)
    return {PaceKey(row[0], workspace_id, row[1]): Pace.from_json(row[2]) for row in connection.execute(statement)}


def _lock(connection: Connection, key: PaceKey, now: Microseconds) -> tuple[Pace, int]:
    """The pace and its next free slot, locked until the transaction ends; the row is made where there is none."""
    touch = update(_pace).where(*_same(key)).values(next_free_at=_pace.c.next_free_at)
    returning = touch.returning(_pace.c.pace, _pace.c.next_free_at)
    row = connection.execute(returning).one_or_none()
    if row is None:
        values = {"workspace_id": key.workspace_id, "scope": key.scope, "egress": key.egress}
        new = _insert(connection)(_pace).values(**values, pace=Pace().to_json(), next_free_at=0, changed_at=now)
        connection.execute(new.on_conflict_do_nothing())
        row = connection.execute(returning).one()
    return Pace.from_json(row[0]), int(row[1])


def _save(connection: Connection, key: PaceKey, pace: Pace, now: Microseconds) -> None:
    connection.execute(update(_pace).where(*_same(key)).values(pace=pace.to_json(), changed_at=now))


def _same(key: PaceKey) -> tuple[ColumnElement[bool], ...]:
    return (_pace.c.workspace_id == key.workspace_id, _pace.c.scope == key.scope, _pace.c.egress == key.egress)


def _own(key: HoldKey) -> tuple[ColumnElement[bool], ...]:
    return (
        _hold.c.workspace_id == key.workspace_id,
        _hold.c.destination_id == key.destination_id,
        _hold.c.egress == key.egress,
        _hold.c.worker == key.worker,
    )


def _insert(connection: Connection) -> Callable[..., postgresql.Insert | sqlite.Insert]:
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
