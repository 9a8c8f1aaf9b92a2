"""``postwright import`` and ``postwright suppress``."""

import asyncio
import csv
from pathlib import Path

import typer

from mailtypes.clock import as_datetime
from postwright.cli.exit_codes import Exit
from postwright.cli.exits import explained, problem_text
from postwright.cli.printing import JsonOption, console, print_json
from postwright.cli.session import print_table, run
from postwright.services.imports import ContactImports
from postwright.store.imports import ImportJob, Refusal
from postwright.store.workspaces import Workspace
from postwright.wiring import Application

_SHOWN = 20


def import_contacts(
    file: Path = typer.Argument(help="A CSV file in UTF-8 with a header line and a column 'email'."),
    target: str = typer.Option(..., "--list", help="The list that the contacts are put on; made where there is none."),
    report: Path | None = typer.Option(None, help="Write every refused row, with its reason, to this CSV file."),
    as_json: bool = JsonOption,
) -> None:
    """Import contacts; refused rows are told with line and reason, good rows are kept."""
    with explained():
        content = file.read_bytes()

    async def work(application: Application, workspace: Workspace) -> tuple[ImportJob, list[Refusal]]:
        imports = application.imports
        job_id = await imports.start(workspace.id, target, file.name, content)
        job = await _wait(imports, workspace.id, job_id)
        return job, await imports.refusals(workspace.id, job_id, limit=1_000_000)

    job, refusals = run(work)
    if report is not None:
        _write_report(report, refusals)
    if as_json:
        print_json(
            {
                "created": job.created,
                "updated": job.updated,
                "refused": job.refused,
                "refusals": [{name: getattr(one, name) for name in Refusal.__slots__} for one in refusals],
            }
        )
    else:
        console.print(f"{job.created:,} new, {job.updated:,} known, {job.refused:,} refused.")
        rows = [(one.row_number, one.value, one.reason) for one in refusals[:_SHOWN]]
        if rows:
            print_table(("line", "value", "why"), rows, empty="")
        if len(refusals) > _SHOWN:
            console.print(f"… and {len(refusals) - _SHOWN:,} more; --report FILE writes all of them.")
    if job.cause:
        raise typer.Exit(int(Exit.REFUSED))


async def _wait(imports: ContactImports, workspace_id: int, job_id: int) -> ImportJob:
    """Do the job here; where the scheduler is at it too, each chunk is done by whoever is first."""
    while True:
        await imports.run_job(await imports.job(workspace_id, job_id))
        job = await imports.job(workspace_id, job_id)
        if job.state in {"finished", "failed"}:
            return job
        await asyncio.sleep(0.2)


def _write_report(path: Path, refusals: list[Refusal]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("line", "value", "code", "reason"))
        writer.writerows((one.row_number, one.value, one.code, one.reason) for one in refusals)


suppress = typer.Typer(help="Addresses that may not be written to.", no_args_is_help=True, add_completion=False)


@suppress.command("add")
def suppress_add(
    address: str = typer.Argument(help="The address."), reason: str = typer.Option("manual", help="Why.")
) -> None:
    """Suppress an address for everything, at once and for queued mail too."""
    added = run(lambda application, workspace: application.suppression_list.add(workspace.id, address, reason))
    console.print("Suppressed." if added else "It was suppressed already.")


@suppress.command("import")
def suppress_import(file: Path = typer.Argument(help="A CSV file with a column 'email' and perhaps 'reason'.")) -> None:
    """Suppress the addresses of a file."""
    with explained():
        content = file.read_bytes()
    added, problems = run(lambda application, workspace: application.suppression_list.import_csv(workspace.id, content))
    console.print(f"{added:,} new, {len(problems):,} refused.")
    for problem in problems:
        console.print(problem_text(problem), markup=False)


@suppress.command("list")
def suppress_list(as_json: bool = JsonOption) -> None:
    """List suppressed addresses."""
    found = run(lambda application, workspace: application.suppression_list.list(workspace.id, limit=100_000))
    if as_json:
        for one in found:
            print_json({name: getattr(one, name) for name in type(one).__slots__ if name != "id"})
        return
    rows = [
        (one.address, one.scope, one.reason, as_datetime(one.created_at).isoformat("T", "seconds")) for one in found
    ]
    print_table(("address", "scope", "reason", "since"), rows, empty="Nobody is suppressed.")
