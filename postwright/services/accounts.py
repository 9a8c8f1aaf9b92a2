"""Who may do what: sign-in with passwords, browser sessions, API keys with scopes."""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from mailtypes.address import EmailAddress
from mailtypes.clock import Clock, microseconds
from mailtypes.errors import InputSyntaxError
from postwright.services.errors import NotFoundError, RefusedError, TooManyTriesError
from postwright.store import people
from postwright.store.database import Database

_KEY_PREFIX = "pw_live_"
_MIN_PASSWORD = 10
_MAX_PASSWORD = 200  # argon2 would hash megabytes for whoever sends them
_HASHES_AT_ONCE = 2
_TRIES = 10
_TRIES_WINDOW = timedelta(minutes=15)
_MAX_TRACKED = 10_000


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
    """A browser that is signed in; ``csrf_token`` has to come back with every change."""

    session_id: int
    workspace_id: int
    user_id: int
    address: str
    role: Role
    csrf_token: str


@dataclass(frozen=True, slots=True)
class Client:
    """An API client that showed a good key."""

    key_id: int
    workspace_id: int
    scopes: frozenset[KeyScope]


class Accounts:
    """Users, sessions and keys of all workspaces."""

    def __init__(self, database: Database, clock: Clock, session_lifetime: timedelta) -> None:
        self._database = database
        self._clock = clock
        self._lifetime = microseconds(session_lifetime)
        self._hasher = PasswordHasher()
        # Verified for unknown addresses too, so that the time taken does not tell who has an account.
        self._nobody = self._hasher.hash(secrets.token_hex())
        self._hashing = asyncio.Semaphore(_HASHES_AT_ONCE)
        self._tries = _TryCounter(clock)

    async def save_user(self, workspace_id: int, address_text: str, password: str, role: Role) -> int:
        """Add a user, or give one who is there a new password and role; returns the id."""
        address = EmailAddress.parse(address_text)
        if not _MIN_PASSWORD <= len(password) <= _MAX_PASSWORD:
            raise RefusedError(
                "password_length", f"A password has {_MIN_PASSWORD} to {_MAX_PASSWORD} characters.", field="password"
            )
        now = self._clock.now()
        secret = (await asyncio.to_thread(self._hasher.hash, password), str(role))
        return await self._database.write(
            lambda connection: people.save_user(connection, workspace_id, address.text, address.key, secret, now)
        )

    async def users(self, workspace_id: int) -> list[people.User]:
        """All users of a workspace."""
        return await self._database.read(lambda connection: people.list_users(connection, workspace_id))

    async def sign_in(self, address_text: str, password: str, origin: str) -> str:
        """Check a password and open a session; returns the secret for the cookie.

        ``origin`` is where the try comes from; tries are counted by it and by the address. Raises ``RefusedError``
        without telling what was wrong, and ``TooManyTriesError``.
        """
        try:
            key = EmailAddress.parse(address_text).key
        except InputSyntaxError:
            key = ""
        names = (f"address {key}", f"origin {origin}")
        self._tries.check(*names)
        # Counted before the answer is known: tries that arrive together may not slip past the limit together.
        tried_at = self._tries.count(*names)
        user = await self._database.read(lambda connection: people.find_user(connection, key)) if key else None
        known = user is not None and user.disabled_at is None
        fits = await self._password_fits(user.password_hash if user and known else self._nobody, password)
        if user is None or not known or not fits:
            raise RefusedError("sign_in", "The address or the password is not right.")
        self._tries.forget(tried_at, *names)
        return await self._open_session(user)

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

    async def _open_session(self, user: people.User) -> str:
        token, csrf_token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        now = self._clock.now()
        expires_at = now + self._lifetime
        await self._database.write(
            lambda connection: people.open_session(connection, user, _sha256(token), csrf_token, now, expires_at)
        )
        return token

    async def session(self, token: str) -> SignedIn | None:
        """Who the cookie belongs to, ``None`` where the session is over."""
        now = self._clock.now()
        found = await self._database.read(lambda connection: people.find_session(connection, _sha256(token), now))
        if found is None:
            return None
        user = await self._database.read(lambda connection: people.get_user(connection, found.user_id))
        if user is None or user.disabled_at is not None:
            return None
        return SignedIn(found.id, found.workspace_id, user.id, user.address, Role(user.role), found.csrf_token)

    async def sign_out(self, signed_in: SignedIn) -> None:
        """End a session."""
        now = self._clock.now()
        await self._database.write(lambda connection: people.end_session(connection, signed_in.session_id, now))

    async def create_key(self, workspace_id: int, name: str, scopes: frozenset[KeyScope]) -> tuple[int, str]:
        """Make an API key; returns its id and the key itself, which is never shown again."""
        if not name.strip() or len(name) > 100 or not scopes:
            raise RefusedError("key_name", "A key needs a name of up to 100 characters and at least one scope.")
        key = _KEY_PREFIX + secrets.token_urlsafe(32)
        secret = (key[: len(_KEY_PREFIX) + 4], _sha256(key))
        now = self._clock.now()
        text = " ".join(sorted(scopes))
        key_id = await self._database.write(
            lambda connection: people.add_api_key(connection, workspace_id, name.strip(), secret, text, now)
        )
        return key_id, key

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

    async def client(self, key: str) -> Client | None:
        """Who the bearer key belongs to. It is looked up by its SHA-256, so no comparison leaks its beginning."""
        now = self._clock.now()
        found = await self._database.read(lambda connection: people.find_api_key(connection, _sha256(key), now))
        if found is None:
            return None
        granted = (_INCLUDED[KeyScope(scope)] for scope in found.scopes.split())
        return Client(found.id, found.workspace_id, frozenset().union(*granted))


class _TryCounter:
    """Failed sign-ins in the last quarter of an hour, by address and by origin; kept in memory, bounded."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: dict[str, list[int]] = {}

    def check(self, *names: str) -> None:
        now = self._clock.now()
        for name in names:
            recent = [moment for moment in self._failures.get(name, []) if moment > now - microseconds(_TRIES_WINDOW)]
            if len(recent) >= _TRIES:
                raise TooManyTriesError(_TRIES_WINDOW)

    def count(self, *names: str) -> int:
        """Count a try as a failure; returns its moment, by which ``forget`` takes it back."""
        now = self._clock.now()
        for name in names:
            if len(self._failures) >= _MAX_TRACKED and name not in self._failures:
                self._failures.pop(next(iter(self._failures)))
            self._failures[name] = [*self._failures.get(name, []), now][-_TRIES:]
        return now

    def forget(self, moment: int, *names: str) -> None:
        """Take a try back that turned out right."""
        for name in names:
            kept = self._failures.get(name, [])
            if moment in kept:
                kept.remove(moment)
            if not kept:
                self._failures.pop(name, None)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
