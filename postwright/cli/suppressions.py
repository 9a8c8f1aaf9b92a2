"""``postwright suppress``: addresses that may not be written to."""

import sys
from pathlib import Path

import typer

from mailtypes.address import EmailAddress
from mailtypes.clock import DAY, as_datetime
from postwright.cli.exit_codes import Exit
from postwright.cli.exits import explained, problem_text
from postwright.cli.printing import JsonOption, console, print_json
from postwright.cli.session import print_table, run
from postwright.services.suppression_files import FileForm
from postwright.services.suppression_list import ImportedSuppressions, Reach
from postwright.store.suppressions import Scope, Suppression, SuppressionFilter
from postwright.store.workspaces import Workspace
from postwright.wiring.application import Application

app = typer.Typer(help="Addresses that may not be written to.", no_args_is_help=True, add_completion=False)
_SHOWN = 20
_PAGE = 5000


@app.command("add")
def suppress_add(
    address: str = typer.Argument(help="The address."),
    reason: str = typer.Option("manual", help="Why."),
    scope: Scope = typer.Option(Scope.ALL, help="How far: everything, one stream, one list."),
    stream: str = typer.Option("marketing", help="The stream, where the scope is one."),
    target: str | None = typer.Option(None, "--list", help="The list, where the scope is one."),
    days: int | None = typer.Option(None, min=1, max=36_500, help="For so many days; without it for good."),
    note: str = typer.Option("", help="What somebody should know later."),
) -> None:
    """Suppress an address for everything, or within a stream or a list, at once and for queued mail too."""

    async def work(application: Application, workspace: Workspace) -> bool:
        ends = None if days is None else application.clock.now() + days * DAY
        reach = Reach(scope, stream, target, None, ends)
        return await application.suppression_list.add(workspace.id, address, reason, reach, note=note)

    console.print("Suppressed." if run(work) else "It was suppressed already.")


@app.command("import")
def suppress_import(
    file: Path = typer.Argument(help="CSV with a column 'email', or an export of another provider (CSV or JSON)."),
    scope: str = typer.Option(
        "auto", help="auto, all or stream; auto: unsubscribes and complaints bar marketing alone."
    ),
    as_json: bool = JsonOption,
) -> None:
    """Suppress the addresses of a file; exports of SendGrid, Mailgun, SES, Postmark and Mailchimp are recognised."""
    if scope not in ("auto", "all", "stream"):
        raise typer.BadParameter("Give auto, all or stream.", param_hint="--scope")
    with explained():
        content = file.read_bytes()
    reach = None if scope == "auto" else Reach(Scope(scope))
    found: ImportedSuppressions = run(
        lambda application, workspace: application.suppression_list.import_file(workspace.id, content, reach)
    )
    if as_json:
        refusals = [{"place": one.place, "code": one.code, "reason": one.sentence} for one in found.problems]
        print_json({"form": str(found.form), "rows": found.rows, "added": found.added, "refusals": refusals})
        return
    console.print(f"{found.rows:,} rows ({found.form}): {found.added:,} new, {len(found.problems):,} refused.")
    for problem in found.problems[:_SHOWN]:
        console.print(problem_text(problem), markup=False)
    if len(found.problems) > _SHOWN:
        console.print(f"… and {len(found.problems) - _SHOWN:,} more; --json shows all of them.")


@app.command("list")
def suppress_list(
    search: str | None = typer.Option(None, help="Only addresses with this part."),
    reason: str | None = typer.Option(None, help="Only those with this reason."),
    limit: int = typer.Option(1000, min=1, max=1_000_000, help="How many at most."),
    as_json: bool = JsonOption,
) -> None:
    """List suppressed addresses."""
    wanted = SuppressionFilter(search=search, reason=reason)
    found = run(lambda application, workspace: application.suppression_list.find(workspace.id, wanted, limit=limit))
    if as_json:
        for one in found:
            print_json({name: getattr(one, name) for name in type(one).__slots__ if name != "id"})
        return
    print_table(
        ("address", "scope", "reason", "since", "note"), [_row(one) for one in found], empty="Nobody is suppressed."
    )


def _row(one: Suppression) -> tuple[str, str, str, str, str]:
    return one.address, one.scope, one.reason, as_datetime(one.created_at).isoformat("T", "seconds"), one.note


@app.command("remove")
def suppress_remove(
    address: str = typer.Argument(help="The address."),
    note: str = typer.Option(..., help="Why; it stands in the event log."),
    scope: Scope | None = typer.Option(None, help="Only the suppression of this scope."),
) -> None:
    """Let an address be written to again. Who unsubscribed or complained did not ask to be asked again."""

    async def work(application: Application, workspace: Workspace) -> int:
        key = EmailAddress.parse(address).key
        wanted = SuppressionFilter(address_key=key, scope=None if scope is None else str(scope))
        found = await application.suppression_list.find(workspace.id, wanted, limit=_PAGE)
        for one in found:
            await application.suppression_list.lift(workspace.id, one.id, by="command line", note=note)
        return len(found)

    removed = run(work)
    if removed == 0:
        console.print("It is not suppressed.")
        raise typer.Exit(int(Exit.NOT_FOUND))
    console.print(f"{removed} suppression{'' if removed == 1 else 's'} removed.")


@app.command("export")
def suppress_export(
    file: Path | None = typer.Argument(None, help="Where to write; without it to standard output."),
    form: FileForm = typer.Option(FileForm.POSTWRIGHT, help="Whose form the file has."),
) -> None:
    """Write everything that bars now as CSV, in the form that a provider reads."""

    async def work(application: Application, workspace: Workspace) -> list[str]:
        return [piece async for piece in application.suppression_list.export(workspace.id, form)]

    pieces = run(work)
    with explained():
        if file is None:
            sys.stdout.write("".join(pieces))
            return
        with file.open("w", encoding="utf-8", newline="") as target:
            target.writelines(pieces)
    console.print(f"Written to {file}.", markup=False)
