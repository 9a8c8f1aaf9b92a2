"""Messages with their histories, and the event log."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field

from mailtypes.address import EmailAddress
from mta.delivery import DeliveryState
from postwright.api.callers import Caller, Reader, Sender
from postwright.api.cursors import make_page, read_cursor
from postwright.api.references import MessagePlace
from postwright.api.representations import (
    CAMPAIGN,
    EVENT,
    MESSAGE,
    RUN,
    SUBMISSION,
    Answer,
    Moment,
    Page,
    PageWanted,
    Text,
    inward,
    moment,
    optional_moment,
    outward,
)
from postwright.services.campaign_senders import shares_of
from postwright.services.errors import RefusedError
from postwright.services.event_fields import told_data
from postwright.services.log import address_key
from postwright.services.sent_messages import Origin
from postwright.store.events import ROLLUP_LAG, Event, EventFilter
from postwright.store.recipients import DeliveryFilter, DeliveryRecord

RFC_822 = "message/rfc822"
"""Fields of an event's data that mean something only inside."""


class MessagesWanted(PageWanted):
    """Which messages; at least one of campaign, run and address."""

    campaign: str | None = Field(None, max_length=60, description="Those of this campaign's newest run.")
    run: str | None = Field(None, max_length=60, description="Those of this run.")
    address: Text | None = Field(None, max_length=512, description="Those to this address.")
    state: DeliveryState | None = Field(None, description="Those that stand so.")


class EventsWanted(PageWanted):
    """Which events."""

    kind: str | None = Field(None, pattern=r"^[a-z_]{1,60}$", description="Only events of this kind.")
    run: str | None = Field(None, max_length=60, description="Only events of this run.")
    message: str | None = Field(None, max_length=60, description="Only events of this message.")


class MessageShown(Answer):
    """A message to one recipient."""

    id: str
    submission: str | None = Field(description="The submission that it came with, where it came alone.")
    run: str
    source: str = Field(description="campaign, bulk, api or smtp")
    key: str | None = Field(description="The client's own name for a recipient of a bulk.")
    address: str
    tags: list[str]
    metadata: dict[str, Any]
    state: DeliveryState
    waits_for: str = Field(description="Why it is held, in words.")
    attempts: int
    deferrals: int
    ambiguities: int
    queued_at: Moment
    next_attempt_at: Moment | None
    first_attempt_at: Moment | None
    settled_at: Moment | None
    reply_code: int | None
    reply_text: str = Field(description="What the receiving host said last, or why there was no attempt.")


class EventShown(Answer):
    """Something that happened; never changed. What `data` holds depends on `kind`."""

    id: str
    kind: str
    schema_version: int
    occurred_at: Moment
    recorded_at: Moment
    run: str | None
    message: str | None
    address: str | None
    data: dict[str, Any]


class MessageWithHistory(MessageShown):
    """A message with everything that happened to it, the oldest first."""

    events: list[EventShown]


class SubmissionShown(Answer):
    """A message that came whole, by HTTP or SMTP, with all of its recipients."""

    id: str
    run: str
    source: str = Field(description="api or smtp")
    from_address: str
    subject: str
    message_id: str = Field(description="The header field Message-ID.")
    size: int = Field(description="Octets as they are stored, without attachments.")
    tags: list[str]
    metadata: dict[str, Any]
    created_at: Moment
    messages: list[MessageShown]


class MessageState(Answer):
    """Where a message stands."""

    id: str
    address: str
    state: DeliveryState


class Cancelled(Answer):
    """How many messages were cancelled by this call, and where all of them stand now."""

    cancelled: int
    messages: list[MessageState]


async def list_messages(caller: Reader, query: Annotated[MessagesWanted, Query()]) -> Page[MessageShown]:
    """Messages of a campaign, of a run, or to an address, in the order in which they were queued."""
    (after,) = read_cursor("messages", query.cursor)
    wanted = await _filter(caller, query)
    rows: Sequence[DeliveryRecord] = ()
    if wanted is not None:
        rows = await caller.services.log.deliveries(caller.workspace_id, wanted, after=after, limit=query.limit + 1)
    origins = await caller.services.sent_messages.origins(rows)
    return make_page(
        "messages",
        rows,
        query.limit,
        lambda row: MessageShown(**_message(row, origins[row.id])),
        lambda row: (row.id,),
        query.cursor,
    )


