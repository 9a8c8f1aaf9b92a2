"""Opens and clicks in detail, and how far the journals of the tracking role are taken in."""

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from postwright.store.tables.columns import BIG, big, moment, optional_moment, row_id

_UNSETTLED, _NEARBY = text("settled_at IS NULL"), text("neighbourhood IS NOT NULL")


class Engagement(SQLModel, table=True):
    """One fetch of a pixel or a link; ``kind`` is open, click, look (HEAD) or honeypot, ``features`` JSON.

    ``address``, ``user_agent`` and ``neighbourhood`` are thrown away when the verdict is settled. Who withdraws consent
    loses these rows; the events that they explain are cut loose from the person then.
    """

    __tablename__ = "engagement"
    __table_args__ = (
        Index("ix_engagement_delivery", "delivery_id", "occurred_at"),
        Index("ix_engagement_unsettled", "occurred_at", sqlite_where=_UNSETTLED, postgresql_where=_UNSETTLED),
        Index(
            "ix_engagement_neighbourhood",
            "neighbourhood",
            "occurred_at",
            sqlite_where=_NEARBY,
            postgresql_where=_NEARBY,
        ),
    )
    id: int | None = row_id()
    workspace_id: int = big()
    run_id: int = big()
    delivery_id: int = big()
    contact_id: int | None = Field(default=None, sa_type=BIG)
    kind: str
    link: int
    occurred_at: int = moment()
    sent_at: int | None = optional_moment()
    agent: str
    network: str
    features: str
    verdict: str
    rule: str
    event_id: int | None = Field(default=None, sa_type=BIG)
    settled_at: int | None = optional_moment()
    address: str | None = None
    user_agent: str | None = None
    neighbourhood: str | None = None


class TrackJournal(SQLModel, table=True):
    """How many octets of a journal of the tracking role are in the database. A journal serves all workspaces."""

    __tablename__ = "track_journal"
    id: str = Field(primary_key=True)
    taken: int = big()
    changed_at: int = moment()
