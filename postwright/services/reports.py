"""Reports on our mail: taken from a file, a mail or the API, stored once, and summed up by source."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from ipaddress import ip_address

from sqlalchemy import Connection

from dns_checks.reports import (
    MAX_OCTETS,
    AggregateReport,
    FailureReport,
    OurHosts,
    Report,
    ReportSyntaxError,
    SourceSum,
    TlsReport,
    read_report,
    sum_by_source,
)
from mailtypes.clock import Clock, Microseconds
from mailtypes.domain import DomainName
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.store import blobs, domains, events, reports, workspaces
from postwright.store.database import Database
from postwright.store.events import NewEvent
from postwright.store.reports import NewReport, ReceivedReport, Window

_MAX_KEY_OCTETS = 255  # three of them in one index entry, of which PostgreSQL takes 2,700 octets
_MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class TakenReport:
    """What became of the octets: a stored ``report``, new or known before, or the ``problem`` that left them unread."""

    report: ReceivedReport | None
    is_new: bool = False
    problem: Problem | None = None


class Reports:
    """The reports of all workspaces."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def take(self, workspace_id: int, octets: bytes, name: str = "", content_type: str = "") -> TakenReport:
        """Store a report from a file or a whole mail; returns once that is durable.

        What cannot be read is stored too, under the event ``report_unread``. Raises ``RefusedError`` for more than
        ``MAX_OCTETS``, and stores nothing then.
        """
        if len(octets) > MAX_OCTETS:
            raise RefusedError(
                "report_too_large", f"The report has {len(octets)} octets; at most {MAX_OCTETS} are taken."
            )
        try:
            # In a thread, since it may take seconds; the limits of the reader bound it.
            report = await asyncio.to_thread(read_report, octets, name, content_type)
        except ReportSyntaxError as error:
            return await self._keep_unread(workspace_id, octets, name, error)
        return await self._keep(workspace_id, octets, report)

    async def by_source(
        self, workspace_id: int, domain: str, since: Microseconds, until: Microseconds | None = None
    ) -> Sequence[SourceSum]:
        """Who sent mail in the name of ``domain`` by the reports since then: ours or not, passing or not, and why.

        Ours are the workspace's egress addresses, and whoever passes SPF for a return path of its sender domains.
        """
        name = DomainName.parse(domain)

        def work(connection: Connection) -> list[SourceSum]:
            found = reports.fares(connection, workspace_id, name, Window(since, until))
            return sum_by_source(found, _our_hosts(connection, workspace_id))

        return await self._database.read(work)

    async def list(
        self, workspace_id: int, domain: str | None = None, *, after: int = 0, limit: int = 100
    ) -> Sequence[ReceivedReport]:
        """The stored reports, all or about one domain, in the order in which they came."""
        name = None if domain is None else DomainName.parse(domain).ascii
        return await self._database.read(
            lambda connection: reports.list_reports(connection, workspace_id, name, after=after, limit=limit)
        )

    async def get(self, workspace_id: int, report_id: int) -> ReceivedReport:
        """The report with that id of ours; raises ``NotFoundError``."""
        found = await self._database.read(lambda connection: reports.get_report(connection, workspace_id, report_id))
        if found is None:
            raise NotFoundError("report")
        return found

    async def _keep(self, workspace_id: int, octets: bytes, report: Report) -> TakenReport:
        now = self._clock.now()
        kind, document = _kind(report), _document(report)
        begins_at, ends_at = _period(report, now)
        organisation, domain = _key(report.organisation), _key(report.domain)
        report_id = _key(report.report_id) or "sha256:" + hashlib.sha256(octets).hexdigest()
        rows = report.rows if isinstance(report, AggregateReport) else ()

        def store(connection: Connection) -> TakenReport:
            blob_id = blobs.put_blob(connection, workspace_id, octets, now)
            new = NewReport(kind, organisation, report_id, domain, begins_at, ends_at, blob_id, document, rows)
            row_id, is_new = reports.add_report(connection, workspace_id, new, now)
            if is_new:
                data = {
                    "report": row_id,
                    "kind": kind,
                    "organisation": organisation,
                    "report_id": report_id,
                    "domain": domain,
                    "blob": blob_id,
                    "remarks": len(report.remarks),
                }
                events.append(connection, [NewEvent(workspace_id, "report_stored", now, data=data)], now)
            else:
                blobs.release_blob(connection, blob_id)
            return TakenReport(reports.get_report(connection, workspace_id, row_id), is_new)

        return await self._database.write(store)

    async def _keep_unread(self, workspace_id: int, octets: bytes, name: str, error: ReportSyntaxError) -> TakenReport:
        now = self._clock.now()
        problem = Problem.of(error, "report_unread")

        def store(connection: Connection) -> None:
            data = {
                "blob": blobs.put_blob(connection, workspace_id, octets, now),
                "name": name[:_MAX_NAME],
                "cause": problem.sentence,
                "place": problem.place,
                "within": error.within[:_MAX_NAME],
            }
            events.append(connection, [NewEvent(workspace_id, "report_unread", now, data=data)], now)

        await self._database.write(store)
        return TakenReport(None, problem=problem)


def _our_hosts(connection: Connection, workspace_id: int) -> OurHosts:
    sources = workspaces.list_egress_sources(connection, workspace_id)
    senders = domains.list_domains(connection, workspace_id)
    return OurHosts(
        frozenset(str(ip_address(source.ip)) for source in sources),
        frozenset(domain.return_path_host for domain in senders),
    )


def _kind(report: Report) -> str:
    match report:
        case AggregateReport():
            return "aggregate"
        case FailureReport():
            return "failure"
        case TlsReport():
            return "tls"


def _period(report: Report, now: Microseconds) -> tuple[int, int]:
    """From when to when; the moment of its coming where the report does not say."""
    if isinstance(report, FailureReport):
        return report.arrival or now, report.arrival or now
    end = report.end or report.begin or now
    return min(report.begin or end, end), end


def _document(report: Report) -> str:
    match report:
        case AggregateReport():
            report = replace(report, rows=())
        case FailureReport():
            report = replace(report, message=b"")
    content = {name: value for name, value in asdict(report).items() if name not in {"rows", "message"}}
    return json.dumps(content, ensure_ascii=False)


def _key(text: str) -> str:
    """A text short enough for an index; the overlong ones are told apart by their digest."""
    octets = text.encode("utf-8", "replace")
    if len(octets) <= _MAX_KEY_OCTETS:
        return text
    return f"{octets[:100].decode('utf-8', 'ignore')}… sha256:{hashlib.sha256(octets).hexdigest()}"
