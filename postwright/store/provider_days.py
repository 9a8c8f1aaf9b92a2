"""Days of a subject with a provider, counted from the event log behind a mark of their own, and what was imported.

A day is the one on which something came back (an event's ``recorded_at``), so that a day that is over stays as it is.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, TextClause, and_, func, select, text
from sqlalchemy.dialects import postgresql, sqlite

from hygiene.consequences import BounceKind
from hygiene.segments.activity import is_by_person
from mailtypes.bounce import Blame, BounceReason
from mailtypes.clock import Microseconds
from postwright.store.records import table
from postwright.store.rowsets import BIGINT, TEXT, rows_json, rowset_of
from postwright.store.warm_ups import domain_subject, egress_subject

_event, _watermark, _mark = table("event"), table("watermark"), table("warm_up_mark")
_day, _delivery, _run = table("provider_day"), table("delivery"), table("run")
_destination, _stream = table("destination"), table("stream")
_ANSWERS: Final = ("delivered", "deferred", "failed")
_READ: Final = ("opened", "clicked", "opened_revised", "clicked_revised")
KINDS: Final = (*_ANSWERS, *_READ, "bounced", "complained")
"""The events that say something of a day."""
COUNTS: Final = ("attempts", "sent", "deferrals", "hard_bounces", "complaints", "engaged", "untracked")

DayOf = Callable[[str, Microseconds], date]
"""The day of a moment on the calendar of a subject."""
_Key = tuple[str, str, str]  # subject, provider, day
_PLACE: Final = {"workspace_id": BIGINT, "subject": TEXT, "provider": TEXT, "day": TEXT}


@dataclass(slots=True)
class DayCounts:
    """What is added to a day; ``blocks`` by reason."""

    numbers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    blocks: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredDay:
    """A day as it stands, summed over the workspaces that send for the subject. ``blocks`` by reason."""

    day: date
    attempts: int
    sent: int
    deferrals: int
    blocks: Mapping[str, int]
    hard_bounces: int
    complaints: int
    engaged: int
    untracked: int
    reported_spam_rate: float | None
    reputation: str | None


def needs_roll_up(connection: Connection, workspace_id: int) -> bool:
    """Whether the counts of the log have come further than the mark."""
    return _mark_of(connection, workspace_id)[0] < _counted_up_to(connection, workspace_id)


def is_counted_until(connection: Connection, until: Microseconds) -> bool:
    """Whether no workspace has an event from before ``until`` that is not counted yet."""
    marks = select(_mark.c.workspace_id, _mark.c.recorded_at, _mark.c.event_id)
    found = {int(row[0]): (int(row[1]), int(row[2])) for row in connection.execute(marks)}
    for (workspace_id,) in connection.execute(select(table("workspace").c.id)).all():
        mark = found.get(int(workspace_id), (0, 0))
        left = select(_event.c.id).where(*_behind(int(workspace_id), mark, until), _event.c.kind.in_(KINDS))
        if mark[0] < until and connection.execute(left.limit(1)).first() is not None:
            return False
    return True


def roll_up(connection: Connection, workspace_id: int, day_of: DayOf, *, limit: int = 1000) -> int:
    """Count up to ``limit`` events into their days; returns how many.

    The mark's row is locked first, so that two processes never count the same events, and moves in the transaction
    that stores the days. It goes no further than the watermark of the log's counts: ahead of that, an event could still
    be recorded behind the mark.
    """
    mark = _lock_mark(connection, workspace_id)
    end = max(mark[0], _counted_up_to(connection, workspace_id))
    columns = (_event.c.recorded_at, _event.c.id, _event.c.kind, _event.c.delivery_id, _event.c.run_id, _event.c.data)
    rows = connection.execute(
        select(*columns)
        .where(*_behind(workspace_id, mark, end), _event.c.kind.in_(KINDS))
        .order_by(_event.c.recorded_at, _event.c.id)
        .limit(limit)
    ).all()
    if rows:
        _add(connection, workspace_id, _counted(connection, rows, mark, day_of))
    reached = (rows[-1].recorded_at, rows[-1].id) if len(rows) == limit else (end, 0)
    if reached > mark:
        moved = _mark.update().where(_mark.c.workspace_id == workspace_id)
        connection.execute(moved.values(recorded_at=reached[0], event_id=reached[1]))
    return len(rows)


def _behind(workspace_id: int, mark: tuple[int, int], end: int) -> tuple[ColumnElement[bool], ...]:
    at, event_id = mark
    return (
        _event.c.workspace_id == workspace_id,
        _event.c.recorded_at >= at,
        _event.c.recorded_at < end,
        (_event.c.recorded_at > at) | (_event.c.id > event_id),
    )


def _mark_of(connection: Connection, workspace_id: int) -> tuple[int, int]:
    mine = _mark.c.workspace_id == workspace_id
    found = connection.execute(select(_mark.c.recorded_at, _mark.c.event_id).where(mine)).one_or_none()
    return (0, 0) if found is None else (int(found[0]), int(found[1]))


def _lock_mark(connection: Connection, workspace_id: int) -> tuple[int, int]:
    begin = _insert(connection)(_mark).values(workspace_id=workspace_id, recorded_at=0, event_id=0, jumps_through="")
    connection.execute(begin.on_conflict_do_nothing())
    # An update that changes nothing takes the row's lock on either database.
    locked = connection.execute(
        _mark.update()
        .where(_mark.c.workspace_id == workspace_id)
        .values(event_id=_mark.c.event_id)
        .returning(_mark.c.recorded_at, _mark.c.event_id)
    ).one()
    return int(locked[0]), int(locked[1])


def _counted_up_to(connection: Connection, workspace_id: int) -> int:
    """The watermark of the log's counts. Behind it nothing is recorded any more (``events.append``)."""
    mine = _watermark.c.workspace_id == workspace_id
    return int(connection.execute(select(_watermark.c.rolled_up_to).where(mine)).scalar() or 0)


