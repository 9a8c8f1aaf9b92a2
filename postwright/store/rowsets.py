"""Many rows in one statement, which is one round trip and stays prepared.

A rowset is one bound parameter: a JSON array, read back as a table by either database, so that the text is the same
whatever the number of rows. ``RowStatement`` is for the hot path: it binds the values themselves where that is quicker
(SQLite, which is in the process), and goes past SQLAlchemy's statements to the driver.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection, CursorResult

BIGINT, TEXT = "BIGINT", "TEXT"


def rowset(connection: Connection, name: str, columns: Mapping[str, str], parameter: str = "rows") -> str:
    """SQL for a FROM clause: the rows of ``:parameter`` under the alias ``name`` with these columns and types."""
    return rowset_of(connection.dialect.name, name, columns, parameter)


def rowset_of(dialect: str, name: str, columns: Mapping[str, str], parameter: str = "rows") -> str:
    """The same by the dialect's name, for statements that are made once."""
    if dialect == "postgresql":
        declared = ", ".join(f"{column} {kind}" for column, kind in columns.items())
        return f"json_to_recordset(CAST(:{parameter} AS JSON)) AS {name}({declared})"
    picked = ", ".join(f"json_extract(value, '$.{column}') AS {column}" for column in columns)
    return f"(SELECT {picked} FROM json_each(:{parameter})) AS {name}"


def storable(words: str) -> str:
    """Somebody else's words as both databases take them: no NUL (PostgreSQL) and no half of a surrogate pair."""
    if words.isascii() and "\x00" not in words:
        return words
    return words.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def rows_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """The bound value for ``rowset``."""
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


_MOST_BOUND = 200
"""Rows whose values are bound one by one; each number of rows is a statement of its own to prepare."""


class RowStatement:
    """A statement that begins ``WITH o AS (the rows)``: ``statement`` is what follows, with ``?`` for further values.

    Made once for a dialect. The text has no other question mark and no percent sign.
    """

    def __init__(self, dialect: str, columns: Mapping[str, str], statement: str) -> None:
        self._names = tuple(columns)
        self._binds = dialect == "sqlite"
        self._row = f"({', '.join('?' * len(columns))})"
        mark = "?" if self._binds else "%s"
        given = rowset_of(dialect, "given", columns).replace(":rows", mark)
        self._statement = statement.replace("?", mark)
        self._over_json = f"WITH o AS (SELECT {', '.join(columns)} FROM {given}) {self._statement}"
        self._over_values = lru_cache(maxsize=_MOST_BOUND)(self._make_over_values)

    def execute(self, connection: Connection, rows: Sequence[Sequence[Any]], *values: Any) -> CursorResult[Any]:
        """Run it over ``rows``, each with a value for each column in their order."""
        if self._binds and 0 < len(rows) <= _MOST_BOUND:
            return connection.exec_driver_sql(self._over_values(len(rows)), (*chain.from_iterable(rows), *values))
        given = rows_json([dict(zip(self._names, row, strict=True)) for row in rows])
        return connection.exec_driver_sql(self._over_json, (given, *values))

    def _make_over_values(self, count: int) -> str:
        return f"WITH o({', '.join(self._names)}) AS (VALUES {', '.join([self._row] * count)}) {self._statement}"
