"""``postwright campaign overrule``, ``withdraw`` and ``overrides``: sending against findings of pre-flight."""

import getpass
from collections.abc import Sequence
from datetime import UTC, datetime

import typer

from mailtypes.clock import SECOND
from postwright.cli.exit_codes import Exit
from postwright.cli.exits import problem_text
from postwright.cli.printing import JsonOption, console, print_json
from postwright.cli.session import print_table, run
from postwright.services.audit_log import AuditLog
from postwright.services.errors import NotFoundError
from postwright.services.preflight import Preflight
from postwright.services.preflight_overrides import OverrideWish
from postwright.store.audit_log import NewAuditEntry
from postwright.store.campaigns import Campaign
from postwright.store.overrides import PreflightOverride
from postwright.store.workspaces import Workspace
from postwright.wiring.application import Application

_NAME = typer.Argument(help="The campaign's name.")
_AS = typer.Option(None, "--as", help="Who does it; the account on this machine by default.")


def overrule(
    name: str = _NAME,
    codes: list[str] = typer.Argument(help="The codes of findings that block it."),
    note: str = typer.Option(..., help="Why it may be sent all the same."),
    who: str | None = _AS,
) -> None:
    """Let a campaign be sent against findings, as long as what they were found in stays as it is."""

    async def work(application: Application, workspace: Workspace) -> Preflight:
        campaign = await _find(application, workspace, name)
        wish = OverrideWish(frozenset(codes), _named(who), note)
        found = await application.campaigns.overrule(workspace.id, campaign.id, wish)
        await _write_down(application, workspace, wish.who, ("overrule", campaign))
        return found

    _tell(run(work), name)


def withdraw(
    name: str = _NAME, code: str = typer.Argument(help="The code that was overruled."), who: str | None = _AS
) -> None:
    """Take back what was overruled: it blocks again."""

    async def work(application: Application, workspace: Workspace) -> Preflight:
        campaign = await _find(application, workspace, name)
        found = await application.campaigns.withdraw_override(workspace.id, campaign.id, code, _named(who))
        await _write_down(application, workspace, _named(who), ("withdraw", campaign))
        return found

    _tell(run(work), name)


def overrides(name: str = _NAME, as_json: bool = JsonOption) -> None:
    """Show everything that was ever overruled for a campaign: by whom, why, and what was withdrawn."""

    async def work(application: Application, workspace: Workspace) -> Sequence[PreflightOverride]:
        campaign = await _find(application, workspace, name)
        return await application.campaigns.overrides(workspace.id, campaign.id)

    found = run(work)
    if as_json:
        for one in found:
            print_json(override_document(one))
        return
    rows = [(one.code, one.who, one.note, _moment(one.made_at), one.withdrawn_by) for one in found]
    print_table(("finding", "by", "why", "at", "withdrawn by"), rows, empty="Nothing was overruled.")


def override_document(one: PreflightOverride) -> dict[str, object]:
    """An override as JSON."""
    return {
        "code": one.code,
        "sentence": one.sentence,
        "who": one.who,
        "note": one.note,
        "made_at": _moment(one.made_at),
        "withdrawn_at": None if one.withdrawn_at is None else _moment(one.withdrawn_at),
        "withdrawn_by": one.withdrawn_by or None,
    }


def print_overrides(found: Preflight) -> None:
    """What was overruled, and what no longer holds, as lines beneath the findings."""
    for one in found.overruled:
        console.print("[yellow]✓[/]", end=" ")
        said = f"{problem_text(one.problem)} Overruled by {one.override.who}: {one.override.note}"
        console.print(said, markup=False, soft_wrap=True)
    for lapsed in found.lapsed:
        said = f"  The override of {lapsed.code} by {lapsed.who} was for another content, and no longer holds."
        console.print(said, markup=False, soft_wrap=True)


def add_to(app: typer.Typer) -> None:
    """Add the commands to those of campaigns."""
    for command in (overrule, withdraw, overrides):
        app.command(command.__name__)(command)


def _tell(found: Preflight, name: str) -> None:
    for problem in found.blocking:
        console.print("[red]✗[/]", end=" ")
        console.print(problem_text(problem), markup=False, soft_wrap=True)
    print_overrides(found)
    if found.blocking:
        raise typer.Exit(int(Exit.REFUSED))
    console.print(f"Nothing keeps '{name}' from being sent.", markup=False)


def _named(who: str | None) -> str:
    if who and who.strip():
        return who.strip()[:200]
    try:
        return f"{getpass.getuser()} (command line)"
    except (OSError, KeyError):  # an account without a name, as in some containers
        return "command line"


async def _write_down(application: Application, workspace: Workspace, who: str, what: tuple[str, Campaign]) -> None:
    action, campaign = what
    command = f"postwright campaign {action}"
    entry = NewAuditEntry(workspace.id, 0, who, "cli", command, campaign.name, 200, "")
    await AuditLog(application.database, application.clock).note(entry)


async def _find(application: Application, workspace: Workspace, name: str) -> Campaign:
    found = await application.campaigns.find(workspace.id, name)
    if found is None:
        raise NotFoundError(f"campaign as '{name}'")
    return found


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / SECOND, UTC).isoformat(timespec="seconds")
