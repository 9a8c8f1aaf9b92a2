"""Failed tries to sign in, by hashes of what they count for: a network, a person, both. Bounded, and soon forgotten."""

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, delete, func, select

from mailtypes.clock import Microseconds
from postwright.store.records import table

_failure = table("sign_in_failure")
_MOST_ROWS: Final = 200_000
_FORGOTTEN_AT_ONCE: Final = 200


def failures_since(
    connection: Connection, name_hashes: Collection[str], since: Microseconds, *, most: int
) -> dict[str, int]:
    """How many failures each name has after a moment; counted no further than ``most``, so that floods cost nothing."""
    found: dict[str, int] = {}
    for one in name_hashes:
        newer = select(_failure.c.id).where(_failure.c.name_hash == one, _failure.c.at > since).limit(most)
        found[one] = int(connection.execute(select(func.count()).select_from(newer.subquery())).scalar_one())
    return found


def add_failure(
    connection: Connection, name_hashes: Collection[str], now: Microseconds, forget_before: Microseconds
) -> None:
    """Count a failure for each name, and forget what nobody counts any more: more rows than come at a time."""
    connection.execute(_failure.insert(), [{"name_hash": one, "at": now} for one in name_hashes])
    old = select(_failure.c.id).where(_failure.c.at <= forget_before).order_by(_failure.c.at).limit(_FORGOTTEN_AT_ONCE)
    connection.execute(delete(_failure).where(_failure.c.id.in_(old)))
    newest = select(func.max(_failure.c.id)).scalar_subquery()
    connection.execute(delete(_failure).where(_failure.c.id <= newest - _MOST_ROWS))
