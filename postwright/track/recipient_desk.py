"""What recipients do on our pages: unsubscribe, come back, choose, sign up, confirm. GET and HEAD change nothing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from mailtypes.errors import StorageError
from postwright.services.engagement import Engagement
from postwright.services.page_words import Words, known_language, words_in
from postwright.services.preferences import Preferences
from postwright.services.sign_ups import Answer, Confirmed, SignUps, is_too_late
from postwright.services.withdrawals import Breadth, MailPlace, TakenBack, Withdrawal, wording_of
from postwright.track.pages import Page, invalid_page
from postwright.track.preference_pages import preference_page, read_choices
from postwright.track.sign_up_pages import answer_page, closed_page, confirm_page, confirmed_page, form_page, late_page
from postwright.track.unsubscribe_pages import (
    CONFIRMED,
    noted_page,
    undo_page,
    undone_page,
    unsubscribe_page,
    unsubscribed_page,
)
from tracking.tokens import TokenClaims, TokenKind
from tracking.unsubscribe import LIST_UNSUBSCRIBE_POST, is_one_click
from tracking.urls import preferences_url, undo_path, unsubscribe_url

MAX_FORM_OCTETS: Final = 16 * 1024
"""Ten fields of five hundred characters, percent-encoded, fit."""
_MOST_FIELDS: Final = 100
_URLENCODED: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"
_STATUS: Final = {Answer.TAKEN: 200, Answer.INCOMPLETE: 422, Answer.TOO_MANY: 429}


@dataclass(frozen=True, slots=True)
class Asking:
    """A request for a page; ``body`` is ``None`` for GET and HEAD."""

    token: str
    body: bytes | None = None
    content_type: str = ""
    client_ip: str = ""
    accept_language: str = ""

    @property
    def is_json(self) -> bool:
        """Whether the body is JSON, and so is to be the answer."""
        return self.content_type.partition(";")[0].strip().lower() == _JSON

    def fields(self) -> Mapping[str, Sequence[str]]:
        """What a form says, by name; empty where the body is none."""
        media_type = self.content_type.partition(";")[0].strip().lower()
        if self.body is None or media_type not in {"", _URLENCODED}:
            return {}
        try:
            pairs = parse_qsl(self.body.decode("utf-8").strip(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        except ValueError:  # not UTF-8, or too many fields
            return {}
        found: dict[str, list[str]] = {}
        for name, value in pairs:
            found.setdefault(name, []).append(value.replace("\x00", ""))
        return found

    def texts(self) -> Mapping[str, str] | None:
        """What a form or a JSON object says, each name once; ``None`` where it is neither."""
        if not self.is_json:
            return {name: values[0] for name, values in self.fields().items()} or None
        try:
            document = json.loads(self.body or b"")
        except (ValueError, RecursionError):
            return None
        if not isinstance(document, dict) or len(document) > _MOST_FIELDS:
            return None
        texts = {name: value for name, value in document.items() if isinstance(value, str)}
        return {name: value.encode("utf-8", "replace").decode().replace("\x00", "") for name, value in texts.items()}


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer: a page, or (``word``) one word for whoever asked by JSON."""

    status: int
    page: Page | None = None
    word: str = ""


