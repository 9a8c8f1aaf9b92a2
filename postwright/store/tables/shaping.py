"""How destinations and providers are sent to at present, shared by all workers.

A ``scope`` is ``destination:<id>``, ``provider:<name>`` or ``domain:<name>``; ``egress`` is the address that mail
leaves from, empty for all of them.
"""

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from postwright.store.tables.columns import big, moment, optional_moment, reference, row_id


class DestinationPace(SQLModel, table=True):
    """What replies have made of the pace (``mta.shaping.pace.Pace`` as JSON), and when the next message may go.

    The row is also the lock under which connections and slots are shared out.
    """

    __tablename__ = "destination_pace"
    __table_args__ = (UniqueConstraint("workspace_id", "scope", "egress"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    scope: str
    egress: str
    pace: str
    next_free_at: int = big(0)
    changed_at: int = moment()


class Suspension(SQLModel, table=True):
    """Nothing is leased for ``scope`` before ``until`` (none: until somebody resumes it). ``kind``: rule or person."""

    __tablename__ = "suspension"
    __table_args__ = (UniqueConstraint("workspace_id", "scope", "egress", "kind"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    scope: str
    egress: str
    kind: str
    until: int | None = optional_moment()
    reason: str
    created_at: int = moment()


class ConnectionHold(SQLModel, table=True):
    """Connections that a worker may use at a destination, until ``held_until`` in database time."""

    __tablename__ = "connection_hold"
    __table_args__ = (
        UniqueConstraint("workspace_id", "destination_id", "egress", "worker"),
        Index("ix_connection_hold_provider", "workspace_id", "provider", "egress"),
        Index("ix_connection_hold_held_until", "held_until"),
    )
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    destination_id: int = reference("destination.id")
    provider: str
    egress: str
    worker: str = Field(index=True)
    connections: int
    held_until: int = moment()
