"""No statement reads a table that grows from end to end on SQLite, where a key or an index leads to the rows."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from hygiene.segments.fields import FieldDefinition, FieldKind
from mailtypes.clock import DAY, HOUR, Microseconds
from mta.delivery import DeliveryState
from postwright.keyrings import KeyRing
from postwright.store import (
    activity_rules,
    blobs,
    budgets,
    campaigns,
    contact_activity,
    contact_book,
    contact_fields,
    contacts,
    engagements,
    erased,
    erasure,
    event_retention,
    experiments,
    hygiene_facts,
    idempotency,
    person_records,
    provider_days,
    recipients,
    retention,
    sign_in_failures,
    suppressions,
    warm_up_grants,
    warm_up_hygiene,
)
from postwright.store.budgets import Limit
from postwright.store.database import open_engine, read_url
from postwright.store.idempotency import KeptAnswer
from postwright.store.recipients import DeliveryFilter
from postwright.store.suppressions import NewSuppression, Scope

NOW = Microseconds(1_700_000_000_000_000)
_LATER = Microseconds(NOW + 300)
KEY = "7@x.test"
MANY = range(1, 201)
_EACH = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
_FILL: dict[str, tuple[int, dict[str, Any]]] = {
    "workspace": (1, {"id": 1, "name": "'main'", "created_at": NOW}),
    "api_key": (3, {"id": "i", "workspace_id": 1, "secret_sha256": "i"}),
    "blob": (900, {"id": "i", "workspace_id": 1, "sha256": "i", "reference_count": 1, "content": "x''"}),
    "idempotent_answer": (400, {"workspace_id": 1, "key_id": "i % 3 + 1", "idempotency_key": "i", "created_at": NOW}),
    "budget_use": (400, {"workspace_id": 1, "budget": "'b' || (i % 40)", "window_start": "i / 40"}),
    "provider_day": (400, {"workspace_id": 1, "subject": "'domain:' || (i % 4)", "provider": "i % 10", "day": "i"}),
    "stream": (1, {"id": 1, "workspace_id": 1}),
    "sign_in_failure": (900, {"id": "i", "name_hash": "'n' || (i % 90)", "at": f"{NOW} + i"}),
    "destination": (2, {"id": "i", "workspace_id": 1, "site": "i", "provider": "'p' || i"}),
    "run": (40, {"id": "i", "workspace_id": 1, "campaign_id": "i % 20 + 1", "number": "i", "stream_id": 1,
                 "domain_id": 1, "state": "CASE i % 4 WHEN 0 THEN 'sending' WHEN 1 THEN 'paused' WHEN 2 THEN"
                 " 'cancelled' ELSE 'finished' END", "standing_key": "NULL"}),
    "campaign": (20, {"id": "i", "workspace_id": 1, "name": "i"}),
    "message": (400, {"id": f"(i % 4 + 1) * {1 << 28} + i", "workspace_id": 1, "run_id": "i % 4 + 1", "blob_id": "i",
                      "created_at": f"{NOW} + i"}),
    "delivery": (4_000, {"run_id": "i % 4 + 1", "id": f"(i % 4 + 1) * {1 << 28} + i", "workspace_id": 1,
                         "message_id": f"CASE WHEN i <= 400 OR i % 100 = 7 THEN (i % 4 + 1) * {1 << 28} + i ELSE 0 END",
                         "address_key": "CASE i % 100 WHEN 7 THEN 7 ELSE i END || '@x.test'",
                         "domain": "'d' || (i % 50)", "destination_id": 1,
                         "state": "CASE WHEN i % 50 THEN 'delivered' ELSE 'deferred' END", "contact_id": "i",
                         "variant": "-(i % 2)", "priority": -5}),
    "event": (4_000, {"month": 202311, "id": "i", "workspace_id": 1, "recorded_at": f"{NOW} + i", "run_id": "i % 4 + 1",
                      "kind": "'delivered'", "contact_id": "i", "data": "'{}'",
                      "delivery_id": f"CASE WHEN i % 20 THEN (i % 4 + 1) * {1 << 28} + i END"}),
    "captured_message": (400, {"workspace_id": 1, "delivery_id": "i", "blob_id": "400 + i",
                               "captured_at": f"{NOW} + i"}),
    "contact": (20_000, {"id": "i", "workspace_id": 1, "address_key": "i || '@x.test'", "archived_at": "NULL",
                         "fields": "'{}'"}),
    "contact_list": (10, {"id": "i", "workspace_id": 1, "name": "i"}),
    "list_membership": (2_000, {"workspace_id": 1, "list_id": "i % 10 + 1", "contact_id": "i / 2 + 1"}),
    "list_health": (10, {"list_id": "i", "workspace_id": 1, "health": "'healthy'", "judged_at": NOW, "sent": 9_999}),
    "hygiene_plan": (5, {"id": "i", "workspace_id": 1, "list_id": "i", "terms": "'{}'", "state": "'applied'",
                         "made_at": NOW}),
    "watermark": (1, {"workspace_id": 1, "rolled_up_to": NOW + HOUR}),
}  # fmt: skip
"""How many rows a table gets, and its columns as SQL over their number ``i``; the others are empty or 0."""


@pytest.fixture(scope="module", params=["fresh", "analysed"])
def filled(request: pytest.FixtureRequest, migrated_sqlite: Any, tmp_path_factory: Any) -> Iterator[Engine]:
    """A database with some hundred rows in what grows; with and without statistics."""
    path = tmp_path_factory.mktemp("growing") / "postwright.sqlite3"
    path.write_bytes(migrated_sqlite.read_bytes())
    with closing(sqlite3.connect(path)) as driver, driver:  # foreign keys are not looked at here
        for name, (count, given) in _FILL.items():
            driver.execute(_filling(driver, name, count, given))
        if request.param == "analysed":
            driver.execute("ANALYZE")
    options = {erased.KEYS_OPTION: lambda: KeyRing("1", {"1": b"e" * 32})}
    engine = open_engine(read_url(f"sqlite:///{path}")).execution_options(**options)
    yield engine
    engine.dispose()


def _filling(driver: sqlite3.Connection, name: str, count: int, given: dict[str, Any]) -> str:
    columns = [row[1:4] for row in driver.execute(f"PRAGMA table_info({name})")]
    values = {
        column: given.get(column, "0" if "INT" in kind or kind == "BOOLEAN" else "''")
        for column, kind, is_needed in columns
        if column in given or (is_needed and column != "id")
    }
    each = _EACH.format(count=count)
    return f"INSERT INTO {name} ({', '.join(values)}) {each} SELECT {', '.join(map(str, values.values()))} FROM n"


def _answers() -> list[KeptAnswer]:
    return [KeptAnswer(1, 1, key, "f" * 64, 202, "{}", NOW + 2 * DAY) for key in ("3", "new")]


WORK: dict[str, tuple[tuple[str, ...], Callable[[Connection], object]]] = {
    "find_answers": (
        ("sqlite_autoindex_idempotent_answer_1 (workspace_id=? AND key_id=? AND idempotency_key=?)",),
        lambda c: idempotency.find_answers(c, [(1, "3"), (2, "x")], NOW),
    ),
    "keep_answers": (
        ("sqlite_autoindex_idempotent_answer_1 (workspace_id=? AND key_id=? AND idempotency_key=?)",),
        lambda c: idempotency.keep_answers(c, _answers()),
    ),
    "forget_events": (
        ("event USING PRIMARY KEY (month=? AND id=?)",),
        lambda c: event_retention.forget_events(c, _LATER),
    ),
    "count_looked_at": ((), lambda c: warm_up_hygiene.count_looked_at(c, 1, Microseconds(0), DAY)),
    "reserved_of": (
        ("sqlite_autoindex_budget_use_1 (workspace_id=? AND budget=? AND window_start=?)",),
        lambda c: budgets.reserved_of(c, [Limit(1, "b3", 1, 1), Limit(1, "b4", 2, 1)]),
    ),
    "provider_days": (
        ("sqlite_autoindex_provider_day_1 (workspace_id=? AND subject=? AND provider=? AND day=?)",),
        lambda c: provider_days.roll_up(c, 1, lambda _subject, at: date.fromordinal(738_000 + at % 5), limit=100),
    ),
    "forget_contents": (("ix_message_content",), lambda c: retention.forget_contents(c, _LATER)),
    "forget_captured": ((), lambda c: retention.forget_captured(c, _LATER)),
    "release_blob": ((), lambda c: blobs.release_blob(c, 900)),
    "erase": (("sqlite_autoindex_delivery_2",), lambda c: erasure.erase(c, 1, KEY, [], NOW)),
    "mentions": (("ix_event_delivery",), lambda c: erasure.mentions(c, 1, KEY)),
    "person_records": (("ix_event_delivery",), lambda c: person_records.person_records(c, 1, KEY)),
    "suppress": (
        ("ix_delivery_address (workspace_id=? AND address_key=?)",),
        lambda c: suppressions.suppress(c, 1, [NewSuppression(KEY, KEY, Scope.ALL, 0, "x")], NOW),
    ),
    "stopped_runs": (("ix_delivery_run_state (run_id=? AND state=?)",), recipients.stopped_runs),
    "end_grants": (
        ("ix_delivery_run_state (run_id=? AND state=?)",),
        lambda c: warm_up_grants.end_grants(c, warm_up_grants.Reach(domain_id=1), NOW),
    ),
    "memberships": (("ix_list_membership_contact_id",), lambda c: contact_book.memberships(c, 1, MANY)),
    "erase_engagement": (
        ("event USING INDEX ix_event_delivery (delivery_id=?)",),
        lambda c: engagements.erase_engagement(c, 1, 7),
    ),
    "contact_events": (
        ("event USING INDEX ix_event_delivery (delivery_id=?)",),
        lambda c: contact_book.contact_events(c, 1, KEY, limit=50),
    ),
    "activity": (
        ("contact USING INTEGER PRIMARY KEY (rowid=?)",),
        lambda c: contact_activity.roll_up(c, 1, limit=200),
    ),
    "contacts_with_activity": (
        ("contact USING INTEGER PRIMARY KEY (rowid=?)",),
        lambda c: activity_rules.contacts_with_activity(c, 1, MANY, []),
    ),
    "read_facts": (
        ("contact USING INTEGER PRIMARY KEY (rowid=?)",),
        lambda c: hygiene_facts.read_facts(c, hygiene_facts.FactsWanted(1, None), MANY),
    ),
    "own_ids": (("contact USING INTEGER PRIMARY KEY (rowid=?)",), lambda c: contact_book.own_ids(c, 1, MANY)),
    "list_contacts": (
        ("contact USING INTEGER PRIMARY KEY (rowid>?)",),
        lambda c: contacts.list_contacts(c, 1, after=9),
    ),
    "archive": (("contact USING INTEGER PRIMARY KEY (rowid=?)",), lambda c: contact_book.archive(c, 1, MANY, NOW)),
    "stop_archived": (
        ("ix_delivery_address (workspace_id=? AND address_key=?)",),
        lambda c: suppressions.stop_archived(c, 1, [7, 8], NOW),
    ),
    "failures_since": (
        ("ix_sign_in_failure_name",),
        lambda c: sign_in_failures.failures_since(c, ["n7", "n8"], NOW, most=30),
    ),
    "add_failure": (
        ("ix_sign_in_failure_at", "sign_in_failure USING INTEGER PRIMARY KEY (rowid<?)"),
        lambda c: sign_in_failures.add_failure(c, ["n7"], NOW, _LATER),
    ),
    "tags_of": (("contact_tag USING INDEX ix_contact_tag_contact_id",), lambda c: contact_book.tags_of(c, 1, MANY)),
    "coerce_stored": (
        ("contact USING INTEGER PRIMARY KEY (rowid>?)",),
        lambda c: contact_fields.coerce_stored(c, 1, FieldDefinition("f", FieldKind.TEXT), limit=10),
    ),
    "release_rest": (
        ("delivery USING PRIMARY KEY (run_id=? AND id>?)", "delivery USING PRIMARY KEY (run_id=? AND id>? AND id<?)"),
        lambda c: experiments.release_rest(c, 2, 0, limit=50),
    ),
    "list_deliveries_by_state": (
        ("delivery USING INDEX ix_delivery_run_state (run_id=? AND state=? AND id>?)",),
        lambda c: recipients.list_deliveries(c, 1, DeliveryFilter(run_id=2, state=DeliveryState.DEFERRED), after=9),
    ),
    "latest_run": (
        ("run USING INDEX sqlite_autoindex_run_2 (workspace_id=? AND campaign_id=?)",),
        lambda c: campaigns.latest_run(c, 3),
    ),
}
_GROWING = (
    "idempotent_answer|budget_use|provider_day|message|message_attachment|delivery|of_message|event|contact|contact_tag|"
    "captured_message|list_membership|received_report|blob|kept"
)
_WHOLE = re.compile(
    rf"SCAN ({_GROWING})\b(?! USING INDEX ix_message_content)"
    rf"|SEARCH ({_GROWING}) .*(?<!ix_contact_segment) \((workspace_id|run_id|list_id)=\?\)$"
)
"""From end to end, or all of a workspace, a run or a list."""
_MAY = {
    "forget_captured": ("SCAN captured_message",),  # the oldest few, which the limit ends
    "erase": ("SEARCH idempotent_answer ", "SCAN idempotent_answer"),  # looks for the address in what a day's say
}


@pytest.mark.parametrize("name", WORK)
def test_a_key_or_an_index_leads_to_the_rows(filled: Engine, name: str) -> None:
    wanted, work = WORK[name]
    plans = _plans(filled, work)
    for way in wanted:
        assert any(way in line for _, line in plans), plans
    assert not [line for one, line in plans if _WHOLE.match(line) and not _allowed(name, one, line)], plans


def _allowed(name: str, statement: str, line: str) -> bool:
    if name == "count_looked_at":  # all contacts, and the members of each list once, but not again for each contact
        return line.startswith("SEARCH contact ") or "FROM contact " not in statement
    return line.startswith(_MAY.get(name, ()))


def _plans(engine: Engine, work: Callable[[Connection], object]) -> list[tuple[str, str]]:
    """What SQLite does for each statement of ``work``, whose changes are taken back."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if not statement.startswith("INSERT"):
            statements.append((statement, parameters[0] if many else parameters))

    event.listen(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        try:
            work(connection)
        finally:
            event.remove(engine, "before_cursor_execute", note)
        lines = [
            (" ".join(one.split()), str(row[-1]))
            for one, values in statements
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {one}", values)
        ]
        connection.rollback()
    assert lines
    return lines
