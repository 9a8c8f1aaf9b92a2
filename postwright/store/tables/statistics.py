"""What is counted of the event log by run, and what is needed to count each recipient once."""

from sqlmodel import Field, SQLModel

from postwright.store.tables.columns import BIG, big, moment, reference


class Statistic(SQLModel, table=True):
    """Counts of a run's events by one ``cut`` at a time: hour, domain, provider or link, with its ``value``.

    ``detail`` is the verdict of opens and clicks, the reason of refusals, the way of an unsubscribe. ``events`` counts
    all, ``recipients`` each recipient once.
    """

    __tablename__ = "statistic"
    __table_args__ = ({"sqlite_with_rowid": False},)
    run_id: int = Field(primary_key=True, sa_type=BIG)
    cut: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    variant: int = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    detail: str = Field(primary_key=True)
    workspace_id: int = reference("workspace.id")
    events: int = big()
    recipients: int = big()


class StatisticRecipient(SQLModel, table=True):
    """What a recipient has been counted for already, as JSON (``postwright.store.statistics``).

    Only for those who did something, or to whom something happened that can happen twice. Who withdraws consent loses
    this row.
    """

    __tablename__ = "statistic_recipient"
    __table_args__ = ({"sqlite_with_rowid": False},)
    run_id: int = Field(primary_key=True, sa_type=BIG)
    delivery_id: int = Field(primary_key=True, sa_type=BIG)
    workspace_id: int = reference("workspace.id")
    counted: str


class StatisticMark(SQLModel, table=True):
    """Up to which event (in the order of ``recorded_at`` and id) a workspace's statistics are rolled up."""

    __tablename__ = "statistic_mark"
    workspace_id: int = Field(primary_key=True, foreign_key="workspace.id", sa_type=BIG)
    recorded_at: int = moment()
    event_id: int = big()