@dataclass(frozen=True, slots=True)
class _Sent:
    """Where a delivery went, and for whom that counts."""

    subjects: tuple[str, ...]
    provider: str
    is_tracked: bool


def _counted(
    connection: Connection, rows: Sequence[Any], mark: tuple[int, int], day_of: DayOf
) -> Mapping[_Key, DayCounts]:
    known = _deliveries(connection, {(row.run_id, row.delivery_id) for row in rows if row.delivery_id is not None})
    days: dict[_Key, DayCounts] = defaultdict(DayCounts)
    readers = _Readers(connection, {row.delivery_id for row in rows if row.kind in _READ and row.delivery_id}, mark)
    for row in rows:
        sent = known.get(row.delivery_id)
        if sent is None:
            continue
        data = {} if row.kind == "delivered" else json.loads(row.data)
        change = readers.change(row.delivery_id, row.kind, data) if row.kind in _READ else 0
        for subject in sent.subjects:
            day = day_of(subject, Microseconds(row.recorded_at)).isoformat()
            _count(days[subject, sent.provider, day], row.kind, data, change, is_tracked=sent.is_tracked)
    return days


def _count(counts: DayCounts, kind: str, data: Mapping[str, Any], change: int, *, is_tracked: bool) -> None:
    numbers = counts.numbers
    if kind in _READ:
        numbers["engaged"] += change
        return
    if kind == "complained":
        numbers["complaints"] += 1
        return
    if kind == "delivered":
        numbers["attempts"] += 1
        numbers["sent"] += 1
        numbers["untracked"] += not is_tracked
        return
    if kind != "bounced":
        if data.get("reply_code") is None:
            return  # nobody answered: that says nothing of what they think of us
        numbers["attempts"] += 1
    is_ours = data.get("blames") == Blame.SENDER
    if kind == "deferred":
        numbers["deferrals"] += is_ours
        return
    numbers["hard_bounces"] += data.get("kind") == BounceKind.HARD_BOUNCE
    if is_ours:
        reason = str(data.get("reason", BounceReason.UNKNOWN))
        counts.blocks[reason] = counts.blocks.get(reason, 0) + 1


