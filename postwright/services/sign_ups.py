"""Signing up by a form, and confirming that (double opt-in).

Whoever fills in a form gets the same answer whatever is known of the address, and after the same work: one row is
stored. What follows from it (a mail, or none) is decided later and elsewhere (``confirmations``).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from sqlalchemy import Connection

from hygiene.address_checks import check_address
from mailtypes.clock import DAY, HOUR, Clock, Microseconds
from postwright.services.page_words import Words, words_in
from postwright.store import consents, contacts, events, sign_ups
from postwright.store.contact_facts import NewConsent, append_consents
from postwright.store.contacts import NewContact
from postwright.store.database import Database
from postwright.store.erased import is_erased
from postwright.store.events import NewEvent
from postwright.store.sign_ups import Form, NewSignUp, SignUp
from postwright.store.suppressions import Scope
from tracking.tokens import TokenKeys, TokenKind, make, read

CONFIRM_WITHIN: Final = 7 * DAY
"""How long the link in the confirmation mail works."""
ADDRESS_FIELD: Final = "email"
TRAP_FIELD: Final = "website"
"""A field that no person sees; who fills it in is a machine."""
MAX_VALUE: Final = 500


@dataclass(frozen=True, slots=True)
class SignUpLimits:
    """How many sign-ups are taken: from a network an hour, for an address a day, by a form an hour."""

    network_hourly: int = 20
    address_daily: int = 3
    form_hourly: int = 2_000


class Answer(StrEnum):
    """What whoever filled in a form is told."""

    TAKEN = "taken"
    INCOMPLETE = "incomplete"
    TOO_MANY = "too_many"


class Confirmed(StrEnum):
    """What became of a confirmation."""

    DONE = "done"
    TOO_LATE = "too_late"


@dataclass(frozen=True, slots=True)
class Asked:
    """A sign-up with its form, for the page that confirms it."""

    sign_up: SignUp
    form: Form

    @property
    def words(self) -> Words:
        """The words in the language that was chosen when signing up."""
        return words_in(self.sign_up.language)


class SignUps:
    """What the public pages do; ``test_environment`` lets ``.test`` addresses sign up."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        token_keys: TokenKeys,
        limits: SignUpLimits | None = None,
        *,
        test_environment: bool = False,
    ) -> None:
        self._database = database
        self._clock = clock
        self._token_keys = token_keys
        self._limits = limits or SignUpLimits()
        self._test_environment = test_environment

    def form_token(self, form_id: int) -> str:
        """What stands in the address of a form."""
        return make(TokenKind.FORM, form_id, 0, self._token_keys)

    async def form(self, token: str) -> Form | None:
        """The form of a genuine token, open or closed."""
        claims = read(token, self._token_keys)
        if claims is None or claims.kind is not TokenKind.FORM:
            return None
        return await self._database.read(partial(sign_ups.get_form, form_id=claims.delivery_id))

    async def sign_up(self, form: Form, given: Mapping[str, str], client_ip: str, language: str = "") -> Answer:
        """Take a form that was filled in; fields that it does not ask for are not kept."""
        check = check_address(given.get(ADDRESS_FIELD, ""), test_environment=self._test_environment)
        values = {name: " ".join(given.get(name, "").split())[:MAX_VALUE] for name in form.field_names}
        if check.address is None or not all(values.values()):
            return Answer.INCOMPLETE
        if check.address.needs_smtputf8:
            return Answer.INCOMPLETE
        new = NewSignUp(
            check.address.text,
            check.address.key,
            check.address.domain.ascii,
            json.dumps(values, ensure_ascii=False),
            words_in(language or form.language).language,
            client_ip,
            network_of(client_ip),
        )
        is_trapped = bool(given.get(TRAP_FIELD, "").strip())
        now = self._clock.now()
        return await self._database.write(lambda connection: self._take(connection, form, new, is_trapped, now))

    def _take(self, connection: Connection, form: Form, new: NewSignUp, is_trapped: bool, now: Microseconds) -> Answer:
        hour = Microseconds(now - HOUR)
        of_network, _ = sign_ups.count_since(connection, form, new, hour)
        _, of_address = sign_ups.count_since(connection, form, new, Microseconds(now - DAY))
        if of_network >= self._limits.network_hourly:
            return Answer.TOO_MANY
        if sign_ups.count_of_form(connection, form.id, hour) >= self._limits.form_hourly:
            return Answer.TOO_MANY
        # One answer for all of these: it must not tell whether an address was here before.
        too_often = of_address >= self._limits.address_daily
        if not is_trapped and not too_often:
            sign_ups.add_sign_up(connection, form, new, "waiting", now)
        return Answer.TAKEN

    async def asked(self, token: str) -> Asked | None:
        """The sign-up that a genuine token confirms, ``None`` where it is gone."""
        claims = read(token, self._token_keys)
        if claims is None or claims.kind is not TokenKind.CONFIRM:
            return None
        return await self._database.read(lambda connection: _asked(connection, claims.delivery_id))

    async def confirm(self, asked: Asked, client_ip: str) -> Confirmed:
        """Put the person on the lists, with the consent as it was asked for; twice is once."""
        now = self._clock.now()
        return await self._database.write(lambda connection: _confirm(connection, asked, client_ip, now))


