"""Bring a database to the schema that this release needs, or say that it is not there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, event

from mailtypes.errors import StorageError
from postwright.store.database import open_engine, read_url
from postwright.store.tables import metadata

_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(url: str, revision: str = "head") -> None:
    """Create or update the schema; a no-op where it is current."""
    _run(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str) -> None:
    """Take versions back down to ``revision`` (``base`` for an empty database)."""
    _run(url, lambda config: command.downgrade(config, revision))


def is_current(url: str) -> bool:
    """Whether the database is at the newest version."""
    engine = open_engine(read_url(url))
    try:
        with engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
    return found == ScriptDirectory(str(_MIGRATIONS)).get_current_head()


def differences(url: str) -> list[object]:
    """What the tables in the code have and the migrated database has not, or the other way round; empty is good."""
    engine = open_engine(read_url(url))
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"include_object": _is_ours})
            return list(compare_metadata(context, metadata))
    finally:
        engine.dispose()


def _is_ours(_thing: object, name: str | None, kind: str, reflected: bool, _other: object) -> bool:
    # Partitions belong to their table, and Alembic would take them for tables that nobody declared.
    return not (kind == "table" and reflected and str(name).endswith("_default"))


def _run(url: str, action: Callable[[Config], None]) -> None:
    engine: Engine = open_engine(read_url(url))
    if engine.dialect.name == "sqlite":
        _let_tables_be_rebuilt(engine)
    try:
        with engine.begin() as connection:
            config = Config()
            config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
            config.attributes["connection"] = connection
            action(config)
            if engine.dialect.name == "sqlite":
                violations = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                if violations:
                    raise StorageError(f"the migration would break {len(violations)} references; nothing was changed")
    finally:
        engine.dispose()


def _let_tables_be_rebuilt(engine: Engine) -> None:
    """SQLite changes a column by making the table anew; dropping the old one may not delete what refers to it."""

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA foreign_keys = OFF")
