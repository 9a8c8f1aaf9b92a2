"""Imports with options and a report of every row; large files in pieces."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger()


def upgrade() -> None:
    """Apply this version."""
    op.add_column("contact", sa.Column("import_id", _BIG, nullable=True))
    op.add_column("contact", sa.Column("import_line", _BIG, nullable=True))
    op.add_column("import_job", sa.Column("flagged", _BIG, nullable=False, server_default="0"))
    op.add_column("import_job", sa.Column("options", sa.String(), nullable=False, server_default="{}"))
    op.add_column("import_job", sa.Column("fingerprint", sa.String(), nullable=False, server_default=""))
    op.create_index("ix_import_job_fingerprint", "import_job", ["workspace_id", "fingerprint"])
    op.add_column("import_refusal", sa.Column("outcome", sa.String(), nullable=False, server_default="refused"))
    op.add_column("import_refusal", sa.Column("suggestion", sa.String(), nullable=False, server_default=""))
    op.create_table(
        "blob_piece",
        sa.Column("blob_id", _BIG, sa.ForeignKey("blob.id", ondelete="CASCADE"), nullable=False, primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False, primary_key=True),
        sa.Column("workspace_id", _BIG, sa.ForeignKey("workspace.id"), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )


def downgrade() -> None:
    """Take this version back."""
    op.drop_table("blob_piece")
    op.drop_column("import_refusal", "suggestion")
    op.drop_column("import_refusal", "outcome")
    op.drop_index("ix_import_job_fingerprint", "import_job")
    for name in ("fingerprint", "options", "flagged"):
        op.drop_column("import_job", name)
    for name in ("import_line", "import_id"):
        op.drop_column("contact", name)
