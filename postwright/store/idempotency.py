"""Answers kept for requests that send, so that asking twice does it once."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, tuple_

from mailtypes.clock import DAY, Microseconds
from postwright.store.records import select_as, table

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
    statement = select_as(KeptAnswer, _answer).where(
        tuple_(_answer.c.key_id, _answer.c.idempotency_key).in_(wanted), _answer.c.created_at > now - KEPT
    )
    found = (KeptAnswer(*row) for row in connection.execute(statement))
    return {(answer.key_id, answer.idempotency_key): answer for answer in found}


def keep_answers(connection: Connection, answers: Sequence[KeptAnswer]) -> None:
    """Keep answers in the caller's transaction; one that was kept under the same key before is too old by now."""
    if not answers:
        return
    places = [(answer.key_id, answer.idempotency_key) for answer in answers]
    connection.execute(delete(_answer).where(tuple_(_answer.c.key_id, _answer.c.idempotency_key).in_(places)))
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
