"""Sessions that one sign-in opened in several workspaces: one is in use, the others wait until it is handed over.

A password opens what it fits. A person of the same address in another workspace may be somebody else's invention, so
nobody is let in there for the address: a session waits where the password was shown, and nowhere else. What ends the
sessions of a person (a new password, an invitation, being shut out) ends those that wait for that person, too.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, select, update

from mailtypes.clock import Microseconds
from postwright.store.records import insert_row, table

_user, _session, _workspace = table("user_account"), table("web_session"), table("workspace")
_WAITS = "waiting:"
"""How what stands in the place of a token's SHA-256 begins while nobody has a token; no hash looks like that."""


def begin_family(
    connection: Connection, session_id: int, others: Sequence[tuple[int, int]], now: Microseconds, expires_at: int
) -> None:
    """Make an open session the first of a family; one waits for each of ``others``: ids of workspaces and users."""
    connection.execute(update(_session).where(_session.c.id == session_id).values(family_id=session_id))
    for workspace_id, user_id in others:
        insert_row(
            connection,
            _session,
            workspace_id=workspace_id,
            user_id=user_id,
            token_sha256=_waiting(session_id),
            csrf_token="",
            created_at=now,
            expires_at=expires_at,
            family_id=session_id,
        )


def workspaces_of(connection: Connection, family_id: int, now: Microseconds) -> list[tuple[int, str]]:
    """The ids and names of the workspaces that a family is still open in, by name."""
    statement = (
        select(_workspace.c.id, _workspace.c.name)
        .join(_session, _session.c.workspace_id == _workspace.c.id)
        .join(_user, _user.c.id == _session.c.user_id)
        .where(*_open(family_id, now))
        .order_by(_workspace.c.name)
    )
    return [(row.id, row.name) for row in connection.execute(statement)]


def hand_over(
    connection: Connection, session_id: int, workspace_id: int, secrets: tuple[str, str], now: Microseconds
) -> bool:
    """Let the session of the family in ``workspace_id`` take over; ``secrets = (SHA-256 of its token, CSRF token)``.

    The one in use waits from then on, so its cookie opens nothing any more. ``False`` where there is no such session,
    or where the one in use is not that any more; the transaction has to be given up then.
    """
    family_id = connection.execute(select(_session.c.family_id).where(_session.c.id == session_id)).scalar()
    if family_id is None:
        return False
    target = (
        select(_session.c.id)
        .join(_user, _user.c.id == _session.c.user_id)
        .where(*_open(family_id, now), _session.c.workspace_id == workspace_id, _session.c.id != session_id)
    )
    target_id = connection.execute(target).scalar()
    if target_id is None:
        return False
    # First of all the one in use is laid down: of two that are handed over at once only one may find it in use.
    in_use = (_session.c.id == session_id, _session.c.ended_at.is_(None), _session.c.expires_at > now, ~_is_waiting())
    laid_down = update(_session).where(*in_use).values(token_sha256=_waiting(family_id), csrf_token="")
    if connection.execute(laid_down).rowcount != 1:
        return False
    token_sha256, csrf_token = secrets
    still = (_session.c.id == target_id, _session.c.ended_at.is_(None))
    taken = update(_session).where(*still).values(token_sha256=token_sha256, csrf_token=csrf_token)
    return connection.execute(taken).rowcount == 1


def end_sessions(connection: Connection, condition: ColumnElement[bool], now: Microseconds) -> int:
    """End the open sessions that fit; returns how many.

    With a session in use its family ends, since nobody could hand over to those that wait; one that waits ends alone.
    """
    is_open = _session.c.ended_at.is_(None)
    families = select(_session.c.family_id).where(condition, is_open, ~_is_waiting(), _session.c.family_id.is_not(None))
    ended = [row.family_id for row in connection.execute(families)]
    count = connection.execute(update(_session).where(condition, is_open).values(ended_at=now)).rowcount
    if ended:
        connection.execute(update(_session).where(_session.c.family_id.in_(ended), is_open).values(ended_at=now))
    return count


def _open(family_id: int, now: Microseconds) -> tuple[ColumnElement[bool], ...]:
    return (
        _session.c.family_id == family_id,
        _session.c.ended_at.is_(None),
        _session.c.expires_at > now,
        _user.c.disabled_at.is_(None),
    )


def _is_waiting() -> ColumnElement[bool]:
    return _session.c.token_sha256.startswith(_WAITS)


def _waiting(family_id: int) -> str:
    """A family has one session in a workspace, so that this stands there once."""
    return f"{_WAITS}{family_id}"
