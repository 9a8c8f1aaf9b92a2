"""Bulks: one template, many recipients with their own data; opened, filled, and sent when they are committed."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import Field

from mailtypes.clock import from_datetime
from mailtypes.errors import StorageError
from postwright.api.addresses import required_mailbox
from postwright.api.bulk_records import BrokenLineError, BulkBody, RecipientsBody, Records, read_lines, read_values
from postwright.api.callers import Caller, Reader, Sender
from postwright.api.edge import UNBOUNDED, edge_of
from postwright.api.idempotent import REPLAY_HEADER, IdempotencyKey, Once, answer, answered_before, once_of, replayed
from postwright.api.problems import NobodyAcceptedError
from postwright.api.received import JSON, body_description, media_type, receive_json, validated
from postwright.api.record_streams import NDJSON, Lines, LongLineError, SilentClientError, StreamedAnswer
from postwright.api.representations import (
    RUN,
    TEMPLATE,
    Answer,
    Moment,
    RefusedRecipient,
    inward,
    inward_field,
    moment,
    optional_moment,
    outward,
)
from postwright.services.bulks import CHUNK, BulkOnce, BulkSent, BulkStatus, BulkWanted
from postwright.services.errors import RefusedError
from postwright.services.submissions import Answered
from postwright.store.campaigns import Run

_LOG = logging.getLogger(__name__)


class BulkShown(Answer):
    """A bulk. Its id is that of its run: messages and events are listed by it."""

    id: str
    state: str = Field(description="collecting, scheduled, sending, paused, finished or cancelled")
    recipients: int = Field(description="How many it has.")
    by_state: dict[str, int] = Field(description="How many recipients stand where.")
    tags: list[str]
    created_at: Moment
    starts_at: Moment | None
    finished_at: Moment | None


class BulkAccepted(Answer):
    """A bulk that was stored, and who of its recipients is not in it."""

    id: str
    state: str
    accepted: int
    repeated: int = Field(description="Recipients who came twice; they get one message.")
    refused: list[RefusedRecipient]


class RecipientsProgress(Answer):
    """How far a request is: everything up to `offset` is stored for good, or refused."""

    offset: int = Field(description="Lines, or recipients, from the beginning of the request.")
    accepted: int = Field(description="Of those since the line before: new recipients,")
    repeated: int = Field(description="and those who were there already.")
    refused: list[RefusedRecipient]


async def create_bulk(
    request: Request, caller: Sender, idempotency_key: IdempotencyKey = None
) -> BulkAccepted | Response:
    """Open a bulk, with up to 10,000 recipients in the same call. 202 means that what was accepted is stored for good.

    A bulk that nobody commits within a day is cancelled.
    """
    received = await receive_json(request)
    once = await once_of(request, idempotency_key, received)
    before = await answered_before(caller, once)
    if before is not None:
        return before
    body = validated(BulkBody, received.value)
    submissions = caller.services.submissions
    with submissions.working_on(caller.client, once.key) if once else nullcontext():
        return await _send(caller, body, once)


async def _send(caller: Caller, body: BulkBody, once: Once | None) -> Response:
    records = await asyncio.to_thread(read_values, body.recipients)
    commit = bool(body.recipients) if body.commit is None else body.commit
    if commit and not body.recipients:
        raise RefusedError("no_recipient", "There is nobody to send to.", field="recipients")

    def render(sent: BulkSent) -> tuple[int, str]:
        return 202, _accepted(sent, records).model_dump_json(exclude_none=True)

    kept = None if once is None else BulkOnce(once.key, once.request_sha256, render)
    if commit and not records.rows:
        raise NobodyAcceptedError(records.refused)
    sent = await caller.services.bulks.send(caller.client, _wanted(body), records.rows, kept, commit=commit)
    if isinstance(sent, Answered):
        return replayed(sent)
    if commit and not sent.accepted:
        raise NobodyAcceptedError(records.all_refused(sent.refused))
    return answer(*render(sent))


async def add_bulk_recipients(bulk_id: str, request: Request, caller: Sender) -> Response:
    """Add recipients to an open bulk: an array of up to 10,000, or a stream of records of any length, one a line.

    The answer to a stream is a stream: a line for each chunk of about a thousand records, once it is stored for good.
    Who is there already is counted as `repeated`, so a request that was cut off can simply be sent again, whole or from
    behind the last `offset`. A line that is no JSON ends it with a line that has an `error`; what came before is kept.
    """
    run_id = inward(RUN, bulk_id)
    await _check_open(caller, run_id)
    kind = media_type(request)
    if kind == NDJSON:
        edge_of(request.scope).body_limit = UNBOUNDED
        return StreamedAnswer(_stored_lines(caller, run_id, Lines(request.receive)))
    if kind != JSON:
        raise HTTPException(415, f"Send recipients as {JSON} or {NDJSON}.")
    received = await receive_json(request)
    values = validated(RecipientsBody, received.value).root
    lines = [
        await _stored(caller, run_id, read_values(values[first : first + CHUNK], first), first + CHUNK)
        for first in range(0, len(values), CHUNK)
    ]
    whole = RecipientsProgress(
        offset=len(values),
        accepted=sum(line.accepted for line in lines),
        repeated=sum(line.repeated for line in lines),
        refused=[refused for line in lines for refused in line.refused],
    )
    return answer(200, whole.model_dump_json(exclude_none=True))


async def get_bulk(bulk_id: str, caller: Reader) -> BulkShown:
    """Where a bulk and its recipients stand."""
    return _shown(await caller.services.bulks.status(caller.client, inward(RUN, bulk_id)))


async def commit_bulk(bulk_id: str, caller: Sender) -> BulkShown:
    """Send a bulk: 202 means it is on its way for good. To ask again changes nothing."""
    return _shown(await caller.services.bulks.commit(caller.client, inward(RUN, bulk_id)))


async def cancel_bulk(bulk_id: str, caller: Sender) -> BulkShown:
    """Send no more of a bulk, for good; what is being transmitted still ends by itself."""
    return _shown(await caller.services.bulks.cancel(caller.client, inward(RUN, bulk_id)))


async def _check_open(caller: Caller, run_id: int) -> None:
    run = await caller.services.bulks.find_to_change(caller.client, run_id)
    if run.state != "collecting":
        raise RefusedError("bulk_closed", "The bulk takes no more recipients: it is committed or cancelled.")


async def _stored_lines(caller: Caller, run_id: int, lines: Lines) -> AsyncIterator[bytes]:
    """A line for each chunk that is stored; an error ends them with a line of its own."""
    try:
        async for chunk in lines.chunks():
            records = await asyncio.to_thread(read_lines, chunk, lines.read - len(chunk))
            broken = records.broken
            offset = lines.read if broken is None else broken.number - 1
            progress = await _stored(caller, run_id, records, offset)
            yield progress.model_dump_json(exclude_none=True).encode() + b"\n"
            if broken is not None:
                raise broken
        if not lines.read:
            yield _line(RecipientsProgress(offset=0, accepted=0, repeated=0, refused=[]).model_dump())
    except (BrokenLineError, LongLineError) as error:
        yield _error_line("bad_line", str(error), "Mend the line and send on from there.", line=error.number)
    except SilentClientError as error:
        yield _error_line("silence", str(error), "Send on from the last offset.")
    except StorageError:
        _LOG.exception("a stream into run %s ends early", run_id)
        yield _error_line("storage_unavailable", "The database cannot take this now.", "Send on from the last offset.")
    except RefusedError as error:
        problem = error.problems[0]
        yield _error_line(problem.code, problem.sentence, problem.next_step)


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _error_line(code: str, detail: str, next_step: str, *, line: int | None = None) -> bytes:
    error = {"code": code, "detail": detail, "line": line, "next_step": next_step or None}
    return _line({"error": {name: value for name, value in error.items() if value is not None}})


async def _stored(caller: Caller, run_id: int, records: Records, offset: int) -> RecipientsProgress:
    if not records.rows:
        return RecipientsProgress(offset=offset, accepted=0, repeated=0, refused=records.refused)
    chunk = await caller.services.bulks.add(caller.client, run_id, records.rows)
    refused = records.all_refused(chunk.refused)
    return RecipientsProgress(offset=offset, accepted=len(chunk.accepted), repeated=chunk.repeated, refused=refused)


def _wanted(body: BulkBody) -> BulkWanted:
    author = required_mailbox(body.sender, "from")
    return BulkWanted(
        author=author.address,
        author_name=author.name,
        template_id=inward_field(TEMPLATE, body.template, "template"),
        reply_to=None if body.reply_to is None else required_mailbox(body.reply_to, "reply_to").address,
        subject=body.subject,
        stream=body.stream,
        tags=tuple(body.tags),
        send_at=None if body.send_at is None else from_datetime(body.send_at),
    )


def _id(run: Run) -> str:
    return outward(RUN, run.created_at, run.id)


def _accepted(sent: BulkSent, records: Records) -> BulkAccepted:
    return BulkAccepted(
        id=_id(sent.run),
        state=sent.run.state,
        accepted=sent.accepted,
        repeated=sent.repeated,
        refused=records.all_refused(sent.refused),
    )


def _shown(status: BulkStatus) -> BulkShown:
    run = status.run
    return BulkShown(
        id=_id(run),
        state=run.state,
        recipients=status.counts.total,
        by_state=status.counts.by_state,
        tags=json.loads(run.tags),
        created_at=moment(run.created_at),
        starts_at=optional_moment(run.starts_at),
        finished_at=optional_moment(run.finished_at),
    )


_STREAM = {"schema": {"type": "string", "description": "One object a line."}}


def add_bulk_routes(router: APIRouter) -> None:
    """The routes of bulks."""
    router.add_api_route(
        "/bulk",
        create_bulk,
        methods=["POST"],
        status_code=202,
        response_model=BulkAccepted,
        responses={202: {"description": "What was accepted is stored for good.", "headers": REPLAY_HEADER}},
        openapi_extra=body_description((JSON, "BulkBody")),
    )
    body = body_description((JSON, "RecipientsBody"))
    body["requestBody"]["content"][NDJSON] = _STREAM
    router.add_api_route(
        "/bulk/{bulk_id}/recipients",
        add_bulk_recipients,
        methods=["POST"],
        response_model=RecipientsProgress,
        responses={200: {"description": "How far it is; a line for each chunk.", "content": {NDJSON: _STREAM}}},
        openapi_extra=body,
    )
    router.add_api_route("/bulk/{bulk_id}", get_bulk, methods=["GET"])
    router.add_api_route("/bulk/{bulk_id}/commit", commit_bulk, methods=["POST"], status_code=202)
    router.add_api_route("/bulk/{bulk_id}/cancel", cancel_bulk, methods=["POST"])
