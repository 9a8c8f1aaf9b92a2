"""Commands about the install itself: init, serve, doctor, demo, sandbox."""

import asyncio
import os

import typer

from mailtypes.clock import SystemClock
from postwright.cli.exits import Exit, explained
from postwright.cli.session import DEFAULT_WORKSPACE, JsonOption, console, print_json
from postwright.demo.command import run_demo
from postwright.install.doctor import CheckState, examine
from postwright.install.initialise import initialise
from postwright.serving.process import prepare, run_roles
from postwright.serving.roles import Role
from postwright.serving.supervisor import supervise
from postwright.settings import CONFIG_VARIABLE, config_path, read_settings

_MARKS = {CheckState.GOOD: "[green]✓[/]", CheckState.BAD: "[red]✗[/]", CheckState.UNKNOWN: "[dim]?[/]"}


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("init")(init)
    app.command("serve")(serve)
    app.command("doctor")(doctor)
    app.command("demo")(run_demo)


def init(
    admin: str = typer.Option("admin@localhost.localdomain", help="Address that the first admin signs in with."),
) -> None:
    """Write a configuration, make the keys and the database, and add the first admin."""
    with explained():
        done = asyncio.run(initialise(config_path(), admin, DEFAULT_WORKSPACE, SystemClock()))
    console.print(f"Configuration: {done.config}{'' if done.config_written else ' (was there, left as it is)'}")
    console.print("Database and keys are ready.")
    if done.password:
        console.print(f"Sign in as [bold]{admin}[/] with the password [bold]{done.password}[/] (shown once).")
    console.print("Next: postwright serve")


def serve(
    role: list[Role] = typer.Option([], help="Run only this role, in this process; may be given several times."),
    prepare_first: bool = typer.Option(True, "--prepare/--no-prepare", hidden=True),
    follow_parent: bool = typer.Option(False, "--follow-parent", hidden=True),
) -> None:
    """Run Postwright: all roles in a tree of processes, or some of them here."""
    with explained():
        settings = read_settings()
        if not role:
            environment = {**os.environ, CONFIG_VARIABLE: str(config_path())}
            raise typer.Exit(supervise(settings, environment, follow_parent=follow_parent))
        if prepare_first:
            asyncio.run(prepare(settings))
        run_roles(settings, role, follow_parent=follow_parent)


def doctor(as_json: bool = JsonOption) -> None:
    """Check the configuration, the keys, the database, the disk, the clock and the DNS."""
    with explained():
        checks = asyncio.run(examine(read_settings(), SystemClock()))
    for check in checks:
        if as_json:
            print_json({"check": check.name, "state": check.state, "sentence": check.sentence, "next": check.next_step})
        else:
            console.print(f"{_MARKS[check.state]} [bold]{check.name}[/] {check.sentence} {check.next_step}".rstrip())
    states = {check.state for check in checks}
    if CheckState.BAD in states:
        raise typer.Exit(int(Exit.REFUSED))
    if CheckState.UNKNOWN in states:
        raise typer.Exit(int(Exit.UNKNOWN))
