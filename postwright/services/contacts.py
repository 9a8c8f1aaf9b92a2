"""Contacts one by one and many at once: read, made, changed, archived, tagged, exported."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from hygiene.address_checks import check_address
from hygiene.segments.errors import FieldValueError
from hygiene.segments.fields import check_name
from mailtypes.clock import Clock, Microseconds, as_datetime
from mailtypes.saying import say
from postwright.services.contact_fields import ContactFields, make_coercer
from postwright.services.csv_text import csv_text
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.services.import_options import check_tag
from postwright.services.import_rows import read_locale, read_time_zone
from postwright.services.tracking_consents import SaidBy, keep_tracking_consent
from postwright.store import contact_book, contact_facts, contact_fields, contacts
from postwright.store.contact_book import ContactCard, ContactChange, ContactQuery, Membership
from postwright.store.contacts import FieldValue, NewContact
from postwright.store.database import Database
from postwright.store.erased import is_erased
from postwright.store.imported_contacts import join_lists

TRACKING: Final = ("off", "aggregate", "last_open", "full")
MOST_AT_ONCE: Final = 1000
_CHUNK: Final = 500
_EXPORT_PAGE: Final = 2000
_MOST_FIELDS: Final = 100


@dataclass(frozen=True, slots=True)
class FullContact:
    """A contact with lists and tags."""

    card: ContactCard
    lists: Sequence[Membership] = ()
    tags: Sequence[str] = ()

    @property
    def fields(self) -> dict[str, Any]:
        """The merge fields."""
        found: dict[str, Any] = json.loads(self.card.fields)
        return found


@dataclass(frozen=True, slots=True)
class ContactWanted:
    """A contact to make; lists and tags by name."""

    address: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    lists: Sequence[str] = ()
    tags: Sequence[str] = ()
    locale: str = ""
    time_zone: str = ""


@dataclass(frozen=True, slots=True)
class BulkChange:
    """What is done to many contacts: tags and lists by name, fields, archive (``True``) or restore (``False``)."""

    add_tags: Sequence[str] = ()
    remove_tags: Sequence[str] = ()
    add_lists: Sequence[str] = ()
    remove_lists: Sequence[str] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    archive: bool | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it changes nothing."""
        return not (self.add_tags or self.remove_tags or self.add_lists or self.remove_lists or self.fields) and (
            self.archive is None
        )


