"""What a hygiene plan looks at: the contacts of its scope, chunk by chunk, with all that judging them takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, func, select

from hygiene.segments.facts import Known, known_by
from hygiene.segments.tree import Node
from mailtypes.clock import DAY, Microseconds
from postwright.store import segments
from postwright.store.records import table
from postwright.store.segment_sql import members
from postwright.store.suppressions import reasons

_contact, _membership, _activity = table("contact"), table("list_membership"), table("contact_activity")
_day, _tag, _tagged, _win_back = table("contact_day"), table("tag"), table("contact_tag"), table("win_back")
_delivery, _run = table("delivery"), table("run")
_list, _consent = table("contact_list"), table("consent_state")
WINDOW_DAYS = 90
"""Over how many days the numbers of a plan count mails."""
_ACTIVITY_COLUMNS = (
    *("received", "last_received_at", "opened", "last_opened_at", "clicked", "last_clicked_at", "last_acted_at"),
    *("received_since_opened", "received_since_clicked", "soft_bounces", "last_soft_bounce_at"),
)


@dataclass(frozen=True, slots=True)
class PlanScope:
    """Whom a plan is about. ``tags`` are those that protect; ``tree`` chooses the dormant, where a rule does not."""

    workspace_id: int
    stream_id: int
    list_id: int | None = None
    win_back_list_id: int | None = None
    tags: tuple[str, ...] = ()
    tree: Node | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """A contact as a plan finds it; ``activity`` has the columns of ``contact_activity``, missing where there is none.

    ``sent``, ``opened`` and ``bounced`` count mails of the last ``WINDOW_DAYS``. ``barred`` is why nothing is sent
    already. ``is_chosen``: in the tree of the scope, ``None`` where that rests on opens or clicks nobody recorded;
    ``known`` and ``tracked_since`` say what is. ``asked`` and ``last_asked_at``: mails of the winning back.
    """

    contact_id: int
    created_at: int
    known: Known
    tracked_since: int | None
    last_open_day: int | None
    activity: Mapping[str, Any]
    sent: int
    opened: int
    bounced: int
    barred: str | None
    tags: frozenset[str]
    is_chosen: bool | None
    win_back_list_id: int | None
    began_at: int | None
    asked: int
    last_asked_at: int | None


def read_people(connection: Connection, scope: PlanScope, now: Microseconds, *, after: int, limit: int) -> list[Person]:
    """The next contacts of the scope in the order of their ids; who is archived is not among them."""
    rows = connection.execute(_next(scope, after, limit)).all()
    ids = [int(row.id) for row in rows]
    if not ids:
        return []
    barred = reasons(
        connection, scope.workspace_id, [row.address_key for row in rows], (scope.stream_id, scope.list_id), now
    )
    mails = _mails_of_window(connection, ids, now)
    tags = carried_tags(connection, scope.workspace_id, ids, scope.tags)
    chosen = _chosen(connection, scope, ids, now)
    modes, agreed = list_modes(connection, scope.workspace_id, ids), _agreed(connection, scope.workspace_id, ids)
    asked = _asked(connection, [row for row in rows if row.began_at is not None])
    since = now - WINDOW_DAYS * DAY
    people = []
    for row in rows:
        activity = {} if row.received is None else {name: getattr(row, name) for name in _ACTIVITY_COLUMNS}
        is_recent = (activity.get("last_soft_bounce_at") or 0) >= since
        received, opened = mails.get(row.id, (0, 0))
        bounced = int(activity["soft_bounces"]) if is_recent else 0
        people.append(
            Person(
                row.id,
                row.created_at,
                known_by((row.tracking, *modes.get(row.id, ()))),
                agreed.get(row.id),
                row.last_open_day,
                activity,
                sent=received + bounced,
                opened=min(opened, received),
                bounced=bounced,
                barred=barred.get(row.address_key),
                tags=tags.get(row.id, frozenset()),
                is_chosen=chosen.get(row.id),
                win_back_list_id=row.win_back_list_id,
                began_at=row.began_at,
                asked=asked.get(row.id, (0, None))[0],
                last_asked_at=asked.get(row.id, (0, None))[1],
            )
        )
    return people


def _next(scope: PlanScope, after: int, limit: int) -> Select[Any]:
    columns = (_contact.c.id, _contact.c.address_key, _contact.c.created_at, _contact.c.tracking)
    statement = (
        select(
            *columns,
            _contact.c.last_open_day,
            _win_back.c.list_id.label("win_back_list_id"),
            _win_back.c.began_at,
            *(_activity.c[name] for name in _ACTIVITY_COLUMNS),
        )
        .select_from(_contact)
        .outerjoin(_activity, _activity.c.contact_id == _contact.c.id)
        .outerjoin(_win_back, _win_back.c.contact_id == _contact.c.id)
        .where(_contact.c.workspace_id == scope.workspace_id, _contact.c.archived_at.is_(None))
    )
    if scope.list_id is None:
        return statement.where(_contact.c.id > after).order_by(_contact.c.id).limit(limit)
    of_list = and_(_membership.c.contact_id == _contact.c.id, _membership.c.list_id == scope.list_id)
    on_list = statement.join(_membership, of_list).where(_membership.c.contact_id > after)
    return on_list.order_by(_membership.c.contact_id).limit(limit)


def _mails_of_window(connection: Connection, ids: Sequence[int], now: Microseconds) -> Mapping[int, tuple[int, int]]:
    """Mails received and opened, by contact."""
    rows = connection.execute(
        select(_day.c.contact_id, func.sum(_day.c.received), func.sum(_day.c.opened))
        .where(_day.c.contact_id.in_(ids), _day.c.day > now // DAY - WINDOW_DAYS)
        .group_by(_day.c.contact_id)
    )
    return {int(row[0]): (int(row[1]), int(row[2])) for row in rows}


def carried_tags(
    connection: Connection, workspace_id: int, ids: Sequence[int], names: Sequence[str]
) -> Mapping[int, frozenset[str]]:
    """Which of these tags each contact carries."""
    if not names or not ids:
        return {}
    rows = connection.execute(
        select(_tagged.c.contact_id, _tag.c.name)
        .join(_tag, _tag.c.id == _tagged.c.tag_id)
        .where(_tagged.c.workspace_id == workspace_id, _tagged.c.contact_id.in_(ids), _tag.c.name.in_(names))
    )
    found: dict[int, set[str]] = {}
    for contact_id, name in rows:
        found.setdefault(int(contact_id), set()).add(str(name))
    return {contact_id: frozenset(tags) for contact_id, tags in found.items()}


def _chosen(connection: Connection, scope: PlanScope, ids: Sequence[int], now: Microseconds) -> Mapping[int, bool]:
    """Who is known to be in the tree of the scope, and who is known not to be."""
    if scope.tree is None:
        return {}
    audience = segments.open_audience(connection, scope.workspace_id, scope.tree)
    found: dict[int, bool] = {}
    for holds in (True, False):
        columns, dialect = select(_contact.c.id), connection.dialect.name
        statement = members(columns, dialect, audience.catalogue, now, audience.tree, holds=holds)
        # As a range: with the ids one by one SQLite would not use the index that the statement is told to.
        ranged = statement.where(_contact.c.id >= ids[0], _contact.c.id <= ids[-1])
        found |= {int(row[0]): holds for row in connection.execute(ranged)}
    return found


def list_modes(connection: Connection, workspace_id: int, ids: Sequence[int]) -> Mapping[int, set[str]]:
    """The privacy modes of the lists that each contact is on."""
    hidden = select(_list.c.id, _list.c.tracking).where(
        _list.c.workspace_id == workspace_id, _list.c.tracking.is_not(None), _list.c.tracking != "full"
    )
    modes = {int(row[0]): str(row[1]) for row in connection.execute(hidden)}
    if not modes:
        return {}
    on_them = (_membership.c.list_id.in_(modes), _membership.c.contact_id.in_(ids))
    found: dict[int, set[str]] = {}
    for list_id, contact_id in connection.execute(
        select(_membership.c.list_id, _membership.c.contact_id).where(*on_them)
    ):
        found.setdefault(int(contact_id), set()).add(modes[list_id])
    return found


def _agreed(connection: Connection, workspace_id: int, ids: Sequence[int]) -> Mapping[int, int]:
    """When each agreed to tracking, of those who did so by themselves."""
    rows = connection.execute(
        select(_consent.c.contact_id, _consent.c.occurred_at).where(
            _consent.c.workspace_id == workspace_id,
            _consent.c.scope == "tracking",
            _consent.c.scope_id == 0,
            _consent.c.contact_id.in_(ids),
            _consent.c.state == "given",
        )
    )
    return {int(row[0]): int(row[1]) for row in rows}


def _asked(connection: Connection, rows: Sequence[Any]) -> Mapping[int, tuple[int, int | None]]:
    """How many mails of the winning back have arrived at each since it began, and when the last of them did."""
    found: dict[int, tuple[int, int | None]] = {}
    for list_id in {row.win_back_list_id for row in rows}:
        mine = {row.address_key: row for row in rows if row.win_back_list_id == list_id}
        runs = [one for (one,) in connection.execute(select(_run.c.id).where(_run.c.list_id == list_id))]
        for run_id in runs:
            arrived = connection.execute(
                select(_delivery.c.address_key, _delivery.c.settled_at).where(
                    _delivery.c.run_id == run_id,
                    _delivery.c.address_key.in_(list(mine)),
                    _delivery.c.state == "delivered",
                )
            )
            for key, at in arrived:
                row = mine[key]
                if at >= row.began_at:
                    number, last = found.get(row.id, (0, None))
                    found[row.id] = (number + 1, max(at, last or 0))
    return found


def list_mails(connection: Connection, list_id: int, since: int) -> int:
    """How many campaigns were begun to a list since a moment."""
    mine = (_run.c.list_id == list_id, _run.c.created_at >= since)
    return int(connection.execute(select(func.count()).select_from(_run).where(*mine)).scalar_one())


def list_tracking(connection: Connection, list_id: int) -> str | None:
    """How the mail of a list is tracked, where the list says."""
    lists = table("contact_list")
    return connection.execute(select(lists.c.tracking).where(lists.c.id == list_id)).scalar()
