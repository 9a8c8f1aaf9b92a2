"""Hygiene: settings, plans with their steps, who is being won back, how lists do, how far the rules have come."""

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from postwright.store.tables.columns import BIG, big, moment, optional_moment, reference, row_id


class HygieneSetting(SQLModel, table=True):
    """How a workspace keeps its lists clean; ``terms`` is JSON (``postwright/services/hygiene_terms.py``)."""

    __tablename__ = "hygiene_setting"
    workspace_id: int = Field(primary_key=True, foreign_key="workspace.id", sa_type=BIG)
    terms: str
    last_look_at: int | None = optional_moment()
    last_pruning_at: int | None = optional_moment()
    updated_at: int = moment()


class HygienePlan(SQLModel, table=True):
    """A plan to prune: over a list, or over all contacts. ``cursor`` is the last contact that was looked at.

    ``state``: making, ready, applying, applied, undoing, undone or discarded. Numbers count the contacts who are
    written to and their mails of the last ninety days; ``removed_...`` is the part of those whom the plan removes.
    ``unknown``: who cannot be judged, since their opens and clicks are not recorded.
    """

    __tablename__ = "hygiene_plan"
    __table_args__ = (Index("ix_hygiene_plan_workspace", "workspace_id", "id"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    list_id: int | None = Field(default=None, sa_type=BIG)
    win_back_list_id: int | None = Field(default=None, sa_type=BIG)
    terms: str
    sentence: str
    state: str
    made_by: str
    cursor: int = big(0)
    contacts: int = big(0)
    sent: int = big(0)
    bounced: int = big(0)
    opened: int = big(0)
    removed_contacts: int = big(0)
    removed_sent: int = big(0)
    removed_bounced: int = big(0)
    removed_opened: int = big(0)
    dormant: int = big(0)
    unknown: int = big(0)
    doubt: str = ""
    made_at: int = moment()
    applied_at: int | None = optional_moment()
    undone_at: int | None = optional_moment()


class HygieneStep(SQLModel, table=True):
    """What a plan does with one contact, and why. ``before`` and ``after`` are JSON facts, by which it is undone.

    ``state``: planned, done, skipped (changed since the plan was made), undone or kept (changed since it was done).
    """

    __tablename__ = "hygiene_step"
    __table_args__ = (
        Index("ix_hygiene_step_state", "plan_id", "state", "contact_id"),
        {"sqlite_with_rowid": False},
    )
    plan_id: int = Field(primary_key=True, foreign_key="hygiene_plan.id", sa_type=BIG)
    contact_id: int = Field(primary_key=True, sa_type=BIG)
    workspace_id: int = big()
    move: str
    why: str
    state: str
    before: str
    after: str


class WinBack(SQLModel, table=True):
    """A contact who is being won back: on the list that the mails of it go to, and to get nothing else meanwhile."""

    __tablename__ = "win_back"
    __table_args__ = (Index("ix_win_back_list", "list_id"), Index("ix_win_back_plan", "plan_id"))
    contact_id: int = Field(primary_key=True, sa_type=BIG)
    workspace_id: int = big()
    plan_id: int = big()
    list_id: int = big()
    began_at: int = moment()


class ListHealth(SQLModel, table=True):
    """How a list did when it was last judged."""

    __tablename__ = "list_health"
    list_id: int = Field(primary_key=True, foreign_key="contact_list.id", sa_type=BIG)
    workspace_id: int = big()
    health: str
    cause: str
    sent: int = big()
    bounced: int = big()
    complained: int = big()
    judged_at: int = moment()


class HygieneMark(SQLModel, table=True):
    """Up to which event (in the order of ``recorded_at`` and id) the rules on contacts' activity have come."""

    __tablename__ = "hygiene_mark"
    workspace_id: int = Field(primary_key=True, foreign_key="workspace.id", sa_type=BIG)
    recorded_at: int = moment()
    event_id: int = big()
