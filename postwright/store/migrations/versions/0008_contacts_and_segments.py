"""What is known of contacts: typed fields, tags, consent, activity; and segments over all of it."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _workspace(*, primary_key: bool = False) -> sa.Column[int]:
    return sa.Column(
        "workspace_id", sa.BigInteger(), sa.ForeignKey("workspace.id"), nullable=False, primary_key=primary_key
    )


def _contact(*, primary_key: bool = False) -> sa.Column[int]:
    return sa.Column(
        "contact_id", sa.BigInteger(), sa.ForeignKey("contact.id"), nullable=False, primary_key=primary_key
    )


def _big(*names: str, nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=nullable) for name in names]


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(), nullable=False) for name in names]


def _counts(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.Integer(), nullable=False) for name in names]


def upgrade() -> None:
    """Apply this version."""
    op.add_column("contact", sa.Column("locale", sa.String(), nullable=True))
    op.add_column("contact", sa.Column("time_zone", sa.String(), nullable=True))
    op.add_column("contact", sa.Column("archived_at", sa.BigInteger(), nullable=True))
    op.add_column("contact", sa.Column("tracking", sa.String(), nullable=True))
    op.add_column("contact", sa.Column("last_open_day", sa.Integer(), nullable=True))
    op.create_index(
        "ix_contact_segment",
        "contact",
        ["workspace_id", "archived_at", "id", "created_at", "domain", "last_open_day"],
    )
    op.add_column("contact_list", sa.Column("tracking", sa.String(), nullable=True))
    _tables_of_facts()
    _tables_of_activity()
    op.create_table(
        "segment",
        sa.Column("id", _ID, nullable=False, primary_key=True),
        _workspace(),
        *_text("name", "tree"),
        *_big("created_at", "updated_at"),
        sa.UniqueConstraint("workspace_id", "name"),
    )


def _tables_of_facts() -> None:
    op.create_table(
        "contact_field",
        sa.Column("id", _ID, nullable=False, primary_key=True),
        _workspace(),
        *_text("name", "kind", "choices"),
        *_big("created_at"),
        sa.UniqueConstraint("workspace_id", "name"),
    )
    op.create_table(
        "tag",
        sa.Column("id", _ID, nullable=False, primary_key=True),
        _workspace(),
        *_text("name"),
        *_big("created_at"),
        sa.UniqueConstraint("workspace_id", "name"),
    )
    op.create_table(
        "contact_tag",
        _workspace(primary_key=True),
        sa.Column("tag_id", sa.BigInteger(), sa.ForeignKey("tag.id"), nullable=False, primary_key=True),
        _contact(primary_key=True),
        *_big("tagged_at"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_contact_tag_contact_id", "contact_tag", ["contact_id"])
    op.create_table(
        "consent",
        sa.Column("id", _ID, nullable=False, primary_key=True),
        _workspace(),
        _contact(),
        *_text("scope"),
        *_big("scope_id"),
        *_text("state", "source", "wording"),
        sa.Column("client_ip", sa.String(), nullable=True),
        *_big("occurred_at"),
    )
    op.create_index("ix_consent_contact_id", "consent", ["contact_id", "id"])
    op.create_table(
        "consent_state",
        _workspace(primary_key=True),
        sa.Column("scope", sa.String(), nullable=False, primary_key=True),
        sa.Column("scope_id", sa.BigInteger(), nullable=False, primary_key=True),
        _contact(primary_key=True),
        *_text("state"),
        *_big("occurred_at"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_consent_state_contact_id", "consent_state", ["contact_id"])


def _tables_of_activity() -> None:
    op.create_table(
        "contact_activity",
        sa.Column("contact_id", _ID, sa.ForeignKey("contact.id"), nullable=False, primary_key=True),
        _workspace(),
        *_counts("received"),
        *_big("last_received_at", nullable=True),
        *_counts("opened"),
        *_big("last_opened_at", nullable=True),
        *_counts("clicked"),
        *_big("last_clicked_at", nullable=True),
        *_counts("acted"),
        *_big("last_acted_at", nullable=True),
        *_counts("received_since_opened", "received_since_clicked", "opened_in_a_row", "soft_bounces"),
        *_big("first_soft_bounce_at", "last_soft_bounce_at", nullable=True),
    )
    op.create_table(
        "contact_recent_mail",
        sa.Column("contact_id", _ID, sa.ForeignKey("contact.id"), nullable=False, primary_key=True),
        _workspace(),
        *_text("mails"),
    )
    op.create_table(
        "contact_day",
        _contact(primary_key=True),
        sa.Column("day", sa.Integer(), nullable=False, primary_key=True),
        _workspace(),
        *_counts("received", "opened", "clicked", "acted"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "activity_mark",
        _workspace(primary_key=True),
        *_big("recorded_at", "event_id"),
    )


def downgrade() -> None:
    """Take this version back; what it held is lost."""
    for name in (
        "segment", "activity_mark", "contact_day", "contact_recent_mail", "contact_activity",
        "consent_state", "consent", "contact_tag",
        "tag", "contact_field",
    ):  # fmt: skip
        op.drop_table(name)
    op.drop_column("contact_list", "tracking")
    op.drop_index("ix_contact_segment", "contact")
    for name in ("last_open_day", "tracking", "archived_at", "time_zone", "locale"):
        op.drop_column("contact", name)
