"""Messages that came whole: stored with their deliveries in one go, read when they are sent."""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from sqlalchemy import Connection, TextClause, bindparam, func, select, text, update

from mailtypes.clock import Microseconds
from mta.delivery import TERMINAL
from postwright.store import events
from postwright.store.recipients import BY_MESSAGE
from postwright.store.records import fetch_all, fetch_one, insert_row, select_as, table
from postwright.store.rowsets import BIGINT, TEXT, rows_json, rowset_of, storable

_message, _link, _attachment = table("message"), table("message_link"), table("message_attachment")
_delivery, _blob, _captured = table("delivery"), table("blob"), table("captured_message")

NULL_RETURN_PATH = 1
"""The variant of a whole message that is sent with the null reverse path: a notice, which nobody may answer."""


@dataclass(frozen=True, slots=True)
class NewRecipient:
    """One recipient of a message, with the id that its delivery gets."""

    delivery_id: int
    address: str
    address_key: str
    domain: str


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to store; fields as in ``tables.content.Message``.

    ``attachments`` are the ids of blobs that are stored already.
    """

    id: int
    workspace_id: int
    run_id: int
    source: str
    key_id: int | None
    content: bytes
    header_message_id: str
    from_address: str
    subject: str
    tags: str
    client_metadata: str
    mail_from: str
    notify: str | None
    recipients: tuple[NewRecipient, ...]
    links: tuple[tuple[int, str], ...] = ()
    attachments: tuple[int, ...] = ()
    has_return_path: bool = True


@dataclass(frozen=True, slots=True)
class Message:
    """A stored message without its content."""

    id: int
    workspace_id: int
    run_id: int
    source: str
    key_id: int | None
    blob_id: int | None
    header_message_id: str
    from_address: str
    subject: str
    size: int
    tags: str
    client_metadata: str
    mail_from: str
    notify: str | None
    created_at: int


@dataclass(frozen=True, slots=True)
class Placement:
    """How new deliveries of a run begin: due when, until when, and where their destination is known, at which."""

    due_at: int
    expires_at: int
    destination_id: int | None = None


_NOWHERE: Mapping[tuple[int, str], int] = {}


def store_messages(
    connection: Connection,
    messages: Sequence[NewMessage],
    placements: Mapping[int, Placement],
    now: Microseconds,
    destinations: Mapping[tuple[int, str], int] = _NOWHERE,
) -> None:
    """Store messages, deliveries and an ``accepted`` event for each recipient. ``placements`` is by run id.

    ``destinations``, by run id and recipient domain, are those that take mail at once; other mail waits for its route.
    """
    if not messages:
        return
    blob_ids = _put_contents(connection, messages, now)
    rows = [_message_row(message, blob_id, now) for message, blob_id in zip(messages, blob_ids, strict=True)]
    dialect = connection.dialect.name
    connection.execute(_insert(dialect, "message"), {"rows": rows_json(rows)})
    if links := [
        {"workspace_id": message.workspace_id, "message_id": message.id, "number": number, "url": url}
        for message in messages
        for number, url in message.links
    ]:
        connection.execute(_link.insert(), links)
    if attachments := [
        {"workspace_id": message.workspace_id, "message_id": message.id, "blob_id": blob_id}
        for message in messages
        for blob_id in message.attachments
    ]:
        connection.execute(_attachment.insert(), attachments)
        for used in attachments:
            connection.execute(
                update(_blob).where(_blob.c.id == used["blob_id"]).values(reference_count=_blob.c.reference_count + 1)
            )
    deliveries = [
        _delivery_row(message, recipient, _placed(message, recipient, placements, destinations), now)
        for message in messages
        for recipient in message.recipients
    ]
    connection.execute(_insert(dialect, "delivery"), {"rows": rows_json(deliveries)})
    accepted = [
        events.NewEvent(message.workspace_id, "accepted", now, message.run_id, recipient.delivery_id)
        for message in messages
        for recipient in message.recipients
    ]
    events.append(connection, accepted, now)


_MESSAGE = {
    **dict.fromkeys(("id", "workspace_id", "run_id"), BIGINT),
    "source": TEXT,
    **dict.fromkeys(("key_id", "blob_id"), BIGINT),
    **dict.fromkeys(("header_message_id", "from_address", "subject"), TEXT),
    "size": BIGINT,
    **dict.fromkeys(("tags", "client_metadata", "mail_from", "notify"), TEXT),
    "created_at": BIGINT,
}
_DELIVERY = {
    **dict.fromkeys(("run_id", "id", "workspace_id", "message_id"), BIGINT),
    **dict.fromkeys(("address", "address_key", "domain"), TEXT),
    "variant": BIGINT,
    **dict.fromkeys(("merge_data", "state", "waits_for", "reply_text"), TEXT),
    **dict.fromkeys(("destination_id", "queued_at", "expires_at", "next_attempt_at"), BIGINT),
    **dict.fromkeys(("epoch", "attempts", "deferrals", "ambiguities"), BIGINT),
}


@cache
def _insert(dialect: str, target: str) -> TextClause:
    """Many rows from one parameter, which costs less than a row object each."""
    columns = {"message": _MESSAGE, "delivery": _DELIVERY}[target]
    names = ", ".join(columns)
    given = rowset_of(dialect, "given", columns)
    return text(f"INSERT INTO {target} ({names}) SELECT {names} FROM {given}")  # noqa: S608  all of it is ours


@cache
def _blob_ids(dialect: str) -> TextClause:
    given = rowset_of(dialect, "given", {"workspace_id": BIGINT, "sha256": TEXT})
    same = "blob.workspace_id = given.workspace_id AND blob.sha256 = given.sha256"
    # CROSS JOIN: SQLite begins with the side that is named first.
    return text(f"SELECT blob.workspace_id, blob.sha256, blob.id FROM {given} CROSS JOIN blob WHERE {same}")  # noqa: S608


def _put_contents(connection: Connection, messages: Sequence[NewMessage], now: Microseconds) -> list[int]:
    places = [(message.workspace_id, hashlib.sha256(message.content).hexdigest()) for message in messages]
    # Each content once: a statement may not change one row twice (PostgreSQL).
    different = dict(zip(places, messages, strict=True))
    uses = Counter(places)
    rows = [
        {
            "workspace_id": workspace_id,
            "sha256": sha256,
            "size": len(message.content),
            "reference_count": uses[workspace_id, sha256],
            "content": message.content,
            "created_at": now,
        }
        for (workspace_id, sha256), message in different.items()
    ]
    connection.execute(_PUT_BLOB, rows)
    asked = [{"workspace_id": workspace_id, "sha256": sha256} for workspace_id, sha256 in different]
    found = connection.execute(_blob_ids(connection.dialect.name), {"rows": rows_json(asked)})
    ids = {(int(row[0]), str(row[1])): int(row[2]) for row in found}
    return [ids[place] for place in places]


_PUT_BLOB = text(
    "INSERT INTO blob (workspace_id, sha256, size, reference_count, content, created_at)"
    " VALUES (:workspace_id, :sha256, :size, :reference_count, :content, :created_at)"
    " ON CONFLICT (workspace_id, sha256) DO UPDATE SET"
    " reference_count = blob.reference_count + excluded.reference_count"
)


def _message_row(message: NewMessage, blob_id: int, now: Microseconds) -> dict[str, object]:
    return {
        "id": message.id,
        "workspace_id": message.workspace_id,
        "run_id": message.run_id,
        "source": message.source,
        "key_id": message.key_id,
        "blob_id": blob_id,
        "header_message_id": storable(message.header_message_id),
        "from_address": storable(message.from_address),
        "subject": storable(message.subject),
        "size": len(message.content),
        "tags": storable(message.tags),
        "client_metadata": storable(message.client_metadata),
        "mail_from": storable(message.mail_from),
        "notify": message.notify,
        "created_at": now,
    }


def _placed(
    message: NewMessage,
    recipient: NewRecipient,
    placements: Mapping[int, Placement],
    destinations: Mapping[tuple[int, str], int],
) -> Placement:
    placement = placements[message.run_id]
    found = destinations.get((message.run_id, recipient.domain))
    return placement if found is None else replace(placement, destination_id=found)


def _delivery_row(
    message: NewMessage, recipient: NewRecipient, placement: Placement, now: Microseconds
) -> dict[str, object]:
    at_once = placement.destination_id is not None
    return {
        "run_id": message.run_id,
        "id": recipient.delivery_id,
        "workspace_id": message.workspace_id,
        "message_id": message.id,
        "address": recipient.address,
        "address_key": recipient.address_key,
        "domain": recipient.domain,
        "variant": 0 if message.has_return_path else NULL_RETURN_PATH,
        "merge_data": "",
        "state": "ready" if at_once else "held",
        "waits_for": "" if at_once else "route",
        "reply_text": "",
        "destination_id": placement.destination_id,
        "queued_at": now,
        "expires_at": placement.expires_at,
        "next_attempt_at": placement.due_at,
        "epoch": 0,
        "attempts": 0,
        "deferrals": 0,
        "ambiguities": 0,
    }


def get_message(connection: Connection, message_id: int) -> Message | None:
    """The message with that id."""
    return fetch_one(connection, Message, _message, _message.c.id == message_id)


def get_messages(connection: Connection, message_ids: Sequence[int]) -> dict[int, Message]:
    """Messages by their ids."""
    statement = select_as(Message, _message).where(_message.c.id.in_(message_ids))
    return {row.id: row for row in fetch_all(connection, Message, statement)}


def read_content(connection: Connection, message_id: int) -> bytes | None:
    """The stored content of a message, ``None`` where it is gone."""
    found = connection.execute(
        select(_blob.c.content)
        .select_from(_message.join(_blob, _message.c.blob_id == _blob.c.id))
        .where(_message.c.id == message_id)
    ).scalar_one_or_none()
    return None if found is None else bytes(found)


def read_contents(connection: Connection, message_ids: Sequence[int], largest: int) -> dict[int, bytes]:
    """The stored contents of messages by id; those of more than ``largest`` octets, or that are gone, are left out."""
    rows = connection.execute(
        select(_message.c.id, _blob.c.content)
        .select_from(_message.join(_blob, _message.c.blob_id == _blob.c.id))
        .where(_message.c.id.in_(message_ids), func.length(_blob.c.content) <= largest)
    )
    return {int(row[0]): bytes(row[1]) for row in rows}


def link_target(connection: Connection, message_id: int, number: int) -> str | None:
    """Where a tracked link of a message leads."""
    found = connection.execute(
        select(_link.c.url).where(_link.c.message_id == message_id, _link.c.number == number)
    ).scalar_one_or_none()
    return None if found is None else str(found)


def links_of(connection: Connection, message_id: int) -> dict[int, str]:
    """The link targets of a message by number."""
    rows = connection.execute(select(_link.c.number, _link.c.url).where(_link.c.message_id == message_id))
    return {int(row[0]): str(row[1]) for row in rows}


@dataclass(frozen=True, slots=True)
class SettledRecipient:
    """Where a recipient of a settled message stands."""

    address: str
    address_key: str
    state: str
    reply_code: int | None
    reply_text: str


SETTLED = tuple(str(state) for state in TERMINAL)
"""The states in which nothing more will happen to a delivery."""


def settled_with_notice(connection: Connection, *, limit: int) -> list[Message]:
    """Messages whose submitter wants to be told of failures, and nobody of whose recipients is on the way any more."""
    statement = select_as(Message, _message).where(_message.c.notify.is_not(None), nobody_on_the_way(connection))
    return fetch_all(connection, Message, statement.order_by(_message.c.id).limit(limit))


def nobody_on_the_way(connection: Connection) -> TextClause:
    """A condition on ``message``: all of its recipients are settled."""
    return text(
        f"NOT EXISTS (SELECT 1 FROM {BY_MESSAGE[connection.dialect.name]} WHERE workspace_id = message.workspace_id"  # noqa: S608
        " AND run_id = message.run_id AND message_id = message.id AND of_message.state NOT IN :settled)"
    ).bindparams(bindparam("settled", SETTLED, expanding=True))


def recipients_that_ended(
    connection: Connection, messages: Sequence[Message], states: Collection[str]
) -> dict[int, list[SettledRecipient]]:
    """The recipients of these messages that ended in one of ``states``, by message id, in their order."""
    asked = [{"workspace_id": each.workspace_id, "run_id": each.run_id, "id": each.id} for each in messages]
    values = {"rows": rows_json(asked), "states": sorted(states)}
    found: dict[int, list[SettledRecipient]] = {}
    for message_id, *recipient in connection.execute(_that_ended(connection.dialect.name), values):
        found.setdefault(int(message_id), []).append(SettledRecipient(*recipient))
    return found


@cache
def _that_ended(dialect: str) -> TextClause:
    given = rowset_of(dialect, "given", dict.fromkeys(("workspace_id", "run_id", "id"), BIGINT))
    names = ", ".join(f"of_message.{name}" for name in SettledRecipient.__slots__)
    same = "of_message.workspace_id = given.workspace_id AND of_message.run_id = given.run_id"
    statement = (
        f"SELECT given.id, {names} FROM {given} CROSS JOIN {BY_MESSAGE[dialect]}"  # noqa: S608  all of it is ours
        f" WHERE {same} AND of_message.message_id = given.id AND of_message.state IN :states ORDER BY of_message.id"
    )
    return text(statement).bindparams(bindparam("states", expanding=True))


def forget_notices(connection: Connection, message_ids: Sequence[int]) -> int:
    """Nothing more is to be told about these messages; how many, less those that somebody else has seen to."""
    mine = (_message.c.id.in_(message_ids), _message.c.notify.is_not(None))
    return connection.execute(update(_message).where(*mine).values(notify=None)).rowcount


def capture(
    connection: Connection, delivery: tuple[int, int], envelope: tuple[str, str], blob_id: int, now: Microseconds
) -> None:
    """Keep what a test key sent. ``delivery`` is (workspace id, delivery id), ``envelope`` (MAIL FROM, RCPT TO)."""
    workspace_id, delivery_id = delivery
    mail_from, rcpt_to = envelope
    insert_row(
        connection,
        _captured,
        workspace_id=workspace_id,
        delivery_id=delivery_id,
        mail_from=mail_from,
        rcpt_to=rcpt_to,
        blob_id=blob_id,
        captured_at=now,
    )


def captured_content(connection: Connection, workspace_id: int, delivery_id: int) -> bytes | None:
    """The message that a test delivery would have sent, the newest where there are several."""
    newest = select(func.max(_captured.c.id)).where(
        _captured.c.workspace_id == workspace_id, _captured.c.delivery_id == delivery_id
    )
    found = connection.execute(
        select(_blob.c.content)
        .select_from(_captured.join(_blob, _captured.c.blob_id == _blob.c.id))
        .where(_captured.c.id == newest.scalar_subquery())
    ).scalar_one_or_none()
    return None if found is None else bytes(found)
