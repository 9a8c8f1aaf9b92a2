"""Users, their web sessions, and API keys."""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, or_, update

from mailtypes.clock import Microseconds
from postwright.store import session_families
from postwright.store.records import fetch_all, fetch_one, insert_row, page, select_as, table

_user, _session, _key = table("user_account"), table("web_session"), table("api_key")


@dataclass(frozen=True, slots=True)
class User:
    """A person who signs in."""

    id: int
    workspace_id: int
    address: str
    address_key: str
    password_hash: str
    role: str
    created_at: int
    disabled_at: int | None


@dataclass(frozen=True, slots=True)
class WebSession:
    """A signed-in browser."""

    id: int
    workspace_id: int
    user_id: int
    csrf_token: str
    expires_at: int
    family_id: int | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret."""

    id: int
    workspace_id: int
    name: str
    prefix: str
    scopes: str
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    domains: str
    addresses: str
    is_test: bool
    rate_limit: int | None
    daily_quota: int | None
    replaces_id: int | None
    last_used_at: int | None = None


def save_user(
    connection: Connection, workspace_id: int, address: str, address_key: str, secret: tuple[str, str], now: int
) -> int:
    """Add a user with ``secret = (password hash, role)``, or set both for one who is there; returns the id."""
    password_hash, role = secret
    found = fetch_one(connection, User, _user, _user.c.workspace_id == workspace_id, _user.c.address_key == address_key)
    if found is not None:
        connection.execute(
            update(_user).where(_user.c.id == found.id).values(password_hash=password_hash, role=role, disabled_at=None)
        )
        return found.id
    return insert_row(
        connection,
        _user,
        workspace_id=workspace_id,
        address=address,
        address_key=address_key,
        password_hash=password_hash,
        role=role,
        created_at=now,
    )


def find_users(connection: Connection, address_key: str, limit: int) -> list[User]:
    """Who has that address and is not shut out, one for each workspace, in the order in which they were added."""
    these = (_user.c.address_key == address_key, _user.c.disabled_at.is_(None))
    return fetch_all(connection, User, select_as(User, _user).where(*these).order_by(_user.c.id).limit(limit))


def replace_password(connection: Connection, user_id: int, old_hash: str, new_hash: str) -> bool:
    """Set a password where ``old_hash`` still stands and nobody shut the person out meanwhile; else ``False``.

    Role and access stay as they are at this moment: whoever asks has read them some time ago.
    """
    unchanged = (_user.c.id == user_id, _user.c.password_hash == old_hash, _user.c.disabled_at.is_(None))
    return connection.execute(update(_user).where(*unchanged).values(password_hash=new_hash)).rowcount == 1


def get_user(connection: Connection, user_id: int) -> User | None:
    """The user with that id."""
    return fetch_one(connection, User, _user, _user.c.id == user_id)


def list_users(connection: Connection, workspace_id: int) -> list[User]:
    """All users of a workspace."""
    statement = select_as(User, _user).where(_user.c.workspace_id == workspace_id).order_by(_user.c.id)
    return fetch_all(connection, User, statement)


def open_session(
    connection: Connection, user: User, token_sha256: str, csrf_token: str, now: Microseconds, expires_at: int
) -> int:
    """Remember a signed-in browser."""
    return insert_row(
        connection,
        _session,
        workspace_id=user.workspace_id,
        user_id=user.id,
        token_sha256=token_sha256,
        csrf_token=csrf_token,
        created_at=now,
        expires_at=expires_at,
    )


def find_session(connection: Connection, token_sha256: str, now: Microseconds) -> WebSession | None:
    """The open session of that cookie."""
    return fetch_one(
        connection,
        WebSession,
        _session,
        _session.c.token_sha256 == token_sha256,
        _session.c.expires_at > now,
        _session.c.ended_at.is_(None),
    )


def end_session(connection: Connection, session_id: int, now: Microseconds) -> None:
    """Sign a browser out, of all workspaces where the session is the one in use."""
    session_families.end_sessions(connection, _session.c.id == session_id, now)


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What limits an API key beside its scopes; fields as in ``tables.identity.ApiKey``."""

    domains: str = ""
    addresses: str = ""
    is_test: bool = False
    rate_limit: int | None = None
    daily_quota: int | None = None
    expires_at: int | None = None
    replaces_id: int | None = None


def add_api_key(
    connection: Connection,
    workspace_id: int,
    name: str,
    secret: tuple[str, str, str],
    now: int,
    limits: KeyLimits | None = None,
) -> int:
    """Store ``secret = (prefix shown to people, SHA-256 of the whole key, scopes)``; returns the key's id."""
    limits = limits or KeyLimits()
    prefix, secret_sha256, scopes = secret
    return insert_row(
        connection,
        _key,
        workspace_id=workspace_id,
        name=name,
        prefix=prefix,
        secret_sha256=secret_sha256,
        scopes=scopes,
        created_at=now,
        **asdict(limits),
    )


def get_api_key(connection: Connection, workspace_id: int, key_id: int) -> ApiKey | None:
    """The key with that id."""
    return fetch_one(connection, ApiKey, _key, _key.c.workspace_id == workspace_id, _key.c.id == key_id)


def end_api_key_at(connection: Connection, key_id: int, expires_at: int) -> None:
    """Let a key end at a moment, unless it ends before."""
    earlier = or_(_key.c.expires_at.is_(None), _key.c.expires_at > expires_at)
    connection.execute(update(_key).where(_key.c.id == key_id, earlier).values(expires_at=expires_at))


def note_key_use(connection: Connection, key_id: int, now: Microseconds) -> None:
    """Remember when a key was last shown."""
    connection.execute(update(_key).where(_key.c.id == key_id).values(last_used_at=now))


def find_api_key(connection: Connection, secret_sha256: str, now: Microseconds) -> ApiKey | None:
    """The key with that hash, unless it is revoked or has expired."""
    return fetch_one(
        connection,
        ApiKey,
        _key,
        _key.c.secret_sha256 == secret_sha256,
        _key.c.revoked_at.is_(None),
        or_(_key.c.expires_at.is_(None), _key.c.expires_at > now),
    )


def list_api_keys(connection: Connection, workspace_id: int) -> list[ApiKey]:
    """All keys of a workspace, the revoked ones too."""
    return page(connection, ApiKey, _key, [_key.c.workspace_id == workspace_id], limit=1000)


def revoke_api_key(connection: Connection, workspace_id: int, key_id: int, now: Microseconds) -> bool:
    """End a key; ``False`` where there is no such open key."""
    statement = (
        update(_key)
        .where(_key.c.workspace_id == workspace_id, _key.c.id == key_id, _key.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return connection.execute(statement).rowcount == 1
