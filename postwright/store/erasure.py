"""Forgetting one person: what goes, and what stays without them because counts rest on it.

What stays: deliveries, with nothing of the recipient but which mail host took it; events of deliveries, without
contact and without words (opens and clicks lose the delivery too, see ``erase_engagement``); messages to several
people. What goes: everything else that is found by the contact or by the address. The address is known from then on by
a keyed hash alone (``store.erased``).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, String, Table, cast, delete, func, or_, select, text, update

from mailtypes.clock import Microseconds
from postwright.store import erased, suppressions
from postwright.store.blobs import release_blob
from postwright.store.engagements import erase_engagement
from postwright.store.events import NewEvent, append
from postwright.store.recipients import BY_MESSAGE
from postwright.store.records import BY_DELIVERY, table
from postwright.store.suppressions import NewSuppression, Scope

_contact, _delivery, _event = table("contact"), table("delivery"), table("event")
_plan, _step = table("hygiene_plan"), table("hygiene_step")
_message, _captured, _answer = table("message"), table("captured_message"), table("idempotent_answer")
_suppression, _refusal, _sign_up = table("suppression"), table("import_refusal"), table("sign_up")
_OF_CONTACT: Final = (
    "list_membership", "contact_tag", "consent", "consent_state", "contact_activity", "contact_recent_mail",
    "contact_day", "contact_preference", "win_back",
)  # fmt: skip
"""Tables with nothing but what is known of contacts, by ``contact_id``."""
_SAYS_WHO: Final = ("opened", "clicked", "opened_revised", "clicked_revised")
_SAFE_DATA: Final = frozenset({"way", "scope", "reason", "kind", "blames", "permanent", "attempt", "reply_code", "code",
    "status", "enhanced_status", "stage", "tls", "link", "verdict", "rule", "was", "event", "feedback_type", "retry_at",
})  # fmt: skip
"""What an event may go on saying: words and numbers of ours, nothing that somebody else wrote."""
_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was forgotten: whether there was a contact, and how many rows of each kind."""

    had_contact: bool
    deliveries: int
    events: int
    messages: int
    engagements: int


def mentions(connection: Connection, workspace_id: int, address_key: str) -> list[tuple[int, int]]:
    """(month, id) of the events about the person that are about no delivery: by contact, or the address in the words.

    It reads all of those, so it is asked before the transaction that erases.
    """
    person = select(_contact.c.id).where(_contact.c.workspace_id == workspace_id, _contact.c.address_key == address_key)
    about = func.lower(_event.c.data).contains(address_key, autoescape=True)
    statement = (
        select(_event.c.month, _event.c.id)
        .with_hint(_event, BY_DELIVERY, "sqlite")
        .where(
            _event.c.workspace_id == workspace_id,
            _event.c.delivery_id.is_(None),
            or_(about, _event.c.contact_id == person.scalar_subquery()),
        )
    )
    return [(int(row[0]), int(row[1])) for row in connection.execute(statement)]


def erase(
    connection: Connection,
    workspace_id: int,
    address_key: str,
    mentioned: Sequence[tuple[int, int]],
    now: Microseconds,
) -> Erasure:
    """Forget the person with this address key, in the caller's transaction, and keep them suppressed by a hash.

    What is queued is stopped first. Done twice it changes nothing more. ``mentioned`` is what ``mentions`` found.
    """
    stop = NewSuppression(address_key, address_key, Scope.ALL, 0, erased.REASON)
    suppressions.suppress(connection, workspace_id, [stop], now)
    erased.remember(connection, workspace_id, address_key, now)
    mine = (_contact.c.workspace_id == workspace_id, _contact.c.address_key == address_key)
    contact_id = connection.execute(select(_contact.c.id).where(*mine)).scalar_one_or_none()
    engagements = 0 if contact_id is None else erase_engagement(connection, workspace_id, int(contact_id))
    deliveries = _deliveries(connection, workspace_id, address_key)
    messages = _forget_messages(connection, {message for _, _, message in deliveries if message})
    events = _forget_words(connection, workspace_id, [one for _, one, _ in deliveries], mentioned)
    _loosen(connection, workspace_id, address_key)
    _forget_traces(connection, workspace_id, address_key, [one for _, one, _ in deliveries])
    if contact_id is not None:
        for name in _OF_CONTACT:
            connection.execute(delete(table(name)).where(table(name).c.contact_id == contact_id))
        plans = select(_plan.c.id).where(_plan.c.workspace_id == workspace_id)
        hers = (_step.c.plan_id.in_(plans), _step.c.contact_id == contact_id)
        connection.execute(delete(_step).where(*hers))
        connection.execute(delete(_contact).where(*mine))
    append(connection, [NewEvent(workspace_id, "person_erased", now)], now)
    return Erasure(contact_id is not None, len(deliveries), events, messages, engagements)


def _deliveries(connection: Connection, workspace_id: int, address_key: str) -> list[tuple[int, int, int]]:
    """Run, id and message of everything that was ever queued to the address."""
    mine = (_delivery.c.workspace_id == workspace_id, _delivery.c.address_key == address_key)
    rows = connection.execute(select(_delivery.c.run_id, _delivery.c.id, _delivery.c.message_id).where(*mine))
    return [(int(row[0]), int(row[1]), int(row[2])) for row in rows]


