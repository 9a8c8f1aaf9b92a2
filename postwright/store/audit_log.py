"""The audit log: who changed what, when, and from where. Only ever added to."""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection

from postwright.store.records import fetch_all, select_as, table
from postwright.store.rowsets import storable

_entry = table("audit_entry")


@dataclass(frozen=True, slots=True)
class NewAuditEntry:
    """A request that changed something. ``who`` is an address or a key's name.

    ``way`` is ``web``, ``api`` or ``cli``, ``action`` the method and the route or the command, ``target`` the path with
    its ids or a name, ``status`` the answer (RFC 9110), ``origin`` the network address it came from.
    """

    workspace_id: int
    at: int
    who: str
    way: str
    action: str
    target: str
    status: int
    origin: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An entry as stored."""

    id: int
    workspace_id: int
    at: int
    who: str
    way: str
    action: str
    target: str
    status: int
    origin: str


def add_entry(connection: Connection, entry: NewAuditEntry) -> int:
    """Add one; returns its id."""
    values = {name: storable(value) if isinstance(value, str) else value for name, value in asdict(entry).items()}
    key = connection.execute(_entry.insert().values(**values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def newest_entries(
    connection: Connection, workspace_id: int, *, who: str = "", before: int = 0, limit: int = 100
) -> list[AuditEntry]:
    """The newest entries, ``before`` an id (0: from the newest); of one person or key where ``who`` is given."""
    conditions = [_entry.c.workspace_id == workspace_id]
    if before:
        conditions.append(_entry.c.id < before)
    if who:
        conditions.append(_entry.c.who == who)
    statement = select_as(AuditEntry, _entry).where(*conditions).order_by(_entry.c.id.desc()).limit(limit)
    return fetch_all(connection, AuditEntry, statement)
