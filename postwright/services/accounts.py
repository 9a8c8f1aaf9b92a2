"""Who may do what: sign-in with passwords, browser sessions, API keys with scopes."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection

from mailtypes.address import EmailAddress
from mailtypes.clock import MINUTE, SECOND, Clock, Microseconds, microseconds
from mailtypes.domain import DomainName
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.services.sign_in_tries import Pause, SignInTries, browser_mark, is_mark_of
from postwright.store import people, session_families, workspaces
from postwright.store.database import Database

Sender = TypeVar("Sender")
_KEY_PREFIX = "pw_live_"
_TEST_KEY_PREFIX = "pw_test_"
_USE_NOTED_EVERY = 5 * MINUTE
_BELIEVED_FOR = 5 * SECOND
_MIN_PASSWORD = 10
_MAX_PASSWORD = 200  # argon2 would hash megabytes for whoever sends them
_HASHES_AT_ONCE = 2
_MAX_TRACKED = 10_000
_MOST_WORKSPACES = 8
"""So many workspaces of one person are looked at when signing in; each costs a hash."""


class Role(StrEnum):
    """What a person may do."""

    ADMIN = "admin"
    MARKETER = "marketer"
    VIEWER = "viewer"


class KeyScope(StrEnum):
    """What an API key may do; ``admin`` includes the others, ``send`` includes ``read``."""

    READ = "read"
    SEND = "send"
    ADMIN = "admin"


_INCLUDED: dict[KeyScope, frozenset[KeyScope]] = {
    KeyScope.READ: frozenset({KeyScope.READ}),
    KeyScope.SEND: frozenset({KeyScope.READ, KeyScope.SEND}),
    KeyScope.ADMIN: frozenset(KeyScope),
}


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A browser that is signed in; ``csrf_token`` has to come back with every change.

    ``workspaces`` has the ids and names of those that it may change to, and of its own; empty where there are none.
    """

    session_id: int
    workspace_id: int
    user_id: int
    address: str
    role: Role
    csrf_token: str
    workspaces: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """What limits an API key: sender domains and addresses (none: any), requests a second, recipients a day.

    What an ``is_test`` key sends goes through everything but delivery, into the test mailbox.
    """

    domains: frozenset[DomainName] = frozenset()
    addresses: frozenset[EmailAddress] = frozenset()
    is_test: bool = False
    rate_limit: int | None = None
    daily_quota: int | None = None
    expires_at: Microseconds | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """An API client that showed a good key. ``name`` may be logged and shown.

    ``family_id`` is the first key of those that took over from each other: idempotency keys and quotas are theirs
    together, since the client behind them is one.
    """

    key_id: int
    workspace_id: int
    scopes: frozenset[KeyScope]
    name: str = ""
    terms: KeyTerms = field(default_factory=KeyTerms)
    replaces_id: int | None = None

    @property
    def family_id(self) -> int:
        """The first key of the family."""
        return self.replaces_id or self.key_id

    def may_send_from(self, address: EmailAddress) -> bool:
        """Whether the key is for this sender; its domain has to be the workspace's, too."""
        terms = self.terms
        if terms.addresses and address.key not in {allowed.key for allowed in terms.addresses}:
            return False
        return not terms.domains or address.domain in terms.domains


class WorkspaceChoiceError(RefusedError):
    """The password is right in several workspaces; ``workspaces`` has their ids and names."""

    def __init__(self, found: Sequence[tuple[int, str]]) -> None:
        super().__init__("workspace_choice", say("Choose the workspace, and type the password once more."))
        self.workspaces = tuple(found)


