"""``postwright serve``."""

import asyncio
import os

import typer

from postwright.cli.exits import explained, status_of
from postwright.serving.process import prepare, run_roles
from postwright.serving.roles import Role
from postwright.serving.supervisor import supervise
from postwright.settings import CONFIG_VARIABLE, config_path, read_settings


def serve(
    role: list[Role] = typer.Option([], help="Run only this role, in this process; may be given several times."),
    prepare_first: bool = typer.Option(True, "--prepare/--no-prepare", hidden=True),
    follow_parent: bool = typer.Option(False, "--follow-parent", hidden=True),
) -> None:
    """Run Postwright: all roles in a tree of processes, or some of them here."""
    with explained():
        settings = read_settings()
        if not role:
            os.environ[CONFIG_VARIABLE] = str(config_path())  # roles that begin again read the same file
            raise typer.Exit(supervise(settings, status_of, follow_parent=follow_parent))
        if prepare_first:
            asyncio.run(prepare(settings))
        run_roles(settings, role, follow_parent=follow_parent)
