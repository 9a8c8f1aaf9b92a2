"""``POST /v1/messages/batch``: up to 500 different messages; the good ones are kept, each bad one is named."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError

from mailtypes.errors import InputSyntaxError
from postwright.api.attachments import stored_attachments
from postwright.api.callers import Caller, Sender
from postwright.api.idempotent import REPLAY_HEADER, IdempotencyKey, Once, answer, answered_before, once_of, replayed
from postwright.api.message_bodies import BatchWanted, MessageBody, with_attachments
from postwright.api.problems import NobodyAcceptedError, fault_items
from postwright.api.received import JSON, Received, body_description, receive_json, validated
from postwright.api.representations import Answer, ProblemItem, RefusedRecipient
from postwright.api.sending import Prepared, SubmissionAccepted, read_in_thread
from postwright.services.errors import RefusedError
from postwright.services.message_intake import problem_of
from postwright.services.submissions import Answered, Idempotency, StoredMessage

MOST_RECIPIENTS = 10_000
"""Of all messages of a batch together: they are stored in one transaction."""


class AcceptedMessage(SubmissionAccepted):
    """A message of the batch that is stored; `index` is its place in the request, from 0."""

    index: int


class RefusedMessage(Answer):
    """A message of the batch of which nothing was kept, and everything that is wrong with it."""

    index: int
    code: str
    reason: str
    errors: list[ProblemItem]
    refused: list[RefusedRecipient]


class BatchAccepted(Answer):
    """What became of each message of the batch."""

    accepted: list[AcceptedMessage]
    refused: list[RefusedMessage]


@dataclass(slots=True)
class _Batch:
    """Messages that can be stored by their index, and the others."""

    good: dict[int, Prepared] = field(default_factory=dict)
    bad: list[RefusedMessage] = field(default_factory=list)
    recipients: int = 0

    def count(self, recipients: int) -> None:
        """Count the recipients of one more message; raises ``RefusedError`` where they are too many."""
        if self.recipients + recipients > MOST_RECIPIENTS:
            sentence = f"The messages of a batch have {MOST_RECIPIENTS:,} recipients at most, all together."
            raise RefusedError("too_many_recipients", sentence, next_step="Send the rest in another batch.")
        self.recipients += recipients

    def answer(self, stored: Sequence[StoredMessage]) -> BatchAccepted:
        """What the client is told."""
        accepted: list[AcceptedMessage] = []
        refused = list(self.bad)
        for (index, prepared), one in zip(self.good.items(), stored, strict=True):
            if one.accepted:
                accepted.append(AcceptedMessage(index=index, **prepared.answer(one).model_dump()))
            else:
                refused.append(_all_refused(index, prepared.refused(one)))
        return BatchAccepted(accepted=accepted, refused=sorted(refused, key=lambda item: item.index))


async def send_batch(
    request: Request, caller: Sender, idempotency_key: IdempotencyKey = None
) -> BatchAccepted | Response:
    """Accept up to 500 different messages at once: what is in `accepted` is stored for good, `refused` names the rest.

    422 where nothing of it can be sent.
    """
    received = await receive_json(request)
    once = await once_of(request, idempotency_key, received)
    before = await answered_before(caller, once)
    if before is not None:
        return before
    wanted = validated(BatchWanted, received.value)
    batch = _Batch()
    async with AsyncExitStack() as held:
        for index, value in enumerate(wanted.messages):
            await _prepare(caller, (index, value), batch, held)
            await asyncio.sleep(0)  # others have a turn: composing 500 messages takes a while
        return await _store(caller, batch, once)


async def _prepare(caller: Caller, item: tuple[int, Any], batch: _Batch, held: AsyncExitStack) -> None:
    index, value = item
    try:
        body = validated(MessageBody, value)
        read = await read_in_thread(body)
        if not read.people and read.refused:
            batch.bad.append(_all_refused(index, read.refused))
            return
        batch.count(len(read.people))
        context = stored_attachments(caller, body.attachments, Received(value))
        attachments = await held.enter_async_context(context)
        prepared = await caller.services.message_intake.prepare(caller.client, with_attachments(read, attachments))
        batch.good[index] = Prepared(read, prepared)
    except RequestValidationError as error:
        batch.bad.append(_refused(index, fault_items(error)))
    except (RefusedError, InputSyntaxError) as error:
        problems = error.problems if isinstance(error, RefusedError) else [problem_of(error)]
        batch.bad.append(_refused(index, [ProblemItem.of(problem) for problem in problems]))


async def _store(caller: Caller, batch: _Batch, once: Once | None) -> Response:
    def render(stored: Sequence[StoredMessage]) -> tuple[int, str] | None:
        told = batch.answer(stored)
        return (202, told.model_dump_json(exclude_none=True)) if told.accepted else None

    kept = None if once is None else Idempotency(once.key, once.request_sha256, render)
    prepared = [item.prepared for item in batch.good.values()]
    stored = await caller.services.submissions.store(caller.client, prepared, kept) if prepared else []
    if isinstance(stored, Answered):
        return replayed(stored)
    rendered = render(stored)
    if rendered is None:
        refused = batch.answer(stored).refused
        raise NobodyAcceptedError([_as_recipient(item) for item in refused])
    return answer(*rendered)


def _refused(index: int, errors: Sequence[ProblemItem]) -> RefusedMessage:
    first = errors[0]
    return RefusedMessage(index=index, code=first.code, reason=first.detail, errors=list(errors), refused=[])


def _all_refused(index: int, refused: Sequence[RefusedRecipient]) -> RefusedMessage:
    codes = {item.code for item in refused}
    code = codes.pop() if len(codes) == 1 else "nobody_accepted"
    return RefusedMessage(
        index=index, code=code, reason="None of its recipients can be sent to.", errors=[], refused=list(refused)
    )


def _as_recipient(item: RefusedMessage) -> RefusedRecipient:
    """A message of which nothing was kept, in the problem for a batch of which nothing was kept."""
    field_name = item.errors[0].field if item.errors else item.refused[0].field
    place = f"messages[{item.index}].{field_name}" if field_name else f"messages[{item.index}]"
    address = item.refused[0].address if item.refused else ""
    reason = item.errors[0].detail if item.errors else item.refused[0].reason
    return RefusedRecipient(index=item.index, address=address, code=item.code, reason=reason, field=place)


def add_batch_routes(router: APIRouter) -> None:
    """The route of batches."""
    router.add_api_route(
        "/messages/batch",
        send_batch,
        methods=["POST"],
        status_code=202,
        response_model=BatchAccepted,
        responses={202: {"description": "What is in `accepted` is stored for good.", "headers": REPLAY_HEADER}},
        openapi_extra=body_description((JSON, "BatchWanted")),
    )
