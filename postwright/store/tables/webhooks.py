"""Webhooks: endpoints with their secrets, how far each has been told of the log, and what became of each telling."""

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import SQLModel

from postwright.store.tables.columns import big, moment, optional_moment, reference, row_id


class WebhookEndpoint(SQLModel, table=True):
    """A URL that is told of events. ``kinds`` is a JSON list, empty for all; ``state``: enabled or disabled.

    Who delivers to it holds its lease: ``epoch`` counts leases, ``lease_until`` is database time (0: free), and
    ``turn_at`` when the last one began, so that those who have waited longest go first. ``failing_since``: nothing has
    been taken since then.
    """

    __tablename__ = "webhook_endpoint"
    __table_args__ = (UniqueConstraint("workspace_id", "id"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    url: str
    description: str
    kinds: str
    state: str
    reason: str = ""
    failing_since: int | None = optional_moment()
    disabled_at: int | None = optional_moment()
    created_at: int = moment()
    updated_at: int = moment()
    epoch: int = 0
    lease_until: int = big(0)
    turn_at: int = big(0)


class WebhookSecret(SQLModel, table=True):
    """What an endpoint's messages are signed with, sealed under a master key; until ``ends_at`` where it retires."""

    __tablename__ = "webhook_secret"
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    endpoint_id: int = reference("webhook_endpoint.id", index=True)
    sealed: bytes
    sealed_with: str
    created_at: int = moment()
    ends_at: int | None = optional_moment()


class WebhookFeed(SQLModel, table=True):
    """A way through the log for one endpoint: what lies behind ``(recorded_at, event_id)`` has been told.

    ``kind`` is live, which has no end, or replay, which ends at ``(until_recorded_at, until_event_id)``, inclusive.
    ``failures`` in a row set ``next_attempt_at``; ``head_event_id`` is the event that they are about, ``head_since``
    when it was tried first, ``head_attempts`` how often.
    """

    __tablename__ = "webhook_feed"
    __table_args__ = (Index("ix_webhook_feed_endpoint", "endpoint_id", "finished_at"),)
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    endpoint_id: int = reference("webhook_endpoint.id")
    kind: str
    recorded_at: int = moment()
    event_id: int = big()
    until_recorded_at: int | None = optional_moment()
    until_event_id: int | None = optional_moment()
    failures: int = 0
    next_attempt_at: int = big(0)
    head_event_id: int | None = optional_moment()
    head_since: int | None = optional_moment()
    head_attempts: int = 0
    created_at: int = moment()
    finished_at: int | None = optional_moment()


class WebhookDelivery(SQLModel, table=True):
    """What became of telling an endpoint of one event; ``state``: delivered, failing, given_up, skipped.

    ``status`` is HTTP's (none: no answer, see ``cause``), ``duration`` in microseconds, ``answer`` its first octets.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        UniqueConstraint("feed_id", "event_id", name="uq_webhook_delivery_event"),
        Index("ix_webhook_delivery_endpoint", "endpoint_id", "id"),
        Index("ix_webhook_delivery_age", "last_attempt_at"),
    )
    id: int | None = row_id()
    workspace_id: int = reference("workspace.id")
    endpoint_id: int = reference("webhook_endpoint.id")
    feed_id: int = big()
    event_id: int = big()
    event_recorded_at: int = moment()
    kind: str
    state: str
    attempts: int
    status: int | None = None
    duration: int = big()
    answer: str = ""
    cause: str = ""
    first_attempt_at: int = moment()
    last_attempt_at: int = moment()
