"""``postwright domain report`` and ``postwright domain sources``: what others say of mail in our names."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from dns_checks.reports import SourceSum
from mailtypes.clock import DAY, Microseconds, as_datetime, from_datetime
from postwright.cli.check_ground import read_file
from postwright.cli.exit_codes import Exit
from postwright.cli.exits import problem_text
from postwright.cli.printing import JsonOption, console, print_json
from postwright.cli.session import print_table, run
from postwright.services.errors import RefusedError
from postwright.services.reports import UNREAD, TakenReport
from postwright.store.public_ids import public_id
from postwright.store.reports import ReceivedReport
from postwright.store.workspaces import Workspace
from postwright.wiring.application import Application

app = typer.Typer(help="Reports on mail in our names: DMARC and TLS.", no_args_is_help=True, add_completion=False)
_KIND = "rep"
_PAGE = 500


@app.command("import")
def import_reports(
    files: list[Path] = typer.Argument(help="Reports as they came: XML, JSON, gz, zip or mails.", metavar="FILE..."),
    as_json: bool = JsonOption,
) -> None:
    """Store reports, each once; one that cannot be read is kept too, and the exit code is 1."""

    async def work(application: Application, workspace: Workspace) -> list[tuple[Path, TakenReport | RefusedError]]:
        taken: list[tuple[Path, TakenReport | RefusedError]] = []
        for file in files:
            try:
                taken.append((file, await application.reports.take(workspace.id, read_file(file), file.name)))
            except RefusedError as error:
                taken.append((file, error))
        return taken

    found = run(work)
    for file, one in found:
        if as_json:
            print_json({"file": str(file), **_taken_document(one)})
        else:
            console.print(f"{file}: {_taken_text(one)}", soft_wrap=True, markup=False)
    if any(isinstance(one, RefusedError) or one.problem is not None for _, one in found):
        raise typer.Exit(int(Exit.REFUSED))


def _taken_document(taken: TakenReport | RefusedError) -> dict[str, Any]:
    if isinstance(taken, RefusedError):
        return {"stored": False, "new": False, "cause": str(taken)}
    document = {"stored": True, "new": taken.is_new, **_report_document(taken.report)}
    return document if taken.problem is None else {**document, "cause": taken.problem.sentence}


def _taken_text(taken: TakenReport | RefusedError) -> str:
    if isinstance(taken, RefusedError):
        return f"not stored. {taken}"
    if taken.problem is not None:
        return f"{'kept' if taken.is_new else 'known'}, but it cannot be read. {problem_text(taken.problem)}"
    report = taken.report
    state = "stored" if taken.is_new else "known already"
    return f"{state}: {report.kind} report by {report.organisation or '?'} on {report.domain or '?'}"


@app.command("list")
def list_reports(
    domain: str | None = typer.Option(None, help="Only those on this domain."),
    as_json: bool = JsonOption,
) -> None:
    """List the reports in the order in which they came."""

    async def work(application: Application, workspace: Workspace) -> list[ReceivedReport]:
        found: list[ReceivedReport] = []
        while True:
            after = found[-1].id if found else 0
            page = await application.reports.list(workspace.id, domain, after=after, limit=_PAGE)
            found += page
            if len(page) < _PAGE:
                return found

    reports = run(work)
    if as_json:
        for one in reports:
            print_json(_report_document(one))
        return
    rows = [
        (f"{as_datetime(one.ends_at):%Y-%m-%d}", one.kind, one.domain or "?", one.organisation or "?", one.report_id)
        for one in reports
    ]
    print_table(("until", "kind", "domain", "by", "report id"), rows, empty="No report yet.")


def _report_document(report: ReceivedReport) -> dict[str, Any]:
    return {
        "id": public_id(_KIND, report.received_at, report.id),
        "kind": report.kind,
        "organisation": report.organisation,
        "report_id": report.report_id,
        "domain": report.domain,
        "begins_at": as_datetime(report.begins_at).isoformat(),
        "ends_at": as_datetime(report.ends_at).isoformat(),
        "unread": report.kind == UNREAD,
    }


def sources(
    name: str = typer.Argument(help="A sender domain."),
    days: int = typer.Option(30, min=1, max=3660, help="How many days back, if --since is not given."),
    since: datetime | None = typer.Option(None, help="From when on (UTC).", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    until: datetime | None = typer.Option(None, help="Until when (UTC).", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    as_json: bool = JsonOption,
) -> None:
    """Who sends in a domain's name by the DMARC reports: ours or not, passing or not, and why."""

    async def work(application: Application, workspace: Workspace) -> Sequence[SourceSum]:
        domain = await application.sender_domains.get(workspace.id, name)
        end = application.clock.now() if until is None else _microseconds(until)
        begin = Microseconds(end - days * DAY) if since is None else _microseconds(since)
        return await application.reports.by_source(workspace.id, domain.name, begin, end)

    found = run(work)
    if as_json:
        for one in found:
            print_json(_source_document(one))
        return
    rows = [
        (one.source_ip, "yes" if one.is_ours else "no", _PASSES[one.passes], f"{one.messages:,}", one.reason.sentence)
        for one in found
    ]
    columns = ("source", "ours", "passes", "messages", "why")
    print_table(columns, rows, empty="No report of that time: postwright domain report import FILE...")


_PASSES = {True: "yes", False: "no", None: "?"}


def _microseconds(moment: datetime) -> Microseconds:
    return from_datetime(moment.replace(tzinfo=UTC))


def _source_document(one: SourceSum) -> dict[str, Any]:
    return {
        "source_ip": one.source_ip,
        "is_ours": one.is_ours,
        "passes": one.passes,
        "reason": one.reason,
        "sentence": one.reason.sentence,
        "messages": one.messages,
        "delivered": one.delivered,
        "quarantined": one.quarantined,
        "rejected": one.rejected,
        "header_froms": one.header_froms,
    }
