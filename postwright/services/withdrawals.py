"""Unsubscribing: from a list, from a stream, from everything; at once, for queued mail too, and back again."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from mailtypes.clock import MINUTE, Microseconds
from postwright.services.page_words import Words, accepted_language, known_language, words_in
from postwright.store import campaigns, consents, contacts, events, recipients, suppressions, workspaces
from postwright.store.campaigns import Run
from postwright.store.consents import UNSUBSCRIBED, Person
from postwright.store.contact_facts import NewConsent, append_consents
from postwright.store.events import NewEvent
from postwright.store.public_ids import run_of_delivery
from postwright.store.recipients import DeliveryRecord
from postwright.store.suppressions import NewSuppression, Scope
from postwright.store.workspaces import Stream

UNDO_FOR: Final = 10 * MINUTE
"""How long an unsubscribe can be taken back by the page that it was done on."""


class Breadth(StrEnum):
    """What somebody unsubscribes from; the order is the number in undo tokens and journals and never changes."""

    LIST = "list"
    STREAM = "stream"
    ALL = "all"

    @property
    def number(self) -> int:
        """Its place in the order."""
        return list(Breadth).index(self)

    @classmethod
    def of_number(cls, number: int) -> "Breadth | None":
        """The one at that place."""
        known = list(cls)
        return known[number] if 0 <= number < len(known) else None


@dataclass(frozen=True, slots=True)
class MailPlace:
    """A delivery with what it was a part of; ``list_name`` is empty where it went to no list of ours."""

    delivery: DeliveryRecord
    run: Run
    stream: Stream
    list_name: str
    person: Person | None
    language_field: str

    @property
    def sender(self) -> str:
        """Who the mail was from, for people."""
        return self.run.from_name or self.run.from_address or self.run.signing_domain

    @property
    def breadths(self) -> tuple[Breadth, ...]:
        """What somebody who got this mail can unsubscribe from, the narrowest first."""
        return tuple(Breadth) if self.run.list_id is not None else (Breadth.STREAM, Breadth.ALL)

    def scope(self, breadth: Breadth) -> tuple[Scope, int]:
        """The suppression's scope; without a list the stream stands for it."""
        if breadth is Breadth.ALL:
            return Scope.ALL, 0
        if breadth is Breadth.LIST and self.run.list_id is not None:
            return Scope.LIST, self.run.list_id
        return Scope.STREAM, self.run.stream_id

    def words(self, accept_language: str = "") -> Words:
        """The words in the recipient's language, else in the browser's, else in English."""
        own = known_language(self.person.locale if self.person else None) or known_language(self.language_field)
        own = own or known_language(self.person.language if self.person else None)
        return words_in(own or accepted_language(accept_language) or "en")


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """An unsubscribe as it was asked for. ``way`` is one_click, page or preferences."""

    way: str
    occurred_at: int
    breadth: Breadth = Breadth.LIST
    wording: str = ""
    client_ip: str | None = None


class TakenBack(StrEnum):
    """What became of the wish to take an unsubscribe back."""

    DONE = "done"
    TOO_LATE = "too_late"
    UNKNOWN = "unknown"


def place_of(connection: Connection, delivery_id: int) -> MailPlace | None:
    """What there is to know about a delivery, ``None`` where it is gone."""
    delivery = recipients.get_delivery(connection, run_of_delivery(delivery_id), delivery_id)
    run = None if delivery is None else campaigns.get_run(connection, delivery.run_id)
    stream = None if run is None else workspaces.get_stream(connection, run.stream_id)
    if delivery is None or run is None or stream is None:
        return None
    target = None if run.list_id is None else contacts.get_list(connection, run.workspace_id, run.list_id)
    person = consents.person_of(connection, run.workspace_id, delivery.address_key)
    language = recipients.merge_value(connection, run.id, delivery.id, "language")
    return MailPlace(delivery, run, stream, target.name if target else "", person, language)


def withdraw(connection: Connection, place: MailPlace, asked: Withdrawal, now: Microseconds) -> None:
    """Suppress the recipient, stop what is queued, and log it; asked twice it is done and logged once."""
    run, delivery = place.run, place.delivery
    scope = place.scope(asked.breadth)
    before = consents.barred(connection, run.workspace_id, delivery.address_key, scope, now)
    if before is not None and (
        before.reason == UNSUBSCRIBED or consents.has_unsubscribed_by(connection, place.delivery.id)
    ):
        return
    data = {"way": asked.way, "scope": str(scope[0])}
    new = NewEvent(run.workspace_id, UNSUBSCRIBED, asked.occurred_at, run.id, delivery.id, delivery.contact_id, data)
    (event_id,) = events.append(connection, [new], now)
    wanted = NewSuppression(delivery.address, delivery.address_key, *scope, UNSUBSCRIBED, event_id)
    suppressions.suppress(connection, run.workspace_id, [wanted], now)
    _note(connection, place, asked, "withdrawn", "unsubscribe")


def take_back(connection: Connection, place: MailPlace, asked: Withdrawal, now: Microseconds) -> TakenBack:
    """Undo an unsubscribe within ``UNDO_FOR``; asked twice it is done and logged once. What it stopped stays so."""
    run, delivery = place.run, place.delivery
    scope = place.scope(asked.breadth)
    before = consents.barred(connection, run.workspace_id, delivery.address_key, scope, now)
    if before is None:
        return TakenBack.DONE
    if before.reason != UNSUBSCRIBED or before.created_at <= now - UNDO_FOR:
        return TakenBack.TOO_LATE
    consents.take_back(connection, run.workspace_id, delivery.address_key, scope)
    data = {"way": asked.way, "scope": str(scope[0])}
    new = NewEvent(run.workspace_id, "resubscribed", now, run.id, delivery.id, delivery.contact_id, data)
    events.append(connection, [new], now)
    _note(connection, place, asked, "given", "undo")
    return TakenBack.DONE


def _note(connection: Connection, place: MailPlace, asked: Withdrawal, state: str, source: str) -> None:
    """Keep what a contact said, in the words that it read."""
    if place.person is None:
        return
    scope, scope_id = place.scope(asked.breadth)
    new = NewConsent(
        place.person.id, str(scope), scope_id, state, source, asked.wording, asked.occurred_at, asked.client_ip or None
    )
    append_consents(connection, place.run.workspace_id, [new])


def wording_of(words: Words, place: MailPlace, breadth: Breadth) -> str:
    """What stands beside the choice of this breadth."""
    of_stream = words.from_stream if place.stream.kind == "marketing" else words.from_kind
    texts = {Breadth.LIST: words.from_list, Breadth.STREAM: of_stream, Breadth.ALL: words.from_all}
    return texts[breadth].format(list=place.list_name, sender=place.sender)
