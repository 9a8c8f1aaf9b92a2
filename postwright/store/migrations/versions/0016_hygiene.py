"""Hygiene: settings, plans, their steps, who is being won back, health of lists; a note beside a suppression."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _workspace(*, primary_key: bool = False) -> sa.Column[int]:
    return sa.Column(
        "workspace_id", sa.BigInteger(), sa.ForeignKey("workspace.id"), nullable=False, primary_key=primary_key
    )


def _big(*names: str, nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=nullable) for name in names]


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(), nullable=False) for name in names]


def upgrade() -> None:
    """Apply this version."""
    op.add_column("suppression", sa.Column("note", sa.String(), nullable=False, server_default=""))
    _tables_of_plans()
    op.create_table(
        "hygiene_setting",
        _workspace(primary_key=True),
        *_text("terms"),
        *_big("last_look_at", "last_pruning_at", nullable=True),
        *_big("updated_at"),
    )
    op.create_table(
        "win_back",
        sa.Column("contact_id", sa.BigInteger(), nullable=False, primary_key=True),
        *_big("workspace_id", "plan_id", "list_id", "began_at"),
    )
    op.create_index("ix_win_back_list", "win_back", ["list_id"])
    op.create_index("ix_win_back_plan", "win_back", ["plan_id"])
    op.create_table(
        "list_health",
        sa.Column("list_id", sa.BigInteger(), sa.ForeignKey("contact_list.id"), nullable=False, primary_key=True),
        *_big("workspace_id"),
        *_text("health", "cause"),
        *_big("sent", "bounced", "complained", "judged_at"),
    )
    op.create_table("hygiene_mark", _workspace(primary_key=True), *_big("recorded_at", "event_id"))


def _tables_of_plans() -> None:
    op.create_table(
        "hygiene_plan",
        sa.Column("id", _ID, nullable=False, primary_key=True),
        _workspace(),
        *_big("list_id", "win_back_list_id", nullable=True),
        *_text("terms", "sentence", "state", "made_by"),
        *_big("cursor", "contacts", "sent", "bounced", "opened"),
        *_big("removed_contacts", "removed_sent", "removed_bounced", "removed_opened", "dormant"),
        *_text("doubt"),
        *_big("made_at"),
        *_big("applied_at", "undone_at", nullable=True),
    )
    op.create_index("ix_hygiene_plan_workspace", "hygiene_plan", ["workspace_id", "id"])
    op.create_table(
        "hygiene_step",
        sa.Column("plan_id", sa.BigInteger(), sa.ForeignKey("hygiene_plan.id"), nullable=False),
        *_big("contact_id", "workspace_id"),
        *_text("move", "why", "state", "before", "after"),
        sa.PrimaryKeyConstraint("plan_id", "contact_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_hygiene_step_state", "hygiene_step", ["plan_id", "state", "contact_id"])


def downgrade() -> None:
    """Take this version back; what was planned can be undone no more."""
    for name in ("hygiene_mark", "list_health", "win_back", "hygiene_step", "hygiene_setting", "hygiene_plan"):
        op.drop_table(name)
    op.drop_column("suppression", "note")
