"""Warm-ups, their ramps and what was decided about them (the rules are in ``warmup``)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mailtypes.clock import Microseconds
from postwright.store.records import fetch_all, insert_row, page, select_as, table

_warm_up, _ramp, _decision = table("warm_up"), table("warm_up_ramp"), table("warm_up_decision")
_domain, _pool = table("sender_domain"), table("egress_pool")
_stream = table("stream")


def domain_subject(domain_id: int) -> str:
    """What a sender domain's warm-up is stored under."""
    return f"domain:{domain_id}"


def egress_subject(name: str) -> str:
    """What the warm-up of a place that mail leaves from is stored under; ``name`` is what workers call it."""
    return f"egress:{name}"


@dataclass(frozen=True, slots=True)
class StoredWarmUp:
    """A warm-up; ``plan`` is JSON."""

    id: int
    workspace_id: int
    subject: str
    name: str
    plan: str
    started_at: int
    started_by: str
    ended_at: int | None

    @property
    def is_of_domain(self) -> bool:
        """Whether a sender domain is warmed up, not an address."""
        return self.subject.startswith("domain:")


@dataclass(frozen=True, slots=True)
class StoredRamp:
    """One provider's ramp as it was read; ``state`` is JSON, ``version`` tells whether it is still so."""

    id: int
    workspace_id: int
    warm_up_id: int
    provider: str
    state: str
    version: int
    due_at: int


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """What was decided; ``document`` is JSON."""

    id: int
    workspace_id: int
    warm_up_id: int
    provider: str
    day: str
    action: str
    document: str
    decided_by: str
    decided_at: int


def all_active(connection: Connection) -> list[StoredWarmUp]:
    """Every warm-up that goes on, of all workspaces; a handful."""
    statement = select_as(StoredWarmUp, _warm_up).where(_warm_up.c.ended_at.is_(None))
    return fetch_all(connection, StoredWarmUp, statement.order_by(_warm_up.c.id))


def any_active(connection: Connection, subjects: Sequence[str]) -> bool:
    """Whether one of these subjects is being warmed up."""
    found = select(_warm_up.c.id).where(_warm_up.c.subject.in_(subjects), _warm_up.c.ended_at.is_(None))
    return connection.execute(found.limit(1)).first() is not None


def warm_ups_of(connection: Connection, workspace_id: int) -> list[StoredWarmUp]:
    """The warm-ups of a workspace that go on, in the order in which they were started."""
    mine = (_warm_up.c.workspace_id == workspace_id, _warm_up.c.ended_at.is_(None))
    return fetch_all(connection, StoredWarmUp, select_as(StoredWarmUp, _warm_up).where(*mine).order_by(_warm_up.c.id))


def add_warm_up(
    connection: Connection, workspace_id: int, subject: tuple[str, str], plan: str, by: str, now: Microseconds
) -> int | None:
    """Start a warm-up of ``subject = (its key, its name)``; returns the id, ``None`` where one goes on already."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    key, name = subject
    values = {"workspace_id": workspace_id, "subject": key, "name": name, "plan": plan}
    statement = insert(_warm_up).values(**values, started_at=now, started_by=by).on_conflict_do_nothing()
    made = connection.execute(statement.returning(_warm_up.c.id)).scalar_one_or_none()
    return None if made is None else int(made)


def end_warm_up(connection: Connection, warm_up_id: int, now: Microseconds) -> bool:
    """Let a warm-up end; ``False`` where it had ended."""
    mine = (_warm_up.c.id == warm_up_id, _warm_up.c.ended_at.is_(None))
    return connection.execute(update(_warm_up).where(*mine).values(ended_at=now)).rowcount > 0


def hold_senders(connection: Connection, domain_id: int, stream_id: int) -> None:
    """Let nobody start a warm-up of this domain, or of the stream's pool, before this transaction ends.

    Who releases mail without a budget has looked whether there is one; it must not come between. SQLite has one writer
    at a time anyway.
    """
    if connection.dialect.name == "sqlite":
        return
    held = select(_domain.c.id).where(_domain.c.id == domain_id)
    connection.execute(held.with_for_update(read=True, key_share=True))
    pool = select(_pool.c.id).join(_stream, _stream.c.pool_id == _pool.c.id).where(_stream.c.id == stream_id)
    connection.execute(pool.with_for_update(read=True, key_share=True, of=_pool))


def close_senders(connection: Connection, domain_id: int | None, pool: str | None) -> None:
    """Wait for everybody in :func:`hold_senders` of this domain, or of the pools of this name (all, where ``None``)."""
    if connection.dialect.name == "sqlite":
        return
    statement = select(_domain.c.id).where(_domain.c.id == domain_id)
    if domain_id is None:
        statement = select(_pool.c.id).order_by(_pool.c.id)
        statement = statement if pool is None else statement.where(_pool.c.name == pool)
    connection.execute(statement.with_for_update())


def ramps_of(connection: Connection, warm_up_ids: Sequence[int], provider: str | None = None) -> list[StoredRamp]:
    """The ramps of these warm-ups by provider."""
    conditions: list[ColumnElement[bool]] = [_ramp.c.warm_up_id.in_(warm_up_ids)]
    if provider is not None:
        conditions.append(_ramp.c.provider == provider)
    statement = select_as(StoredRamp, _ramp).where(*conditions).order_by(_ramp.c.provider, _ramp.c.id)
    return fetch_all(connection, StoredRamp, statement)


def due_ramps(connection: Connection, now: Microseconds, *, limit: int = 100) -> list[StoredRamp]:
    """Up to ``limit`` ramps of warm-ups that go on whose day is over, and not judged yet."""
    statement = (
        select_as(StoredRamp, _ramp)
        .join(_warm_up, _warm_up.c.id == _ramp.c.warm_up_id)
        .where(_ramp.c.due_at <= now, _warm_up.c.ended_at.is_(None))
        .order_by(_ramp.c.due_at, _ramp.c.id)
        .limit(limit)
    )
    return fetch_all(connection, StoredRamp, statement)


def add_ramp(connection: Connection, warm_up: StoredWarmUp, provider: str, state: str, due_at: int) -> bool:
    """Begin a provider's ramp; ``False`` where somebody has meanwhile."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    values = {"workspace_id": warm_up.workspace_id, "warm_up_id": warm_up.id, "provider": provider, "state": state}
    statement = insert(_ramp).values(**values, version=1, due_at=due_at).on_conflict_do_nothing()
    return connection.execute(statement.returning(_ramp.c.id)).first() is not None


