"""Opens and clicks in detail; webhooks."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply this version."""
    _create_tracking()


def downgrade() -> None:
    """Take this version back."""
    for name in ("track_journal", "engagement"):
        op.drop_table(name)


def _create_tracking() -> None:
    op.create_table(
        "engagement",
        sa.Column("id", _ID, nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("link", sa.Integer(), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("features", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("user_agent", sa.String(), nullable=True),
        sa.Column("neighbourhood", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_engagement_delivery", "engagement", ["delivery_id", "occurred_at"])
    for name, columns, condition in (
        ("ix_engagement_unsettled", ["occurred_at"], "settled_at IS NULL"),
        ("ix_engagement_neighbourhood", ["neighbourhood", "occurred_at"], "neighbourhood IS NOT NULL"),
    ):
        where = sa.text(condition)
        op.create_index(name, "engagement", columns, sqlite_where=where, postgresql_where=where)
    op.create_table(
        "track_journal",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
