"""Who changed what, and an index for the few events that are alarms."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ALARMS = sa.text(
    "kind IN ('destination_suspended', 'dkim_key_missing', 'domain_drift', 'domain_expiring', 'warmup_paused',"
    " 'webhook_disabled')"
)


def upgrade() -> None:
    """Apply this version."""
    op.create_table(
        "audit_entry",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), sa.ForeignKey("workspace.id"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("way", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_audit_entry_workspace", "audit_entry", ["workspace_id", "id"])
    op.create_index(
        "ix_event_alarm", "event", ["workspace_id", "recorded_at"], sqlite_where=_ALARMS, postgresql_where=_ALARMS
    )


def downgrade() -> None:
    """Take this version back."""
    op.drop_index("ix_event_alarm", "event")
    op.drop_table("audit_entry")
