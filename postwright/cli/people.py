"""``postwright user`` and ``postwright apikey``."""

import secrets

import typer

from mailtypes.clock import as_datetime
from postwright.cli.exits import explained
from postwright.cli.printing import JsonOption, console, print_json
from postwright.cli.session import print_table, run
from postwright.services.accounts import KeyScope, Role
from postwright.store.public_ids import public_id, read_public_id

users = typer.Typer(help="People who sign in.", no_args_is_help=True, add_completion=False)
keys = typer.Typer(help="Keys of API clients.", no_args_is_help=True, add_completion=False)
_KEY = "key"


@users.command("add")
def add_user(
    address: str = typer.Argument(help="The address to sign in with."),
    role: Role = typer.Option(Role.MARKETER, help="What the person may do."),
) -> None:
    """Add a person, or give one a new password; the password is printed once."""
    password = secrets.token_urlsafe(12)
    run(lambda application, workspace: application.accounts.save_user(workspace.id, address, password, role))
    console.print(f"{address} signs in with the password [bold]{password}[/] (shown once).")


@users.command("list")
def list_users(as_json: bool = JsonOption) -> None:
    """List the people."""
    found = run(lambda application, workspace: application.accounts.users(workspace.id))
    if as_json:
        for one in found:
            print_json({"address": one.address, "role": one.role})
        return
    print_table(("address", "role"), [(one.address, one.role) for one in found], empty="Nobody yet.")


@keys.command("create")
def create_key(
    name: str = typer.Argument(help="What the key is for."),
    scope: list[KeyScope] = typer.Option(
        [KeyScope.SEND], help="What it may do: read, send (reads too) or admin (all)."
    ),
    as_json: bool = JsonOption,
) -> None:
    """Make a key; it is printed once, only its SHA-256 is kept."""
    _, key = run(lambda application, workspace: application.accounts.create_key(workspace.id, name, frozenset(scope)))
    if as_json:
        print_json({"name": name, "key": key})
    else:
        console.print(f"[bold]{key}[/]\nKeep it now; it is not shown again.")


@keys.command("list")
def list_keys(as_json: bool = JsonOption) -> None:
    """List the keys, the revoked ones too."""
    found = run(lambda application, workspace: application.accounts.keys(workspace.id))
    documents = [
        {
            "id": public_id(_KEY, one.created_at, one.id),
            "name": one.name,
            "begins": one.prefix,
            "scopes": one.scopes,
            "state": "revoked" if one.revoked_at else "active",
            "created": as_datetime(one.created_at).isoformat("T", "seconds"),
        }
        for one in found
    ]
    if as_json:
        for document in documents:
            print_json(document)
        return
    columns = ("id", "name", "begins", "scopes", "state", "created")
    print_table(columns, [[document[column] for column in columns] for document in documents], empty="No key yet.")


@keys.command("revoke")
def revoke_key(key: str = typer.Argument(help="The key's id, as listed.")) -> None:
    """End a key at once."""
    with explained():
        key_id = read_public_id(key, _KEY)
    run(lambda application, workspace: application.accounts.revoke_key(workspace.id, key_id))
    console.print("Revoked.")