async def get_message(message_id: str, caller: Reader) -> MessageWithHistory | SubmissionShown:
    """A message with its whole history (`msg_...`), or a submission with all of its recipients (`sub_...`)."""
    if message_id.startswith(f"{SUBMISSION.prefix}_"):
        return await _submission(caller, inward(SUBMISSION, message_id))
    found, history = await caller.services.log.delivery(caller.workspace_id, inward(MESSAGE, message_id))
    places = await caller.services.references.messages([found.id])
    origins = await caller.services.sent_messages.origins([found])
    shown = [_event(event, {}, places) for event in history]
    return MessageWithHistory(**_message(found, origins[found.id]), events=shown)


async def cancel_message(message_id: str, caller: Sender) -> Cancelled:
    """Cancel a message (`msg_...`) or a submission (`sub_...`): whoever it is not being transmitted to gets nothing.

    The states tell who was too late. To ask again changes nothing.
    """
    rows = await _deliveries(caller, message_id)
    await _check_may_cancel(caller, rows)
    cancelled = await caller.services.sent_messages.cancel(caller.workspace_id, rows)
    rows = await _deliveries(caller, message_id)
    states = [MessageState(id=_id(row), address=row.address, state=DeliveryState(row.state)) for row in rows]
    return Cancelled(cancelled=cancelled, messages=states)


async def get_message_content(message_id: str, caller: Reader) -> Response:
    """The signed message that a test key's message (`msg_...`) would have been on the wire."""
    delivery_id = inward(MESSAGE, message_id)
    found, _ = await caller.services.log.delivery(caller.workspace_id, delivery_id)
    content = await caller.services.sent_messages.captured(caller.workspace_id, found.id)
    return Response(content, media_type=RFC_822)


async def list_events(caller: Reader, query: Annotated[EventsWanted, Query()]) -> Page[EventShown]:
    """The event log, the oldest first. An event appears two seconds after it was recorded, so that none is missed."""
    recorded_at, event_id = read_cursor("events", query.cursor, parts=2)
    references = caller.services.references
    run_id = None
    if query.run is not None:
        run_id = (await references.run(caller.workspace_id, inward(RUN, query.run))).id
    delivery_id = None
    if query.message is not None:
        found, _ = await caller.services.log.delivery(caller.workspace_id, inward(MESSAGE, query.message))
        delivery_id = found.id
    rows = await caller.services.log.events(
        caller.workspace_id,
        EventFilter(query.kind, run_id, delivery_id),
        after=(recorded_at, event_id),
        limit=query.limit + 1,
    )
    # Transactions of several processes end in no common order: what is younger than one may take could still get
    # company in front of it, which a reader who has gone past would never see.
    settled = [row for row in rows if row.recorded_at < caller.services.clock.now() - ROLLUP_LAG]
    places = await references.messages(row.delivery_id for row in settled if row.delivery_id is not None)
    runs = await references.runs(row.run_id for row in settled if row.run_id is not None)
    return make_page(
        "events",
        settled,
        query.limit,
        lambda row: _event(row, runs, places),
        lambda row: (row.recorded_at, row.id),
        query.cursor,
    )


def add_message_routes(router: APIRouter) -> None:
    """The routes of messages and events."""
    router.add_api_route("/messages", list_messages, methods=["GET"])
    router.add_api_route("/messages/{message_id}", get_message, methods=["GET"])
    router.add_api_route("/messages/{message_id}/cancel", cancel_message, methods=["POST"])
    router.add_api_route(
        "/messages/{message_id}/content",
        get_message_content,
        methods=["GET"],
        response_class=Response,
        responses={200: {"description": "The message.", "content": {RFC_822: {"schema": {"type": "string"}}}}},
    )
    router.add_api_route("/events", list_events, methods=["GET"])


