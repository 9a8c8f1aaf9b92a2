"""Answers kept for requests that send, so that asking twice does it once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Connection, TextClause, delete, select, text

from mailtypes.clock import DAY, Microseconds
from postwright.store.records import select_as, table
from postwright.store.rowsets import BIGINT, TEXT, rows_json, rowset_of

_answer = table("idempotent_answer")
KEPT = DAY


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The answer that a request got; ``request_sha256`` tells a repetition from another request under the same key."""

    workspace_id: int
    key_id: int
    idempotency_key: str
    request_sha256: str
    status: int
    body: str
    created_at: int


def find_answers(
    connection: Connection, wanted: Sequence[tuple[int, str]], now: Microseconds
) -> dict[tuple[int, str], KeptAnswer]:
    """The answers kept for these pairs of API key id and idempotency key."""
    if not wanted:
        return {}
    statement = select_as(KeptAnswer, _answer).where(_named(connection.dialect.name), _answer.c.created_at > now - KEPT)
    places = rows_json([{"key_id": key_id, "idempotency_key": key} for key_id, key in wanted])
    found = (KeptAnswer(*row) for row in connection.execute(statement, {"rows": places}))
    return {(answer.key_id, answer.idempotency_key): answer for answer in found}


@cache
def _named(dialect: str) -> TextClause:
    """The answers under the keys given. An API key says the workspace, with which the table's unique key begins."""
    given = rowset_of(dialect, "given", {"key_id": BIGINT, "idempotency_key": TEXT})
    # CROSS JOIN: SQLite begins with the side that is named first.
    return text(
        f"idempotent_answer.id IN (SELECT kept.id FROM {given} CROSS JOIN api_key CROSS JOIN idempotent_answer AS kept"  # noqa: S608  all of it is ours
        " WHERE api_key.id = given.key_id AND kept.workspace_id = api_key.workspace_id"
        " AND kept.key_id = given.key_id AND kept.idempotency_key = given.idempotency_key)"
    )


def keep_answers(connection: Connection, answers: Sequence[KeptAnswer]) -> None:
    """Keep answers in the caller's transaction; one that was kept under the same key before is too old by now."""
    if not answers:
        return
    places = rows_json([{"key_id": one.key_id, "idempotency_key": one.idempotency_key} for one in answers])
    # One that is not too old is not taken away: another process has just kept it, and whoever comes second has to fail.
    too_old = _answer.c.created_at <= min(one.created_at for one in answers) - KEPT
    connection.execute(delete(_answer).where(_named(connection.dialect.name), too_old), {"rows": places})
    columns = KeptAnswer.__slots__
    connection.execute(_answer.insert(), [{name: getattr(answer, name) for name in columns} for answer in answers])


def forget_old_answers(connection: Connection, now: Microseconds, *, limit: int = 5000) -> int:
    """Delete up to ``limit`` answers that are older than a day; returns how many."""
    old = select(_answer.c.id).where(_answer.c.created_at <= now - KEPT).limit(limit)
    return connection.execute(delete(_answer).where(_answer.c.id.in_(old))).rowcount


def has_old_answers(connection: Connection, now: Microseconds) -> bool:
    """Whether there is something to forget."""
    return (
        connection.execute(select(_answer.c.id).where(_answer.c.created_at <= now - KEPT).limit(1)).first() is not None
    )
