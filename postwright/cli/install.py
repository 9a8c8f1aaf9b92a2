"""``postwright init`` and ``postwright doctor``."""

import asyncio

import typer
from rich.markup import escape

from mailtypes.clock import SystemClock
from postwright.cli.exit_codes import Exit
from postwright.cli.exits import explained
from postwright.cli.printing import JsonOption, console, print_json
from postwright.cli.session import DEFAULT_WORKSPACE
from postwright.install.doctor import CheckState, examine
from postwright.install.initialise import initialise
from postwright.settings import config_path, read_settings

_MARKS = {CheckState.GOOD: "[green]✓[/]", CheckState.BAD: "[red]✗[/]", CheckState.UNKNOWN: "[dim]?[/]"}


def init(
    admin: str = typer.Option("admin@localhost.localdomain", help="Address that the first admin signs in with."),
) -> None:
    """Write a configuration, make the keys and the database, and add the first admin."""
    with explained():
        done = asyncio.run(initialise(config_path(), admin, DEFAULT_WORKSPACE, SystemClock()))
    console.print(f"Configuration: {done.config}{'' if done.config_written else ' (was there, left as it is)'}")
    console.print("Database and keys are ready.")
    if done.link:
        console.print(
            f"The first admin, [bold]{admin}[/], chooses a password here within three days (the link works once):"
        )
        console.print(f"[bold]{done.link}[/]", soft_wrap=True)
    console.print("Next: postwright serve")


def doctor(as_json: bool = JsonOption) -> None:
    """Check the configuration, the keys, the database, the disk, the clock and the DNS."""
    with explained():
        checks = asyncio.run(examine(read_settings(), SystemClock()))
    for check in checks:
        if as_json:
            print_json({"check": check.name, "state": check.state, "sentence": check.sentence, "next": check.next_step})
        else:
            console.print(
                f"{_MARKS[check.state]} [bold]{check.name}[/] {escape(f'{check.sentence} {check.next_step}'.rstrip())}"
            )
    states = {check.state for check in checks}
    if CheckState.BAD in states:
        raise typer.Exit(int(Exit.REFUSED))
    if CheckState.UNKNOWN in states:
        raise typer.Exit(int(Exit.UNKNOWN))