def network_of(client_ip: str) -> str:
    """What sign-ups are counted by: an IPv4 address, or the /64 that one customer has of IPv6 (RFC 6177)."""
    try:
        address = ip_address(client_ip)
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ip_network((address, 64), strict=False))
    return str(address)


def is_too_late(sign_up: SignUp, now: Microseconds) -> bool:
    """Whether a sign-up can be confirmed no more."""
    return sign_up.created_at + CONFIRM_WITHIN <= now


def _asked(connection: Connection, sign_up_id: int) -> Asked | None:
    sign_up = sign_ups.get_sign_up(connection, sign_up_id)
    form = None if sign_up is None else sign_ups.get_form(connection, sign_up.form_id)
    return Asked(sign_up, form) if sign_up is not None and form is not None else None


def _confirm(connection: Connection, asked: Asked, client_ip: str, now: Microseconds) -> Confirmed:
    sign_up = sign_ups.get_sign_up(connection, asked.sign_up.id)
    if sign_up is None or is_erased(connection, sign_up.workspace_id, sign_up.address_key):
        return Confirmed.TOO_LATE
    if sign_up.state == "confirmed":
        return Confirmed.DONE
    if is_too_late(sign_up, now) or not sign_ups.move(
        connection, sign_up.id, ("asked",), "confirmed", confirmed_at=now, confirmed_ip=client_ip or None
    ):
        return Confirmed.TOO_LATE
    contact_id = _join(connection, sign_up, asked.form, now)
    _consent(connection, sign_up, asked.form, contact_id, (client_ip, now))
    data = {"form": asked.form.name}
    events.append(connection, [NewEvent(sign_up.workspace_id, "confirmed", now, None, None, contact_id, data)], now)
    return Confirmed.DONE


def _join(connection: Connection, sign_up: SignUp, form: Form, now: Microseconds) -> int:
    """Put the person on the lists; what they had unsubscribed from there counts no more."""
    new = NewContact(sign_up.address, sign_up.address_key, sign_up.domain, json.loads(sign_up.fields))
    source = f"form:{form.name}"
    for list_id in sign_up.lists:
        target = contacts.get_list(connection, sign_up.workspace_id, list_id)
        if target is not None:
            contacts.put_on_list(connection, target, [new], source, now)
            consents.take_back(connection, sign_up.workspace_id, sign_up.address_key, (Scope.LIST, list_id))
    for stream_id in consents.marketing_streams(connection, sign_up.workspace_id):
        consents.take_back(connection, sign_up.workspace_id, sign_up.address_key, (Scope.STREAM, stream_id))
    person = consents.person_of(connection, sign_up.workspace_id, sign_up.address_key)
    assert person is not None  # a form has a list at least
    if person.locale is None:
        consents.change_person(connection, person, now, locale=sign_up.language)
    return person.id


def _consent(
    connection: Connection, sign_up: SignUp, form: Form, contact_id: int, confirmed: tuple[str, Microseconds]
) -> None:
    """First asked for, then confirmed: each with its moment and the address that it came from."""
    client_ip, now = confirmed
    source = f"form:{form.name}"
    said = [
        NewConsent(contact_id, str(Scope.LIST), list_id, state, source, sign_up.wording, at, address or None)
        for list_id in sign_up.lists
        for state, at, address in (("pending", sign_up.created_at, sign_up.client_ip), ("given", now, client_ip))
    ]
    append_consents(connection, sign_up.workspace_id, said)