async def _filter(caller: Caller, query: MessagesWanted) -> DeliveryFilter | None:
    """What to look for, ``None`` where there can be nothing: a campaign without a run."""
    if query.campaign is None and query.run is None and query.address is None:
        raise RefusedError(
            "filter_needed", "Messages are listed by campaign, run or address.", next_step="Give one of the three."
        )
    run_id = None
    if query.run is not None:
        run_id = (await caller.services.references.run(caller.workspace_id, inward(RUN, query.run))).id
    if query.campaign is not None:
        status = await caller.services.campaigns.status(caller.workspace_id, inward(CAMPAIGN, query.campaign))
        if status.run is None or run_id not in {None, status.run.id}:
            return None
        run_id = status.run.id
    key = address_key(query.address) if query.address is not None else None
    return DeliveryFilter(run_id, key, query.state)


async def _submission(caller: Caller, row_id: int) -> SubmissionShown:
    handed = await caller.services.sent_messages.find(caller.workspace_id, row_id)
    origins = await caller.services.sent_messages.origins(handed.deliveries)
    found, run = handed.message, (await caller.services.references.run(caller.workspace_id, handed.message.run_id))
    return SubmissionShown(
        id=outward(SUBMISSION, found.created_at, found.id),
        run=outward(RUN, run.created_at, run.id),
        source=found.source,
        from_address=found.from_address,
        subject=found.subject,
        message_id=found.header_message_id,
        size=found.size,
        tags=json.loads(found.tags),
        metadata=json.loads(found.client_metadata),
        created_at=moment(found.created_at),
        messages=[MessageShown(**_message(row, origins[row.id])) for row in handed.deliveries],
    )


async def _deliveries(caller: Caller, message_id: str) -> Sequence[DeliveryRecord]:
    """The deliveries that an id means: one, or all of a submission."""
    if message_id.startswith(f"{SUBMISSION.prefix}_"):
        found = await caller.services.sent_messages.find(caller.workspace_id, inward(SUBMISSION, message_id))
        return found.deliveries
    one, _ = await caller.services.log.delivery(caller.workspace_id, inward(MESSAGE, message_id))
    return [one]


async def _check_may_cancel(caller: Caller, rows: Sequence[DeliveryRecord]) -> None:
    """Raises ``RefusedError`` for a key that could not have sent it: for other senders, or for tests alone."""
    for origin in (await caller.services.sent_messages.origins(rows)).values():
        of_run = [address for address, _ in shares_of(origin.run)]
        for sender in [origin.message.from_address] if origin.message else of_run:
            if sender and not caller.client.may_send_from(EmailAddress.parse(sender)):
                raise RefusedError(
                    "sender_not_allowed",
                    f"This API key may not send from {sender}.",
                    next_step="Take a key for this sender.",
                )
        if caller.client.terms.is_test and not origin.run.is_test:
            raise RefusedError("test_key", "A test key cancels only what test keys have sent.")


def _id(row: DeliveryRecord) -> str:
    return outward(MESSAGE, row.queued_at, row.id)


def _message(row: DeliveryRecord, origin: Origin) -> dict[str, Any]:
    whole, run = origin.message, origin.run
    return {
        "id": _id(row),
        "submission": outward(SUBMISSION, whole.created_at, whole.id) if whole else None,
        "run": outward(RUN, run.created_at, run.id),
        "source": whole.source if whole else run.kind,
        "key": row.record_key,
        "address": row.address,
        "tags": json.loads(whole.tags if whole else run.tags),
        "metadata": json.loads(whole.client_metadata) if whole else {},
        "state": DeliveryState(row.state),
        "waits_for": row.waits_for,
        "attempts": row.attempts,
        "deferrals": row.deferrals,
        "ambiguities": row.ambiguities,
        "queued_at": moment(row.queued_at),
        "next_attempt_at": moment(row.next_attempt_at) if row.settled_at is None else None,
        "first_attempt_at": optional_moment(row.first_attempt_at),
        "settled_at": optional_moment(row.settled_at),
        "reply_code": row.reply_code,
        "reply_text": row.reply_text,
    }


def _event(event: Event, runs: Mapping[int, str], places: Mapping[int, MessagePlace]) -> EventShown:
    place = places.get(event.delivery_id or 0)
    data = told_data(event)
    return EventShown(
        id=outward(EVENT, event.recorded_at, event.id),
        kind=event.kind,
        schema_version=event.schema_version,
        occurred_at=moment(event.occurred_at),
        recorded_at=moment(event.recorded_at),
        run=place.run if place else runs.get(event.run_id or 0),
        message=place.id if place else None,
        address=place.address if place else None,
        data=data,
    )
