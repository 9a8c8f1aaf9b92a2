"""``postwright segment``."""

import json
from pathlib import Path

import typer

from hygiene.segments.describe import describe
from hygiene.segments.tree import Node
from postwright.cli.exits import explained
from postwright.cli.printing import JsonOption, console, print_json
from postwright.cli.session import print_table, run
from postwright.services.segments import read_tree
from postwright.store.contacts import Contact
from postwright.store.workspaces import Workspace
from postwright.wiring.application import Application

app = typer.Typer(help="Segments: filters over contacts.", no_args_is_help=True, add_completion=False)
_NAME = typer.Argument(None, help="The name of a stored segment.")
_TREE = typer.Option(None, "--tree", help='A tree as JSON, such as {"list": "news"}, in place of a name.')
_FILE = typer.Option(None, "--file", help="A file with such a tree.")


@app.command("count")
def count(
    name: str | None = _NAME, tree: str | None = _TREE, file: Path | None = _FILE, as_json: bool = JsonOption
) -> None:
    """How many contacts are in a segment now."""
    given = _given(name, tree, file)

    async def look(application: Application, workspace: Workspace) -> tuple[Node, int]:
        segments = application.segments
        found = given or (await segments.find(workspace.id, name or "")).node
        return found, await segments.count(workspace.id, found, name=name if given is None else None)

    found, number = run(look)
    if as_json:
        print_json({"contacts": number, "sentence": describe(found)})
        return
    console.print(describe(found), markup=False)
    console.print(f"{number:,} contact{'' if number == 1 else 's'}.")


@app.command("show")
def show(
    name: str | None = _NAME,
    tree: str | None = _TREE,
    file: Path | None = _FILE,
    limit: int = typer.Option(20, min=1, max=10_000, help="How many contacts at most."),
    as_json: bool = JsonOption,
) -> None:
    """Contacts who are in a segment now, the oldest first; without a name, the stored segments."""
    given = _given(name, tree, file, needed=False)
    if name is None and given is None:
        _show_segments(as_json=as_json)
        return

    async def look(application: Application, workspace: Workspace) -> list[Contact]:
        segments = application.segments
        found = given or (await segments.find(workspace.id, name or "")).node
        return await segments.contacts(workspace.id, found, limit=limit)

    contacts = run(look)
    if as_json:
        for one in contacts:
            print_json({"address": one.address, "fields": json.loads(one.fields)})
        return
    print_table(("address", "fields"), [(one.address, one.fields) for one in contacts], empty="Nobody.")


@app.command("list")
def list_segments(as_json: bool = JsonOption) -> None:
    """The stored segments, each as a sentence."""
    _show_segments(as_json=as_json)


def _show_segments(*, as_json: bool) -> None:
    async def look(application: Application, workspace: Workspace) -> list[tuple[str, str, str]]:
        found = await application.segments.page(workspace.id, limit=1000)
        return [(one.name, describe(one.node), one.tree) for one in found]

    rows = run(look)
    if as_json:
        for name, sentence, tree in rows:
            print_json({"name": name, "sentence": sentence, "tree": json.loads(tree)})
        return
    print_table(("name", "sentence"), [row[:2] for row in rows], empty="No segment yet.")


def _given(name: str | None, tree: str | None, file: Path | None, *, needed: bool = True) -> Node | None:
    """The tree of the command line, where it has one."""
    ways = sum(one is not None for one in (name, tree, file))
    if ways > 1 or (needed and ways == 0):
        raise typer.BadParameter("Give the name of a segment, --tree or --file; one of them.")
    with explained():
        if file is not None:
            return read_tree(file.read_text("utf-8"))
        return None if tree is None else read_tree(tree)
    raise AssertionError("unreachable: errors end the command")
