"""``postwright init``: configuration, keys, database, first workspace and first admin; safe to run again."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from mailtypes.clock import Clock
from postwright.keyrings import write_new_key
from postwright.services.account_changes import AccountChanges
from postwright.services.accounts import Accounts, Role
from postwright.settings import Settings, read_settings
from postwright.store import schema
from postwright.store.database import Database
from postwright.store.workspaces import PooledSource, create_workspace, find_workspace, set_egress_sources

_STARTER_CONFIG = """\
# Postwright's configuration. Every key with its meaning: docs/configuration.md.

[database]
url = "sqlite:///data/postwright.db"

[smtp]
# The name of this machine in the DNS; return paths point to it.
hostname = "localhost.localdomain"

[track]
# The name that the tracking hosts of sender domains point to (CNAME).
hostname = "localhost.localdomain"

# The addresses that mail leaves from, with their PTR names:
# [[deliver.egress]]
# ip = "192.0.2.25"
# ehlo = "mta1.example.com"
"""


@dataclass(frozen=True, slots=True)
class Initialised:
    """What ``init`` did; ``link`` lets a new admin choose a password, ``None`` where there were users already."""

    config: Path
    config_written: bool
    workspace_id: int
    link: str | None


async def initialise(config: Path, admin: str, workspace_name: str, clock: Clock) -> Initialised:
    """Make whatever is missing and leave alone whatever is there."""
    config_written = _write_config(config)
    settings = read_settings(config)
    for name in ("master_file", "token_file", "return_path_file", "erasure_file"):
        write_new_key(getattr(settings.keys, name))
    await asyncio.to_thread(schema.upgrade, settings.database.url)
    database = Database(settings.database.url, clock)
    try:
        workspace_id = await _workspace(database, workspace_name, clock)
        deliver = settings.deliver
        sources = [PooledSource(str(egress.ip), egress.ehlo, egress.pool) for egress in deliver.egress]
        await database.write(lambda connection: set_egress_sources(connection, workspace_id, sources, deliver.pools))
        link = await _first_admin(database, settings, workspace_id, admin, clock)
    finally:
        await database.close()
    return Initialised(config, config_written, workspace_id, link)


def _write_config(config: Path) -> bool:
    try:
        with config.open("x", encoding="utf-8") as file:
            file.write(_STARTER_CONFIG)
    except FileExistsError:
        return False
    return True


async def _workspace(database: Database, name: str, clock: Clock) -> int:
    def ensure(connection: Connection) -> int:
        found = find_workspace(connection, name)
        return found.id if found else create_workspace(connection, name, clock.now())

    return await database.write(ensure)


async def _first_admin(
    database: Database, settings: Settings, workspace_id: int, admin: str, clock: Clock
) -> str | None:
    accounts = Accounts(database, clock, settings.http.session_lifetime)
    if await accounts.users(workspace_id):
        return None
    secret = await AccountChanges(database, clock, accounts).invite(workspace_id, admin, Role.ADMIN)
    return f"{settings.http.public_url}/welcome?link={secret}"
