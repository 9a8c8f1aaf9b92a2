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
from mailtypes.clock import DAY, Clock, Microseconds
from mailtypes.domain import DomainName
from mailtypes.errors import StorageFullError
from mailtypes.saying import say
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.store import blobs, budgets, domains, events, reports, workspaces
from postwright.store.database import Database
from postwright.store.events import NewEvent
from postwright.store.reports import NewReport, ReceivedReport, ReportFilter, Window

_MAX_KEY_OCTETS = 255  # three of them in one index entry, of which PostgreSQL takes 2,700 octets
_MAX_NAME = 255
UNREAD_MAIL_A_DAY = 256 * 1024 * 1024
"""Octets of unread mail to report addresses that a workspace keeps a day: anybody may write to such an address."""


UNREAD = "unread"
"""The kind of a report that could not be read; its ``document`` says why, and the blob has it as it came."""


@dataclass(frozen=True, slots=True)
class TakenReport:
    """What became of the octets: the stored ``report``, new or known before, and the ``problem`` if it is unread."""

    report: ReceivedReport
    is_new: bool = False
    problem: Problem | None = None


class ReportTooLargeError(RefusedError):
    """More octets than are taken as a report."""

    def __init__(self, octets: int) -> None:
        super().__init__(
            "report_too_large",
            say(
                "The report has %(octets)s octets; at most %(max_octets)s are taken.",
                octets=f"{octets:,}",
                max_octets=f"{MAX_OCTETS:,}",
            ),
        )


class Reports:
    """The reports of all workspaces."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def take(
        self, workspace_id: int, octets: bytes, name: str = "", content_type: str = "", *, is_mail: bool = False
    ) -> TakenReport:
        """Store a report from a file or a whole mail; returns once that is durable.

        What cannot be read is stored too, as a report of the kind ``unread``. Raises ``ReportTooLargeError`` for more
        than ``MAX_OCTETS``, and stores nothing then; so does ``StorageFullError``, where ``is_mail`` tells that a
        stranger sent it and the day's measure of unread mail (``UNREAD_MAIL_A_DAY``) is full.
        """
        if len(octets) > MAX_OCTETS:
            raise ReportTooLargeError(len(octets))
        try:
            # In a thread, since it may take seconds; the limits of the reader bound it.
            report = await asyncio.to_thread(read_report, octets, name, content_type)
        except ReportSyntaxError as error:
            unread = _Unread(octets, name, error, UNREAD_MAIL_A_DAY if is_mail else None)
            return await self._keep_unread(workspace_id, unread)
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
        self, workspace_id: int, domain: str | None = None, *, kind: str | None = None, after: int = 0, limit: int = 100
    ) -> Sequence[ReceivedReport]:
        """The stored reports, all or those about one domain or of one kind, in the order in which they came."""
        name = None if domain is None else DomainName.parse(domain).ascii
        wanted = ReportFilter(name, kind)
        return await self._database.read(
            lambda connection: reports.list_reports(connection, workspace_id, wanted, after=after, limit=limit)
        )

    async def get(self, workspace_id: int, report_id: int) -> ReceivedReport:
        """The report with that id of ours; raises ``NotFoundError``."""
        found = await self._database.read(lambda connection: reports.get_report(connection, workspace_id, report_id))
        if found is None:
            raise NotFoundError("report")
        return found

    async def sources_of(self, report: ReceivedReport) -> Sequence[SourceSum]:
        """What one report says, by source; empty for another one than an aggregate report."""

        def work(connection: Connection) -> list[SourceSum]:
            found = reports.fares_of(connection, report.workspace_id, report.id)
            return sum_by_source(found, _our_hosts(connection, report.workspace_id))

        return await self._database.read(work)

    async def take_mail(self, return_path_host: str, message: bytes) -> None:
        """Store a mail to a report address at that host, for every workspace that has it; returns once it is durable.

        Raises ``ReportTooLargeError``, and ``StorageFullError`` once a day's measure of unread mail is full.
        """
        found = await self._database.read(
            lambda connection: domains.workspaces_of_host(connection, return_path_host.lower())
        )
        for workspace_id in found:
            await self.take(workspace_id, message, is_mail=True)

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
            return TakenReport(_stored(connection, workspace_id, row_id), is_new)

        return await self._database.write(store)

    async def _keep_unread(self, workspace_id: int, unread: "_Unread") -> TakenReport:
        """Keep what cannot be read; the same octets again are the same report."""
        now, octets = self._clock.now(), unread.octets
        document = json.dumps(unread.fault, ensure_ascii=False)
        digest = "sha256:" + hashlib.sha256(octets).hexdigest()

        def store(connection: Connection) -> TakenReport:
            blob_id = blobs.put_blob(connection, workspace_id, octets, now)
            new = NewReport(UNREAD, "", digest, "", now, now, blob_id, document)
            row_id, is_new = reports.add_report(connection, workspace_id, new, now)
            if not is_new:
                blobs.release_blob(connection, blob_id)
            else:
                if not unread.has_room(connection, workspace_id, now):
                    raise StorageFullError("today's measure of unread mail to report addresses is full")
                data = {"report": row_id, "blob": blob_id, **unread.fault}
                events.append(connection, [NewEvent(workspace_id, "report_unread", now, data=data)], now)
            return TakenReport(_stored(connection, workspace_id, row_id), is_new, unread.problem)

        return await self._database.write(store)


@dataclass(frozen=True, slots=True)
class _Unread:
    """Octets that cannot be read, why, and how many of the like are kept a day (``None``: all)."""

    octets: bytes
    name: str
    error: ReportSyntaxError
    a_day: int | None

    @property
    def problem(self) -> Problem:
        return Problem.of(self.error, "report_unread")

    @property
    def fault(self) -> dict[str, str]:
        return {
            "name": self.name[:_MAX_NAME],
            "cause": self.problem.sentence,
            "place": self.problem.place,
            "within": self.error.within[:_MAX_NAME],
            "next_step": self.problem.next_step,
        }

    def has_room(self, connection: Connection, workspace_id: int, now: int) -> bool:
        if self.a_day is None:
            return True
        window = (now // DAY * DAY, self.a_day)
        return budgets.reserve(connection, workspace_id, "unread_mail", window, len(self.octets)) == len(self.octets)


def _stored(connection: Connection, workspace_id: int, report_id: int) -> ReceivedReport:
    found = reports.get_report(connection, workspace_id, report_id)
    assert found is not None  # it was stored in this transaction, or before it
    return found


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
