"""What became of the mails of each list lately, and how the lists were judged by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Integer, case, cast, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from hygiene.consequences import BounceKind
from hygiene.list_health import ListCounts
from mailtypes.clock import Microseconds
from postwright.store.records import fetch_all, select_as, table

_event, _run, _health, _list = table("event"), table("run"), table("list_health"), table("contact_list")
_REFUSED = ("bounced", "failed", "expired")
_ENDED = ("delivered", "complained", *_REFUSED)


@dataclass(frozen=True, slots=True)
class Judged:
    """How a list was judged last."""

    list_id: int
    workspace_id: int
    health: str
    cause: str
    sent: int
    bounced: int
    complained: int
    judged_at: int


def count_mails(
    connection: Connection, workspace_id: int, since: Microseconds, *, list_id: int | None = None
) -> Mapping[int, ListCounts]:
    """By list: mails that came to an end since a moment. What was the sender's fault counts as sent alone."""
    # Events are written without spaces, and a quotation mark inside of a text has a backslash before it.
    counts_against = or_(
        *(_event.c.data.like(f'%"kind":"{kind}"%') for kind in (BounceKind.HARD_BOUNCE, BounceKind.SOFT_BOUNCE))
    )
    bounced = func.max(case((_event.c.kind.in_(_REFUSED) & counts_against, 1), else_=0)).label("bounced")
    complained = func.max(case((_event.c.kind == "complained", 1), else_=0)).label("complained")
    mails = (
        select(_run.c.list_id, _event.c.delivery_id, bounced, complained)
        .join(_run, _run.c.id == _event.c.run_id)
        .where(
            _event.c.workspace_id == workspace_id,
            _event.c.recorded_at >= since,
            _event.c.kind.in_(_ENDED),
            _run.c.list_id.is_not(None) if list_id is None else _run.c.list_id == list_id,
        )
        .group_by(_run.c.list_id, _event.c.delivery_id)
        .subquery()
    )
    # A complaint about a mail that bounced as well is one of the two.
    only_complained = mails.c.complained * (1 - mails.c.bounced)
    sums = (func.count(), cast(func.sum(mails.c.bounced), Integer), cast(func.sum(only_complained), Integer))
    rows = connection.execute(select(mails.c.list_id, *sums).group_by(mails.c.list_id))
    return {int(row[0]): ListCounts(int(row[1]), int(row[2]), int(row[3])) for row in rows}


def judged_lists(connection: Connection, workspace_id: int) -> Mapping[int, Judged]:
    """How the lists of a workspace were judged last, by list."""
    statement = select_as(Judged, _health).where(_health.c.workspace_id == workspace_id)
    return {one.list_id: one for one in fetch_all(connection, Judged, statement)}


def save_health(connection: Connection, judged: Judged) -> None:
    """Store how a list was judged."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    values: dict[str, Any] = {name: getattr(judged, name) for name in Judged.__slots__}
    changed = {name: value for name, value in values.items() if name != "list_id"}
    statement = insert(_health).values(values)
    connection.execute(statement.on_conflict_do_update(index_elements=[_health.c.list_id], set_=changed))


def oldest_judgement(connection: Connection, workspace_id: int) -> int | None:
    """When the workspace's lists were judged last; 0 where one was never, ``None`` where there is no list."""
    joined = _list.outerjoin(_health, _health.c.list_id == _list.c.id)
    oldest = select(func.min(func.coalesce(_health.c.judged_at, 0))).select_from(joined)
    return connection.execute(oldest.where(_list.c.workspace_id == workspace_id)).scalar()
