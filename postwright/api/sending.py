"""``POST /v1/messages``: one message, accepted when it is durable."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from pydantic import Field

from mailtypes.errors import InputSyntaxError
from postwright.api.attachments import stored_attachments
from postwright.api.callers import Caller, Sender
from postwright.api.idempotent import REPLAY_HEADER, IdempotencyKey, Once, answer, answered_before, once_of, replayed
from postwright.api.message_bodies import MessageBody, Person, ReadMessage, read_message, refused_recipient
from postwright.api.message_bodies import with_attachments as filled
from postwright.api.problems import NobodyAcceptedError
from postwright.api.received import FORM, JSON, Received, body_description, receive_message, validated
from postwright.api.representations import MESSAGE, SUBMISSION, Answer, RefusedRecipient, outward
from postwright.services.errors import Problem, RefusedError
from postwright.services.message_intake import problem_of
from postwright.services.submissions import Answered, Idempotency, PreparedMessage, StoredMessage


class AcceptedRecipient(Answer):
    """A recipient who gets the message, with the id of the message to him or her."""

    id: str
    address: str


class SubmissionAccepted(Answer):
    """A message that is stored: it is sent even if the power fails now. `refused` are those who do not get it."""

    id: str = Field(description="The submission: all recipients together.")
    messages: list[AcceptedRecipient]
    refused: list[RefusedRecipient]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message before it is stored, and what its answer needs."""

    read: ReadMessage
    prepared: PreparedMessage

    def refused(self, stored: StoredMessage) -> list[RefusedRecipient]:
        """Everybody who does not get it, in the order of the request."""
        people, found = self.read.people, list(self.read.refused)
        found += [_refused(people[key], _suppressed(reason)) for key, reason in stored.refused.items()]
        if stored.over_quota:
            left = (person for key, person in people.items() if key not in stored.refused)
            found += [_refused(person, OVER_QUOTA) for person in left]
        return sorted(found, key=lambda item: item.index)

    def answer(self, stored: StoredMessage) -> SubmissionAccepted:
        """What the client is told."""
        return SubmissionAccepted(
            id=outward(SUBMISSION, stored.stored_at, stored.id),
            messages=[
                AcceptedRecipient(id=outward(MESSAGE, stored.stored_at, one.delivery_id), address=one.address)
                for one in stored.accepted
            ],
            refused=self.refused(stored),
        )


OVER_QUOTA = Problem(
    "over_quota",
    "The key's quota of today does not have room for all recipients of the message.",
    next_step="Go on tomorrow (UTC), or ask for a larger quota.",
)


async def send_message(
    request: Request, caller: Sender, idempotency_key: IdempotencyKey = None
) -> SubmissionAccepted | Response:
    """Accept a message: 202 means it is stored for good. Recipients who cannot be sent to are named in `refused`.

    JSON bodies have up to 8 MiB. Larger attachments come in a form: the JSON in the part `message`, each file as a
    part of its own that an attachment names in `part`; 25 MiB of files in all.
    """
    async with receive_message(request) as received:
        once = await once_of(request, idempotency_key, received)
        before = await answered_before(caller, once)
        return before or await _send(caller, received, once)


async def _send(caller: Caller, received: Received, once: Once | None) -> Response:
    body = validated(MessageBody, received.value)
    read = await read_in_thread(body)
    if not read.people and read.refused:
        raise NobodyAcceptedError(read.refused)
    async with stored_attachments(caller, body.attachments, received) as attachments:
        try:
            wanted = filled(read, attachments)
            prepared = Prepared(read, await caller.services.message_intake.prepare(caller.client, wanted))
        except InputSyntaxError as error:
            raise RefusedError.of([problem_of(error)]) from error
        return await _store(caller, prepared, once)


async def read_in_thread(body: MessageBody) -> ReadMessage:
    """``read_message``, elsewhere where it takes long."""
    return await asyncio.to_thread(read_message, body) if body.mjml is not None else read_message(body)


async def _store(caller: Caller, prepared: Prepared, once: Once | None) -> Response:
    def render(stored: Sequence[StoredMessage]) -> tuple[int, str] | None:
        (one,) = stored
        return (202, prepared.answer(one).model_dump_json(exclude_none=True)) if one.accepted else None

    kept = None if once is None else Idempotency(once.key, once.request_sha256, render)
    stored = await caller.services.submissions.store(caller.client, [prepared.prepared], kept)
    if isinstance(stored, Answered):
        return replayed(stored)
    rendered = render(stored)
    if rendered is None:
        raise NobodyAcceptedError(prepared.refused(stored[0]))
    return answer(*rendered)


def _suppressed(reason: str) -> Problem:
    step = "Do not write to it; an admin can lift a suppression that is wrong."
    return Problem("suppressed", f"The address is suppressed: {reason}.", next_step=step)


def _refused(person: Person, problem: Problem) -> RefusedRecipient:
    placed = Problem(problem.code, problem.sentence, person.field, problem.place, problem.next_step)
    return refused_recipient(person.index, person.address.text, placed)


_ACCEPTED: Mapping[int | str, dict[str, object]] = {
    202: {"description": "Stored for good, and sent as soon as it is due.", "headers": REPLAY_HEADER}
}


def add_sending_routes(router: APIRouter) -> None:
    """The route of single messages."""
    router.add_api_route(
        "/messages",
        send_message,
        methods=["POST"],
        status_code=202,
        response_model=SubmissionAccepted,
        responses=dict(_ACCEPTED),
        openapi_extra=body_description((JSON, "MessageBody"), (FORM, "MessageForm")),
    )
