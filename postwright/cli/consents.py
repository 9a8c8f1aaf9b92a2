"""``postwright form``, ``postwright person`` and ``postwright preferences``."""

import json
from pathlib import Path

import typer

from postwright.cli.exits import explained
from postwright.cli.printing import JsonOption, console, print_json
from postwright.cli.session import print_table, run
from postwright.services.errors import NotFoundError
from postwright.services.forms import FormWanted
from postwright.services.people_rights import PeopleRights
from postwright.store import contacts
from postwright.store.erasure import Erasure
from postwright.store.sign_ups import Form
from postwright.store.workspaces import Workspace
from postwright.wiring.application import Application

form = typer.Typer(help="Sign-up forms, with a mail that asks to confirm.", no_args_is_help=True, add_completion=False)
person = typer.Typer(help="One person's rights: export and erasure.", no_args_is_help=True, add_completion=False)
preferences = typer.Typer(
    help="Lists that people see on their preference page.", no_args_is_help=True, add_completion=False
)
_NAME = typer.Argument(help="The form's name.")
_ADDRESS = typer.Argument(help="The person's address.")


@form.command("create")
def form_create(
    name: str = _NAME,
    lists: list[str] = typer.Option(..., "--list", help="A list that whoever confirms is put on; as often as needed."),
    title: str = typer.Option(..., help="What people see above it."),
    wording: str = typer.Option(..., help="What people agree to, word for word."),
    sender: str = typer.Option(..., "--from", help="The address that the confirmation mail comes from."),
    sender_name: str = typer.Option("", "--from-name", help="The name beside it."),
    language: str = typer.Option("en", help="en or he."),
    field: list[str] = typer.Option([], help="A field that is asked for beside the address; as often as needed."),
    return_url: str = typer.Option("", help="Where a link leads to once somebody has confirmed."),
) -> None:
    """Make a form, and print where it is."""

    async def work(application: Application, workspace: Workspace) -> str:
        list_ids = tuple([await _list_id(application, workspace, one) for one in lists])
        wanted = FormWanted(
            name, title, wording, list_ids, sender, sender_name, language, tuple(field), None, return_url
        )
        return await application.forms.url(await application.forms.create(workspace.id, wanted))

    console.print(run(work), markup=False, soft_wrap=True)


@form.command("list")
def form_list(as_json: bool = JsonOption) -> None:
    """List the forms."""

    async def work(application: Application, workspace: Workspace) -> list[tuple[Form, str]]:
        found = await application.forms.page(workspace.id, limit=1000)
        return [(one, await application.forms.url(one)) for one in found]

    rows = run(work)
    if as_json:
        for one, url in rows:
            print_json({"name": one.name, "title": one.title, "url": url, "closed": one.closed_at is not None})
        return
    shown = [(one.name, one.title, "closed" if one.closed_at else "open", url) for one, url in rows]
    print_table(("name", "title", "state", "url"), shown, empty="No form yet.")


@form.command("embed")
def form_embed(name: str = _NAME) -> None:
    """Print the HTML that puts a form on another page."""

    async def work(application: Application, workspace: Workspace) -> str:
        return await application.forms.embed(await application.forms.find(workspace.id, name))

    typer.echo(run(work), nl=False)


@form.command("close")
def form_close(name: str = _NAME) -> None:
    """Take nobody any more by a form; who has been asked may still confirm."""

    async def work(application: Application, workspace: Workspace) -> None:
        await application.forms.close(workspace.id, (await application.forms.find(workspace.id, name)).id)

    run(work)
    console.print("Closed.")


@person.command("export")
def person_export(
    address: str = _ADDRESS,
    output: Path | None = typer.Option(None, "--output", "-o", help="Write it to this file."),
) -> None:
    """Print everything that is kept of one person, as JSON."""
    found = run(lambda application, workspace: _rights(application).export(workspace.id, address))
    text = json.dumps(found, ensure_ascii=False, indent=1) + "\n"
    if output is None:
        typer.echo(text, nl=False)
        return
    with explained():
        output.touch(mode=0o600)
        output.write_text(text, "utf-8")


@person.command("erase")
def person_erase(
    address: str = _ADDRESS,
    yes: bool = typer.Option(False, "--yes", help="Do not ask; nothing of it can be undone."),
    as_json: bool = JsonOption,
) -> None:
    """Forget one person for good; the address is never written to again."""
    if not yes:
        typer.confirm(f"Erase everything about {address}? Nothing of it can be undone.", abort=True, err=True)
    done: Erasure = run(lambda application, workspace: _rights(application).erase(workspace.id, address))
    if as_json:
        print_json({name: getattr(done, name) for name in Erasure.__slots__})
        return
    what = "The contact is gone" if done.had_contact else "There was no contact"
    console.print(
        f"{what}; {done.deliveries:,} deliveries and {done.events:,} events no longer say who, and {done.messages:,}"
        " messages lost their content. The address is never written to again."
    )


@preferences.command("show")
def show_list(
    name: str = typer.Argument(help="The list's name."),
    title: str = typer.Option(..., help="What people call it."),
    description: str = typer.Option("", help="A line below the title."),
) -> None:
    """Let people see a list on their preference page."""

    async def work(application: Application, workspace: Workspace) -> None:
        list_id = await _list_id(application, workspace, name)
        await application.preferences.publish(workspace.id, list_id, title, description)

    run(work)
    console.print("People see it now.")


@preferences.command("hide")
def hide_list(name: str = typer.Argument(help="The list's name.")) -> None:
    """Let people see a list no more."""

    async def work(application: Application, workspace: Workspace) -> None:
        await application.preferences.hide(workspace.id, await _list_id(application, workspace, name))

    run(work)
    console.print("People do not see it.")


async def _list_id(application: Application, workspace: Workspace, name: str) -> int:
    found = await application.database.read(lambda connection: contacts.find_list(connection, workspace.id, name))
    if found is None:
        raise NotFoundError(f"list '{name}'")
    return found.id


def _rights(application: Application) -> PeopleRights:
    return PeopleRights(application.database, application.clock)
