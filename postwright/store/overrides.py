"""Findings of pre-flight that somebody overruled: who, why, and for which content. Kept for good."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from sqlalchemy import Connection, update

from mailtypes.clock import Microseconds
from postwright.store.records import fetch_all, insert_row, select_as, table

_override = table("preflight_override")
_MOST = 500


@dataclass(frozen=True, slots=True)
class NewOverride:
    """A finding that is overruled for a campaign; ``content`` is the digest of what it was given for."""

    code: str
    content: str
    sentence: str
    who: str
    note: str


@dataclass(frozen=True, slots=True)
class PreflightOverride:
    """A stored override; ``withdrawn_at`` and ``withdrawn_by`` say that and by whom it was taken back."""

    id: int
    workspace_id: int
    campaign_id: int
    code: str
    content: str
    sentence: str
    who: str
    note: str
    made_at: int
    withdrawn_at: int | None
    withdrawn_by: str


def add_overrides(
    connection: Connection, workspace_id: int, campaign_id: int, overrides: Sequence[NewOverride], now: Microseconds
) -> None:
    """Store overrides of one campaign."""
    for one in overrides:
        values = {field.name: getattr(one, field.name) for field in fields(NewOverride)}
        insert_row(connection, _override, workspace_id=workspace_id, campaign_id=campaign_id, made_at=now, **values)


def overrides_of(connection: Connection, workspace_id: int, campaign_id: int) -> list[PreflightOverride]:
    """The newest overrides of a campaign, the newest first, with those that were withdrawn; at most 500."""
    mine = (_override.c.workspace_id == workspace_id, _override.c.campaign_id == campaign_id)
    newest = select_as(PreflightOverride, _override).where(*mine).order_by(_override.c.id.desc()).limit(_MOST)
    return fetch_all(connection, PreflightOverride, newest)


def withdraw_overrides(
    connection: Connection, workspace_id: int, campaign_id: int, code: str, who: str, now: Microseconds
) -> int:
    """Take back what was given for a finding; returns how many overrides that were."""
    mine = (
        _override.c.workspace_id == workspace_id,
        _override.c.campaign_id == campaign_id,
        _override.c.code == code,
        _override.c.withdrawn_at.is_(None),
    )
    return connection.execute(update(_override).where(*mine).values(withdrawn_at=now, withdrawn_by=who)).rowcount
