"""``postwright user`` and ``postwright apikey``."""

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import typer

from mailtypes.clock import Microseconds, as_datetime, from_datetime
from postwright.cli.exits import explained
from postwright.cli.printing import JsonOption, console, print_json
from postwright.cli.session import print_table, run
from postwright.services.accounts import KeyScope, Role, key_terms
from postwright.services.errors import RefusedError
from postwright.store.people import ApiKey
from postwright.store.public_ids import public_id, read_public_id
from postwright.store.workspaces import Workspace
from postwright.wiring.application import Application

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
    domain: list[str] = typer.Option([], help="A sender domain that it is for; none: any. Repeatable."),
    address: list[str] = typer.Option([], help="A sender address that it is for; none: any. Repeatable."),
    test: bool = typer.Option(False, "--test", help="What it sends goes to the test mailbox, not to anybody."),
    rate: int | None = typer.Option(None, min=1, help="Requests a second, in each server process."),
    quota: int | None = typer.Option(None, min=0, help="Recipients a day (UTC)."),
    expires: datetime | None = typer.Option(None, help="When it ends (UTC)."),
    as_json: bool = JsonOption,
) -> None:
    """Make a key; it is printed once, only its SHA-256 is kept."""
    with explained():
        senders = key_terms(domain, address)
    ends = None if expires is None else from_datetime(expires.replace(tzinfo=UTC))
    terms = replace(senders, is_test=test, rate_limit=rate, daily_quota=quota, expires_at=ends)

    async def make(application: Application, workspace: Workspace) -> tuple[int, str]:
        if ends is not None and ends <= application.clock.now():
            raise RefusedError("in_the_past", "The key would have expired already.", field="--expires")
        return await application.accounts.create_key(workspace.id, name, frozenset(scope), terms)

    _print_key(name, run(make)[1], as_json=as_json)


@keys.command("rotate")
def rotate_key(
    key: str = typer.Argument(help="The key's id, as listed."),
    overlap: float = typer.Option(24.0, min=0, max=30 * 24, help="Hours for which the old key still works."),
    as_json: bool = JsonOption,
) -> None:
    """Make a key that takes over from one, with the same name, scopes and limits; it is printed once."""
    key_id = _key_id(key)
    hours = timedelta(hours=overlap)

    async def rotate(application: Application, workspace: Workspace) -> tuple[str, str]:
        old = {one.id: one.name for one in await application.accounts.keys(workspace.id)}
        _, new = await application.accounts.rotate_key(workspace.id, key_id, hours)
        return old[key_id], new

    _print_key(*run(rotate), as_json=as_json)


def _print_key(name: str, key: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "key": key})
    else:
        console.print(f"[bold]{key}[/]\nKeep it now; it is not shown again.")


def _key_id(key: str) -> int:
    with explained():
        return read_public_id(key, _KEY)
    raise AssertionError("unreachable: errors end the command")


@keys.command("list")
def list_keys(as_json: bool = JsonOption) -> None:
    """List the keys, the revoked ones too."""

    async def look(application: Application, workspace: Workspace) -> tuple[list[ApiKey], Microseconds]:
        return await application.accounts.keys(workspace.id), application.clock.now()

    found, now = run(look)
    documents = [_document(one, now) for one in found]
    if as_json:
        for document in documents:
            print_json(document)
        return
    columns = ("id", "name", "begins", "scopes", "state", "limits", "created")
    print_table(columns, [[document[column] for column in columns] for document in documents], empty="No key yet.")


@keys.command("revoke")
def revoke_key(key: str = typer.Argument(help="The key's id, as listed.")) -> None:
    """End a key at once."""
    key_id = _key_id(key)
    run(lambda application, workspace: application.accounts.revoke_key(workspace.id, key_id))
    console.print("Revoked.")


def _document(key: ApiKey, now: Microseconds) -> dict[str, object]:
    over = key.expires_at is not None and key.expires_at <= now
    return {
        "id": public_id(_KEY, key.created_at, key.id),
        "name": key.name,
        "begins": key.prefix,
        "scopes": key.scopes,
        "state": "revoked" if key.revoked_at else "expired" if over else "active",
        "limits": _limits(key),
        "created": as_datetime(key.created_at).isoformat("T", "seconds"),
    }


def _limits(key: ApiKey) -> str:
    """What limits a key, in words."""
    ends = None if key.expires_at is None else as_datetime(key.expires_at).isoformat("T", "seconds")
    parts = (
        "test" if key.is_test else "",
        key.domains,
        key.addresses,
        "" if key.rate_limit is None else f"{key.rate_limit} requests/s",
        "" if key.daily_quota is None else f"{key.daily_quota} recipients/day",
        "" if ends is None else f"until {ends}",
    )
    return ", ".join(part for part in parts if part)
