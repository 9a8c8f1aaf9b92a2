"""Campaigns to segments, at their time and tested; deliveries in the order of who reads most."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_CAMPAIGN_COLUMNS: tuple[sa.Column[Any], ...] = (
    sa.Column("audience", sa.String(), nullable=True),
    sa.Column("plan", sa.String(), nullable=False, server_default="{}"),
    sa.Column("frequency_cap", sa.String(), nullable=True),
    sa.Column("experiment", sa.String(), nullable=True),
    sa.Column("longest", sa.BigInteger(), nullable=True),
    sa.Column("starts_at", sa.BigInteger(), nullable=True),
    sa.Column("archived_at", sa.BigInteger(), nullable=True),
    sa.Column("blocked_by", sa.String(), nullable=False, server_default=""),
)
_RUN_COLUMNS: tuple[sa.Column[Any], ...] = (
    sa.Column("audience", sa.String(), nullable=True),
    sa.Column("plan", sa.String(), nullable=False, server_default="{}"),
    sa.Column("frequency_cap", sa.String(), nullable=True),
    sa.Column("expiry", sa.BigInteger(), nullable=True),
)
_VARIANT_COLUMNS: tuple[sa.Column[Any], ...] = (
    sa.Column("name", sa.String(), nullable=False, server_default=""),
    sa.Column("from_name", sa.String(), nullable=True),
    sa.Column("preheader", sa.String(), nullable=True),
)
_HELD = sa.text("state = 'held'")


def upgrade() -> None:
    """Apply this version."""
    with op.batch_alter_table("campaign") as campaign:
        campaign.alter_column("list_id", existing_type=sa.BigInteger(), nullable=True)
        for column in _CAMPAIGN_COLUMNS:
            campaign.add_column(column)
    for column in _RUN_COLUMNS:
        op.add_column("run", column)
    for column in _VARIANT_COLUMNS:
        op.add_column("variant", column)
    op.add_column("delivery", sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
    _index_held("run_id", "domain", "priority")
    op.create_table(
        "experiment",
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("terms", sa.String(), nullable=False),
        sa.Column("cut", sa.String(), nullable=False),
        sa.Column("reached", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("deadline", sa.BigInteger(), nullable=True),
        sa.Column("looked_at", sa.BigInteger(), nullable=True),
        sa.Column("winner", sa.Integer(), nullable=True),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"]),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"]),
        sa.PrimaryKeyConstraint("run_id"),
        sa.UniqueConstraint("workspace_id", "run_id"),
    )
    op.create_index("ix_experiment_state", "experiment", ["state"])


def _index_held(*columns: str) -> None:
    op.drop_index("ix_delivery_held", "delivery")
    op.create_index("ix_delivery_held", "delivery", columns, sqlite_where=_HELD, postgresql_where=_HELD)


def downgrade() -> None:
    """Take this version back. Campaigns without a list have to go first."""
    op.drop_index("ix_experiment_state", "experiment")
    op.drop_table("experiment")
    _index_held("run_id", "domain")
    op.drop_column("delivery", "priority")
    for column in _VARIANT_COLUMNS:
        op.drop_column("variant", column.name)
    for column in _RUN_COLUMNS:
        op.drop_column("run", column.name)
    with op.batch_alter_table("campaign") as campaign:
        for column in _CAMPAIGN_COLUMNS:
            campaign.drop_column(column.name)
        campaign.alter_column("list_id", existing_type=sa.BigInteger(), nullable=False)
