"""The pace of destinations, suspensions, and the connections that workers hold."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply this version."""
    op.create_table(
        "destination_pace",
        sa.Column("id", _ID, nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), sa.ForeignKey("workspace.id"), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("egress", sa.String(), nullable=False),
        sa.Column("pace", sa.String(), nullable=False),
        sa.Column("next_free_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("workspace_id", "scope", "egress"),
    )
    op.create_table(
        "suspension",
        sa.Column("id", _ID, nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), sa.ForeignKey("workspace.id"), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("egress", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("workspace_id", "scope", "egress", "kind"),
    )
    op.create_table(
        "connection_hold",
        sa.Column("id", _ID, nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), sa.ForeignKey("workspace.id"), nullable=False),
        sa.Column("destination_id", sa.BigInteger(), sa.ForeignKey("destination.id"), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("egress", sa.String(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("connections", sa.Integer(), nullable=False),
        sa.Column("held_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("workspace_id", "destination_id", "egress", "worker"),
    )
    op.create_index("ix_connection_hold_provider", "connection_hold", ["workspace_id", "provider", "egress"])
    op.create_index("ix_connection_hold_held_until", "connection_hold", ["held_until"])
    op.create_index(op.f("ix_connection_hold_worker"), "connection_hold", ["worker"])


def downgrade() -> None:
    """Take this version back."""
    for name in ("connection_hold", "suspension", "destination_pace"):
        op.drop_table(name)
