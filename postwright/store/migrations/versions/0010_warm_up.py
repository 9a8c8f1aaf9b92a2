"""Warm-ups with their ramps, decisions and days; each delivery knows the place that it leaves from."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_DAY = 86_400_000_000
_ACTIVE = sa.text("ended_at IS NULL")
_GRANTED = sa.text("granted_until IS NOT NULL AND state IN ('ready', 'deferred')")


def _row_id() -> sa.Column[Any]:
    return sa.Column("id", _ID, primary_key=True)


def _workspace() -> sa.Column[Any]:
    return sa.Column("workspace_id", sa.BigInteger(), sa.ForeignKey("workspace.id"), nullable=False)


def _big(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def _texts(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.String(), nullable=False) for name in names]


def upgrade() -> None:
    """Apply this version; who was ramped by the old plans goes on at the level of the last day with mail."""
    _create_warm_ups()
    _create_days()
    _carry_over()
    op.drop_column("sender_domain", "ramp_plan")
    op.drop_column("sender_domain", "ramp_started_at")
    op.add_column("delivery", sa.Column("egress", sa.String(), nullable=True))
    op.add_column("delivery", sa.Column("granted_until", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_delivery_granted", "delivery", ["next_attempt_at"], sqlite_where=_GRANTED, postgresql_where=_GRANTED
    )


def downgrade() -> None:
    """Take this version back; warm-ups are lost."""
    op.drop_index("ix_delivery_granted", "delivery")
    op.drop_column("delivery", "granted_until")
    op.drop_column("delivery", "egress")
    op.add_column("sender_domain", sa.Column("ramp_plan", sa.String(), nullable=True))
    op.add_column("sender_domain", sa.Column("ramp_started_at", sa.BigInteger(), nullable=True))
    for name in ("warm_up_mark", "provider_day", "warm_up_decision", "warm_up_ramp", "warm_up"):
        op.drop_table(name)


def _create_warm_ups() -> None:
    op.create_table(
        "warm_up",
        _row_id(),
        _workspace(),
        *_texts("subject", "name", "plan"),
        *_big("started_at"),
        *_texts("started_by"),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.UniqueConstraint("workspace_id", "subject", "started_at"),
    )
    op.create_index(
        "ix_warm_up_active", "warm_up", ["subject"], unique=True, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE
    )
    op.create_table(
        "warm_up_ramp",
        _row_id(),
        _workspace(),
        sa.Column("warm_up_id", sa.BigInteger(), sa.ForeignKey("warm_up.id"), nullable=False),
        *_texts("provider", "state"),
        sa.Column("version", sa.Integer(), nullable=False),
        *_big("due_at"),
        sa.UniqueConstraint("workspace_id", "warm_up_id", "provider"),
    )
    op.create_index("ix_warm_up_ramp_due", "warm_up_ramp", ["due_at"])
    op.create_index("ix_warm_up_ramp_warm_up_id", "warm_up_ramp", ["warm_up_id"])
    op.create_table(
        "warm_up_decision",
        _row_id(),
        _workspace(),
        sa.Column("warm_up_id", sa.BigInteger(), sa.ForeignKey("warm_up.id"), nullable=False),
        *_texts("provider", "day", "action", "document", "decided_by"),
        *_big("decided_at"),
    )
    op.create_index("ix_warm_up_decision_day", "warm_up_decision", ["warm_up_id", "day"])


def _create_days() -> None:
    op.create_table(
        "provider_day",
        _row_id(),
        _workspace(),
        *_texts("subject", "provider", "day"),
        *_big("attempts", "sent", "deferrals"),
        *_texts("blocks"),
        *_big("hard_bounces", "complaints", "engaged", "untracked"),
        sa.Column("reported_spam_rate", sa.Float(), nullable=True),
        sa.Column("reputation", sa.String(), nullable=True),
        sa.UniqueConstraint("workspace_id", "subject", "provider", "day"),
    )
    op.create_index("ix_provider_day_subject", "provider_day", ["subject"])
    op.create_table(
        "warm_up_mark",
        sa.Column("workspace_id", sa.BigInteger(), sa.ForeignKey("workspace.id"), primary_key=True),
        *_big("recorded_at", "event_id"),
        *_texts("jumps_through"),
    )


def _carry_over() -> None:
    """The old plans counted calendar days (UTC) from the first verification; each provider had its own use of them."""
    bind = op.get_bind()
    found = bind.execute(
        sa.text(
            "SELECT id, workspace_id, name, ramp_plan, COALESCE(ramp_started_at, created_at) AS begun"
            " FROM sender_domain WHERE ramp_plan IS NOT NULL"
        )
    ).all()
    for domain in found:
        plan = json.dumps({"preset": domain.ramp_plan})
        values = {
            "workspace": domain.workspace_id, "subject": f"domain:{domain.id}", "name": domain.name, "plan": plan,
            "begun": domain.begun,
        }  # fmt: skip
        warm_up_id = bind.execute(
            sa.text(
                "INSERT INTO warm_up (workspace_id, subject, name, plan, started_at, started_by)"
                " VALUES (:workspace, :subject, :name, :plan, :begun, 'upgrade') RETURNING id"
            ),
            values,
        ).scalar_one()
        _carry_ramps(bind, int(warm_up_id), domain)
    bind.execute(sa.text("DELETE FROM budget_use WHERE budget LIKE 'warmup:%'"))


def _carry_ramps(bind: sa.Connection, warm_up_id: int, domain: Any) -> None:
    prefix = f"warmup:{domain.id}:"
    used = bind.execute(
        sa.text(
            "SELECT budget, max(window_start) AS last_day FROM budget_use"
            " WHERE workspace_id = :workspace AND budget LIKE :budget GROUP BY budget"
        ),
        {"workspace": domain.workspace_id, "budget": f"{prefix}%"},
    ).all()
    for one in used:
        last_day = int(one.last_day) // _DAY
        provider = str(one.budget).removeprefix(prefix)
        state = {
            "provider": provider, "phase": "ramping", "level": max(1, last_day - int(domain.begun) // _DAY + 1),
            "since": None, "judged_through": None, "clean_days": 0, "needed_days": 1, "silent_days": 0, "proven": 0,
            "objected_level": None, "step_backs": [], "held_by": [], "spent_through": None, "note": "",
        }  # fmt: skip
        bind.execute(
            sa.text(
                "INSERT INTO warm_up_ramp (workspace_id, warm_up_id, provider, state, version, due_at)"
                " VALUES (:workspace, :warm_up, :provider, :state, 1, :due)"
            ),
            {
                "workspace": domain.workspace_id,
                "warm_up": warm_up_id,
                "provider": provider,
                "state": json.dumps(state),
                "due": (last_day + 1) * _DAY,
            },
        )
