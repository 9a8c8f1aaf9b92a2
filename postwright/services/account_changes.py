"""What admins do about people, and people about themselves: roles, links to choose a password, sessions."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection

from mailtypes.address import EmailAddress
from mailtypes.clock import Clock, microseconds
from mailtypes.errors import InputSyntaxError
from postwright.services.accounts import Accounts, Role, SignedIn
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.store import account_changes, people
from postwright.store.account_changes import OpenSession
from postwright.store.database import Database

LINK_LASTS = timedelta(days=3)
_PENDING = "link"


class AccountChanges:
    """Changes to the users of all workspaces.

    Whoever is invited has no password but a link, in its place: ``link:<SHA-256>:<until>``. Nothing that somebody types
    verifies against that, and choosing a password takes it away, so a link works once.
    """

    def __init__(self, database: Database, clock: Clock, accounts: Accounts) -> None:
        self._database = database
        self._clock = clock
        self._accounts = accounts

    async def invite(self, workspace_id: int, address_text: str, role: Role) -> str:
        """Add a person, or give one who is there a new role; returns the secret of the link to choose a password.

        A password that there was no longer holds, and all sessions of that person end.
        """
        try:
            address = EmailAddress.parse(address_text.strip())
        except InputSyntaxError as error:
            raise RefusedError.of([Problem.of(error, "bad_address", "address")]) from error
        secret, now = secrets.token_urlsafe(32), self._clock.now()
        await self._keep_an_admin(workspace_id, address.key, role)
        pending = f"{_PENDING}:{_sha256(secret)}:{now + microseconds(LINK_LASTS)}"

        def store(connection: Connection) -> int:
            user_id = people.save_user(connection, workspace_id, address.text, address.key, (pending, str(role)), now)
            account_changes.end_sessions_of(connection, user_id, now)
            return user_id

        user_id = await self._database.write(store)
        return f"{user_id}-{secret}"

    async def invited(self, link: str) -> people.User | None:
        """Whom a link is for; ``None`` where it was used, has expired or was never made."""
        number, _, secret = link.partition("-")
        if not number.isascii() or not number.isdigit() or len(number) > 18:
            return None
        user = await self._database.read(lambda one: people.get_user(one, int(number)))
        if user is None or user.disabled_at is not None:
            return None
        kind, _, rest = user.password_hash.partition(":")
        expected, _, until = rest.partition(":")
        fits = secrets.compare_digest(_sha256(secret), expected if kind == _PENDING else "")
        return user if fits and int(until) > self._clock.now() else None

    async def choose_password(self, link: str, password: str) -> people.User:
        """Take a link and set the password; raises ``NotFoundError`` where the link leads nowhere any more."""
        user = await self.invited(link)
        if user is None:
            raise NotFoundError("link")
        await self._accounts.save_user(user.workspace_id, user.address, password, Role(user.role))
        return user

    async def change_password(self, signed_in: SignedIn, old: str, new: str, origin: str) -> None:
        """Change one's own password; the old one is asked for, and all other sessions end."""
        try:
            token = await self._accounts.sign_in(signed_in.address, old, origin)
        except RefusedError as error:
            raise RefusedError("old_password", "The present password is not right.", field="old") from error
        await self._accounts.save_user(signed_in.workspace_id, signed_in.address, new, signed_in.role)
        opened = await self._accounts.session(token)
        now = self._clock.now()

        def store(connection: Connection) -> None:
            account_changes.end_sessions_of(connection, signed_in.user_id, now, but=signed_in.session_id)
            if opened is not None:
                people.end_session(connection, opened.session_id, now)

        await self._database.write(store)

    async def set_role(self, workspace_id: int, user_id: int, role: Role) -> None:
        """Give another role; open sessions have it with their next request."""
        user = await self._user(workspace_id, user_id)
        await self._keep_an_admin(workspace_id, user.address_key, role)
        await self._database.write(lambda one: account_changes.set_role(one, user_id, str(role)))

    async def disable(self, workspace_id: int, user_id: int) -> None:
        """Let somebody in no more; all sessions end."""
        user = await self._user(workspace_id, user_id)
        await self._keep_an_admin(workspace_id, user.address_key, None)
        now = self._clock.now()

        def store(connection: Connection) -> None:
            account_changes.set_disabled(connection, user_id, now)
            account_changes.end_sessions_of(connection, user_id, now)

        await self._database.write(store)

    async def enable(self, workspace_id: int, user_id: int) -> None:
        """Let somebody in again."""
        await self._user(workspace_id, user_id)
        await self._database.write(lambda one: account_changes.set_disabled(one, user_id, None))

    async def sessions(self, workspace_id: int) -> Sequence[OpenSession]:
        """The open sessions, the newest first."""
        now = self._clock.now()
        return await self._database.read(lambda one: account_changes.open_sessions(one, workspace_id, now))

    async def end_session(self, signed_in: SignedIn, session_id: int) -> None:
        """End a session: one's own, or as an admin anybody's of the workspace; raises ``NotFoundError``."""
        found = next((one for one in await self.sessions(signed_in.workspace_id) if one.id == session_id), None)
        if found is None or (signed_in.role is not Role.ADMIN and found.user_id != signed_in.user_id):
            raise NotFoundError("session")
        now = self._clock.now()
        await self._database.write(lambda one: people.end_session(one, session_id, now))

    async def _user(self, workspace_id: int, user_id: int) -> people.User:
        found = await self._database.read(lambda one: people.get_user(one, user_id))
        if found is None or found.workspace_id != workspace_id:
            raise NotFoundError("user")
        return found

    async def _keep_an_admin(self, workspace_id: int, address_key: str, role: Role | None) -> None:
        """Refuse what would leave the workspace without anybody who decides."""
        others = [
            one
            for one in await self._accounts.users(workspace_id)
            if one.role == Role.ADMIN and one.disabled_at is None and one.address_key != address_key
        ]
        was_admin = any(
            one.role == Role.ADMIN and one.address_key == address_key and one.disabled_at is None
            for one in await self._accounts.users(workspace_id)
        )
        if was_admin and role is not Role.ADMIN and not others:
            raise RefusedError(
                "last_admin", "This is the only admin of the workspace.", next_step="Make somebody else an admin first."
            )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
