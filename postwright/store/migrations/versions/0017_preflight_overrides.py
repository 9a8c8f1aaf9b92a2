"""Findings of pre-flight that somebody overruled."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _reference(name: str, target: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), sa.ForeignKey(target), nullable=False)


def upgrade() -> None:
    """Apply this version."""
    op.create_table(
        "preflight_override",
        sa.Column("id", _ID, nullable=False, primary_key=True),
        _reference("workspace_id", "workspace.id"),
        _reference("campaign_id", "campaign.id"),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("code", "content", "sentence", "who", "note")),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_at", sa.BigInteger(), nullable=True),
        sa.Column("withdrawn_by", sa.String(), nullable=False),
    )
    op.create_index("ix_preflight_override_campaign", "preflight_override", ["campaign_id", "id"])


def downgrade() -> None:
    """Take this version back."""
    op.drop_table("preflight_override")