class Contacts:
    """The contacts of a workspace."""

    def __init__(self, database: Database, clock: Clock, *, test_environment: bool = False) -> None:
        self._database = database
        self._clock = clock
        self._test_environment = test_environment

    async def page(
        self, workspace_id: int, query: ContactQuery, *, after: int = 0, limit: int = 100
    ) -> list[FullContact]:
        """Contacts in the order of their ids, beginning behind ``after``; raises ``SegmentSyntaxError``."""
        now = self._clock.now()

        def read(connection: Connection) -> list[FullContact]:
            cards = contact_book.list_cards(connection, workspace_id, query, now, after=after, limit=limit)
            return _filled(connection, workspace_id, cards)

        return await self._database.read(read)

    async def get(self, workspace_id: int, contact_id: int) -> FullContact:
        """A contact; raises ``NotFoundError``."""

        def read(connection: Connection) -> FullContact:
            card = contact_book.get_card(connection, workspace_id, contact_id)
            if card is None:
                raise NotFoundError("contact")
            return _filled(connection, workspace_id, [card])[0]

        return await self._database.read(read)

    async def find(self, workspace_id: int, address: str) -> FullContact:
        """The contact with that address; raises ``NotFoundError``."""
        check = check_address(address, test_environment=self._test_environment)
        key = "" if check.address is None else check.address.key
        card = await self._database.read(partial(contact_book.find_card, workspace_id=workspace_id, address_key=key))
        if card is None:
            raise NotFoundError("contact")
        return await self.get(workspace_id, card.id)

    async def create(self, workspace_id: int, wanted: ContactWanted) -> tuple[FullContact, bool]:
        """Make a contact, or bring one with that address up to date; whether it is new.

        Raises ``RefusedError``: for what is no address, for values that do not fit, and for people who were erased.
        """
        check = check_address(wanted.address, test_environment=self._test_environment)
        if check.address is None:
            raise RefusedError(str(check.refusal), check.sentence, field="address")
        address, now = check.address, self._clock.now()
        locale, zone = checked_locale(wanted.locale), checked_zone(wanted.time_zone)
        tags, lists = [check_tag(one) for one in wanted.tags], [check_tag(one) for one in wanted.lists]

        def store(connection: Connection) -> tuple[int, bool]:
            if is_erased(connection, workspace_id, address.key):
                raise RefusedError("erased", say("Somebody who asked to be erased."), field="address")
            fields = _fitting(connection, workspace_id, wanted.fields)
            new = NewContact(address.text, address.key, address.domain.ascii, fields)
            created = contacts.put_contact(connection, workspace_id, new, now)
            card = contact_book.find_card(connection, workspace_id, address.key)
            assert card is not None  # put a line above
            change = ContactChange(locale=locale or None, time_zone=zone or None)
            contact_book.change_contact(connection, workspace_id, card.id, change, now)
            bulk = BulkChange(add_tags=tags, add_lists=lists)
            _apply(connection, workspace_id, [card.id], bulk, now)
            return card.id, created

        contact_id, created = await self._database.write(store)
        return await self.get(workspace_id, contact_id), created

    async def change(self, workspace_id: int, contact_id: int, change: ContactChange, said: SaidBy) -> FullContact:
        """Change a contact; what is left out stays. Raises ``NotFoundError`` and ``RefusedError``.

        ``said`` is kept as a consent where the change is about how the contact is tracked.
        """
        now = self._clock.now()
        tracking = checked_tracking(change.tracking)
        locale = None if change.locale is None else checked_locale(change.locale)
        zone = None if change.time_zone is None else checked_zone(change.time_zone)

        def store(connection: Connection) -> None:
            if contact_book.get_card(connection, workspace_id, contact_id) is None:
                raise NotFoundError("contact")
            fields = _fitting(connection, workspace_id, change.fields or {})
            gone = {name: None for name, value in (change.fields or {}).items() if value in (None, "")}
            whole = ContactChange({**fields, **gone}, locale, zone, tracking)
            if tracking is not None:
                keep_tracking_consent(connection, workspace_id, contact_id, tracking, said, now)
            contact_book.change_contact(connection, workspace_id, contact_id, whole, now)

        await self._database.write(store)
        return await self.get(workspace_id, contact_id)

    async def change_many(self, workspace_id: int, chosen: Sequence[int] | ContactQuery, change: BulkChange) -> int:
        """Do the same to many, a few hundred in a transaction; returns how many contacts were chosen.

        Safe to repeat. A query is read to its end, contacts that come in meanwhile included.
        """
        if change.is_empty:
            raise RefusedError("nothing_to_do", say("The change changes nothing."), next_step=say("Say what to do."))
        checked = BulkChange(
            [check_tag(one) for one in change.add_tags],
            [check_tag(one) for one in change.remove_tags],
            [check_tag(one) for one in change.add_lists],
            [check_tag(one) for one in change.remove_lists],
            change.fields,
            change.archive,
        )
        if not isinstance(chosen, ContactQuery):
            return await self._change_ids(workspace_id, sorted(set(chosen)), checked)
        # The ids are read before anything changes: what is done may take contacts out of what was asked for.
        after = 0
        ids: list[int] = []
        now = self._clock.now()
        while page := await self._database.read(
            partial(contact_book.list_ids, workspace_id=workspace_id, query=chosen, now=now, after=after, limit=50_000)
        ):
            ids += page
            after = page[-1]
        return await self._change_ids(workspace_id, ids, checked)

    async def _change_ids(self, workspace_id: int, ids: Sequence[int], change: BulkChange) -> int:
        done = 0
        for start in range(0, len(ids), _CHUNK):
            work = partial(
                _change_chunk,
                workspace_id=workspace_id,
                ids=ids[start : start + _CHUNK],
                change=change,
                now=self._clock.now(),
            )
            done += await self._database.write(work)
        return done

    async def count_up(self, workspace_id: int, contact_id: int, name: str, by: object) -> Any:
        """Move a number of a contact on; raises ``NotFoundError`` and ``FieldValueError``."""
        return await ContactFields(self._database, self._clock).count(workspace_id, contact_id, name, by)

    async def export_ndjson(self, workspace_id: int, query: ContactQuery) -> AsyncIterator[str]:
        """All that is known of contacts, one JSON object a line; an import reads it back."""
        async for page in self._export_pages(workspace_id, query):
            yield "".join(json.dumps(as_record(one), ensure_ascii=False) + "\n" for one in page)

    async def export_csv(self, workspace_id: int, query: ContactQuery) -> AsyncIterator[str]:
        """The same as CSV; the columns are the fields that there are, so contacts are looked through twice."""
        names = await self._field_names(workspace_id, query)
        ends = ("lists", "tags", "locale", "time_zone", "created_at", "archived_at", "id")
        yield csv_text([("email", *names, *ends)])
        async for page in self._export_pages(workspace_id, query):
            yield csv_text(_cells(one, names) for one in page)

    async def _export_pages(self, workspace_id: int, query: ContactQuery) -> AsyncIterator[list[FullContact]]:
        after = 0
        while page := await self.page(workspace_id, query, after=after, limit=_EXPORT_PAGE):
            yield page
            after = page[-1].card.id
            await asyncio.sleep(0)

    async def _field_names(self, workspace_id: int, query: ContactQuery) -> list[str]:
        now, after = self._clock.now(), 0
        names: dict[str, None] = {}
        while page := await self._database.read(
            partial(
                contact_book.list_cards,
                workspace_id=workspace_id,
                query=query,
                now=now,
                after=after,
                limit=_EXPORT_PAGE,
            )
        ):
            for card in page:
                names.update(dict.fromkeys(json.loads(card.fields)))
            after = page[-1].id
        return [name for name in sorted(names) if name != "email"]