def _loosen(connection: Connection, workspace_id: int, address_key: str) -> None:
    """Deliveries stay as numbers: each with an address of its own that is nobody's."""
    nobody = "erased-" + cast(_delivery.c.id, String) + erased.NOWHERE
    connection.execute(
        update(_delivery)
        .where(_delivery.c.workspace_id == workspace_id, _delivery.c.address_key == address_key)
        .values(
            address=nobody,
            address_key=nobody,
            domain=erased.NOWHERE.removeprefix("@"),
            contact_id=None,
            record_key=None,
            merge_data="{}",
            reply_text="",
        )
    )


def _forget_messages(connection: Connection, message_ids: Iterable[int]) -> int:
    """Messages to nobody else lose their content and words; others keep them until the retention takes them."""
    forgotten = 0
    recipients = text(
        f"SELECT 1 FROM {BY_MESSAGE[connection.dialect.name]}"  # noqa: S608
        " WHERE workspace_id = :workspace AND run_id = :run AND message_id = :message LIMIT 2"
    )
    for message_id in sorted(message_ids):
        row = connection.execute(
            select(_message.c.blob_id, _message.c.run_id, _message.c.workspace_id).where(_message.c.id == message_id)
        ).one_or_none()
        if row is None:
            continue
        mine = {"workspace": row[2], "run": row[1], "message": message_id}
        if len(connection.execute(recipients, mine).all()) > 1:
            continue
        for name in ("message_attachment", "message_link"):
            taken = delete(table(name)).where(table(name).c.message_id == message_id)
            if name == "message_link":
                connection.execute(taken)
                continue
            for used in connection.execute(taken.returning(table(name).c.blob_id)).all():
                release_blob(connection, used[0])
        words = {"subject": "", "tags": "[]", "client_metadata": "{}", "notify": None, "mail_from": ""}
        connection.execute(update(_message).where(_message.c.id == message_id).values(blob_id=None, **words))
        if row[0] is not None:
            release_blob(connection, row[0])
        forgotten += 1
    return forgotten


def _forget_words(
    connection: Connection,
    workspace_id: int,
    delivery_ids: Sequence[int],
    mentioned: Sequence[tuple[int, int]],
) -> int:
    """Events lose the contact and what others wrote in them; a bounce that was kept whole goes with its event."""
    found: dict[tuple[int, int], str] = {}
    for at in range(0, len(delivery_ids), _CHUNK):
        some = _event.c.delivery_id.in_(delivery_ids[at : at + _CHUNK])
        found |= _data_of(connection, workspace_id, some, BY_DELIVERY)
    for month, event_id in mentioned:
        found |= _data_of(connection, workspace_id, (_event.c.month == month) & (_event.c.id == event_id))
    for (month, event_id), data in found.items():
        document: Mapping[str, Any] = json.loads(data)
        kept = {name: value for name, value in document.items() if name in _SAFE_DATA}
        connection.execute(
            update(_event)
            .where(_event.c.month == month, _event.c.id == event_id)
            .values(contact_id=None, data=json.dumps(kept))
        )
        if isinstance(document.get("blob"), int):
            release_blob(connection, document["blob"])
    return len(found)


def _data_of(
    connection: Connection, workspace_id: int, condition: ColumnElement[bool], hint: str = ""
) -> dict[tuple[int, int], str]:
    statement = select(_event.c.month, _event.c.id, _event.c.data).with_hint(_event, hint, "sqlite")
    rows = connection.execute(statement.where(_event.c.workspace_id == workspace_id, condition))
    return {(int(month), int(event_id)): str(data) for month, event_id, data in rows}


def _forget_traces(connection: Connection, workspace_id: int, address_key: str, delivery_ids: Sequence[int]) -> None:
    """Rows that have the address in them by themselves."""
    for source in (_suppression, _sign_up):
        mine = (source.c.workspace_id == workspace_id, source.c.address_key == address_key)
        connection.execute(delete(source).where(*mine))
    for column in (_refusal.c.value, _refusal.c.suggestion):
        _blank(connection, _refusal, column, workspace_id, address_key)
    told = func.lower(_answer.c.body).contains(address_key, autoescape=True)
    connection.execute(delete(_answer).where(_answer.c.workspace_id == workspace_id, told))
    for at in range(0, len(delivery_ids), _CHUNK):
        mine_too = _captured.c.delivery_id.in_(delivery_ids[at : at + _CHUNK])
        by_delivery = delete(_captured).with_hint("INDEXED BY ix_captured_message_delivery_id", dialect_name="sqlite")
        gone = by_delivery.where(_captured.c.workspace_id == workspace_id, mine_too)
        for row in connection.execute(gone.returning(_captured.c.blob_id)).all():
            release_blob(connection, row[0])


def _blank(
    connection: Connection, source: Table, column: ColumnElement[str], workspace_id: int, address_key: str
) -> None:
    """Empty a text that has the address in it."""
    has_it = func.lower(column).contains(address_key, autoescape=True)
    connection.execute(update(source).where(source.c.workspace_id == workspace_id, has_it).values({column: ""}))
