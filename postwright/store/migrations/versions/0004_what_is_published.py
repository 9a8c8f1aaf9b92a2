"""What the owner of a sender domain wants published beside what sending needs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COLUMNS = ("report_address", "dmarc_policy", "logo_url", "certificate_url", "mta_sts_mode", "mta_sts_hosts")


def upgrade() -> None:
    """Apply this version."""
    for name in _COLUMNS:
        op.add_column("sender_domain", sa.Column(name, sa.String(), nullable=True))
    op.add_column("sender_domain", sa.Column("under_platform", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Take this version back."""
    op.drop_column("sender_domain", "under_platform")
    for name in reversed(_COLUMNS):
        op.drop_column("sender_domain", name)
