"""Many rows in one bound parameter: a JSON array, read back as a table by either database.

A statement over a rowset keeps one text whatever the number of rows, so it stays prepared, and it is one round trip.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

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
