"""What providers have kept from being tried under a warm-up: what is known of their paces, and who was marked.

A delivery that is taken back untried while its destination was throttled keeps the end of its grant below zero
(``store.warm_up_grants.take_back``) until it is let out again. So a mail counts for one hour at a time, and what is
cancelled, expired or let out anew does not count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from mailtypes.clock import Microseconds
from mta.shaping.pace import Pace
from postwright.store.rowsets import BIGINT, rows_json, rowset
from postwright.store.warm_up_grants import AGAIN

_SCOPES = "('destination:' || d.id, 'provider:' || d.provider)"


@dataclass(frozen=True, slots=True)
class StandingPace:
    """How a destination, or its provider, is sent to from one address, and when its next slot is free."""

    destination_id: int
    egress: str
    pace: Pace
    next_free_at: int


def standing_paces(connection: Connection, destinations: Sequence[int]) -> list[StandingPace]:
    """The paces that anything was ever heard for, of these destinations and their providers."""
    statement = text(
        f"SELECT d.id, p.egress, p.pace, p.next_free_at FROM {_given(connection)}"  # noqa: S608
        " JOIN destination d ON d.id = one.id"
        f" JOIN destination_pace p ON p.workspace_id = d.workspace_id AND p.scope IN {_SCOPES}"
    )
    rows = connection.execute(statement, {"rows": rows_json([{"id": one} for one in destinations])})
    return [StandingPace(int(row[0]), str(row[1]), Pace.from_json(row[2]), int(row[3])) for row in rows]


def stopped_by_people(
    connection: Connection, destinations: Sequence[int], since: Microseconds
) -> list[tuple[int, str, int | None]]:
    """``(destination, egress, until)`` of what people have suspended that lasted after ``since``; egress "": all."""
    statement = text(
        f"SELECT d.id, s.egress, s.until FROM {_given(connection)} JOIN destination d ON d.id = one.id"  # noqa: S608
        f" JOIN suspension s ON s.workspace_id = d.workspace_id AND s.scope IN {_SCOPES}"
        " WHERE s.kind = 'person' AND (s.until IS NULL OR s.until > :since)"
    )
    values = {"rows": rows_json([{"id": one} for one in destinations]), "since": since}
    return [(int(row[0]), str(row[1]), row[2]) for row in connection.execute(statement, values)]


def _given(connection: Connection) -> str:
    return rowset(connection, "one", {"id": BIGINT})


@dataclass(frozen=True, slots=True)
class Whose:
    """Mail of a sender domain, or what is bound to a place that mail leaves from."""

    domain_id: int | None = None
    egress: str | None = None


def marked_by_provider(
    connection: Connection, whose: Whose, span: tuple[Microseconds, Microseconds]
) -> Mapping[str, int]:
    """How many wait who were marked for a grant that ended in ``span`` (its end included), and whose run goes on.

    Goes over everybody who is held in those runs, in an index: once a day and sender, and not for each provider.
    """
    sender = "run.domain_id = :domain" if whose.domain_id is not None else "delivery.egress = :egress"
    # CROSS JOIN keeps the order (SQLite's documented way); priority is in the index, so that few rows are looked at.
    hint = " INDEXED BY ix_delivery_held" if connection.dialect.name == "sqlite" else ""
    statement = text(
        f"SELECT d.provider, count(*) FROM run CROSS JOIN delivery{hint}"  # noqa: S608
        " CROSS JOIN destination d WHERE run.state IN ('preparing', 'sending') AND run.is_test = :no"
        " AND delivery.run_id = run.id AND delivery.state = 'held'"
        f" AND delivery.priority >= {AGAIN} AND delivery.granted_until < :begins AND delivery.granted_until >= :ends"
        f" AND d.id = delivery.destination_id AND {sender} GROUP BY d.provider"
    )
    values: dict[str, object] = {"no": False, "begins": -span[0], "ends": -span[1]}
    values |= {"domain": whose.domain_id} if whose.domain_id is not None else {"egress": whose.egress}
    return {str(row[0]): int(row[1]) for row in connection.execute(statement, values)}
