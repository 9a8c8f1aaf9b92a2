"""What a contact went through, in order, with why: lists, mails and what came of them, consent, tags, suppressions."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection

from postwright.services.errors import NotFoundError
from postwright.store import contact_book, contact_facts, contacts, workspaces
from postwright.store.contact_book import ContactCard
from postwright.store.database import Database

_MOST_EVENTS: Final = 500


class EntryKind(StrEnum):
    """What an entry is about; events of mails have the kinds of the event log beside these."""

    ADDED = "added"
    JOINED = "joined_list"
    TAGGED = "tagged"
    CONSENT = "consent"
    SUPPRESSED = "suppressed_address"
    ARCHIVED = "archived"
    MAIL = "mail"


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """Something that happened to a contact. ``what`` is the list, the tag, the scope or the mail; ``why`` in words.

    ``event`` is the kind of the event log where ``kind`` is mail, with its ``data``; times are microseconds.
    """

    at: int
    kind: EntryKind
    what: str = ""
    why: str = ""
    event: str = ""
    event_id: int | None = None
    delivery_id: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


class ContactTimeline:
    """Reads timelines."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def entries(self, workspace_id: int, contact_id: int, *, limit: int = 200) -> list[TimelineEntry]:
        """The newest entries first, at most ``limit``; raises ``NotFoundError``."""

        def read(connection: Connection) -> list[TimelineEntry]:
            card = contact_book.get_card(connection, workspace_id, contact_id)
            if card is None:
                raise NotFoundError("contact")
            return _entries(connection, workspace_id, card)

        found = await self._database.read(read)
        return found[:limit]


def _entries(connection: Connection, workspace_id: int, card: ContactCard) -> list[TimelineEntry]:
    found = [
        *_own(connection, workspace_id, card),
        *_consents(connection, workspace_id, card.id),
        *_stops(connection, workspace_id, card.address_key),
        *_mails(connection, workspace_id, card.address_key),
    ]
    # Of what happened at the same moment, what came of the other comes later: first added, then on a list.
    order = list(EntryKind)
    found.sort(key=lambda one: (one.at, order.index(one.kind), one.event_id or 0), reverse=True)
    return found


def _own(connection: Connection, workspace_id: int, card: ContactCard) -> Iterator[TimelineEntry]:
    yield TimelineEntry(card.created_at, EntryKind.ADDED)
    for one in contact_book.memberships(connection, workspace_id, [card.id]).get(card.id, []):
        yield TimelineEntry(one.joined_at, EntryKind.JOINED, one.name, one.source)
    for name, at in contact_book.tags_of(connection, workspace_id, [card.id]).get(card.id, []):
        yield TimelineEntry(at, EntryKind.TAGGED, name)
    if card.archived_at is not None:
        yield TimelineEntry(card.archived_at, EntryKind.ARCHIVED)


def _consents(connection: Connection, workspace_id: int, contact_id: int) -> Iterator[TimelineEntry]:
    for one in contact_facts.list_consents(connection, workspace_id, contact_id):
        what = _scope_name(connection, workspace_id, one.scope, one.scope_id)
        data = {"state": one.state, "wording": one.wording, "client_ip": one.client_ip, "scope": one.scope}
        yield TimelineEntry(one.occurred_at, EntryKind.CONSENT, what, one.source, event=one.state, data=data)


def _stops(connection: Connection, workspace_id: int, address_key: str) -> Iterator[TimelineEntry]:
    for one in contact_book.stops_of(connection, workspace_id, address_key):
        what = _scope_name(connection, workspace_id, one.scope, one.scope_id)
        data = {"scope": one.scope, "expires_at": one.expires_at}
        yield TimelineEntry(one.created_at, EntryKind.SUPPRESSED, what, one.reason, data=data)


def _scope_name(connection: Connection, workspace_id: int, scope: str, scope_id: int) -> str:
    if scope == "list":
        found = contacts.get_list(connection, workspace_id, scope_id)
        return found.name if found else ""
    if scope == "stream":
        stream = workspaces.get_stream(connection, scope_id)
        return stream.name if stream else ""
    return ""


def _mails(connection: Connection, workspace_id: int, address_key: str) -> Iterator[TimelineEntry]:
    for one in contact_book.contact_events(connection, workspace_id, address_key, limit=_MOST_EVENTS):
        data = json.loads(one.data)
        why = next((str(data[name]) for name in ("reason", "cause", "way", "verdict") if data.get(name)), "")
        yield TimelineEntry(one.occurred_at, EntryKind.MAIL, one.mail, why, one.kind, one.id, one.delivery_id, data)
