"""Webhooks, and statistics by run."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _workspace() -> sa.Column[int]:
    return sa.Column("workspace_id", sa.BigInteger(), sa.ForeignKey("workspace.id"), nullable=False)


def _endpoint() -> sa.Column[int]:
    return sa.Column("endpoint_id", sa.BigInteger(), sa.ForeignKey("webhook_endpoint.id"), nullable=False)


def _big(*names: str, nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=nullable) for name in names]


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(), nullable=False) for name in names]


def _counts(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.Integer(), nullable=False) for name in names]


def upgrade() -> None:
    """Apply this version."""
    _tables_of_endpoints()
    _table_of_deliveries()
    _tables_of_statistics()


def downgrade() -> None:
    """Take this version back."""
    for name in ("statistic_mark", "statistic_recipient", "statistic"):
        op.drop_table(name)
    for name in ("webhook_delivery", "webhook_feed", "webhook_secret", "webhook_endpoint"):
        op.drop_table(name)


def _tables_of_endpoints() -> None:
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", _ID, nullable=False, primary_key=True),
        _workspace(),
        *_text("url", "description", "kinds", "state", "reason"),
        *_big("failing_since", "disabled_at", nullable=True),
        *_big("created_at", "updated_at"),
        *_counts("epoch"),
        *_big("lease_until", "turn_at"),
        sa.UniqueConstraint("workspace_id", "id"),
    )
    op.create_table(
        "webhook_secret",
        sa.Column("id", _ID, nullable=False, primary_key=True),
        _workspace(),
        _endpoint(),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        *_text("sealed_with"),
        *_big("created_at"),
        *_big("ends_at", nullable=True),
    )
    op.create_index("ix_webhook_secret_endpoint_id", "webhook_secret", ["endpoint_id"])
    op.create_table(
        "webhook_feed",
        sa.Column("id", _ID, nullable=False, primary_key=True),
        _workspace(),
        _endpoint(),
        *_text("kind"),
        *_big("recorded_at", "event_id"),
        *_big("until_recorded_at", "until_event_id", nullable=True),
        *_counts("failures"),
        *_big("next_attempt_at"),
        *_big("head_event_id", "head_since", nullable=True),
        *_counts("head_attempts"),
        *_big("created_at"),
        *_big("finished_at", nullable=True),
    )
    op.create_index("ix_webhook_feed_endpoint", "webhook_feed", ["endpoint_id", "finished_at"])


def _table_of_deliveries() -> None:
    op.create_table(
        "webhook_delivery",
        sa.Column("id", _ID, nullable=False, primary_key=True),
        _workspace(),
        _endpoint(),
        *_big("feed_id", "event_id", "event_recorded_at"),
        *_text("kind", "state"),
        *_counts("attempts"),
        sa.Column("status", sa.Integer(), nullable=True),
        *_big("duration"),
        *_text("answer", "cause"),
        *_big("first_attempt_at", "last_attempt_at"),
        sa.UniqueConstraint("feed_id", "event_id", name="uq_webhook_delivery_event"),
    )
    op.create_index("ix_webhook_delivery_endpoint", "webhook_delivery", ["endpoint_id", "id"])
    op.create_index("ix_webhook_delivery_age", "webhook_delivery", ["last_attempt_at"])


def _tables_of_statistics() -> None:
    op.create_table(
        "statistic",
        *_big("run_id"),
        *_text("cut", "value"),
        *_counts("variant"),
        *_text("kind", "detail"),
        _workspace(),
        *_big("events", "recipients"),
        sa.PrimaryKeyConstraint("run_id", "cut", "value", "variant", "kind", "detail"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "statistic_recipient",
        *_big("run_id", "delivery_id"),
        _workspace(),
        *_text("counted"),
        sa.PrimaryKeyConstraint("run_id", "delivery_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "statistic_mark",
        sa.Column("workspace_id", sa.BigInteger(), sa.ForeignKey("workspace.id"), primary_key=True, nullable=False),
        *_big("recorded_at", "event_id"),
    )
