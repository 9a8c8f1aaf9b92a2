"""What every command begins with: settings, an application, the workspace, and a way to print."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from rich.table import Table
from rich.text import Text

from mailtypes.errors import ConfigurationError
from postwright.cli.exits import explained
from postwright.cli.printing import console
from postwright.settings import read_settings
from postwright.store import schema
from postwright.store.workspaces import Workspace, find_workspace
from postwright.wiring.application import Application

T = TypeVar("T")
DEFAULT_WORKSPACE = "main"


def run(work: Callable[[Application, Workspace], Awaitable[T]]) -> T:
    """Run ``work`` in the default workspace of the configured install; errors end the command."""

    async def body() -> T:
        application = Application.open(read_settings())
        try:
            if not await asyncio.to_thread(schema.is_current, application.settings.database.url):
                raise ConfigurationError("The database is not at this release's schema. Run: postwright init")
            workspace = await application.database.read(lambda one: find_workspace(one, DEFAULT_WORKSPACE))
            if workspace is None:
                raise ConfigurationError("There is no workspace yet. Run: postwright init")
            return await work(application, workspace)
        finally:
            await application.close()

    with explained():
        return asyncio.run(body())
    raise AssertionError("unreachable: errors end the command")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Rows under headings, or the sentence for an empty table."""
    if not rows:
        console.print(empty)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(_plain(str(cell)) for cell in row))
    console.print(table)


def _plain(cell: str) -> Text:
    """A cell as text: what others wrote is no markup, and moves no cursor (ECMA-48 sequences begin with a control)."""
    return Text("".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in cell))
