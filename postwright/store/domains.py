"""Sender domains and their DKIM keys."""

from dataclasses import dataclass

from sqlalchemy import Connection, update

from mailtypes.clock import Microseconds
from postwright.store.records import fetch_all, fetch_one, insert_row, select_as, table

_domain, _key = table("sender_domain"), table("dkim_key")


@dataclass(frozen=True, slots=True)
class SenderDomain:
    """A domain that mail is sent from; ``audit`` is the last audit as JSON."""

    id: int
    workspace_id: int
    name: str
    state: str
    return_path_host: str
    tracking_host: str
    ramp_plan: str | None
    ramp_started_at: int | None
    created_at: int
    verified_at: int | None
    checked_at: int | None
    audit: str | None


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A signing key; the private part is sealed."""

    id: int
    workspace_id: int
    domain_id: int
    selector: str
    algorithm: str
    state: str
    public_record: str
    private_key_sealed: bytes
    sealed_with: str
    created_at: int


def add_domain(
    connection: Connection, workspace_id: int, name: str, hosts: tuple[str, str], ramp_plan: str | None, now: int
) -> int:
    """Add a pending domain with ``hosts = (return path, tracking)``; returns its id."""
    return_path_host, tracking_host = hosts
    return insert_row(
        connection,
        _domain,
        workspace_id=workspace_id,
        name=name,
        state="pending",
        return_path_host=return_path_host,
        tracking_host=tracking_host,
        ramp_plan=ramp_plan,
        created_at=now,
    )


def find_domain(connection: Connection, workspace_id: int, name: str) -> SenderDomain | None:
    """The sender domain of that name (A-labels)."""
    return fetch_one(connection, SenderDomain, _domain, _domain.c.workspace_id == workspace_id, _domain.c.name == name)


def get_domain(connection: Connection, domain_id: int) -> SenderDomain | None:
    """The sender domain with that id."""
    return fetch_one(connection, SenderDomain, _domain, _domain.c.id == domain_id)


def list_domains(connection: Connection, workspace_id: int) -> list[SenderDomain]:
    """All sender domains of a workspace by name."""
    statement = select_as(SenderDomain, _domain).where(_domain.c.workspace_id == workspace_id)
    return fetch_all(connection, SenderDomain, statement.order_by(_domain.c.name))


def return_path_hosts(connection: Connection) -> set[str]:
    """Every host that bounces may be addressed to."""
    return {str(row[0]) for row in connection.execute(_domain.select().with_only_columns(_domain.c.return_path_host))}


def save_audit(connection: Connection, domain_id: int, state: str, audit: str, now: Microseconds) -> None:
    """Keep the result of a check; the first ``verified`` is remembered with its moment."""
    connection.execute(
        update(_domain).where(_domain.c.id == domain_id).values(state=state, audit=audit, checked_at=now)
    )
    if state == "verified":
        connection.execute(
            update(_domain)
            .where(_domain.c.id == domain_id, _domain.c.verified_at.is_(None))
            .values(verified_at=now, ramp_started_at=now)
        )


def add_key(connection: Connection, key: DkimKey) -> int:
    """Store a new key (its ``id`` is not used); returns its id."""
    values = {name: getattr(key, name) for name in DkimKey.__slots__ if name != "id"}
    return insert_row(connection, _key, **values)


def list_keys(connection: Connection, domain_id: int) -> list[DkimKey]:
    """The keys of a domain by age."""
    statement = select_as(DkimKey, _key).where(_key.c.domain_id == domain_id).order_by(_key.c.id)
    return fetch_all(connection, DkimKey, statement)


def active_keys(connection: Connection, workspace_id: int, domain_name: str) -> list[DkimKey]:
    """The keys that may sign for a domain, RSA first."""
    statement = (
        select_as(DkimKey, _key)
        .join(_domain, _domain.c.id == _key.c.domain_id)
        .where(_domain.c.workspace_id == workspace_id, _domain.c.name == domain_name, _key.c.state == "active")
        .order_by(_key.c.algorithm.desc(), _key.c.id)
    )
    return fetch_all(connection, DkimKey, statement)


def set_key_state(connection: Connection, key_id: int, state: str, now: Microseconds) -> None:
    """Move a key on: made, published, active, retiring, retired."""
    values: dict[str, object] = {"state": state}
    if state == "active":
        values["activated_at"] = now
    if state == "retired":
        values["retired_at"] = now
    connection.execute(update(_key).where(_key.c.id == key_id).values(**values))