def save_ramp(connection: Connection, ramp: StoredRamp, state: str, due_at: int) -> bool:
    """Move a ramp on from where it was read; ``False`` where somebody else has moved it since."""
    same = (_ramp.c.id == ramp.id, _ramp.c.version == ramp.version)
    values = {"state": state, "due_at": due_at, "version": ramp.version + 1}
    return connection.execute(update(_ramp).where(*same).values(**values)).rowcount > 0


def still_stand(connection: Connection, ramps: Sequence[StoredRamp]) -> bool:
    """Whether these ramps and their warm-ups are as they were read; they stay so until this transaction ends."""
    for one in sorted(ramps, key=lambda ramp: ramp.id):
        statement = (
            select(_ramp.c.id)
            .join(_warm_up, _warm_up.c.id == _ramp.c.warm_up_id)
            .where(_ramp.c.id == one.id, _ramp.c.version == one.version, _warm_up.c.ended_at.is_(None))
        )
        if connection.execute(statement.with_for_update(read=True)).first() is None:
            return False
    return True


@dataclass(frozen=True, slots=True)
class NewDecision:
    """A decision to write down; ``document`` is JSON, ``by`` a person, or empty where the rules decided."""

    provider: str
    day: str
    action: str
    document: str
    by: str = ""


def add_decision(connection: Connection, warm_up: StoredWarmUp, new: NewDecision, now: Microseconds) -> int:
    """Write a decision down; nothing changes it any more."""
    return insert_row(
        connection,
        _decision,
        workspace_id=warm_up.workspace_id,
        warm_up_id=warm_up.id,
        provider=new.provider,
        day=new.day,
        action=new.action,
        document=new.document,
        decided_by=new.by,
        decided_at=now,
    )


def decisions_of(
    connection: Connection, warm_up_id: int, *, provider: str | None = None, limit: int = 500
) -> list[StoredDecision]:
    """The last ``limit`` decisions about a warm-up, the latest last."""
    conditions: list[ColumnElement[bool]] = [_decision.c.warm_up_id == warm_up_id]
    if provider is not None:
        conditions.append(_decision.c.provider == provider)
    statement = select_as(StoredDecision, _decision).where(*conditions).order_by(_decision.c.id.desc()).limit(limit)
    return fetch_all(connection, StoredDecision, statement)[::-1]


def decisions_after(
    connection: Connection, warm_up_id: int, *, provider: str | None = None, after: int = 0, limit: int = 100
) -> list[StoredDecision]:
    """Decisions about a warm-up in their order, beginning behind the id ``after``."""
    conditions: list[ColumnElement[bool]] = [_decision.c.warm_up_id == warm_up_id]
    if provider is not None:
        conditions.append(_decision.c.provider == provider)
    return page(connection, StoredDecision, _decision, conditions, after=after, limit=limit)


def stream_pool(connection: Connection, stream_id: int) -> tuple[str, str]:
    """The kind of a stream and the name of its pool."""
    statement = (
        select(_stream.c.kind, _pool.c.name)
        .join(_pool, _pool.c.id == _stream.c.pool_id)
        .where(_stream.c.id == stream_id)
    )
    kind, pool = connection.execute(statement).one()
    return str(kind), str(pool)


def by_id(found: Sequence[StoredWarmUp]) -> Mapping[int, StoredWarmUp]:
    """Warm-ups by their ids."""
    return {one.id: one for one in found}
