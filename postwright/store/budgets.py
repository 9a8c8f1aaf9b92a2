"""Limits of the whole cluster, reserved in chunks: never exceeded, whatever the number of processes."""

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from postwright.store.records import table

_use = table("budget_use")


def reserve(connection: Connection, workspace_id: int, budget: str, window: tuple[int, int], wanted: int) -> int:
    """Reserve up to ``wanted`` of the budget in ``window = (its beginning, its limit)``; returns how many were left.

    The row is locked by its first update, so two processes never get the same remainder.
    """
    window_start, limit = window
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(
        insert(_use)
        .values(workspace_id=workspace_id, budget=budget, window_start=window_start, reserved=0)
        .on_conflict_do_nothing()
    )
    same = (
        _use.c.workspace_id == workspace_id,
        _use.c.budget == budget,
        _use.c.window_start == window_start,
    )
    used = int(
        connection.execute(
            update(_use).where(*same).values(reserved=_use.c.reserved).returning(_use.c.reserved)
        ).scalar_one()
    )
    granted = max(0, min(wanted, limit - used))
    if granted:
        connection.execute(update(_use).where(*same).values(reserved=_use.c.reserved + granted))
    return granted


def give_back(connection: Connection, workspace_id: int, budget: str, window_start: int, amount: int) -> None:
    """Return what was reserved and not used."""
    connection.execute(
        update(_use)
        .where(_use.c.workspace_id == workspace_id, _use.c.budget == budget, _use.c.window_start == window_start)
        .values(reserved=_use.c.reserved - amount)
    )


def reserved(connection: Connection, workspace_id: int, budget: str, window_start: int) -> int:
    """How much of a budget is reserved in a window."""
    statement = select(_use.c.reserved).where(
        _use.c.workspace_id == workspace_id, _use.c.budget == budget, _use.c.window_start == window_start
    )
    return int(connection.execute(statement).scalar_one_or_none() or 0)
