"""What some recipients of a run came to: those in a segment, or told apart by the sender whom they heard from.

The counts of ``postwright.store.statistics`` have no such cut, since a segment's members change. So this goes over the
recipients one by one; callers bound how many. Whoever is tracked in sum alone is counted here without opens and clicks.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, String, case, cast, func, select
from sqlalchemy.dialects.postgresql import JSONB

from mailtypes.clock import Microseconds
from postwright.store.records import table
from postwright.store.segment_sql import members
from postwright.store.segments import Audience
from postwright.store.statistics import CountRow

_delivery, _event, _engagement = table("delivery"), table("event"), table("engagement")
_run, _contact, _statistic = table("run"), table("contact"), table("statistic")
_CHUNK: Final = 500
_ENDS: Final = ("delivered", "suppressed", "cancelled")
_HAPPENED: Final = ("failed", "expired", "bounced", "complained", "unsubscribed", "replied")
_REFUSED: Final = ("failed", "expired", "bounced")
_FETCHES: Final = {"open": "opened", "click": "clicked"}
_VERDICTS: Final = ("machine", "probable", "human")


def count_recipients(connection: Connection, run_ids: Sequence[int]) -> dict[int, int]:
    """How many recipients each run has."""
    found: dict[int, int] = {}
    for at in range(0, len(run_ids), _CHUNK):
        chosen = _run.c.id.in_(list(run_ids[at : at + _CHUNK]))
        rows = connection.execute(select(_run.c.id, _run.c.recipients).where(chosen))
        found |= {int(row[0]): int(row[1]) for row in rows}
    return found


def senders_of(connection: Connection, run_ids: Sequence[int]) -> dict[int, list[str]]:
    """The addresses that each run was from, in the order of their numbers."""
    found: dict[int, list[str]] = {}
    for at in range(0, len(run_ids), _CHUNK):
        chosen = _run.c.id.in_(list(run_ids[at : at + _CHUNK]))
        for row in connection.execute(select(_run.c.id, _run.c.from_address, _run.c.other_senders).where(chosen)):
            found[int(row[0])] = [str(row[1]), *(str(one["address"]) for one in json.loads(row[2]))]
    return found


def counts_in_segment(connection: Connection, run_id: int, audience: Audience, now: Microseconds) -> list[CountRow]:
    """The counts of the run's recipients who are in ``audience`` at ``now``."""
    inside = members(select(_contact.c.id), connection.dialect.name, audience.catalogue, now, audience.tree)
    return [row for _, row in _counts(connection, run_id, (_delivery.c.contact_id.in_(inside),))]


def counts_by_sender(connection: Connection, run_id: int) -> list[tuple[int, CountRow]]:
    """The counts of a run by the number of the sender that each recipient got it from."""
    return _counts(connection, run_id, (), _delivery.c.sender)


def _counts(
    connection: Connection,
    run_id: int,
    conditions: Sequence[ColumnElement[bool]],
    part: ColumnElement[int] | None = None,
) -> list[tuple[int, CountRow]]:
    mine = (_delivery.c.run_id == run_id, *conditions)
    wanted = [] if part is None else [part.label("part")]
    found: list[tuple[int, CountRow]] = []
    for number, kind, detail, events, recipients in (
        *_ends(connection, wanted, mine),
        *_happened(connection, wanted, mine),
        *_fetched(connection, wanted, mine),
    ):
        found.append((number, CountRow(run_id, "", 0, kind, detail, events, recipients)))
    return found


_Found = list[tuple[int, str, str, int, int]]


def _ends(connection: Connection, wanted: Sequence[Any], mine: Sequence[ColumnElement[bool]]) -> _Found:
    deferred = func.sum(case((_delivery.c.deferrals > 0, 1), else_=0))
    statement = select(*wanted, _delivery.c.state, func.count(), deferred).where(*mine)
    found: _Found = []
    for row in connection.execute(statement.group_by(*wanted, _delivery.c.state)):
        number, (state, count, later) = int(row[0]) if wanted else 0, row[-3:]
        if state in _ENDS:
            found.append((number, str(state), "", int(count), int(count)))
        if later:
            found.append((number, "deferred", "", int(later), int(later)))
    return found


def _happened(connection: Connection, wanted: Sequence[Any], mine: Sequence[ColumnElement[bool]]) -> _Found:
    kind, reason = _of_data(connection, "kind"), _of_data(connection, "reason")
    columns = [
        *wanted,
        _event.c.kind,
        case((_event.c.kind.in_(_REFUSED), func.coalesce(kind, "none")), else_="").label("weight"),
        case((_event.c.kind.in_(_REFUSED), func.coalesce(reason, "unknown")), else_="").label("reason"),
    ]
    statement = _beside(
        select(*columns, func.count(), func.count(_event.c.delivery_id.distinct())), _event, mine
    ).where(_event.c.kind.in_(_HAPPENED))
    found: _Found = []
    for row in connection.execute(statement.group_by(*columns)):
        number, (name, weight, why, events, recipients) = int(row[0]) if wanted else 0, row[-5:]
        detail = f"{weight}:{why}" if name in _REFUSED else ""
        found.append((number, str(name), detail, int(events), int(recipients)))
    return found


def _fetched(connection: Connection, wanted: Sequence[Any], mine: Sequence[ColumnElement[bool]]) -> _Found:
    verdict = _engagement.c.verdict
    rank = case((verdict == "human", 2), (verdict == "machine", 0), else_=1)
    numbers = [func.sum(case((rank == place, 1), else_=0)).label(f"n{place}") for place in range(len(_VERDICTS))]
    columns = [*wanted, _delivery.c.id, _engagement.c.kind]
    each = (
        _beside(select(*columns, func.max(rank).label("best"), *numbers), _engagement, mine)
        .where(_engagement.c.kind.in_(tuple(_FETCHES)))
        .group_by(*columns)
        .subquery()
    )
    outer = [each.c[column.name] for column in wanted]
    sums = [func.sum(each.c[f"n{place}"]) for place in range(len(_VERDICTS))]
    best = [func.sum(case((each.c.best == place, 1), else_=0)) for place in range(len(_VERDICTS))]
    found: _Found = []
    for row in connection.execute(select(*outer, each.c.kind, *sums, *best).group_by(*outer, each.c.kind)):
        number, (kind, *counted) = int(row[0]) if wanted else 0, row[-7:]
        for place, name in enumerate(_VERDICTS):
            found.append((number, _FETCHES[str(kind)], name, int(counted[place]), int(counted[place + 3])))
    return found


def _beside(columns: Select[Any], other: Any, mine: Sequence[ColumnElement[bool]]) -> Select[Any]:
    return columns.select_from(_delivery.join(other, other.c.delivery_id == _delivery.c.id)).where(*mine)


def _of_data(connection: Connection, name: str) -> ColumnElement[Any]:
    """A text of an event's data, ``NULL`` where it is not there or empty."""
    if connection.dialect.name == "postgresql":
        value: ColumnElement[Any] = func.jsonb_extract_path_text(cast(_event.c.data, JSONB), name)
    else:
        value = cast(func.json_extract(_event.c.data, f"$.{name}"), String)
    return func.nullif(value, "")
