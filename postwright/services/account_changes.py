"""What admins do about people, and people about themselves: roles, links to choose a password, sessions."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection

from mailtypes.address import EmailAddress
from mailtypes.clock import Clock, microseconds
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say
from postwright.services.accounts import Accounts, Role, SignedIn
from postwright.services.errors import NotFoundError, Problem, RefusedError
from postwright.store import account_changes, people, session_families
from postwright.store.account_changes import OpenSession
from postwright.store.database import Database

LINK_LASTS = timedelta(days=3)


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
        pending = f"{account_changes.PENDING}:{_sha256(secret)}:{now + microseconds(LINK_LASTS)}"

        def store(connection: Connection) -> int:
            if role is not Role.ADMIN:
                _keep_an_admin(connection, workspace_id, address.key)
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
        fits = secrets.compare_digest(_sha256(secret), expected if kind == account_changes.PENDING else "")
        return user if fits and int(until) > self._clock.now() else None

    async def choose_password(self, link: str, password: str) -> people.User:
        """Take a link and set the password; raises ``NotFoundError`` where the link leads nowhere any more."""
        user = await self.invited(link)
        if user is None:
            raise NotFoundError("link")
        hashed = await self._accounts.hash_password(password)
        # What the link was made with has to stand still: while the password was hashed it may have been used by
        # somebody else, or its owner shut out. Role and access are those of this moment, not of before.
        if not await self._database.write(
            lambda one: people.replace_password(one, user.id, user.password_hash, hashed)
        ):
            raise NotFoundError("link")
        return user

    async def change_password(self, signed_in: SignedIn, old: str, new: str, origin: str) -> None:
        """Change one's own password; the old one is asked for, and all other sessions end."""
        user = await self._accounts.check_password(signed_in.user_id, old, origin)
        hashed = await self._accounts.hash_password(new)
        now = self._clock.now()

        def store(connection: Connection) -> bool:
            is_done = people.replace_password(connection, user.id, user.password_hash, hashed)
            if is_done:
                account_changes.end_sessions_of(connection, user.id, now, but=signed_in.session_id)
            return is_done

        if not await self._database.write(store):
            raise RefusedError("old_password", say("The present password is not right."), field="old")

    async def set_role(self, workspace_id: int, user_id: int, role: Role) -> None:
        """Give another role; open sessions have it with their next request."""
        user = await self._user(workspace_id, user_id)

        def store(connection: Connection) -> None:
            if role is not Role.ADMIN:
                _keep_an_admin(connection, workspace_id, user.address_key)
            account_changes.set_role(connection, user_id, str(role))

        await self._database.write(store)

    async def disable(self, workspace_id: int, user_id: int) -> None:
        """Let somebody in no more; all sessions end."""
        user = await self._user(workspace_id, user_id)
        now = self._clock.now()

        def store(connection: Connection) -> None:
            _keep_an_admin(connection, workspace_id, user.address_key)
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

    async def change_workspace(self, signed_in: SignedIn, workspace_id: int) -> str:
        """Go on in another workspace whose password was shown when signing in; returns the secret of a new cookie.

        The cookie so far opens nothing any more, and forms of its pages are refused. The end of the session stays.
        Raises ``NotFoundError`` alike for a workspace that there is not, that the person is no member of, or has been
        shut out of, and where the password was another one.
        """
        token, csrf_token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        new, now = (_sha256(token), csrf_token), self._clock.now()

        def store(connection: Connection) -> None:
            if not session_families.hand_over(connection, signed_in.session_id, workspace_id, new, now):
                raise NotFoundError("workspace")

        await self._database.write(store)
        return token

    async def _user(self, workspace_id: int, user_id: int) -> people.User:
        found = await self._database.read(lambda one: people.get_user(one, user_id))
        if found is None or found.workspace_id != workspace_id:
            raise NotFoundError("user")
        return found


def _keep_an_admin(connection: Connection, workspace_id: int, address_key: str) -> None:
    """Refuse what would leave the workspace without anybody who decides; in the transaction that changes it."""
    if not account_changes.has_other_admin(connection, workspace_id, address_key):
        raise RefusedError(
            "last_admin",
            say("This is the only admin of the workspace."),
            next_step=say("Make somebody else an admin first."),
        )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
