"""Reports that were received, each stored once, and the rows of the aggregate ones."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from dns_checks.reports import AggregateRow, DkimResult, Fare, SpfResult
from mailtypes.clock import Microseconds
from mailtypes.domain import DomainName
from postwright.store.records import fetch_one, page, table
from postwright.store.rowsets import storable

_report, _row = table("received_report"), table("aggregate_row")
_AT_ONCE = 5_000
_ALIKE = (
    _row.c.source_ip,
    _row.c.disposition,
    _row.c.dkim,
    _row.c.spf,
    _row.c.header_from,
    _row.c.overrides,
    _row.c.dkim_results,
    _row.c.spf_results,
)


@dataclass(frozen=True, slots=True)
class NewReport:
    """A report to store; ``document`` is JSON, ``rows`` are those of an aggregate report."""

    kind: str
    organisation: str
    report_id: str
    domain: str
    begins_at: int
    ends_at: int
    blob_id: int
    document: str
    rows: Sequence[AggregateRow] = ()


@dataclass(frozen=True, slots=True)
class ReceivedReport:
    """A stored report; ``document`` is JSON of what it says."""

    id: int
    workspace_id: int
    kind: str
    organisation: str
    report_id: str
    domain: str
    begins_at: int
    ends_at: int
    received_at: int
    blob_id: int
    document: str


def add_report(connection: Connection, workspace_id: int, new: NewReport, now: Microseconds) -> tuple[int, bool]:
    """Store a report with its rows, unless it is there: returns its id and whether it is new."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    key = {
        "workspace_id": workspace_id,
        "kind": new.kind,
        "organisation": storable(new.organisation),
        "report_id": storable(new.report_id),
        "domain": storable(new.domain),
    }
    statement = (
        insert(_report)
        .values(
            **key,
            begins_at=new.begins_at,
            ends_at=new.ends_at,
            received_at=now,
            blob_id=new.blob_id,
            document=storable(new.document),
        )
        .on_conflict_do_nothing(index_elements=list(key))
        .returning(_report.c.id)
    )
    made = connection.execute(statement).scalar_one_or_none()
    if made is None:
        same = and_(*(_report.c[name] == value for name, value in key.items()))
        return int(connection.execute(select(_report.c.id).where(same)).scalar_one()), False
    _add_rows(connection, workspace_id, int(made), new.rows)
    return int(made), True


def _add_rows(connection: Connection, workspace_id: int, report: int, rows: Sequence[AggregateRow]) -> None:
    for start in range(0, len(rows), _AT_ONCE):
        values = [
            {
                "workspace_id": workspace_id,
                "received_report_id": report,
                "source_ip": storable(row.source_ip),
                "messages": row.count,
                "disposition": storable(row.disposition),
                "dkim": storable(row.dkim),
                "spf": storable(row.spf),
                "header_from": storable(row.header_from),
                "envelope_from": storable(row.envelope_from),
                "envelope_to": storable(row.envelope_to),
                "overrides": storable(" ".join(sorted({reason.kind for reason in row.reasons}))),
                "dkim_results": _as_json([[one.domain, one.selector, one.result] for one in row.dkim_results]),
                "spf_results": _as_json([[one.domain, one.scope, one.result] for one in row.spf_results]),
            }
            for row in rows[start : start + _AT_ONCE]
        ]
        connection.execute(_row.insert(), values)


def _as_json(results: list[list[str]]) -> str:
    return storable(json.dumps(results, ensure_ascii=False, separators=(",", ":")))


def get_report(connection: Connection, workspace_id: int, report: int) -> ReceivedReport | None:
    """The report with that id."""
    return fetch_one(
        connection, ReceivedReport, _report, _report.c.workspace_id == workspace_id, _report.c.id == report
    )


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """Which reports to list; ``None`` means any."""

    domain: str | None = None
    kind: str | None = None


def list_reports(
    connection: Connection, workspace_id: int, wanted: ReportFilter | None = None, *, after: int = 0, limit: int = 100
) -> list[ReceivedReport]:
    """Reports in the order in which they came, beginning behind the id ``after``."""
    conditions = [_report.c.workspace_id == workspace_id]
    if wanted is not None and wanted.domain is not None:
        conditions.append(_report.c.domain == wanted.domain)
    if wanted is not None and wanted.kind is not None:
        conditions.append(_report.c.kind == wanted.kind)
    return page(connection, ReceivedReport, _report, conditions, after=after, limit=limit)


@dataclass(frozen=True, slots=True)
class Window:
    """The reports whose period reaches beyond ``since`` and begins before ``until``."""

    since: int
    until: int | None = None


def fares(connection: Connection, workspace_id: int, domain: DomainName, window: Window) -> Iterator[Fare]:
    """What receivers say of mail in the name of ``domain``, rows that fared alike taken together.

    Receivers report under the domain where they found the policy, which may be above ``domain``; of those reports
    the rows count whose author domain is ``domain`` or below it.
    """
    return _fares(connection, [_report.c.workspace_id == workspace_id, *_within(window), _about(domain)])


def fares_of(connection: Connection, workspace_id: int, report: int) -> Iterator[Fare]:
    """What one aggregate report says, rows that fared alike taken together."""
    return _fares(connection, [_report.c.workspace_id == workspace_id, _report.c.id == report])


def _fares(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> Iterator[Fare]:
    statement = (
        select(*_ALIKE, func.sum(_row.c.messages))
        .join(_report, _report.c.id == _row.c.received_report_id)
        .where(*conditions)
        .group_by(*_ALIKE)
    )
    for (
        source_ip,
        disposition,
        dkim,
        spf,
        header_from,
        overrides,
        dkim_results,
        spf_results,
        messages,
    ) in connection.execute(statement):
        yield Fare(
            source_ip=source_ip,
            count=int(messages),
            disposition=disposition,
            dkim=dkim,
            spf=spf,
            header_from=header_from,
            overrides=tuple(overrides.split()),
            dkim_results=tuple(DkimResult(*one) for one in json.loads(dkim_results)),
            spf_results=tuple(SpfResult(*one) for one in json.loads(spf_results)),
        )


def _within(window: Window) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [_report.c.kind == "aggregate", _report.c.ends_at > window.since]
    if window.until is not None:
        conditions.append(_report.c.begins_at < window.until)
    return conditions


def _about(domain: DomainName) -> ColumnElement[bool]:
    above = []
    parent = domain.parent
    while parent is not None:
        above.append(parent.ascii)
        parent = parent.parent
    by_author = or_(
        _row.c.header_from == domain.ascii, _row.c.header_from.endswith("." + domain.ascii, autoescape=True)
    )
    return and_(
        _report.c.domain.in_([domain.ascii, *above]),  # found by the index; the rest looks at their rows
        or_(_report.c.domain == domain.ascii, by_author),
    )