def as_record(one: FullContact) -> dict[str, Any]:
    """A contact as exports and programs see it."""
    card = one.card
    return {
        "address": card.address,
        "fields": one.fields,
        "lists": [member.name for member in one.lists],
        "tags": list(one.tags),
        "locale": card.locale,
        "time_zone": card.time_zone,
        "created_at": _moment(card.created_at),
        "archived_at": None if card.archived_at is None else _moment(card.archived_at),
        "id": card.id,
    }


def checked_locale(text: str) -> str:
    """A language tag in its usual spelling, or nothing; raises ``RefusedError``."""
    try:
        return read_locale(text.strip()) if text.strip() else ""
    except ValueError as error:
        raise RefusedError("bad_locale", str(error), field="locale") from error


def checked_zone(text: str) -> str:
    """A time zone, or nothing; raises ``RefusedError``."""
    try:
        return read_time_zone(text.strip()) if text.strip() else ""
    except ValueError as error:
        raise RefusedError("bad_time_zone", str(error), field="time_zone") from error


def checked_tracking(text: str | None) -> str | None:
    """A way of tracking; empty: none of one's own; raises ``RefusedError``."""
    if text and text not in TRACKING:
        sentence = say("'%(text)s' is no way of tracking.", text=text[:40])
        raise RefusedError(
            "tracking",
            sentence,
            field="tracking",
            next_step=say("Take one of %(known)s.", known=", ".join(TRACKING)),
        )
    return text


def _filled(connection: Connection, workspace_id: int, cards: Sequence[ContactCard]) -> list[FullContact]:
    ids = [card.id for card in cards]
    lists = contact_book.memberships(connection, workspace_id, ids)
    tags = contact_book.tags_of(connection, workspace_id, ids)
    return [FullContact(card, lists.get(card.id, []), [name for name, _ in tags.get(card.id, [])]) for card in cards]


def _change_chunk(
    connection: Connection, workspace_id: int, ids: Sequence[int], change: BulkChange, now: Microseconds
) -> int:
    own = contact_book.own_ids(connection, workspace_id, ids)
    _apply(connection, workspace_id, own, change, now)
    return len(own)


def _apply(
    connection: Connection, workspace_id: int, ids: Sequence[int], change: BulkChange, now: Microseconds
) -> None:
    for name in change.add_tags:
        tag_id = contact_facts.ensure_tag(connection, workspace_id, name, now)
        contact_facts.tag_contacts(connection, workspace_id, tag_id, ids, now)
    for name in change.remove_tags:
        known = contact_book.find_tag(connection, workspace_id, name)
        if known is not None:
            contact_facts.untag_contacts(connection, workspace_id, known, ids)
    _apply_lists(connection, workspace_id, ids, change, now)
    if change.fields:
        _set_fields(connection, workspace_id, ids, change.fields, now)
    if change.archive is not None:
        if change.archive:
            contact_book.archive(connection, workspace_id, ids, now)
        else:
            contact_book.restore(connection, workspace_id, ids)


def _apply_lists(
    connection: Connection, workspace_id: int, ids: Sequence[int], change: BulkChange, now: Microseconds
) -> None:
    for name in change.add_lists:
        target = contacts.ensure_list(connection, workspace_id, name, now)
        join_lists(connection, workspace_id, [(target.id, one) for one in ids], say("by hand"), now)
    for name in change.remove_lists:
        found = contacts.find_list(connection, workspace_id, name)
        if found is not None:
            contact_book.leave_list(connection, workspace_id, found.id, ids)


def _set_fields(
    connection: Connection, workspace_id: int, ids: Sequence[int], given: Mapping[str, Any], now: Microseconds
) -> None:
    gone = {name: None for name, value in given.items() if value in (None, "")}
    wanted = ContactChange({**_fitting(connection, workspace_id, given), **gone})
    for one in ids:
        contact_book.change_contact(connection, workspace_id, one, wanted, now)


def _fitting(connection: Connection, workspace_id: int, values: Mapping[str, Any]) -> dict[str, FieldValue]:
    if len(values) > _MOST_FIELDS:
        raise RefusedError(
            "too_many_fields", say("At most %(most_fields)s fields at once.", most_fields=_MOST_FIELDS), field="fields"
        )
    try:
        for name in values:
            check_name(name)
    except FieldValueError as error:
        raise RefusedError.of([Problem.of(error, "field_name", "fields")]) from error
    fit = make_coercer(contact_fields.list_fields(connection, workspace_id))
    fitting, faults = fit(values)
    if faults:
        raise RefusedError.of([Problem.of(fault, "bad_value", "fields") for fault in faults])
    return dict(fitting)


def _cells(one: FullContact, names: Sequence[str]) -> list[str]:
    fields, record = one.fields, as_record(one)
    values = [fields.get(name, "") for name in names]
    written = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    ends = [record[name] or "" for name in ("locale", "time_zone", "created_at", "archived_at", "id")]
    return [one.card.address, *written, ";".join(record["lists"]), ";".join(record["tags"]), *map(str, ends)]


def _moment(at: int) -> str:
    return as_datetime(at).isoformat(timespec="microseconds").replace("+00:00", "Z")
