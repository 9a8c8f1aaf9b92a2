"""Failed tries to sign in, which all processes count together."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply this version."""
    op.create_table(
        "sign_in_failure",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("name_hash", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_sign_in_failure_name", "sign_in_failure", ["name_hash", "at"])
    op.create_index("ix_sign_in_failure_at", "sign_in_failure", ["at"])


def downgrade() -> None:
    """Take this version back."""
    op.drop_table("sign_in_failure")
