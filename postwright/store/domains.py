"""Sender domains and their DKIM keys."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select, update

from mailtypes.clock import Microseconds
from postwright.store.records import fetch_all, fetch_one, insert_row, select_as, table

_domain, _key = table("sender_domain"), table("dkim_key")


@dataclass(frozen=True, slots=True)
class SenderDomain:
    """A domain that mail is sent from; ``audit`` is the last audit as JSON.

    From ``report_address`` on: what its owner wants published beside what sending needs, ``None`` where not.
    """

    id: int
    workspace_id: int
    name: str
    state: str
    return_path_host: str
    tracking_host: str
    created_at: int
    verified_at: int | None
    checked_at: int | None
    audit: str | None
    report_address: str | None = None
    dmarc_policy: str | None = None
    logo_url: str | None = None
    certificate_url: str | None = None
    mta_sts_mode: str | None = None
    mta_sts_hosts: str | None = None
    under_platform: bool = False


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A signing key; the private part is sealed. Moments in microseconds, ``None`` where it has not come to that."""

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
    published_at: int | None = None
    activated_at: int | None = None
    retiring_at: int | None = None
    retired_at: int | None = None
    missing_since: int | None = None
    sighting: str | None = None


@dataclass(frozen=True, slots=True)
class WatchedDomain:
    """A domain that somebody has claimed to look at until ``next_check_at``, when another one may take it."""

    id: int
    workspace_id: int
    name: str
    state: str
    created_at: int
    next_check_at: int
    known_findings: str | None


def add_domain(connection: Connection, workspace_id: int, name: str, hosts: tuple[str, str], now: Microseconds) -> int:
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
        created_at=now,
    )


def find_domain(connection: Connection, workspace_id: int, name: str) -> SenderDomain | None:
    """The sender domain of that name (A-labels)."""
    return fetch_one(connection, SenderDomain, _domain, _domain.c.workspace_id == workspace_id, _domain.c.name == name)


def get_domain(connection: Connection, domain_id: int) -> SenderDomain | None:
    """The sender domain with that id."""
    return fetch_one(connection, SenderDomain, _domain, _domain.c.id == domain_id)


def find_verified(connection: Connection, name: str) -> SenderDomain | None:
    """The verified sender domain of that name, whichever workspace has it; of several the oldest."""
    wanted = select_as(SenderDomain, _domain).where(_domain.c.name == name, _domain.c.state == "verified")
    found = fetch_all(connection, SenderDomain, wanted.order_by(_domain.c.id).limit(1))
    return found[0] if found else None


def list_domains(connection: Connection, workspace_id: int) -> list[SenderDomain]:
    """All sender domains of a workspace by name."""
    statement = select_as(SenderDomain, _domain).where(_domain.c.workspace_id == workspace_id)
    return fetch_all(connection, SenderDomain, statement.order_by(_domain.c.name))


def return_path_hosts(connection: Connection) -> set[str]:
    """Every host that bounces may be addressed to."""
    return {str(row[0]) for row in connection.execute(_domain.select().with_only_columns(_domain.c.return_path_host))}


def workspaces_of_host(connection: Connection, return_path_host: str) -> list[int]:
    """The workspaces that have a sender domain with this return-path host."""
    statement = select(_domain.c.workspace_id).where(_domain.c.return_path_host == return_path_host).distinct()
    return [int(row[0]) for row in connection.execute(statement.order_by(_domain.c.workspace_id))]


def change_domain(
    connection: Connection, domain_id: int, change: Callable[[SenderDomain], Mapping[str, str | bool | None]]
) -> None:
    """Set columns of a domain to what ``change`` makes of it as it stands; ``change`` refuses by raising."""
    # The row is locked first: of two changes the second has to see what the first has made of it.
    connection.execute(update(_domain).where(_domain.c.id == domain_id).values(state=_domain.c.state))
    found = get_domain(connection, domain_id)
    if found is not None and (values := dict(change(found))):
        connection.execute(update(_domain).where(_domain.c.id == domain_id).values(**values))


