"""Rows into frozen dataclasses: the dataclass's fields are the columns that are read."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, select

from postwright.store.tables import metadata

T = TypeVar("T")
BY_ID: Final = "NOT INDEXED"
BY_DELIVERY: Final = "INDEXED BY ix_event_delivery"
"""Hints that lead SQLite to rows by their ids, and to events by their deliveries.

Beside a condition on ``workspace_id`` it takes many ids for more rows than a workspace has, and reads the whole of it.
"""


def table(name: str) -> Table:
    """The table of that name."""
    return metadata.tables[name]


def select_as(record: type[Any], source: Table) -> Select[Any]:
    """A SELECT of the columns that ``record`` has fields for."""
    return select(*(source.c[field.name] for field in fields(record)))


def fetch_all(connection: Connection, record: type[T], statement: Select[Any]) -> list[T]:
    """Run a statement made by ``select_as`` and make the records."""
    return [record(*row) for row in connection.execute(statement)]


def fetch_one(connection: Connection, record: type[T], source: Table, *conditions: ColumnElement[bool]) -> T | None:
    """The one row that meets the conditions, or ``None``."""
    row = connection.execute(select_as(record, source).where(*conditions)).one_or_none()
    return None if row is None else record(*row)


def page(
    connection: Connection,
    record: type[T],
    source: Table,
    conditions: Sequence[ColumnElement[bool]],
    *,
    after: int = 0,
    limit: int = 100,
) -> list[T]:
    """Up to ``limit`` rows in the order of their ids, beginning behind the id ``after``."""
    statement = select_as(record, source).where(*conditions, source.c.id > after).order_by(source.c.id).limit(limit)
    return fetch_all(connection, record, statement)


def insert_row(connection: Connection, target: Table, /, **values: Any) -> int:
    """Insert one row and return its id."""
    key = connection.execute(target.insert().values(**values)).inserted_primary_key
    assert key is not None
    return int(key[0])
