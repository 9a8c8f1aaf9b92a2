"""Workspaces with what each begins with: an egress pool and two streams."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from mailtypes.clock import DAY, HOUR, Microseconds
from postwright.store.records import fetch_all, fetch_one, insert_row, select_as, table

_workspace, _stream = table("workspace"), table("stream")
_pool, _source = table("egress_pool"), table("egress_source")


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace."""

    id: int
    name: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream; ``expiry`` in microseconds."""

    id: int
    name: str
    kind: str
    pool_id: int
    expiry: int
    ambiguous_rule: str
    tracks_opens: bool
    tracks_clicks: bool
    one_click: bool


@dataclass(frozen=True, slots=True)
class EgressSource:
    """An address that mail leaves from."""

    id: int
    pool_id: int
    ip: str
    ehlo: str


def create_workspace(connection: Connection, name: str, now: Microseconds) -> int:
    """Make a workspace with its pool and its streams ``marketing`` and ``transactional``; returns its id."""
    workspace_id = insert_row(connection, _workspace, name=name, created_at=now)
    pool_id = insert_row(connection, _pool, workspace_id=workspace_id, name="default")
    for kind, expiry in (("marketing", 48 * HOUR), ("transactional", 5 * DAY)):
        marketing = kind == "marketing"
        insert_row(
            connection,
            _stream,
            workspace_id=workspace_id,
            name=kind,
            kind=kind,
            pool_id=pool_id,
            expiry=expiry,
            ambiguous_rule="retry",
            tracks_opens=marketing,
            tracks_clicks=marketing,
            one_click=marketing,
        )
    return workspace_id


def find_workspace(connection: Connection, name: str) -> Workspace | None:
    """The workspace of that name."""
    return fetch_one(connection, Workspace, _workspace, _workspace.c.name == name)


def list_workspaces(connection: Connection) -> list[Workspace]:
    """All workspaces by age."""
    return fetch_all(connection, Workspace, select_as(Workspace, _workspace).order_by(_workspace.c.id))


def find_stream(connection: Connection, workspace_id: int, name: str) -> Stream | None:
    """The stream of that name."""
    return fetch_one(connection, Stream, _stream, _stream.c.workspace_id == workspace_id, _stream.c.name == name)


def get_stream(connection: Connection, stream_id: int) -> Stream | None:
    """The stream with that id."""
    return fetch_one(connection, Stream, _stream, _stream.c.id == stream_id)


@dataclass(frozen=True, slots=True)
class PooledSource:
    """An address as it is configured: its name in EHLO and the name of its pool."""

    ip: str
    ehlo: str
    pool: str = "default"


def set_egress_sources(
    connection: Connection, workspace_id: int, sources: Sequence[PooledSource], pools: Mapping[str, str]
) -> None:
    """Let the pools of a workspace consist of these addresses, and its streams use ``pools`` (else the default)."""
    connection.execute(_source.delete().where(_source.c.workspace_id == workspace_id))
    pool_ids = {name: _pool_of(connection, workspace_id, name) for name in {one.pool for one in sources} | {"default"}}
    for one in sources:
        pool_id = pool_ids[one.pool]
        insert_row(connection, _source, workspace_id=workspace_id, pool_id=pool_id, ip=one.ip, ehlo=one.ehlo)
    streams = connection.execute(select(_stream.c.id, _stream.c.name).where(_stream.c.workspace_id == workspace_id))
    for stream_id, name in streams.all():
        pool_id = pool_ids.get(pools.get(name, "default"), pool_ids["default"])
        connection.execute(_stream.update().where(_stream.c.id == stream_id).values(pool_id=pool_id))


def _pool_of(connection: Connection, workspace_id: int, name: str) -> int:
    found = select(_pool.c.id).where(_pool.c.workspace_id == workspace_id, _pool.c.name == name)
    pool_id: int | None = connection.execute(found).scalar_one_or_none()
    return insert_row(connection, _pool, workspace_id=workspace_id, name=name) if pool_id is None else pool_id


def list_egress_sources(connection: Connection, workspace_id: int) -> list[EgressSource]:
    """The addresses that a workspace's mail leaves from."""
    statement = select_as(EgressSource, _source).where(_source.c.workspace_id == workspace_id).order_by(_source.c.id)
    return fetch_all(connection, EgressSource, statement)
