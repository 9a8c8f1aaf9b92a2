"""The preference page's doing: lists, frequency, tracking, language. Every change is a consent in the words read."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection

from mailtypes.clock import Clock, Microseconds
from mailtypes.saying import say
from postwright.services.errors import NotFoundError, RefusedError
from postwright.services.page_words import OWN_NAMES, Words
from postwright.services.withdrawals import MailPlace, place_of
from postwright.store import consents, contacts, events, suppressions
from postwright.store.consents import UNSUBSCRIBED, Person, Preference, PublicList
from postwright.store.contact_activity import count_anew
from postwright.store.contact_facts import NewConsent, append_consents
from postwright.store.database import Database
from postwright.store.engagements import erase_engagement
from postwright.store.events import NewEvent
from postwright.store.suppressions import NewSuppression, Scope
from tracking.privacy import PrivacyMode, effective_mode

LESS: Final = Preference(1, 7)
"""What "less" means: at most one marketing mail a week."""
_SOURCE: Final = "preferences"
_MAX_TITLE: Final = 200
_MAX_DESCRIPTION: Final = 500


@dataclass(frozen=True, slots=True)
class ShownList:
    """A list on the page, and whether its mail is wanted."""

    list_id: int
    title: str
    description: str
    is_wanted: bool


@dataclass(frozen=True, slots=True)
class Choices:
    """What somebody chose, or wants to choose; ``lists`` has the ids of the wanted ones among those shown."""

    lists: frozenset[int]
    none_at_all: bool
    less: bool
    is_tracked: bool
    language: str


@dataclass(frozen=True, slots=True)
class PreferencePage:
    """What the page shows."""

    place: MailPlace
    lists: tuple[ShownList, ...]
    chosen: Choices
    words: Words


@dataclass(frozen=True, slots=True)
class _Change:
    """One change on its way into the database."""

    place: MailPlace
    person: Person
    client_ip: str | None
    now: Microseconds

    @property
    def workspace_id(self) -> int:
        return self.place.run.workspace_id

    def consent(self, scope: str, scope_id: int, state: str, wording: str) -> NewConsent:
        return NewConsent(self.person.id, scope, scope_id, state, _SOURCE, wording, self.now, self.client_ip)


class Preferences:
    """What recipients choose by themselves, with nothing but the token of a mail that they got."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def page(self, delivery_id: int, accept_language: str = "") -> PreferencePage | None:
        """What to show, ``None`` where the mail is gone or went to somebody who is no contact."""
        now = self._clock.now()
        return await self._database.read(lambda connection: _page(connection, delivery_id, accept_language, now))

    async def choose(self, delivery_id: int, wanted: Choices, words: Words, client_ip: str) -> bool:
        """Store what is different from before, in one transaction; ``False`` where nothing is."""
        now = self._clock.now()

        def work(connection: Connection) -> bool:
            shown = _page(connection, delivery_id, words.language, now)
            if shown is None or shown.place.person is None:
                return False
            change = _Change(shown.place, shown.place.person, client_ip or None, now)
            return _apply(connection, change, shown, wanted, words)

        return await self._database.write(work)

    async def publish(self, workspace_id: int, list_id: int, title: str, description: str = "") -> None:
        """Let recipients see a list under a title; raises ``NotFoundError`` and ``RefusedError``."""
        title = title.strip()
        if not 1 <= len(title) <= _MAX_TITLE or not title.isprintable() or len(description) > _MAX_DESCRIPTION:
            sentence = say(
                "A title has 1 to %(max_title)s characters, a description %(max_description)s at most.",
                max_title=_MAX_TITLE,
                max_description=_MAX_DESCRIPTION,
            )
            raise RefusedError("list_title", sentence, field="title")

        def work(connection: Connection) -> None:
            if contacts.get_list(connection, workspace_id, list_id) is None:
                raise NotFoundError("list")
            consents.publish_list(connection, workspace_id, PublicList(list_id, title, description.strip()))

        await self._database.write(work)

    async def hide(self, workspace_id: int, list_id: int) -> bool:
        """Let recipients see a list no more; whether they did."""
        return await self._database.write(partial(consents.hide_list, workspace_id=workspace_id, list_id=list_id))

    async def public_lists(self, workspace_id: int) -> list[PublicList]:
        """The lists that recipients may see."""
        return await self._database.read(partial(consents.public_lists, workspace_id=workspace_id))


