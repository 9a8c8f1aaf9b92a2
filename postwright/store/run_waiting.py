"""What of a run still waits, and how fast it went lately: the ground of a forecast of its end."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from mailtypes.clock import HOUR, MINUTE, SECOND, Microseconds

_WAITING = "state IN ('held', 'ready', 'deferred', 'leased', 'transmitting', 'ambiguous')"
_HOURS_BACK = 24


@dataclass(frozen=True, slots=True)
class WaitingPart:
    """So many in one state for one destination (``None``: not routed yet), and when the last of them is due.

    ``is_kept``: of those a test keeps back until it is decided.
    """

    destination_id: int | None
    state: str
    is_kept: bool
    count: int
    last_at: int


def waiting_parts(connection: Connection, run_id: int) -> list[WaitingPart]:
    """Everybody of a run who has no end yet."""
    statement = text(
        "SELECT destination_id, state, CASE WHEN priority < 0 THEN 1 ELSE 0 END, count(*), max(next_attempt_at)"  # noqa: S608
        f" FROM delivery WHERE run_id = :run AND {_WAITING} GROUP BY 1, 2, 3"
    )
    rows = connection.execute(statement, {"run": run_id})
    return [
        WaitingPart(None if row[0] is None else int(row[0]), str(row[1]), bool(row[2]), int(row[3]), int(row[4]))
        for row in rows
    ]


def held_destinations(connection: Connection, run_id: int, workspace_id: int) -> dict[int | None, int]:
    """How many of a run are held for each destination that their domain leads to at present; ``None``: not known."""
    statement = text(
        "SELECT r.destination_id, sum(d.held) FROM (SELECT domain, count(*) AS held FROM delivery"
        " WHERE run_id = :run AND state = 'held' AND priority >= 0 GROUP BY domain) d"
        " LEFT JOIN route r ON r.workspace_id = :workspace AND r.domain = d.domain GROUP BY 1"
    )
    rows = connection.execute(statement, {"run": run_id, "workspace": workspace_id})
    return {None if row[0] is None else int(row[0]): int(row[1]) for row in rows}


def fastest_hour(connection: Connection, run_id: int, began_at: int, now: Microseconds) -> float:
    """Messages a second in the fastest hour of the last day, of the first and the present one the part that counts."""
    this = now // HOUR
    hours = {f"hour{back}": str(this - back) for back in range(_HOURS_BACK)}
    places = ", ".join(f":{name}" for name in hours)
    statement = text(
        "SELECT value, sum(recipients) FROM statistic WHERE run_id = :run AND cut = 'hour'"  # noqa: S608  ours
        f" AND value IN ({places}) AND kind IN ('delivered', 'failed') GROUP BY value"
    )
    best = 0.0
    for value, number in connection.execute(statement, {"run": run_id, **hours}):
        begin = int(value) * HOUR
        span = min(now, begin + HOUR) - max(began_at, begin)
        best = max(best, int(number) * SECOND / max(span, MINUTE))
    return best
