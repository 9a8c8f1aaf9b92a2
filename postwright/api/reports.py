"""Reports on our mail: handed in, listed, read, and summed up by source."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from dns_checks.reports import MAX_OCTETS, SourceSum
from mailtypes.clock import DAY, Microseconds, from_datetime
from postwright.api.callers import Reader, Sender
from postwright.api.cursors import make_page, read_cursor
from postwright.api.edge import edge_of
from postwright.api.representations import (
    REPORT,
    Answer,
    Moment,
    Page,
    PageWanted,
    Text,
    inward,
    moment,
    outward,
)
from postwright.services.errors import RefusedError
from postwright.services.reports import UNREAD
from postwright.store.reports import ReceivedReport

_DEFAULT_DAYS = 30
_TYPES = ("application/xml", "application/gzip", "application/zip", "application/json", "message/rfc822")
_OCTETS = {"schema": {"type": "string", "format": "binary"}}
REPORT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The report as it came: XML, JSON, gz, zip, or the whole mail. The octets decide what it is.",
        "content": dict.fromkeys((*_TYPES, "application/octet-stream"), _OCTETS),
    }
}
Kind = Literal["aggregate", "failure", "tls", "unread"]


class ReportWanted(BaseModel):
    """What is known of the octets."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Text = Field(
        "", max_length=255, description="The file's name; it may tell the domain where the file does not."
    )


class ReportsWanted(PageWanted):
    """Which reports to list."""

    domain: Text | None = Field(None, max_length=253, description="Only those that say they are about this domain.")
    kind: Kind | None = Field(None, description="Only those of this kind.")


class SourcesWanted(BaseModel):
    """Which reports to sum up: those whose period touches the time from `since` to `until`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    since: AwareDatetime | None = Field(None, description=f"RFC 3339; {_DEFAULT_DAYS} days ago if left out.")
    until: AwareDatetime | None = Field(None, description="RFC 3339; now if left out.")
    limit: int = Field(100, ge=1, le=1000, description="How many sources at most, the largest first.")


class FaultShown(Answer):
    """Why a report could not be read."""

    detail: str
    place: str | None = Field(description="Line and column, where the fault has a place.")
    within: str | None = Field(description="The packed file or part that it is in.")
    next_step: str


class ReportSummary(Answer):
    """A report that was taken. The times are those that it is about; of an unread one, when it came."""

    id: str
    kind: str = Field(description="aggregate (DMARC), failure (DMARC), tls (TLS-RPT) or unread")
    organisation: str = Field(description="Who reports.")
    report_id: str = Field(description="Its id at that organisation; where it has none, the SHA-256 of its octets.")
    domain: str
    begins_at: Moment
    ends_at: Moment
    received_at: Moment
    fault: FaultShown | None = Field(description="Set where it could not be read; it is kept as it came.")


class SourceShown(Answer):
    """What one source sent in the domain's name, as far as it has one reason to pass or not."""

    source_ip: str
    is_ours: bool = Field(description="Whether we send from there, or it passes SPF for a return path of ours.")
    passes: bool | None = Field(description="Whether it passes DMARC; `null` where receivers do not say.")
    reason: str
    sentence: str
    messages: int
    delivered: int
    quarantined: int
    rejected: int
    header_froms: list[str]


class ReportShown(ReportSummary):
    """A report with what it says."""

    content: dict[str, Any] = Field(description="What it says but for the rows; empty of an unread one.")
    sources: list[SourceShown] = Field(description="The rows of an aggregate report by source, the largest first.")


class SourcesShown(Answer):
    """Who sends in a domain's name, by the aggregate reports of a time."""

    domain: str
    since: Moment
    until: Moment
    messages: int = Field(description="Of all sources, those beyond `limit` included.")
    passing: int
    sources: int
    data: list[SourceShown]