def _page(connection: Connection, delivery_id: int, accept_language: str, now: Microseconds) -> PreferencePage | None:
    place = place_of(connection, delivery_id)
    if place is None or place.person is None:
        return None
    person, workspace_id = place.person, place.run.workspace_id
    joined = consents.lists_of(connection, person.id)
    shown = tuple(
        ShownList(
            one.list_id,
            one.title,
            one.description,
            one.list_id in joined
            and consents.barred(connection, workspace_id, person.address_key, (Scope.LIST, one.list_id), now) is None,
        )
        for one in consents.public_lists(connection, workspace_id)
    )
    stream, words = _stream_of(place), place.words(accept_language)
    chosen = Choices(
        lists=frozenset(one.list_id for one in shown if one.is_wanted),
        none_at_all=consents.barred(connection, workspace_id, person.address_key, stream, now) is not None,
        less=consents.preference_of(connection, person.id) is not None,
        is_tracked=_is_tracked(connection, place, person),
        language=words.language,
    )
    return PreferencePage(place, shown, chosen, words)


def _stream_of(place: MailPlace) -> tuple[Scope, int]:
    return Scope.STREAM, place.run.stream_id


def _is_tracked(connection: Connection, place: MailPlace, person: Person) -> bool:
    of_list = None
    if place.run.list_id is not None:
        of_list = consents.tracking_of_list(connection, place.run.list_id)
    return effective_mode(of_list, person.tracking) is PrivacyMode.FULL


def _apply(connection: Connection, change: _Change, shown: PreferencePage, wanted: Choices, words: Words) -> bool:
    before = shown.chosen
    said = [
        _change_list(connection, change, one, is_wanted=not one.is_wanted)
        for one in shown.lists
        if one.is_wanted != (one.list_id in wanted.lists)
    ]
    if wanted.none_at_all != before.none_at_all:
        place = _stream_of(change.place)
        _bar(connection, change, place, is_barred=wanted.none_at_all)
        state = "withdrawn" if wanted.none_at_all else "given"
        said.append(change.consent(str(place[0]), place[1], state, words.none_at_all))
    if wanted.less != before.less:
        consents.set_preference(connection, change.person, LESS if wanted.less else None, change.now)
        text = words.frequency_less if wanted.less else words.frequency_any
        said.append(change.consent("frequency", 0, "given" if wanted.less else "withdrawn", text))
    if wanted.is_tracked != before.is_tracked:
        said.append(_change_tracking(connection, change, words, is_tracked=wanted.is_tracked))
    if wanted.language != before.language and wanted.language in OWN_NAMES:
        consents.change_person(connection, change.person, change.now, locale=wanted.language)
        said.append(change.consent("language", 0, "given", OWN_NAMES[wanted.language]))
    if said:
        append_consents(connection, change.workspace_id, said)
        changed = {"changed": [f"{one.scope}:{one.state}" for one in said]}
        events.append(connection, [_event(change, "preferences_changed", changed)], change.now)
    return bool(said)


def _change_list(connection: Connection, change: _Change, one: ShownList, *, is_wanted: bool) -> NewConsent:
    place = (Scope.LIST, one.list_id)
    _bar(connection, change, place, is_barred=not is_wanted)
    if is_wanted:
        consents.join_list(connection, change.workspace_id, one.list_id, change.person.id, _SOURCE, change.now)
    return change.consent(str(Scope.LIST), one.list_id, "given" if is_wanted else "withdrawn", one.title)


def _change_tracking(connection: Connection, change: _Change, words: Words, *, is_tracked: bool) -> NewConsent:
    mode = PrivacyMode.FULL if is_tracked else PrivacyMode.OFF
    consents.change_person(connection, change.person, change.now, tracking=str(mode))
    if not is_tracked:
        erase_engagement(connection, change.workspace_id, change.person.id)
    else:
        count_anew(connection, change.person.id)
    text = words.tracking_yes if is_tracked else words.tracking_no
    return change.consent("tracking", 0, "given" if is_tracked else "withdrawn", text)


def _bar(connection: Connection, change: _Change, place: tuple[Scope, int], *, is_barred: bool) -> None:
    """Unsubscribe from a place or take that back; what was suppressed for another reason stays so."""
    person = change.person
    if not is_barred:
        if consents.take_back(connection, change.workspace_id, person.address_key, place):
            data = {"way": _SOURCE, "scope": str(place[0])}
            events.append(connection, [_event(change, "resubscribed", data)], change.now)
        return
    new = _event(change, UNSUBSCRIBED, {"way": _SOURCE, "scope": str(place[0])})
    (event_id,) = events.append(connection, [new], change.now)
    wanted = NewSuppression(person.address, person.address_key, *place, UNSUBSCRIBED, event_id)
    suppressions.suppress(connection, change.workspace_id, [wanted], change.now)


def _event(change: _Change, kind: str, data: Mapping[str, object]) -> NewEvent:
    run, delivery = change.place.run, change.place.delivery
    return NewEvent(change.workspace_id, kind, change.now, run.id, delivery.id, change.person.id, data)