class RecipientDesk:
    """Answers by token. What it was not given (``preferences``, ``sign_ups``) does not exist for visitors."""

    def __init__(
        self, engagement: Engagement, preferences: Preferences | None = None, sign_ups: SignUps | None = None
    ) -> None:
        self._engagement = engagement
        self._preferences = preferences
        self._sign_ups = sign_ups

    async def answer(self, kind: TokenKind, asking: Asking) -> Shown:
        """The answer to a request for a page of that kind; a token that is not genuine gets a plain one."""
        if kind is TokenKind.FORM:
            return await self._form(asking)
        if kind is TokenKind.CONFIRM:
            return await self._confirm(asking)
        claims = self._engagement.claims(asking.token, kind)
        if claims is None:
            return _nothing(asking)
        if kind is TokenKind.UNSUBSCRIBE:
            return await self._unsubscribe(claims, asking)
        if kind is TokenKind.UNDO:
            return await self._undo(claims, asking)
        return await self._prefer(claims, asking)

    async def _unsubscribe(self, claims: TokenClaims, asking: Asking) -> Shown:
        if asking.body is None:
            place = await self._engagement.place(claims)
            if place is None:
                return _nothing(asking)
            words = place.words(asking.accept_language)
            return Shown(200, unsubscribe_page(place, words, self._preferences_path(place)))
        one_click = is_one_click(asking.content_type, asking.body)
        breadth = Breadth.LIST if one_click else _breadth(asking.fields())
        if breadth is None:
            return Shown(400)
        place = await self._place_if_there(claims)
        words = place.words(asking.accept_language) if place else words_in("en")
        wording = LIST_UNSUBSCRIBE_POST if one_click else wording_of(words, place, breadth) if place else ""
        asked = Withdrawal(
            "one_click" if one_click else "page", self._engagement.now(), breadth, wording, asking.client_ip
        )
        if not await self._engagement.unsubscribe(claims, asked):
            return _nothing(asking)
        if place is None:
            return Shown(200, noted_page())
        undo = undo_path(self._engagement.token(TokenKind.UNDO, claims.delivery_id, breadth.number))
        return Shown(200, unsubscribed_page(place, words, breadth, (undo, self._preferences_path(place))))

    async def _place_if_there(self, claims: TokenClaims) -> MailPlace | None:
        try:
            return await self._engagement.place(claims)
        except StorageError:  # it goes into the journal; nobody can say now what the list is called
            return None

    async def _undo(self, claims: TokenClaims, asking: Asking) -> Shown:
        place, breadth = await self._engagement.place(claims), Breadth.of_number(claims.link)
        if place is None or breadth is None:
            return _nothing(asking)
        words = place.words(asking.accept_language)
        if asking.body is None:
            return Shown(200, undo_page(words))
        if not _is_confirmed(asking.fields()):
            return Shown(400)
        wording = f"{words.undo_button}: {wording_of(words, place, breadth)}"
        asked = Withdrawal("page", self._engagement.now(), breadth, wording, asking.client_ip)
        outcome = await self._engagement.take_back(claims, asked)
        if outcome is TakenBack.UNKNOWN:
            return _nothing(asking)
        return Shown(200 if outcome is TakenBack.DONE else 409, undone_page(place, words, outcome))

    async def _prefer(self, claims: TokenClaims, asking: Asking) -> Shown:
        if self._preferences is None:
            return _nothing(asking)
        shown = await self._preferences.page(claims.delivery_id, asking.accept_language)
        if shown is None:
            return await self._nothing_to_choose(claims, asking)
        if asking.body is None:
            return Shown(200, preference_page(shown, shown.words))
        wanted = read_choices(shown, asking.fields())
        if wanted is None:
            return Shown(400)
        is_changed = await self._preferences.choose(claims.delivery_id, wanted, shown.words, asking.client_ip)
        after = await self._preferences.page(claims.delivery_id, asking.accept_language)
        if after is None:
            return _nothing(asking)
        told = after.words.saved if is_changed else after.words.saved_nothing
        return Shown(200, preference_page(after, after.words, told))

    async def _nothing_to_choose(self, claims: TokenClaims, asking: Asking) -> Shown:
        """The mail went to somebody who is no contact: all that they can do is unsubscribe."""
        place = await self._engagement.place(claims)
        if place is None or asking.body is not None:
            return _nothing(asking)
        path = unsubscribe_url("", self._engagement.token(TokenKind.UNSUBSCRIBE, claims.delivery_id))
        return Shown(200, unsubscribe_page(place, place.words(asking.accept_language), "", path))

    async def _form(self, asking: Asking) -> Shown:
        found = None if self._sign_ups is None else await self._sign_ups.form(asking.token)
        if self._sign_ups is None or found is None:
            return _nothing(asking)
        if asking.body is None:
            return Shown(200 if found.closed_at is None else 410, form_page(found))
        given = asking.texts() or {}
        language = known_language(given.get("language")) or found.language
        words: Words = words_in(language)
        if found.closed_at is not None:
            return Shown(410, closed_page(words), "closed")
        answer = await self._sign_ups.sign_up(found, given, asking.client_ip, language)
        return Shown(_STATUS[answer], answer_page(words, answer), str(answer))

    async def _confirm(self, asking: Asking) -> Shown:
        asked = None if self._sign_ups is None else await self._sign_ups.asked(asking.token)
        if self._sign_ups is None or asked is None:
            return _nothing(asking)
        if asking.body is None:
            if asked.sign_up.state == "confirmed":
                return Shown(200, confirmed_page(asked))
            if is_too_late(asked.sign_up, self._engagement.now()):
                return Shown(410, late_page(asked.words))
            return Shown(200, confirm_page(asked))
        if not _is_confirmed(asking.fields()):
            return Shown(400)
        outcome = await self._sign_ups.confirm(asked, asking.client_ip)
        if outcome is Confirmed.DONE:
            return Shown(200, confirmed_page(asked))
        return Shown(410, late_page(asked.words))

    def _preferences_path(self, place: MailPlace) -> str:
        """Empty where there is nothing to choose: somebody who is no contact."""
        if self._preferences is None or place.person is None:
            return ""
        return preferences_url("", self._engagement.token(TokenKind.PREFERENCES, place.delivery.id))


def _nothing(asking: Asking) -> Shown:
    return Shown(404, invalid_page(asking.accept_language), "unknown")


def _is_confirmed(fields: Mapping[str, Sequence[str]]) -> bool:
    return list(fields.get(CONFIRMED[0], ())) == [CONFIRMED[1]]


def _breadth(fields: Mapping[str, Sequence[str]]) -> Breadth | None:
    """What a form of the page asks to unsubscribe from; ``None`` where it asks for nothing, or for two things."""
    wanted = list(fields.get("from", ())) or [Breadth.LIST]
    if not _is_confirmed(fields) or len(wanted) != 1 or wanted[0] not in set(Breadth):
        return None
    return Breadth(wanted[0])
