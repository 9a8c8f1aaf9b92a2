"""Opens and clicks in detail: what is needed to judge them, storing, settling, and forgetting them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from sqlalchemy import Connection, bindparam, case, delete, func, select, text, update

from mailtypes.clock import DAY, Microseconds
from postwright.store.contact_activity import forget_engagement
from postwright.store.public_ids import MAX_RECIPIENTS, delivery_id, run_of_delivery
from postwright.store.records import BY_DELIVERY, fetch_all, select_as, table
from postwright.store.rowsets import BIGINT, TEXT, RowStatement, rows_json, rowset_of, storable
from postwright.store.statistics import forget_recipients

_engagement, _journal = table("engagement"), table("track_journal")
_contact, _delivery, _event, _run = table("contact"), table("delivery"), table("event"), table("run")
_link, _domain = table("run_link"), table("sender_domain")
MOST_AROUND: Final = 20_000
"""Rows that one look around a batch may bring; what lies beyond is not judged by."""
_MOST_NEARBY: Final = 5_000
_KINDS: Final = ("opened", "clicked", "opened_revised", "clicked_revised")


@dataclass(frozen=True, slots=True)
class FetchedDelivery:
    """A delivery whose mail was fetched from. ``sent_at``: when the receiving server took it, as far as is known."""

    id: int
    run_id: int
    workspace_id: int
    contact_id: int | None
    sent_at: int | None
    of_list: str | None
    of_contact: str | None


@dataclass(frozen=True, slots=True)
class NewEngagement:
    """A fetch to store; fields as in ``tables.tracking.Engagement``."""

    workspace_id: int
    run_id: int
    delivery_id: int
    contact_id: int | None
    kind: str
    link: int
    occurred_at: int
    sent_at: int | None
    agent: str
    network: str
    features: str
    verdict: str
    rule: str
    event_id: int | None
    address: str | None
    user_agent: str | None
    neighbourhood: str | None


@dataclass(frozen=True, slots=True)
class StoredEngagement:
    """A stored fetch, without what is thrown away but for the neighbourhood."""

    id: int
    workspace_id: int
    run_id: int
    delivery_id: int
    contact_id: int | None
    kind: str
    link: int
    occurred_at: int
    sent_at: int | None
    agent: str
    network: str
    features: str
    verdict: str
    rule: str
    event_id: int | None
    settled_at: int | None
    neighbourhood: str | None


_FETCHED: Final = (
    "SELECT d.id, d.run_id, d.workspace_id, d.contact_id, coalesce(d.settled_at, d.first_attempt_at), l.tracking,"
    " c.tracking FROM {given} CROSS JOIN delivery AS d JOIN run AS r ON r.id = d.run_id"
    " LEFT JOIN contact_list AS l ON l.id = r.list_id LEFT JOIN contact AS c ON c.id = d.contact_id"
    " WHERE d.run_id = given.run_id AND d.id = given.id"
)


@cache
def _fetched(dialect: str) -> str:
    return _FETCHED.format(given=rowset_of(dialect, "given", {"run_id": BIGINT, "id": BIGINT}))


def fetched_deliveries(connection: Connection, delivery_ids: Iterable[int]) -> dict[int, FetchedDelivery]:
    """The deliveries with these ids, with the privacy modes of their list and contact."""
    rows = [{"run_id": run_of_delivery(one), "id": one} for one in set(delivery_ids)]
    found = connection.execute(text(_fetched(connection.dialect.name)), {"rows": rows_json(rows)})
    return {int(row[0]): FetchedDelivery(*row) for row in found}


def around(
    connection: Connection, delivery_ids: Iterable[int], span: tuple[int, int]
) -> dict[int, list[StoredEngagement]]:
    """What is stored of these deliveries from ``span[0]`` to ``span[1]``, each in the order of time."""
    wanted = sorted(set(delivery_ids))
    found: dict[int, list[StoredEngagement]] = {}
    for at in range(0, len(wanted), 500):
        statement = (
            select_as(StoredEngagement, _engagement)
            .where(_engagement.c.delivery_id.in_(wanted[at : at + 500]), _engagement.c.occurred_at.between(*span))
            .order_by(_engagement.c.delivery_id, _engagement.c.occurred_at, _engagement.c.id)
            .limit(MOST_AROUND)
        )
        for row in fetch_all(connection, StoredEngagement, statement):
            found.setdefault(row.delivery_id, []).append(row)
    return found


def nearby(
    connection: Connection, neighbourhoods: Iterable[str], span: tuple[int, int]
) -> dict[str, list[tuple[int, int]]]:
    """The newest (moment, delivery id) of unsettled fetches from these networks in ``span``, in the order of time."""
    wanted = sorted(set(neighbourhoods))
    found: dict[str, list[tuple[int, int]]] = {}
    for at in range(0, len(wanted), 500):
        statement = (
            select(_engagement.c.neighbourhood, _engagement.c.occurred_at, _engagement.c.delivery_id)
            .where(_engagement.c.neighbourhood.in_(wanted[at : at + 500]), _engagement.c.occurred_at.between(*span))
            .order_by(_engagement.c.occurred_at.desc())
            .limit(_MOST_NEARBY)
        )
        for neighbourhood, moment, who in reversed(connection.execute(statement).all()):
            found.setdefault(str(neighbourhood), []).append((int(moment), int(who)))
    return found


_COLUMNS: Final = {
    name: TEXT
    if name in {"kind", "agent", "network", "features", "verdict", "rule", "address", "user_agent", "neighbourhood"}
    else BIGINT
    for name in NewEngagement.__slots__
}


@cache
def _insertion(dialect: str) -> RowStatement:
    names = ", ".join(_COLUMNS)
    return RowStatement(dialect, _COLUMNS, f"INSERT INTO engagement ({names}) SELECT {names} FROM o")  # noqa: S608  all of it is ours


def add(connection: Connection, new: Sequence[NewEngagement]) -> None:
    """Store fetches."""
    insertion = _insertion(connection.dialect.name)
    for at in range(0, len(new), 200):
        rows = [tuple(_storable(getattr(one, name)) for name in _COLUMNS) for one in new[at : at + 200]]
        insertion.execute(connection, rows)


def _storable(value: object) -> object:
    return storable(value) if isinstance(value, str) else value


def keep_last_open(connection: Connection, contacts: Mapping[int, int]) -> None:
    """Overwrite the day of the last open of contacts (id to moment); an earlier one changes nothing."""
    rows = [{"contact": contact_id, "opened": moment // DAY} for contact_id, moment in sorted(contacts.items())]
    if rows:
        later = (_contact.c.last_open_day.is_(None)) | (_contact.c.last_open_day < bindparam("opened"))
        statement = update(_contact).where(_contact.c.id == bindparam("contact"), later)
        connection.execute(statement.values(last_open_day=bindparam("opened")), rows)


def due(connection: Connection, before: int, limit: int) -> list[StoredEngagement]:
    """The oldest unsettled fetches up to ``before``; this transaction's alone until it ends."""
    statement = (
        select_as(StoredEngagement, _engagement)
        .where(_engagement.c.settled_at.is_(None), _engagement.c.occurred_at <= before)
        .order_by(_engagement.c.occurred_at, _engagement.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return fetch_all(connection, StoredEngagement, statement)


def has_due(connection: Connection, before: int) -> bool:
    """Whether there is an unsettled fetch up to ``before``."""
    statement = select(_engagement.c.id).where(_engagement.c.settled_at.is_(None), _engagement.c.occurred_at <= before)
    return connection.execute(statement.limit(1)).first() is not None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What becomes of an unsettled fetch."""

    id: int
    features: str
    verdict: str
    rule: str


def settle(connection: Connection, settlements: Sequence[Settlement], now: Microseconds) -> None:
    """Keep verdicts for good, and throw away address, User-Agent header and neighbourhood."""
    if settlements:
        statement = update(_engagement).where(
            _engagement.c.id == bindparam("which"), _engagement.c.settled_at.is_(None)
        )
        connection.execute(
            statement.values(
                features=bindparam("found"),
                verdict=bindparam("judged"),
                rule=bindparam("decided"),
                settled_at=now,
                address=None,
                user_agent=None,
                neighbourhood=None,
            ),
            [
                {"which": one.id, "found": one.features, "judged": one.verdict, "decided": one.rule}
                for one in settlements
            ],
        )


def erase_engagement(connection: Connection, workspace_id: int, contact_id: int) -> int:
    """Forget what a contact opened and clicked, backwards: whoever withdraws consent; returns how many rows went.

    The detail is deleted, and so are the day of the last open and what was rolled up for the contact. Events are not,
    since counts rest on them: the opens and clicks among them lose delivery and contact, and say from then on that
    somebody did so in this run. It is the one change that the log knows.
    """
    key = select(_contact.c.address_key).where(_contact.c.workspace_id == workspace_id, _contact.c.id == contact_id)
    # By the address, which has an index, and deliveries of API clients name no contact.
    mine = select(_delivery.c.id).where(
        _delivery.c.workspace_id == workspace_id, _delivery.c.address_key == key.scalar_subquery()
    )
    ids = [int(row[0]) for row in connection.execute(mine)]
    forget_recipients(connection, ids)
    removed = 0
    for at in range(0, len(ids), 500):
        chunk = ids[at : at + 500]
        connection.execute(
            update(_event)
            .with_hint(BY_DELIVERY, dialect_name="sqlite")
            .where(_event.c.delivery_id.in_(chunk), _event.c.kind.in_(_KINDS), _event.c.workspace_id == workspace_id)
            .values(delivery_id=None, contact_id=None)
        )
        gone = delete(_engagement).where(_engagement.c.delivery_id.in_(chunk))
        removed += connection.execute(gone.where(_engagement.c.workspace_id == workspace_id)).rowcount
    person = update(_contact).where(_contact.c.workspace_id == workspace_id, _contact.c.id == contact_id)
    if connection.execute(person.values(last_open_day=None)).rowcount:
        forget_engagement(connection, contact_id)
    return removed


def newest_runs_with_links(connection: Connection, limit: int) -> list[int]:
    """The newest runs that have link tables."""
    has_links = select(_link.c.run_id).where(_link.c.run_id == _run.c.id).exists()
    statement = select(_run.c.id).where(has_links).order_by(_run.c.id.desc()).limit(limit)
    return [int(row[0]) for row in connection.execute(statement)]


def tracking_hosts(connection: Connection) -> set[str]:
    """Every host that links in mails point to."""
    return {str(row[0]) for row in connection.execute(select(_domain.c.tracking_host).distinct())}


def taken_of_journal(connection: Connection, journal_id: str) -> int:
    """How many octets of a journal are in the database."""
    found = connection.execute(select(_journal.c.taken).where(_journal.c.id == journal_id)).scalar_one_or_none()
    return 0 if found is None else int(found)


def take_of_journal(connection: Connection, journal_id: str, span: tuple[int, int], now: Microseconds) -> bool:
    """Note that the octets ``span`` of a journal go into the database with this transaction; ``False`` if they have."""
    start, end = span
    if start == 0 and taken_of_journal(connection, journal_id) == 0:
        # Two that begin at once: the second waits for the first and finds the row (PostgreSQL), or is the second.
        connection.execute(_journal.insert().values(id=journal_id, taken=end, changed_at=now))
        return True
    moved = update(_journal).where(_journal.c.id == journal_id, _journal.c.taken == start)
    return connection.execute(moved.values(taken=end, changed_at=now)).rowcount == 1


def forget_journal(connection: Connection, journal_id: str) -> None:
    """A journal whose file is gone."""
    connection.execute(delete(_journal).where(_journal.c.id == journal_id))


def verdict_counts(connection: Connection, workspace_id: int, run_id: int, kind: str) -> dict[str, int]:
    """How many deliveries of a run were opened (``open``) or clicked (``click``), each by its most human verdict."""
    order = case((_engagement.c.verdict == "human", 0), (_engagement.c.verdict == "probable", 1), else_=2)
    rank = func.min(order)
    mine = (delivery_id(run_id, 1), delivery_id(run_id, MAX_RECIPIENTS))  # that has an index
    best = (
        select(rank.label("rank"))
        .where(_engagement.c.delivery_id.between(*mine), _engagement.c.kind == kind)
        .where(_engagement.c.workspace_id == workspace_id)
        .group_by(_engagement.c.delivery_id)
        .subquery()
    )
    rows = connection.execute(select(best.c.rank, func.count()).group_by(best.c.rank))
    return {("human", "probable", "machine")[int(row[0])]: int(row[1]) for row in rows}
