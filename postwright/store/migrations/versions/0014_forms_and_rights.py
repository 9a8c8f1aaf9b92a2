"""Sign-up forms and sign-ups, what contacts chose, and lists that they may see."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _id() -> sa.Column[int]:
    return sa.Column("id", _ID, nullable=False, primary_key=True)


def _refers(name: str, target: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), sa.ForeignKey(target), nullable=nullable)


def _big(*names: str, nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=nullable) for name in names]


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(), nullable=False) for name in names]


def upgrade() -> None:
    """Apply this version."""
    op.create_table(
        "sign_up_form",
        _id(),
        _refers("workspace_id", "workspace.id"),
        *_text("name", "title", "wording", "language", "list_ids", "fields", "from_address", "from_name"),
        _refers("template_id", "template.id", nullable=True),
        *_text("return_url"),
        *_big("created_at"),
        *_big("closed_at", nullable=True),
        sa.UniqueConstraint("workspace_id", "name"),
    )
    _sign_ups()
    op.create_table(
        "contact_preference",
        sa.Column("contact_id", _ID, sa.ForeignKey("contact.id"), nullable=False, primary_key=True),
        _refers("workspace_id", "workspace.id"),
        sa.Column("most_mails", sa.Integer(), nullable=False),
        sa.Column("within_days", sa.Integer(), nullable=False),
        *_big("updated_at"),
    )
    op.create_table(
        "public_list",
        sa.Column("list_id", _ID, sa.ForeignKey("contact_list.id"), nullable=False, primary_key=True),
        _refers("workspace_id", "workspace.id"),
        *_text("title", "description"),
    )


def _sign_ups() -> None:
    op.create_table(
        "sign_up",
        _id(),
        _refers("workspace_id", "workspace.id"),
        _refers("form_id", "sign_up_form.id"),
        *_text("address", "address_key", "domain", "fields", "language", "list_ids", "wording"),
        *_text("client_ip", "network", "state", "cause"),
        *_big("delivery_id", nullable=True),
        *_big("created_at"),
        *_big("asked_at", "confirmed_at", nullable=True),
        sa.Column("confirmed_ip", sa.String(), nullable=True),
    )
    op.create_index("ix_sign_up_address", "sign_up", ["workspace_id", "address_key", "created_at"])
    op.create_index("ix_sign_up_network", "sign_up", ["workspace_id", "network", "created_at"])
    op.create_index("ix_sign_up_form", "sign_up", ["form_id", "created_at"])
    op.create_index("ix_sign_up_state", "sign_up", ["state", "created_at"])


def downgrade() -> None:
    """Take this version back."""
    for name in ("public_list", "contact_preference", "sign_up", "sign_up_form"):
        op.drop_table(name)
