"""Changes to users, and the sessions that are open."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from mailtypes.clock import Microseconds
from postwright.store.records import table

_user, _session = table("user_account"), table("web_session")


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
    open_ones = (_session.c.user_id == user_id, _session.c.ended_at.is_(None), _session.c.id != but)
    return connection.execute(update(_session).where(*open_ones).values(ended_at=now)).rowcount


def set_role(connection: Connection, user_id: int, role: str) -> None:
    """Give a person another role."""
    connection.execute(update(_user).where(_user.c.id == user_id).values(role=role))


def set_disabled(connection: Connection, user_id: int, disabled_at: Microseconds | None) -> None:
    """Shut a person out from a moment, or let them in again."""
    connection.execute(update(_user).where(_user.c.id == user_id).values(disabled_at=disabled_at))
