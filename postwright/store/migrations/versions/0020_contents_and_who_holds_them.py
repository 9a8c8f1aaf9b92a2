"""Contents past their time, and what still refers to a content that goes, quickly found."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_IS_KEPT = sa.text("blob_id IS NOT NULL")
_WHOLE = {
    "ix_message_attachment_blob": "message_attachment",
    "ix_captured_message_blob": "captured_message",
    "ix_received_report_blob": "received_report",
}


def upgrade() -> None:
    """Apply this version."""
    for name, column in (("ix_message_content", "created_at"), ("ix_message_blob", "blob_id")):
        op.create_index(name, "message", [column], sqlite_where=_IS_KEPT, postgresql_where=_IS_KEPT)
    for name, target in _WHOLE.items():
        op.create_index(name, target, ["blob_id"])


def downgrade() -> None:
    """Take this version back."""
    for name, target in _WHOLE.items():
        op.drop_index(name, target)
    for name in ("ix_message_blob", "ix_message_content"):
        op.drop_index(name, "message")