class _Readers:
    """Who has read, as far as is known: a message counts once, and not any more when a machine turns out to have."""

    def __init__(self, connection: Connection, delivery_ids: set[int], mark: tuple[int, int]) -> None:
        self._looks: dict[int, int] = {}
        wanted = sorted(delivery_ids)
        at, event_id = mark
        before = (_event.c.recorded_at < at) | and_(_event.c.recorded_at == at, _event.c.id <= event_id)
        for start in range(0, len(wanted), 500):
            statement = select(_event.c.delivery_id, _event.c.kind, _event.c.data).where(
                _event.c.delivery_id.in_(wanted[start : start + 500]), _event.c.kind.in_(_READ), before
            )
            for row in connection.execute(statement.order_by(_event.c.recorded_at, _event.c.id)):
                self.change(int(row.delivery_id), row.kind, json.loads(row.data))

    def change(self, delivery_id: int, kind: str, data: Mapping[str, Any]) -> int:
        """What an event changes of the number of messages that were read: 1, 0 or -1."""
        before = self._looks.get(delivery_id, 0)
        counts = is_by_person(data)
        step = counts - is_by_person(data, "was") if kind.endswith("_revised") else int(counts)
        after = self._looks[delivery_id] = max(0, before + step)
        return (after > 0) - (before > 0)


def _deliveries(connection: Connection, wanted: set[tuple[int, int]]) -> dict[int, _Sent]:
    found: dict[int, _Sent] = {}
    by_run: dict[int, list[int]] = defaultdict(list)
    for run_id, delivery_id in sorted(wanted):
        by_run[run_id].append(delivery_id)
    for run_id, ids in by_run.items():
        statement = (
            select(
                _delivery.c.id,
                _delivery.c.egress,
                _run.c.domain_id,
                _destination.c.provider,
                _stream.c.tracks_opens,
                _stream.c.tracks_clicks,
            )
            .join(_run, _run.c.id == _delivery.c.run_id)
            .join(_stream, _stream.c.id == _run.c.stream_id)
            .join(_destination, _destination.c.id == _delivery.c.destination_id)
            .where(_delivery.c.run_id == run_id, _delivery.c.id.in_(ids), _run.c.is_test.is_(False))
        )
        for row in connection.execute(statement):
            places = (egress_subject(row.egress),) if row.egress else ()
            subjects = (domain_subject(row.domain_id), *places)
            found[int(row.id)] = _Sent(subjects, row.provider, bool(row.tracks_opens or row.tracks_clicks))
    return found


def _add(connection: Connection, workspace_id: int, days: Mapping[_Key, DayCounts]) -> None:
    wanted = rows_json([dict(zip(_PLACE, (workspace_id, *key), strict=True)) for key in days])
    rows = connection.execute(select(_day).where(_at_places(connection.dialect.name)), {"rows": wanted})
    stored: dict[_Key, Row[Any]] = {(row.subject, row.provider, row.day): row for row in rows}
    for key, counts in days.items():
        before = stored.get(key)
        values: dict[str, object] = {
            name: max(0, number + (getattr(before, name) if before else 0)) for name, number in counts.numbers.items()
        }
        blocks: dict[str, int] = json.loads(before.blocks) if before else {}
        for reason, number in counts.blocks.items():
            blocks[reason] = blocks.get(reason, 0) + number
        _put(connection, workspace_id, key, {**values, "blocks": json.dumps(blocks, sort_keys=True)})


@cache
def _at_places(dialect: str) -> TextClause:
    given = rowset_of(dialect, "given", _PLACE)
    same = " AND ".join(f"kept.{name} = given.{name}" for name in _PLACE)
    # CROSS JOIN: SQLite begins with the side that is named first.
    return text(f"provider_day.id IN (SELECT kept.id FROM {given} CROSS JOIN provider_day AS kept WHERE {same})")  # noqa: S608


def _put(connection: Connection, workspace_id: int, key: _Key, values: Mapping[str, object]) -> None:
    subject, provider, day = key
    named = {"workspace_id": workspace_id, "subject": subject, "provider": provider, "day": day}
    empty: dict[str, object] = {**dict.fromkeys(COUNTS, 0), "blocks": "{}"}
    statement = _insert(connection)(_day).values(**{**empty, **values}, **named)
    connection.execute(statement.on_conflict_do_update(index_elements=list(named), set_=dict(values)))


def _insert(connection: Connection) -> Any:
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert


@dataclass(frozen=True, slots=True)
class Figures:
    """What a provider's own pages say of a day: its spam rate (a share of 1) and its reputation of us."""

    spam_rate: float | None = None
    reputation: str | None = None


