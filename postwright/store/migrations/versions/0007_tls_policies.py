"""Policies of recipient domains that demand verified TLS, and destinations that keep to them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this version."""
    op.add_column("destination", sa.Column("verified_tls", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "tls_policy",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), sa.ForeignKey("workspace.id"), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("policy_id", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("patterns", sa.String(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("workspace_id", "domain"),
    )


def downgrade() -> None:
    """Take this version back."""
    op.drop_table("tls_policy")
    op.drop_column("destination", "verified_tls")
