"""Changes to users, and the sessions that are open."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, select, update

from mailtypes.clock import Microseconds
from postwright.store import session_families
from postwright.store.records import table

_user, _session = table("user_account"), table("web_session")
PENDING = "link"
"""How what stands in the place of a password begins while somebody is invited."""


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A signed-in browser and whose it is."""

    id: int
    user_id: int
    address: str
    created_at: int
    expires_at: int


def open_sessions(connection: Connection, workspace_id: int, now: Microseconds) -> Sequence[OpenSession]:
    """The sessions of a workspace that have neither ended nor expired, the newest first; up to 1,000."""
    statement = (
        select(_session.c.id, _session.c.user_id, _user.c.address, _session.c.created_at, _session.c.expires_at)
        .join(_user, _user.c.id == _session.c.user_id)
        .where(_session.c.workspace_id == workspace_id, _session.c.ended_at.is_(None), _session.c.expires_at > now)
        .order_by(_session.c.id.desc())
        .limit(1000)
    )
    return [OpenSession(*row) for row in connection.execute(statement)]


def end_sessions_of(connection: Connection, user_id: int, now: Microseconds, *, but: int = 0) -> int:
    """End all sessions of a person, ``but`` one; returns how many."""
    return session_families.end_sessions(connection, and_(_session.c.user_id == user_id, _session.c.id != but), now)


def has_other_admin(connection: Connection, workspace_id: int, address_key: str) -> bool:
    """Whether an admin stays where the person with that address is one no more (true, too, where it is no admin).

    Who was invited and has not come yet does not count. The admins are locked until the transaction ends, so that two
    who take the role from each other do it one after the other. SQLite writes one transaction at a time anyway.
    """
    admins = (_user.c.workspace_id == workspace_id, _user.c.role == "admin", _user.c.disabled_at.is_(None))
    statement = select(_user.c.address_key, _user.c.password_hash).where(*admins).order_by(_user.c.id).with_for_update()
    rows = connection.execute(statement).all()
    others = (row for row in rows if row.address_key != address_key)
    return all(row.address_key != address_key for row in rows) or any(
        not row.password_hash.startswith(f"{PENDING}:") for row in others
    )


def set_role(connection: Connection, user_id: int, role: str) -> None:
    """Give a person another role."""
    connection.execute(update(_user).where(_user.c.id == user_id).values(role=role))


def set_disabled(connection: Connection, user_id: int, disabled_at: Microseconds | None) -> None:
    """Shut a person out from a moment, or let them in again."""
    connection.execute(update(_user).where(_user.c.id == user_id).values(disabled_at=disabled_at))
