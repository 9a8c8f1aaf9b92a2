"""Limits of the whole cluster, reserved in chunks: never exceeded, whatever the number of processes.

What has to fit several limits at once is reserved of all of them or of none, in one transaction: the rows are locked in
one order, the same for everybody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Connection, TextClause, delete, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from mailtypes.clock import Microseconds
from postwright.store.records import table
from postwright.store.rowsets import BIGINT, TEXT, rows_json, rowset_of

_use = table("budget_use")
_KEY = {"workspace_id": BIGINT, "budget": TEXT, "window_start": BIGINT}


@dataclass(frozen=True, slots=True, order=True)
class Limit:
    """At most ``limit`` of ``budget`` in the window that begins at ``window_start``."""

    workspace_id: int
    budget: str
    window_start: int
    limit: int

    @property
    def key(self) -> tuple[int, str, int]:
        """What the use of it is counted under."""
        return self.workspace_id, self.budget, self.window_start


def reserve(connection: Connection, workspace_id: int, budget: str, window: tuple[int, int], wanted: int) -> int:
    """Reserve up to ``wanted`` of the budget in ``window = (its beginning, its limit)``; returns how many were left.

    The row is locked before it is read, so two processes never get the same remainder.
    """
    return reserve_all(connection, [Limit(workspace_id, budget, *window)], wanted)


def reserve_all(connection: Connection, limits: Sequence[Limit], wanted: int) -> int:
    """Reserve as many as fit every one of ``limits``, up to ``wanted``; returns how many. Each limit is named once."""
    granted = wanted
    for one in sorted(limits):
        granted = min(granted, one.limit - _lock(connection, one))
    granted = max(0, granted)
    if granted:
        _add(connection, limits, granted)
    return granted


def _lock(connection: Connection, one: Limit) -> int:
    """What is used of a limit; nobody else can use more before this transaction ends."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    values = dict(zip(("workspace_id", "budget", "window_start"), one.key, strict=True))
    statement = (
        insert(_use)
        .values(**values, reserved=0)
        .on_conflict_do_update(index_elements=list(values), set_={"reserved": _use.c.reserved})
    )
    return int(connection.execute(statement.returning(_use.c.reserved)).scalar_one())


def give_back(connection: Connection, workspace_id: int, budget: str, window_start: int, amount: int) -> None:
    """Return what was reserved and not used."""
    _add(connection, [Limit(workspace_id, budget, window_start, 0)], -amount)


def give_back_all(connection: Connection, limits: Sequence[Limit], amount: int) -> None:
    """Return what was reserved of all of these and not used."""
    if amount:
        _add(connection, limits, -amount)


def _add(connection: Connection, limits: Sequence[Limit], amount: int) -> None:
    for one in sorted(limits):
        workspace_id, budget, window_start = one.key
        connection.execute(
            update(_use)
            .where(_use.c.workspace_id == workspace_id, _use.c.budget == budget, _use.c.window_start == window_start)
            .values(reserved=_use.c.reserved + amount)
        )


def note(connection: Connection, what: Limit, amount: int) -> None:
    """Keep a number beside the budgets of a window; what is noted again takes the place."""
    _lock(connection, what)
    workspace_id, budget, window_start = what.key
    same = (_use.c.workspace_id == workspace_id, _use.c.budget == budget, _use.c.window_start == window_start)
    connection.execute(update(_use).where(*same).values(reserved=amount))


def reserved(connection: Connection, workspace_id: int, budget: str, window_start: int) -> int:
    """How much of a budget is reserved in a window."""
    limit = Limit(workspace_id, budget, window_start, 0)
    return reserved_of(connection, [limit])[limit.key]


def reserved_of(connection: Connection, limits: Sequence[Limit]) -> dict[tuple[int, str, int], int]:
    """How much is reserved of each of these, by its key."""
    found = {one.key: 0 for one in limits}
    rows = rows_json([dict(zip(_KEY, key, strict=True)) for key in found])
    for workspace_id, budget, window_start, amount in connection.execute(
        _reserved(connection.dialect.name), {"rows": rows}
    ):
        found[int(workspace_id), str(budget), int(window_start)] = int(amount)
    return found


@cache
def _reserved(dialect: str) -> TextClause:
    given, columns = rowset_of(dialect, "given", _KEY), ", ".join(f"kept.{name}" for name in _KEY)
    same = " AND ".join(f"kept.{name} = given.{name}" for name in _KEY)
    # CROSS JOIN: SQLite begins with the side that is named first.
    return text(f"SELECT {columns}, kept.reserved FROM {given} CROSS JOIN budget_use AS kept WHERE {same}")  # noqa: S608


def forget(connection: Connection, before: Microseconds, *, limit: int = 5000) -> int:
    """Forget up to ``limit`` windows that began before a moment; returns how many."""
    old = select(_use.c.id).where(_use.c.window_start < before).limit(limit)
    return connection.execute(delete(_use).where(_use.c.id.in_(old))).rowcount
