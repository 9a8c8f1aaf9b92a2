"""The header ``Idempotency-Key``: a request that is asked twice is done once and answered twice."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Header, Request, Response

from postwright.api.callers import Caller
from postwright.api.received import JSON, Received
from postwright.services.errors import RefusedError
from postwright.services.submissions import Answered

_SANE_KEY = re.compile(r"[!-~]{1,255}\Z")
REPLAYED = "Idempotent-Replayed"

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="1 to 255 printable ASCII characters without spaces. The same key with the same request within 24"
        " hours gives the first answer again, with `Idempotent-Replayed: true`.",
    ),
]


@dataclass(frozen=True, slots=True)
class Once:
    """A request that bears an idempotency key."""

    key: str
    request_sha256: str


async def once_of(request: Request, key: str | None, received: Received) -> Once | None:
    """The idempotency of a request, ``None`` where it bears no key; raises ``RefusedError`` for a bad one."""
    if key is None:
        return None
    if not _SANE_KEY.match(key):
        raise RefusedError(
            "bad_idempotency_key",
            "An idempotency key has 1 to 255 printable ASCII characters without spaces.",
            field="Idempotency-Key",
            next_step="A random UUID for each different request does well.",
        )
    return Once(key, await received.digest(request.method, request.url.path))


async def answered_before(caller: Caller, once: Once | None) -> Response | None:
    """The answer that this request got before."""
    if once is None:
        return None
    found = await caller.services.submissions.answered_before(caller.client, once.key, once.request_sha256)
    return None if found is None else replayed(found)


def replayed(answered: Answered) -> Response:
    """A kept answer, marked as one."""
    return Response(answered.body, answered.status, {REPLAYED: "true"}, JSON)


def answer(status: int, body: str) -> Response:
    """A new answer, of the same octets that are kept."""
    return Response(body, status, media_type=JSON)


REPLAY_HEADER: dict[str, Any] = {
    REPLAYED: {"description": "`true` where the answer is the first one's.", "schema": {"type": "string"}}
}
