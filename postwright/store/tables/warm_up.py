"""Warm-ups: whose mail grows by which plan, where each ramp stands, what was decided, and the days that it rests on.

A ``subject`` is ``domain:<id of the sender domain>`` or ``egress:<name of the place that mail leaves from>``. Days are
ISO dates in the zone of the subject's plan, UTC where it has none.
"""

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from postwright.store.tables.columns import BIG, big, moment, optional_moment, reference, row_id

_ACTIVE = text("ended_at IS NULL")


class WarmUp(SQLModel, table=True):
    """A subject that is warmed up until ``ended_at``; ``plan`` is JSON, ``name`` is what people call the subject."""

    __tablename__ = "warm_up"
    __table_args__ = (
        UniqueConstraint("workspace_id", "subject", "started_at"),
        Index("ix_warm_up_active", "subject", unique=True, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE),
    )
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    subject: str
    name: str
    plan: str
    started_at: int = moment()
    started_by: str
    ended_at: int | None = optional_moment()


class WarmUpRamp(SQLModel, table=True):
    """One provider's ramp; ``state`` is JSON of ``warmup.ramp.WarmUp``.

    ``version`` counts its changes. At ``due_at`` the day that is to be judged next has ended.
    """

    __tablename__ = "warm_up_ramp"
    __table_args__ = (
        UniqueConstraint("workspace_id", "warm_up_id", "provider"),
        Index("ix_warm_up_ramp_due", "due_at"),
    )
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    warm_up_id: int = reference("warm_up.id", index=True)
    provider: str
    state: str
    version: int = 1
    due_at: int = moment()


class WarmUpDecision(SQLModel, table=True):
    """What was decided about a ramp, for good; ``document`` is JSON with the evidence, ``decided_by`` a person."""

    __tablename__ = "warm_up_decision"
    __table_args__ = (Index("ix_warm_up_decision_day", "warm_up_id", "day"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    warm_up_id: int = reference("warm_up.id")
    provider: str
    day: str
    action: str
    document: str
    decided_by: str
    decided_at: int = moment()


class ProviderDay(SQLModel, table=True):
    """One day of a subject with a provider, counted from a workspace's events, and what was imported about it.

    ``blocks`` is JSON: refusals by reason. ``untracked``: messages sent of which nobody can know who read them.
    """

    __tablename__ = "provider_day"
    __table_args__ = (UniqueConstraint("workspace_id", "subject", "provider", "day"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    subject: str = Field(index=True)
    provider: str
    day: str
    attempts: int = big(0)
    sent: int = big(0)
    deferrals: int = big(0)
    blocks: str = "{}"
    hard_bounces: int = big(0)
    complaints: int = big(0)
    engaged: int = big(0)
    untracked: int = big(0)
    reported_spam_rate: float | None = None
    reputation: str | None = None


class WarmUpMark(SQLModel, table=True):
    """How far a workspace's events are counted into days, and through which day sudden jumps were looked for."""

    __tablename__ = "warm_up_mark"
    workspace_id: int = Field(primary_key=True, foreign_key="workspace.id", sa_type=BIG)
    recorded_at: int = moment()
    event_id: int = big(0)
    jumps_through: str = ""
