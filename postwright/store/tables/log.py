"""The append-only event log and what is rolled up from it."""

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from postwright.store.tables.columns import BIG, big, moment, reference

_ALARM = text(
    "kind IN ('destination_suspended', 'dkim_key_missing', 'domain_drift', 'domain_expiring', 'warmup_paused',"
    " 'webhook_disabled')"
)


class Event(SQLModel, table=True):
    """Something that happened; never changed. Partitioned by ``month`` (yyyymm of ``recorded_at``) on PostgreSQL.

    Ids of processes that write at the same time are in no common order, so readers go by ``(recorded_at, id)``.
    """

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_recorded", "workspace_id", "recorded_at", "id"),
        Index("ix_event_delivery", "delivery_id"),
        Index("ix_event_alarm", "workspace_id", "recorded_at", sqlite_where=_ALARM, postgresql_where=_ALARM),
        {"sqlite_with_rowid": False, "postgresql_partition_by": "RANGE (month)"},
    )
    month: int = Field(primary_key=True)
    id: int = Field(primary_key=True, sa_type=BIG)
    workspace_id: int = big()
    schema_version: int
    kind: str
    occurred_at: int = moment()
    recorded_at: int = moment()
    run_id: int | None = Field(default=None, sa_type=BIG)
    delivery_id: int | None = Field(default=None, sa_type=BIG)
    contact_id: int | None = Field(default=None, sa_type=BIG)
    data: str


class EventCount(SQLModel, table=True):
    """How many events of a kind a run has had, up to the watermark."""

    __tablename__ = "event_count"
    __table_args__ = (UniqueConstraint("workspace_id", "run_id", "kind"),)
    workspace_id: int = reference("workspace.id")
    run_id: int = Field(primary_key=True, sa_type=BIG)
    kind: str = Field(primary_key=True)
    count: int = big()


class Watermark(SQLModel, table=True):
    """Up to where (``recorded_at``, exclusive) the events of a workspace are rolled up."""

    __tablename__ = "watermark"
    workspace_id: int = Field(primary_key=True, foreign_key="workspace.id", sa_type=BIG)
    rolled_up_to: int = moment()
