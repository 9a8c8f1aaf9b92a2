"""Who is tracked less than others, quickly found; and how many contacts a hygiene plan cannot judge for that reason."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_HAS_TRACKING = sa.text("tracking IS NOT NULL")


def upgrade() -> None:
    """Apply this version."""
    op.add_column("hygiene_plan", sa.Column("unknown", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index(
        "ix_contact_tracking",
        "contact",
        ["workspace_id", "tracking", "id"],
        sqlite_where=_HAS_TRACKING,
        postgresql_where=_HAS_TRACKING,
    )


def downgrade() -> None:
    """Take this version back."""
    op.drop_index("ix_contact_tracking", "contact")
    op.drop_column("hygiene_plan", "unknown")
