"""The hot statements stay on their partial indexes on SQLite, which matches them by their text."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from mailtypes.clock import MINUTE, SystemClock
from mta.delivery import DeliveryState, Happening
from postwright.store import campaigns, leases, messages, recipients, suppressions, waiting
from postwright.store.database import Database, open_engine, read_url
from postwright.store.public_ids import delivery_id
from postwright.store.records import table
from postwright.store.waiting import Selection

NOW = 1_700_000_000_000_000
ENDING = recipients.Ending(Happening.PERMANENT, "x")
STATES = [str(state) for state in DeliveryState]


@pytest.fixture(scope="module", params=["fresh", "analysed"])
def filled(request: pytest.FixtureRequest, migrated_sqlite: Any, tmp_path_factory: Any) -> Iterator[Engine]:
    """A database with some thousand deliveries, most of which have arrived; with and without statistics."""
    path = tmp_path_factory.mktemp("plans") / "postwright.sqlite3"
    path.write_bytes(migrated_sqlite.read_bytes())
    engine = open_engine(read_url(f"sqlite:///{path}"))
    rows = [
        {
            "run_id": run, "id": delivery_id(run, number), "workspace_id": 1, "contact_id": number,
            "address": f"{number}@x.test", "address_key": f"{number}@x.test", "domain": f"d{number % 50}.test",
            "variant": 0, "merge_data": "{}", "state": STATES[number % 11] if number % 20 == 0 else "delivered",
            "destination_id": number % 7 + 1, "queued_at": NOW, "expires_at": NOW, "next_attempt_at": NOW + number,
        }
        for run in range(1, 5)
        for number in range(1, 1001)
    ]  # fmt: skip
    with engine.begin() as connection:
        connection.execute(table("workspace").insert().values(id=1, name="main", created_at=NOW))
        connection.execute(table("delivery").insert(), rows)
        if request.param == "analysed":
            connection.exec_driver_sql("ANALYZE")
    yield engine
    engine.dispose()


RUN = campaigns.Run(
    2, 1, "campaign", 1, 1, "sending", 1, 1, 1, *[""] * 3, 0, "", "", None, last_contact_id=0, recipients=0,
    duplicates=0, expires_at=NOW, created_at=NOW, finished_at=None, starts_at=None, open_until=None, is_test=False,
    tags="[]",
)  # fmt: skip
MESSAGE = messages.Message(delivery_id(2, 7), 1, 2, "smtp", None, None, *[""] * 3, 0, "[]", "{}", "", None, NOW)
_WHOLE = re.compile(r"SCAN delivery\b|SEARCH delivery USING PRIMARY KEY \(run_id=\?\)")
"""Reading every delivery there is, or every one of a run."""


def _lease(number: int = 1) -> leases.Lease:
    return leases.Lease(delivery_id(1, number), 1, 1, 0, None, 1, 1, "a", "a", 0, "{}", 0, 0, None)


def _outcome(happening: Happening) -> leases.Outcome:
    return leases.Outcome(_lease(), happening, NOW, NOW, 250, "", {})


WORK: dict[str, tuple[set[str], Callable[[Connection], object]]] = {
    "lease": ({"ix_delivery_due"}, lambda c: leases.lease(c, leases.Taker("w", MINUTE), 3, 100, NOW)),
    "due_destinations": ({"ix_delivery_due"}, lambda c: leases.due_destinations(c, NOW)),
    "next_due_at": ({"ix_delivery_due"}, lambda c: leases.next_due_at(c, NOW)),
    "reap": ({"ix_delivery_leased"}, lambda c: leases.reap(c, NOW, NOW)),
    "renew": ({"ix_delivery_leased"}, lambda c: leases.renew(c, "w", MINUTE)),
    "retry_ambiguous": ({"ix_delivery_ambiguous"}, lambda c: leases.retry_ambiguous(c, NOW)),
    "mark": (set(), lambda c: leases.mark_transmitting(c, [_lease()], MINUTE, NOW)),
    "record": (set(), lambda c: leases.record(c, [_outcome(one) for one in leases.EVENT_KIND], NOW)),
    "stop_leased": (set(), lambda c: suppressions.stop_leased(c, [_lease()], NOW)),
    "held_domains": ({"ix_delivery_held"}, lambda c: recipients.held_domains(c, 2)),
    "release": ({"ix_delivery_held"}, lambda c: recipients.release(c, 2, "d1.test", 1, NOW, limit=10)),
    "explain_wait": ({"ix_delivery_held"}, lambda c: recipients.explain_wait(c, 2, "d1.test", "x", limit=10)),
    "fail_held": ({"ix_delivery_held"}, lambda c: recipients.fail_held(c, RUN, "d1.test", ENDING, NOW, limit=10)),
    "hold": ({"ix_delivery_run_state"}, lambda c: recipients.hold(c, 2, "paused")),
    "cancel": ({"ix_delivery_run_state"}, lambda c: recipients.cancel(c, RUN, NOW)),
    "expire": ({"ix_delivery_run_state"}, lambda c: recipients.expire(c, RUN, lambda *_: {}, NOW)),
    "finish_if_done": ({"ix_delivery_run_state"}, lambda c: recipients.finish_if_done(c, RUN, NOW)),
    "flush_destination": ({"ix_delivery_due"}, lambda c: waiting.make_due(c, Selection(1, destination_id=3), NOW)),
    "flush_run": ({"ix_delivery_run_state"}, lambda c: waiting.make_due(c, Selection(1, run_id=2), NOW)),
    "fail_destination": (
        {"ix_delivery_due"},
        lambda c: waiting.fail(c, Selection(1, destination_id=3), "x", "y", NOW),
    ),
    "fail_domain": (
        {"ix_delivery_due", "ix_delivery_held"},
        lambda c: waiting.fail(c, Selection(1, domain="d20.test"), "x", "y", NOW, limit=1),
    ),
    "fail_run": ({"ix_delivery_held"}, lambda c: waiting.fail(c, Selection(1, run_id=2), "x", "y", NOW, limit=1)),
    "settled_with_notice": ({"ix_message_notify"}, lambda c: messages.settled_with_notice(c, limit=10)),
    "recipients_that_ended": (set(), lambda c: messages.recipients_that_ended(c, [MESSAGE], ["failed"])),
    "deliveries_of_message": (set(), lambda c: recipients.deliveries_of_message(c, 1, 2, MESSAGE.id)),
    "by_destination": ({"ix_delivery_due", "ix_delivery_leased"}, lambda c: waiting.by_destination(c, 1)),
    "suppress": (
        {"ix_delivery_address"},
        lambda c: suppressions.suppress(
            c, 1, [suppressions.NewSuppression("a", "a", suppressions.Scope.ALL, 0, "x")], NOW
        ),
    ),
}


@pytest.mark.parametrize("name", WORK)
def test_no_hot_statement_reads_all_deliveries(filled: Engine, name: str) -> None:
    indexes, work = WORK[name]
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if not many and "delivery" in statement:
            statements.append((statement, parameters))

    event.listen(filled, "before_cursor_execute", note)
    plans: list[str] = []
    with filled.connect() as connection:
        try:
            work(connection)
        finally:
            event.remove(filled, "before_cursor_execute", note)
        for statement, parameters in statements:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans += [str(row[-1]) for row in rows]
        connection.rollback()
    assert statements
    whole = [line for line in plans if _WHOLE.match(line) and not _allowed(name, line)]
    assert not whole, plans
    for index in indexes:
        assert any(index in line for line in plans), plans


def _allowed(name: str, line: str) -> bool:
    # These have to look at all that wait or are leased, but at nothing that has arrived.
    return (name, line.rsplit(maxsplit=1)[-1]) in {
        ("next_due_at", "ix_delivery_due"),
        ("renew", "ix_delivery_leased"),
        ("fail_domain", "ix_delivery_due"),
        ("fail_domain", "ix_delivery_held"),
        ("by_destination", "ix_delivery_leased"),
    }


async def test_the_database_object_uses_the_same_engine_settings(sqlite_url: str) -> None:
    database = Database(sqlite_url, SystemClock())
    assert await database.read(lambda c: c.exec_driver_sql("PRAGMA query_only").scalar_one()) == 1
    await database.close()