def save_audit(connection: Connection, domain_id: int, state: str, audit: str, now: Microseconds) -> None:
    """Keep the result of a check; the first ``verified`` is remembered with its moment."""
    connection.execute(
        update(_domain).where(_domain.c.id == domain_id).values(state=state, audit=audit, checked_at=now)
    )
    if state == "verified":
        connection.execute(
            update(_domain).where(_domain.c.id == domain_id, _domain.c.verified_at.is_(None)).values(verified_at=now)
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
    """Put a key into a state as it is verified for the first time.

    ``active`` is refused in silence where another key of the domain has been active since before ``now``: the keys
    after the first become active by rotation alone (``move_key``), which asks all name servers.
    """
    condition: ColumnElement[bool] = _key.c.id == key_id
    if state == "active":
        other = _key.alias()
        in_use = select(other.c.id).where(
            other.c.domain_id == _key.c.domain_id, other.c.state == "active", other.c.activated_at < now
        )
        condition = and_(condition, ~exists(in_use))
    connection.execute(update(_key).where(condition).values(**_entering(state, now)))


def move_key(connection: Connection, key_id: int, before: str, after: str, now: Microseconds) -> bool:
    """Move a key on if it is still in the state ``before``; whether it was."""
    condition = and_(_key.c.id == key_id, _key.c.state == before)
    return connection.execute(update(_key).where(condition).values(**_entering(after, now))).rowcount == 1


def _entering(state: str, now: Microseconds) -> dict[str, object]:
    moments = {
        "published": "published_at",
        "active": "activated_at",
        "retiring": "retiring_at",
        "retired": "retired_at",
    }
    values: dict[str, object] = {"state": state}
    if state in moments:
        values[moments[state]] = now
    return values


def note_sighting(connection: Connection, key_id: int, sentence: str) -> None:
    """Keep what the name servers said about a key."""
    connection.execute(update(_key).where(_key.c.id == key_id).values(sighting=sentence))


def note_missing(connection: Connection, key_id: int, since: Microseconds | None) -> bool:
    """Remember that an active key is gone since then, or (``None``) there again; whether that was news."""
    was = _key.c.missing_since.is_(None) if since is not None else _key.c.missing_since.is_not(None)
    change = update(_key).where(_key.c.id == key_id, was).values(missing_since=since)
    return connection.execute(change).rowcount == 1


def claim_due(connection: Connection, now: Microseconds, until: int) -> WatchedDomain | None:
    """Take the domain that has waited longest for a look; it is nobody else's until ``until``, whatever becomes of us.

    ``None`` where nothing is due, or somebody else has just taken what was (one of them gets it, the rest go on).
    """
    due = or_(_domain.c.next_check_at.is_(None), _domain.c.next_check_at <= now)
    first = select(_domain.c.id).where(due).order_by(_domain.c.next_check_at.nulls_first(), _domain.c.id).limit(1)
    # Said once more outside: PostgreSQL looks at that again after it has waited for the other one's update.
    claim = update(_domain).where(_domain.c.id == first.scalar_subquery(), due).values(next_check_at=until)
    row = connection.execute(claim.returning(*(_domain.c[name] for name in WatchedDomain.__slots__))).one_or_none()
    return None if row is None else WatchedDomain(*row)


def finish_check(connection: Connection, claimed: WatchedDomain, next_check_at: int, known: str | None) -> bool:
    """Keep what a look found out and when the next one is; nothing where the claim has passed to somebody else."""
    mine = and_(_domain.c.id == claimed.id, _domain.c.next_check_at == claimed.next_check_at)
    values = {"next_check_at": next_check_at, "known_findings": known}
    return connection.execute(update(_domain).where(mine).values(**values)).rowcount == 1


def check_soon(connection: Connection, domain_id: int, at: Microseconds) -> None:
    """Have a domain looked at from ``at`` on, whoever looks at it now."""
    connection.execute(update(_domain).where(_domain.c.id == domain_id).values(next_check_at=at))
