"""Received reports: stored once, and their rows summed up, on both databases."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, event, func, select

from dns_checks.reports import AggregateRow, DkimResult, OverrideReason, SpfResult
from mailtypes.clock import DAY, Microseconds
from mailtypes.domain import DomainName
from postwright.store import blobs, reports
from postwright.store.database import Database, open_engine, read_url
from postwright.store.records import table
from postwright.store.reports import NewReport, Window

NOW = Microseconds(1_700_000_000_000_000)
ACME = DomainName("acme.test")
ANY_TIME = Window(0)


def row(source_ip: str = "192.0.2.7", count: int = 1, **changes: Any) -> AggregateRow:
    values: dict[str, Any] = {
        "source_ip": source_ip,
        "count": count,
        "disposition": "none",
        "dkim": "pass",
        "spf": "fail",
        "reasons": (),
        "envelope_to": "",
        "envelope_from": "",
        "header_from": "acme.test",
        "dkim_results": (DkimResult("acme.test", "pw1", "pass"),),
        "spf_results": (SpfResult("bounce.acme.test", "mfrom", "softfail"),),
    }
    return AggregateRow(**{**values, **changes})


class Shelf:
    """Puts reports into the database of a world."""

    def __init__(self, world: Any) -> None:
        self._world = world

    async def add(self, *rows: AggregateRow, **changes: Any) -> tuple[int, bool]:
        def work(connection: Connection) -> tuple[int, bool]:
            values: dict[str, Any] = {
                "kind": "aggregate",
                "organisation": "Example",
                "report_id": "r-1",
                "domain": "acme.test",
                "begins_at": NOW - DAY,
                "ends_at": NOW,
                "blob_id": blobs.put_blob(connection, self._world.workspace, b"report", NOW),
                "document": "{}",
                "rows": rows,
            }
            new = NewReport(**{**values, **changes})
            return reports.add_report(connection, self._world.workspace, new, NOW)

        made: tuple[int, bool] = await self._world.database.write(work)
        return made

    async def fares(self, domain: DomainName = ACME, window: Window = ANY_TIME) -> list[Any]:
        def work(connection: Connection) -> list[Any]:
            return list(reports.fares(connection, self._world.workspace, domain, window))

        found: list[Any] = await self._world.database.read(work)
        return sorted(found, key=lambda fare: (fare.source_ip, fare.header_from))


async def test_a_report_is_stored_once(world: Any, open_database: Callable[[], Database]) -> None:
    shelf = Shelf(world)
    first = await shelf.add(row(count=3))
    world.database = open_database()
    again = await shelf.add(row(count=4))
    assert first == (again[0], True)
    assert not again[1]
    assert [fare.count for fare in await shelf.fares()] == [3]


async def test_every_part_of_the_key_counts(world: Any) -> None:
    shelf = Shelf(world)
    await shelf.add(row())
    for change in ({"organisation": "Other"}, {"report_id": "r-2"}, {"domain": "b.test"}, {"kind": "tls"}):
        _, is_new = await shelf.add(**change)
        assert is_new, change


async def test_rows_that_fared_alike_are_one(world: Any) -> None:
    shelf = Shelf(world)
    forwarded = row("198.51.100.9", 5, reasons=(OverrideReason("mailing_list", "a"), OverrideReason("other", "b")))
    await shelf.add(row(count=2), row(count=10**12), forwarded)
    await shelf.add(row(count=1), report_id="r-2")
    ours, theirs = await shelf.fares()
    assert (ours.source_ip, ours.count) == ("192.0.2.7", 10**12 + 3)
    assert ours.dkim_results == (DkimResult("acme.test", "pw1", "pass"),)
    assert ours.spf_results == (SpfResult("bounce.acme.test", "mfrom", "softfail"),)
    assert (theirs.count, theirs.overrides) == (5, ("mailing_list", "other"))


async def test_reports_of_the_domain_above_count_by_their_author_domain(world: Any) -> None:
    shelf = Shelf(world)
    await shelf.add(
        row("192.0.2.1", header_from="acme.test"),
        row("192.0.2.2", header_from="news.acme.test"),
        row("192.0.2.3", header_from="a.news.acme.test"),
        row("192.0.2.4", header_from="badnews.acme.test"),
        row("192.0.2.5", header_from="newsxacme.test"),
    )
    await shelf.add(row("192.0.2.6", header_from=""), report_id="r-2", domain="news.acme.test")
    found = await shelf.fares(DomainName("news.acme.test"))
    assert [fare.source_ip for fare in found] == ["192.0.2.2", "192.0.2.3", "192.0.2.6"]
    assert len(await shelf.fares()) == 5
    assert await shelf.fares(DomainName("test")) == []


async def test_an_underscore_in_a_name_is_no_wildcard(world: Any) -> None:
    shelf = Shelf(world)
    await shelf.add(row(header_from="a.b-c.acme.test"), row(header_from="a.b_c.acme.test"))
    found = await shelf.fares(DomainName("b_c.acme.test"))
    assert [fare.header_from for fare in found] == ["a.b_c.acme.test"]


async def test_only_reports_within_the_window_count(world: Any) -> None:
    shelf = Shelf(world)
    await shelf.add(row("192.0.2.1"), report_id="old", begins_at=NOW - 3 * DAY, ends_at=NOW - 2 * DAY)
    await shelf.add(row("192.0.2.2"), report_id="now")
    await shelf.add(row("192.0.2.3"), report_id="tls", kind="tls")
    assert [fare.source_ip for fare in await shelf.fares(window=Window(NOW - 2 * DAY))] == ["192.0.2.2"]
    assert [fare.source_ip for fare in await shelf.fares(window=Window(0, NOW - DAY))] == ["192.0.2.1"]
    assert len(await shelf.fares()) == 2


async def test_workspaces_do_not_see_each_other(world: Any) -> None:
    shelf = Shelf(world)
    report, _ = await shelf.add(row())
    assert await world.read(reports.get_report, world.workspace, report) is not None
    assert await world.read(reports.get_report, world.workspace + 1, report) is None
    assert await world.read(reports.list_reports, world.workspace + 1) == []
    world.workspace += 1
    assert await shelf.fares() == []


async def test_words_of_senders_are_storable(world: Any) -> None:
    shelf = Shelf(world)
    odd = "a\x00b\ud800"
    key = {"organisation": odd, "report_id": odd, "domain": odd, "document": odd}
    first = await shelf.add(row(odd, disposition=odd, dkim_results=(DkimResult(odd, odd, odd),)), **key)
    assert await shelf.add(**key) == (first[0], False)


async def test_a_report_with_many_rows_comes_whole(world: Any) -> None:
    shelf = Shelf(world)
    await shelf.add(*(row(f"2001:db8::{number:x}") for number in range(5_001)))
    rows = table("aggregate_row")
    count = select(func.count(), func.count(rows.c.source_ip.distinct()))
    found = await world.database.read(lambda connection: connection.execute(count).one())
    assert tuple(found) == (5_001, 5_001)


async def test_lists_go_by_domain_and_page(world: Any) -> None:
    shelf = Shelf(world)
    ids = [(await shelf.add(report_id=f"r-{number}"))[0] for number in range(3)]
    await shelf.add(domain="other.test")
    found = await world.read(
        reports.list_reports, world.workspace, reports.ReportFilter("acme.test"), after=ids[0], limit=5
    )
    assert [one.id for one in found] == ids[1:]
    assert len(await world.read(reports.list_reports, world.workspace)) == 4


def test_sums_are_found_by_index(sqlite_url: str) -> None:
    """The statement itself, as SQLite plans it without statistics."""
    engine = open_engine(read_url(sqlite_url))
    with engine.connect() as connection:
        asked: list[tuple[str, Any]] = []

        def notice(*event_arguments: Any) -> None:
            asked.append((event_arguments[2], event_arguments[3]))

        event.listen(connection, "before_cursor_execute", notice)
        assert list(reports.fares(connection, 1, ACME, Window(1, 2))) == []
        statement, parameters = asked[-1]
        lines = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters)
        plan = "\n".join(str(line[-1]) for line in lines)
    engine.dispose()
    assert "ix_received_report_domain (workspace_id=? AND domain=? AND ends_at>?)" in plan
    assert "ix_aggregate_row_received_report_id" in plan
    assert "SCAN" not in plan