def import_figures(connection: Connection, workspace_id: int, key: tuple[str, str, date], figures: Figures) -> None:
    """Keep what was told about the day of ``key = (subject, provider, day)``; what is told again takes the place."""
    subject, provider, day = key
    told = {"reported_spam_rate": figures.spam_rate, "reputation": figures.reputation}
    values = {name: value for name, value in told.items() if value is not None}
    # The same lock as for counting, so that a day's row is changed by one at a time.
    _lock_mark(connection, workspace_id)
    _put(connection, workspace_id, (subject, provider, day.isoformat()), values)


def days_of(
    connection: Connection, subject: str, first: date, last: date, provider: str | None = None
) -> dict[str, list[StoredDay]]:
    """The days of a subject from ``first`` to ``last`` that have anything, in order, by provider."""
    span = (_day.c.subject == subject, _day.c.day >= first.isoformat(), _day.c.day <= last.isoformat())
    statement = select(_day).where(*span).order_by(_day.c.provider, _day.c.day, _day.c.workspace_id)
    if provider is not None:
        statement = statement.where(_day.c.provider == provider)
    rows: dict[tuple[str, str], list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(statement):
        rows[row.provider, row.day].append(row)
    found: dict[str, list[StoredDay]] = {}
    for (name, _), same in rows.items():
        found.setdefault(name, []).append(_summed(same))
    return found


def _summed(rows: Sequence[Row[Any]]) -> StoredDay:
    blocks: dict[str, int] = {}
    for row in rows:
        for reason, number in json.loads(row.blocks).items():
            blocks[reason] = blocks.get(reason, 0) + number
    rates = [row.reported_spam_rate for row in rows if row.reported_spam_rate is not None]
    words = [row.reputation for row in rows if row.reputation is not None]
    return StoredDay(
        day=date.fromisoformat(rows[0].day),
        blocks=blocks,
        reported_spam_rate=max(rates, default=None),
        reputation=words[-1] if words else None,
        **{name: sum(getattr(row, name) for row in rows) for name in COUNTS},
    )


def busy_subjects(connection: Connection, workspace_id: int, day: date, floor: int) -> list[tuple[str, str, int]]:
    """``(subject, provider, sent)`` of everybody who sent more than ``floor`` messages on a day."""
    mine = (_day.c.workspace_id == workspace_id, _day.c.day == day.isoformat(), _day.c.sent > floor)
    statement = select(_day.c.subject, _day.c.provider, _day.c.sent).where(*mine).order_by(_day.c.id)
    return [(str(row[0]), str(row[1]), int(row[2])) for row in connection.execute(statement)]


def jumps_through(connection: Connection, workspace_id: int) -> str:
    """Through which day (ISO) jumps were looked for; empty where never."""
    mine = _mark.c.workspace_id == workspace_id
    return str(connection.execute(select(_mark.c.jumps_through).where(mine)).scalar() or "")


def claim_jumps(connection: Connection, workspace_id: int, through: str, day: date) -> bool:
    """Take the search for jumps on ``day`` over from where it stands at ``through``; ``False``: somebody else has."""
    _lock_mark(connection, workspace_id)
    same = (_mark.c.workspace_id == workspace_id, _mark.c.jumps_through == through)
    return connection.execute(_mark.update().where(*same).values(jumps_through=day.isoformat())).rowcount > 0


def dmarc_days(
    connection: Connection, workspace_id: int, domain: str, span: tuple[Microseconds, Microseconds]
) -> list[tuple[str, int, int, int]]:
    """``(organisation, begins_at, passed, failed)`` of the aggregate reports of ``span`` on a domain's mail."""
    report, row = table("received_report"), table("aggregate_row")
    passes = (row.c.dkim == "pass") | (row.c.spf == "pass")
    statement = (
        select(
            report.c.organisation,
            report.c.begins_at,
            func.coalesce(func.sum(row.c.messages).filter(passes), 0),
            func.coalesce(func.sum(row.c.messages).filter(~passes), 0),
        )
        .join(row, row.c.received_report_id == report.c.id)
        .where(report.c.workspace_id == workspace_id, report.c.kind == "aggregate", row.c.header_from == domain)
        .where(report.c.begins_at >= span[0], report.c.begins_at < span[1])
        .group_by(report.c.organisation, report.c.begins_at)
    )
    return [(str(one[0]), int(one[1]), int(one[2]), int(one[3])) for one in connection.execute(statement)]
