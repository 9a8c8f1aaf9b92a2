"""Sessions that one sign-in opened in several workspaces belong together."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this version."""
    op.add_column("web_session", sa.Column("family_id", sa.BigInteger(), nullable=True))
    op.create_index("ix_web_session_family_id", "web_session", ["family_id"])


def downgrade() -> None:
    """Take this version back."""
    op.drop_index("ix_web_session_family_id", "web_session")
    op.drop_column("web_session", "family_id")
