"""Column kinds that several tables share."""

from typing import Any

from sqlalchemy import BigInteger, Integer
from sqlmodel import Field

BIG = BigInteger()
ROW_ID = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up by itself only for INTEGER PRIMARY KEY


def row_id() -> Any:
    """A primary key that the database counts up."""
    return Field(default=None, primary_key=True, sa_type=ROW_ID)


def reference(target: str, *, index: bool = False) -> Any:
    """A foreign key to ``table.column``."""
    return Field(foreign_key=target, sa_type=BIG, index=index)


def moment() -> Any:
    """UTC, microseconds since 1970."""
    return Field(sa_type=BIG)


def optional_moment() -> Any:
    """UTC, microseconds since 1970, or not yet."""
    return Field(default=None, sa_type=BIG)


def big(default: int | None = None) -> Any:
    """A 64-bit integer."""
    return Field(sa_type=BIG) if default is None else Field(default=default, sa_type=BIG)