class Accounts:
    """Users, sessions and keys of all workspaces."""

    def __init__(
        self, database: Database, clock: Clock, session_lifetime: timedelta, pause: Pause = asyncio.sleep
    ) -> None:
        """``pause`` waits for seconds where somebody has tried to sign in too often."""
        self._database = database
        self._clock = clock
        self._lifetime = microseconds(session_lifetime)
        self._hasher = PasswordHasher()
        self._nobody = ""
        self._hashing = asyncio.Semaphore(_HASHES_AT_ONCE)
        self._tries = SignInTries(database, clock, pause)
        self._seen_open: dict[int, Microseconds] = {}

    async def _hash_of_nobody(self) -> str:
        """Verified for unknown addresses too, so that the time taken does not tell who has an account."""
        if not self._nobody:
            self._nobody = await self.hash_password(secrets.token_hex())
        return self._nobody

    async def save_user(self, workspace_id: int, address_text: str, password: str, role: Role) -> int:
        """Add a user, or give one who is there a new password and role; returns the id."""
        address = EmailAddress.parse(address_text)
        now = self._clock.now()
        secret = (await self.hash_password(password), str(role))
        return await self._database.write(
            lambda connection: people.save_user(connection, workspace_id, address.text, address.key, secret, now)
        )

    async def hash_password(self, password: str) -> str:
        """What is stored of a password; raises ``RefusedError`` where it is too short or too long."""
        if not _MIN_PASSWORD <= len(password) <= _MAX_PASSWORD:
            raise RefusedError(
                "password_length",
                say(
                    "A password has %(min_password)s to %(max_password)s characters.",
                    min_password=_MIN_PASSWORD,
                    max_password=_MAX_PASSWORD,
                ),
                field="password",
            )
        return await asyncio.to_thread(self._hasher.hash, password)

    async def users(self, workspace_id: int) -> list[people.User]:
        """All users of a workspace."""
        return await self._database.read(lambda connection: people.list_users(connection, workspace_id))

    async def sign_in(
        self, address_text: str, password: str, origin: str, *, mark: str = "", workspace_id: int = 0
    ) -> str:
        """Check a password and open a session; returns the secret for the cookie.

        ``origin`` is where the try comes from, ``mark`` what the browser has kept of an earlier good sign-in
        (``mark_of``), ``workspace_id`` the chosen one where somebody is in several. Raises ``RefusedError`` without
        telling what was wrong, ``WorkspaceChoiceError``, and ``TooManyTriesError``.
        """
        try:
            key = EmailAddress.parse(address_text).key
        except InputSyntaxError:
            key = ""
        users, nobody = await self._users_at(key), await self._hash_of_nobody()
        known_user = next((user.id for user in users if is_mark_of(user, mark)), None)
        async with self._tries.attempt(key, origin, known_user) as tried:
            hashes = [user.password_hash for user in users] or [nobody]
            fits = [await self._password_fits(one, password) for one in hashes]
            fitting = [user for user, does_fit in zip(users, fits, strict=False) if does_fit]
            chosen = [user for user in fitting if workspace_id in (0, user.workspace_id)]
            if not chosen:
                raise RefusedError("sign_in", say("The address or the password is not right."))
            tried.forgive()
        if len(chosen) > 1:
            raise WorkspaceChoiceError(await self._names_of([user.workspace_id for user in chosen]))
        return await self._open_session(chosen[0], [user for user in fitting if user.id != chosen[0].id])

    async def check_password(self, user_id: int, password: str, origin: str) -> people.User:
        """Whose password it is; raises ``RefusedError`` for a wrong one, and ``TooManyTriesError``.

        Whoever asks is signed in, so tries count for that person's browsers.
        """
        user = await self._database.read(lambda connection: people.get_user(connection, user_id))
        async with self._tries.attempt("", origin, user_id) as tried:
            nobody = await self._hash_of_nobody()
            hashed = user.password_hash if user is not None and user.disabled_at is None else nobody
            if not await self._password_fits(hashed, password) or user is None:
                raise RefusedError("old_password", say("The present password is not right."), field="old")
            tried.forgive()
            return user

    async def mark_of(self, token: str) -> str:
        """What a browser keeps of a good sign-in beside the session, and longer; empty where there is no session."""
        signed_in = await self.session(token)
        if signed_in is None:
            return ""
        user = await self._database.read(lambda connection: people.get_user(connection, signed_in.user_id))
        return "" if user is None else browser_mark(user)

    async def _users_at(self, address_key: str) -> list[people.User]:
        if not address_key:
            return []
        return await self._database.read(
            lambda connection: people.find_users(connection, address_key, _MOST_WORKSPACES)
        )

    async def _names_of(self, workspace_ids: Sequence[int]) -> list[tuple[int, str]]:
        found = await self._database.read(workspaces.list_workspaces)
        return [(one.id, one.name) for one in found if one.id in workspace_ids]

    async def _password_fits(self, password_hash: str, password: str) -> bool:
        def verify() -> bool:
            try:
                return self._hasher.verify(password_hash, password[:_MAX_PASSWORD])
            except (VerificationError, InvalidHashError):
                return False

        # In a thread, since it takes a twentieth of a second; few at a time, since each takes 64 MiB.
        async with self._hashing:
            fits = await asyncio.to_thread(verify)
        return fits and len(password) <= _MAX_PASSWORD

    async def _open_session(self, user: people.User, others: Sequence[people.User]) -> str:
        """Open one, and let one wait for each of ``others``, whose password was shown as well."""
        token, csrf_token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        now = self._clock.now()
        expires_at = now + self._lifetime
        waiting = [(one.workspace_id, one.id) for one in others]

        def store(connection: Connection) -> None:
            opened = people.open_session(connection, user, _sha256(token), csrf_token, now, expires_at)
            if waiting:
                session_families.begin_family(connection, opened, waiting, now, expires_at)

        await self._database.write(store)
        return token

    async def session(self, token: str) -> SignedIn | None:
        """Who the cookie belongs to, ``None`` where the session is over."""
        now = self._clock.now()

        def look(connection: Connection) -> SignedIn | None:
            found = people.find_session(connection, _sha256(token), now)
            user = None if found is None else people.get_user(connection, found.user_id)
            if found is None or user is None or user.disabled_at is not None:
                return None
            family = found.family_id
            there = () if family is None else tuple(session_families.workspaces_of(connection, family, now))
            several = there if len(there) > 1 else ()
            who = (found.workspace_id, user.id, user.address, Role(user.role))
            return SignedIn(found.id, *who, found.csrf_token, several)

        return await self._database.read(look)

    async def sign_out(self, signed_in: SignedIn) -> None:
        """End a session."""
        now = self._clock.now()
        await self._database.write(lambda connection: people.end_session(connection, signed_in.session_id, now))

    async def create_key(
        self, workspace_id: int, name: str, scopes: frozenset[KeyScope], terms: KeyTerms | None = None
    ) -> tuple[int, str]:
        """Make an API key; returns its id and the key itself, which is never shown again."""
        if not name.strip() or len(name) > 100 or not scopes:
            raise RefusedError("key_name", say("A key needs a name of up to 100 characters and at least one scope."))
        return await self._database.write(self._new_key(workspace_id, name.strip(), scopes, _limits(terms)))

    def _new_key(
        self, workspace_id: int, name: str, scopes: frozenset[KeyScope], limits: people.KeyLimits
    ) -> Callable[[Connection], tuple[int, str]]:
        prefix = _TEST_KEY_PREFIX if limits.is_test else _KEY_PREFIX
        key = prefix + secrets.token_urlsafe(32)
        secret = (key[: len(prefix) + 4], _sha256(key), " ".join(sorted(scopes)))
        now = self._clock.now()
        return lambda connection: (people.add_api_key(connection, workspace_id, name, secret, now, limits), key)

    async def rotate_key(self, workspace_id: int, key_id: int, overlap: timedelta) -> tuple[int, str]:
        """Make a key that takes over from one: same name, scopes, limits, end. The old one ends after ``overlap``."""
        old = await self._database.read(lambda connection: people.get_api_key(connection, workspace_id, key_id))
        now = self._clock.now()
        if old is None or old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
            raise NotFoundError("API key")
        limits = people.KeyLimits(
            domains=old.domains,
            addresses=old.addresses,
            is_test=old.is_test,
            rate_limit=old.rate_limit,
            daily_quota=old.daily_quota,
            expires_at=old.expires_at,
            replaces_id=old.replaces_id or old.id,
        )
        scopes = frozenset(KeyScope(scope) for scope in old.scopes.split())
        make = self._new_key(workspace_id, old.name, scopes, limits)

        def replace(connection: Connection) -> tuple[int, str]:
            people.end_api_key_at(connection, old.id, now + microseconds(overlap))
            return make(connection)

        return await self._database.write(replace)

    async def keys(self, workspace_id: int) -> list[people.ApiKey]:
        """All keys of a workspace."""
        return await self._database.read(lambda connection: people.list_api_keys(connection, workspace_id))

    async def revoke_key(self, workspace_id: int, key_id: int) -> None:
        """End a key at once; raises ``NotFoundError``."""
        now = self._clock.now()
        done = await self._database.write(
            lambda connection: people.revoke_api_key(connection, workspace_id, key_id, now)
        )
        if not done:
            raise NotFoundError("API key")

    async def is_open(self, client: Client) -> bool:
        """Whether the key that a client showed some time ago is still good; asked anew every few seconds."""
        now = self._clock.now()
        seen = self._seen_open.get(client.key_id, 0)
        if seen > now - _BELIEVED_FOR:
            return True
        found = await self._database.read(
            lambda connection: people.get_api_key(connection, client.workspace_id, client.key_id)
        )
        is_open = found is not None and found.revoked_at is None and (found.expires_at or now + 1) > now
        if is_open:
            if len(self._seen_open) >= _MAX_TRACKED:
                self._seen_open.clear()
            self._seen_open[client.key_id] = now
        return is_open

    async def client(self, key: str) -> Client | None:
        """Who the bearer key belongs to. It is looked up by its SHA-256, so no comparison leaks its beginning."""
        now = self._clock.now()
        found = await self._database.read(lambda connection: people.find_api_key(connection, _sha256(key), now))
        if found is None:
            return None
        if found.last_used_at is None or found.last_used_at < now - _USE_NOTED_EVERY:
            await self._database.write(lambda connection: people.note_key_use(connection, found.id, now))
        granted = (_INCLUDED[KeyScope(scope)] for scope in found.scopes.split())
        return Client(
            found.id, found.workspace_id, frozenset().union(*granted), found.prefix, _terms(found), found.replaces_id
        )


