"""Campaigns that several people at one domain send, and which of them each recipient got it from."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this version."""
    for name in ("campaign", "run"):
        op.add_column(name, sa.Column("other_senders", sa.String(), nullable=False, server_default="[]"))
    op.add_column("delivery", sa.Column("sender", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Take this version back."""
    op.drop_column("delivery", "sender")
    for name in ("run", "campaign"):
        op.drop_column(name, "other_senders")
