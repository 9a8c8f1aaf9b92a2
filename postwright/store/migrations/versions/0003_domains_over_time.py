"""Sender domains and their keys over time: when to look again, what was known, and since when."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KEY_MOMENTS = ("published_at", "retiring_at", "missing_since")


def upgrade() -> None:
    """Apply this version."""
    op.add_column("sender_domain", sa.Column("next_check_at", sa.BigInteger(), nullable=True))
    op.add_column("sender_domain", sa.Column("known_findings", sa.String(), nullable=True))
    op.create_index("ix_sender_domain_next_check_at", "sender_domain", ["next_check_at"], unique=False)
    for name in _KEY_MOMENTS:
        op.add_column("dkim_key", sa.Column(name, sa.BigInteger(), nullable=True))
    op.add_column("dkim_key", sa.Column("sighting", sa.String(), nullable=True))


def downgrade() -> None:
    """Take this version back."""
    op.drop_column("dkim_key", "sighting")
    for name in reversed(_KEY_MOMENTS):
        op.drop_column("dkim_key", name)
    op.drop_index("ix_sender_domain_next_check_at", table_name="sender_domain")
    op.drop_column("sender_domain", "known_findings")
    op.drop_column("sender_domain", "next_check_at")