def key_terms(domains: Sequence[str], addresses: Sequence[str]) -> KeyTerms:
    """Which senders a key is for; raises ``RefusedError`` for what is no domain or address, naming its place."""
    parsed = [_sender(DomainName.parse, text, f"domains[{n}]") for n, text in enumerate(domains)]
    senders = [_sender(EmailAddress.parse, text, f"addresses[{n}]") for n, text in enumerate(addresses)]
    return KeyTerms(frozenset(parsed), frozenset(senders))


def _sender(parse: Callable[[str], Sender], text: str, field_name: str) -> Sender:
    try:
        return parse(text)
    except InputSyntaxError as error:
        raise RefusedError.of([Problem.of(error, "bad_sender", field_name)]) from error


def _limits(terms: KeyTerms | None) -> people.KeyLimits:
    if terms is None:
        return people.KeyLimits()
    return people.KeyLimits(
        domains=" ".join(sorted(domain.ascii for domain in terms.domains)),
        addresses=" ".join(sorted(address.text for address in terms.addresses)),
        is_test=terms.is_test,
        rate_limit=terms.rate_limit,
        daily_quota=terms.daily_quota,
        expires_at=terms.expires_at,
    )


def _terms(key: people.ApiKey) -> KeyTerms:
    return KeyTerms(
        domains=frozenset(DomainName(name) for name in key.domains.split()),
        addresses=frozenset(EmailAddress.parse(text) for text in key.addresses.split()),
        is_test=key.is_test,
        rate_limit=key.rate_limit,
        daily_quota=key.daily_quota,
        expires_at=None if key.expires_at is None else Microseconds(key.expires_at),
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