async def create_report(
    request: Request, response: Response, query: Annotated[ReportWanted, Query()], caller: Sender
) -> ReportSummary:
    """Take a report: 201 where it is new, 200 where it is known.

    One that cannot be read is taken too: `kind` is unread, and `fault` says why.
    """
    edge_of(request.scope).body_limit = MAX_OCTETS
    octets = await request.body()
    if not octets:
        raise RefusedError("no_report", "The body is empty.", next_step="Send the report as it came, as the body.")
    media_type = request.headers.get("content-type", "")
    taken = await caller.services.reports.take(caller.workspace_id, octets, query.name, media_type)
    shown = _summary(taken.report)
    response.status_code = 201 if taken.is_new else 200
    response.headers["Location"] = f"/v1/reports/{shown.id}"
    return shown


async def list_reports(query: Annotated[ReportsWanted, Query()], caller: Reader) -> Page[ReportSummary]:
    """The reports in the order in which they came, those that could not be read among them."""
    (after,) = read_cursor("reports", query.cursor)
    rows = await caller.services.reports.list(
        caller.workspace_id, query.domain, kind=query.kind, after=after, limit=query.limit + 1
    )
    return make_page("reports", rows, query.limit, _summary, lambda report: (report.id,), query.cursor)


async def get_report(report_id: str, caller: Reader) -> ReportShown:
    """What one report says; an aggregate report summed up by source."""
    found = await caller.services.reports.get(caller.workspace_id, inward(REPORT, report_id))
    sources = await caller.services.reports.sources_of(found)
    content = {} if found.kind == UNREAD else json.loads(found.document)
    return ReportShown(**_summary(found).model_dump(), content=content, sources=_sources(sources[:1000]))


async def list_sources(name: str, query: Annotated[SourcesWanted, Query()], caller: Reader) -> SourcesShown:
    """Who sends mail in a sender domain's name by the aggregate reports: ours or not, passing or not, and why."""
    domain = await caller.services.sender_domains.get(caller.workspace_id, name)
    now = caller.services.clock.now()
    until = now if query.until is None else from_datetime(query.until)
    since = Microseconds(until - _DEFAULT_DAYS * DAY) if query.since is None else from_datetime(query.since)
    if since >= until:
        step = "Give a 'since' that is before 'until'."
        raise RefusedError("empty_time", "The time ends before it begins.", field="since", next_step=step)
    sums = await caller.services.reports.by_source(caller.workspace_id, domain.name, since, until)
    return SourcesShown(
        domain=domain.name,
        since=moment(since),
        until=moment(until),
        messages=sum(one.messages for one in sums),
        passing=sum(one.messages for one in sums if one.passes),
        sources=len({one.source_ip for one in sums}),
        data=_sources(sums[: query.limit]),
    )


def add_report_routes(router: APIRouter) -> None:
    """The routes of reports."""
    router.add_api_route("/reports", create_report, methods=["POST"], status_code=201, openapi_extra=REPORT_BODY)
    router.add_api_route("/reports", list_reports, methods=["GET"])
    router.add_api_route("/reports/{report_id}", get_report, methods=["GET"])
    router.add_api_route("/domains/{name}/sources", list_sources, methods=["GET"])


def _summary(report: ReceivedReport) -> ReportSummary:
    return ReportSummary(
        id=outward(REPORT, report.received_at, report.id),
        kind=report.kind,
        organisation=report.organisation,
        report_id=report.report_id,
        domain=report.domain,
        begins_at=moment(report.begins_at),
        ends_at=moment(report.ends_at),
        received_at=moment(report.received_at),
        fault=_fault(json.loads(report.document)) if report.kind == UNREAD else None,
    )


def _fault(document: dict[str, str]) -> FaultShown:
    return FaultShown(
        detail=document["cause"],
        place=document["place"] or None,
        within=document["within"] or None,
        next_step=document["next_step"],
    )


def _sources(sums: Sequence[SourceSum]) -> list[SourceShown]:
    return [
        SourceShown(
            source_ip=one.source_ip,
            is_ours=one.is_ours,
            passes=one.passes,
            reason=one.reason,
            sentence=one.reason.sentence,
            messages=one.messages,
            delivered=one.delivered,
            quarantined=one.quarantined,
            rejected=one.rejected,
            header_froms=list(one.header_froms),
        )
        for one in sums
    ]
