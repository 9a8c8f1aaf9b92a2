"""Messages and bulks of API clients: runs without a campaign, whole messages, answers kept, keys with limits."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_KEY_COLUMNS: tuple[sa.Column[Any], ...] = (
    sa.Column("domains", sa.String(), nullable=False, server_default=""),
    sa.Column("addresses", sa.String(), nullable=False, server_default=""),
    sa.Column("is_test", sa.Boolean(), nullable=False, server_default=sa.false()),
    sa.Column("rate_limit", sa.Integer(), nullable=True),
    sa.Column("daily_quota", sa.BigInteger(), nullable=True),
    sa.Column("last_used_at", sa.BigInteger(), nullable=True),
)
_RUN_COLUMNS: tuple[sa.Column[Any], ...] = (
    sa.Column("kind", sa.String(), nullable=False, server_default="campaign"),
    sa.Column("standing_key", sa.String(), nullable=True),
    sa.Column("starts_at", sa.BigInteger(), nullable=True),
    sa.Column("open_until", sa.BigInteger(), nullable=True),
    sa.Column("is_test", sa.Boolean(), nullable=False, server_default=sa.false()),
    sa.Column("tags", sa.String(), nullable=False, server_default="[]"),
)


def upgrade() -> None:
    """Apply this version."""
    with op.batch_alter_table("run") as run:
        run.alter_column("campaign_id", existing_type=sa.BigInteger(), nullable=True)
        run.alter_column("list_id", existing_type=sa.BigInteger(), nullable=True)
        for column in _RUN_COLUMNS:
            run.add_column(column)
        run.create_unique_constraint("uq_run_standing_key", ["workspace_id", "standing_key"])
    with op.batch_alter_table("api_key") as api_key:
        for column in _KEY_COLUMNS:
            api_key.add_column(column)
        api_key.add_column(sa.Column("replaces_id", sa.BigInteger(), nullable=True))
        api_key.create_foreign_key("api_key_replaces_id_fkey", "api_key", ["replaces_id"], ["id"])
    op.add_column("delivery", sa.Column("record_key", sa.String(), nullable=True))
    op.drop_table("message")  # no release has written to it
    _message_tables()
    _answer_tables()


def _message_tables() -> None:
    op.create_table(
        "message",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), sa.ForeignKey("workspace.id"), nullable=False),
        sa.Column("run_id", sa.BigInteger(), sa.ForeignKey("run.id"), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("key_id", sa.BigInteger(), sa.ForeignKey("api_key.id"), nullable=True),
        sa.Column("blob_id", sa.BigInteger(), sa.ForeignKey("blob.id"), nullable=True),
        sa.Column("header_message_id", sa.String(), nullable=False),
        sa.Column("from_address", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("tags", sa.String(), nullable=False),
        sa.Column("client_metadata", sa.String(), nullable=False),
        sa.Column("mail_from", sa.String(), nullable=False),
        sa.Column("notify", sa.String(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("workspace_id", "id"),
    )
    op.create_index("ix_message_header", "message", ["workspace_id", "header_message_id"])
    wants = sa.text("notify IS NOT NULL")
    op.create_index("ix_message_notify", "message", ["id"], sqlite_where=wants, postgresql_where=wants)
    op.create_table(
        "message_link",
        sa.Column("workspace_id", sa.BigInteger(), sa.ForeignKey("workspace.id"), nullable=False),
        sa.Column("message_id", sa.BigInteger(), sa.ForeignKey("message.id"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "number"),
        sa.UniqueConstraint("workspace_id", "message_id", "number"),
    )
    op.create_table(
        "message_attachment",
        sa.Column("workspace_id", sa.BigInteger(), sa.ForeignKey("workspace.id"), nullable=False),
        sa.Column("message_id", sa.BigInteger(), sa.ForeignKey("message.id"), nullable=False),
        sa.Column("blob_id", sa.BigInteger(), sa.ForeignKey("blob.id"), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "blob_id"),
        sa.UniqueConstraint("workspace_id", "message_id", "blob_id"),
    )


def _answer_tables() -> None:
    op.create_table(
        "idempotent_answer",
        sa.Column("id", _ID, nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), sa.ForeignKey("workspace.id"), nullable=False),
        sa.Column("key_id", sa.BigInteger(), sa.ForeignKey("api_key.id"), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("request_sha256", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("workspace_id", "key_id", "idempotency_key"),
    )
    op.create_index("ix_idempotent_answer_created_at", "idempotent_answer", ["created_at"])
    op.create_table(
        "captured_message",
        sa.Column("id", _ID, nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), sa.ForeignKey("workspace.id"), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("mail_from", sa.String(), nullable=False),
        sa.Column("rcpt_to", sa.String(), nullable=False),
        sa.Column("blob_id", sa.BigInteger(), sa.ForeignKey("blob.id"), nullable=False),
        sa.Column("captured_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("workspace_id", "id"),
    )
    op.create_index(op.f("ix_captured_message_delivery_id"), "captured_message", ["delivery_id"])


def downgrade() -> None:
    """Take this version back; what belongs to no campaign is deleted."""
    for name in ("captured_message", "idempotent_answer", "message_attachment", "message_link", "message"):
        op.drop_table(name)
    op.create_table(
        "message",
        sa.Column("id", _ID, nullable=False),
        sa.Column("workspace_id", sa.BigInteger(), sa.ForeignKey("workspace.id"), nullable=False),
        sa.Column("stream_id", sa.BigInteger(), sa.ForeignKey("stream.id"), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("blob_id", sa.BigInteger(), sa.ForeignKey("blob.id"), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("workspace_id", "idempotency_key"),
    )
    without_campaign = "SELECT id FROM run WHERE kind <> 'campaign'"
    for name in ("delivery", "event_count", "run_link", "variant"):
        op.execute(f"DELETE FROM {name} WHERE run_id IN ({without_campaign})")  # noqa: S608  names of ours
    op.execute("DELETE FROM run WHERE kind <> 'campaign'")
    op.drop_column("delivery", "record_key")
    with op.batch_alter_table("api_key") as api_key:
        api_key.drop_constraint("api_key_replaces_id_fkey", type_="foreignkey")
        for name in ("replaces_id", *(column.name for column in _KEY_COLUMNS)):
            api_key.drop_column(name)
    with op.batch_alter_table("run") as run:
        run.drop_constraint("uq_run_standing_key", type_="unique")
        for column in _RUN_COLUMNS:
            run.drop_column(column.name)
        run.alter_column("campaign_id", existing_type=sa.BigInteger(), nullable=False)
        run.alter_column("list_id", existing_type=sa.BigInteger(), nullable=False)
