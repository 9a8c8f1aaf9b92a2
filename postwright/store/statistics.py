"""Counts by run, rolled up from the event log behind a mark of their own, and questions to them.

A row is a count by one cut at a time (hour, domain, provider, link), so a million recipients make some thousand rows:
there is no row for an hour of a domain. Of the domains of a run the first thousand in the order of the log have rows of
their own, the others one together (``value`` empty); a domain with one recipient in two hundred is among them but for
one time in a hundred and fifty.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, select

from postwright.store.log_reading import (
    counted_up_to,
    lock_mark,
    mark_is_behind,
    move_mark,
    of_kinds,
    upsert,
    waiting,
)
from postwright.store.records import table
from postwright.store.statistic_counts import (
    COUNTED,
    NOBODY,
    ONCE,
    PLAIN,
    REVISIONS,
    Counted,
    CountedEvent,
    Key,
    Recipient,
    Tally,
)

_event, _mark = table("event"), table("statistic_mark")
_statistic, _recipient = table("statistic"), table("statistic_recipient")
_delivery, _destination = table("delivery"), table("destination")
_run, _link, _membership = table("run"), table("run_link"), table("list_membership")
MOST_DOMAINS: Final = 1_000
_COLUMNS = (
    *(_event.c.recorded_at, _event.c.id, _event.c.month, _event.c.kind, _event.c.occurred_at),
    *(_event.c.run_id, _event.c.delivery_id, _event.c.data),
)
_CHUNK: Final = 500


def needs_roll_up(connection: Connection, workspace_id: int) -> bool:
    """Whether the counts of the log have come further than the mark."""
    return mark_is_behind(connection, _mark, workspace_id)


def roll_up(connection: Connection, workspace_id: int, *, limit: int = 300) -> int:
    """Count up to ``limit`` events in the caller's transaction; returns how many. Safe beside others that do the same.

    The mark goes no further than the watermark of the log's counts: ahead of that, an event could still be recorded
    behind the mark.
    """
    mark = lock_mark(connection, _mark, workspace_id)
    end = max(mark[0], counted_up_to(connection, workspace_id))
    columns = select(*_COLUMNS).where(*of_kinds(COUNTED), _event.c.run_id.is_not(None))
    rows = connection.execute(waiting(columns, workspace_id, (mark, end), limit)).all()
    if rows:
        _count(connection, workspace_id, rows)
    reached = (int(rows[-1].recorded_at), int(rows[-1].id)) if len(rows) == limit else (end, 0)
    if reached > mark:
        move_mark(connection, _mark, workspace_id, reached)
    return len(rows)


def _count(connection: Connection, workspace_id: int, rows: Sequence[Any]) -> None:
    """``rows`` of ``_COLUMNS``; taken apart by their places, since names cost as much as the counting."""
    places = _places(connection, rows)
    remembered = _remembered(connection, rows)
    about_at = _revised_moments(connection, rows)
    tally = Tally()
    for _, _, _, kind, occurred_at, run_id, delivery_id, text in rows:
        key = (run_id, delivery_id)
        data: Mapping[str, Any] = {} if kind in PLAIN else json.loads(text)
        event = CountedEvent(run_id, kind, occurred_at, data, about_at.get(data.get("event", 0)))
        recipient = places.get(key, NOBODY)
        counted = None
        if delivery_id is not None and kind not in ONCE:
            counted = remembered.setdefault(key, Counted(recipient))
        tally.count(event, recipient, counted)
    _store(connection, workspace_id, tally)
    _remember(connection, workspace_id, remembered)


def _places(connection: Connection, rows: Sequence[Row[Any]]) -> dict[tuple[int, int], Recipient]:
    """Variant, domain (if it has a row of its own) and provider of the deliveries, in the order of the log."""
    found: dict[tuple[int, int], tuple[int, str, str]] = {}
    runs = sorted({row.run_id for row in rows})
    ids = sorted({row.delivery_id for row in rows if row.delivery_id is not None})
    for at in range(0, len(ids), _CHUNK):
        statement = (
            select(
                *(_delivery.c.run_id, _delivery.c.id, _delivery.c.variant, _delivery.c.domain),
                func.coalesce(_destination.c.provider, ""),
            )
            .outerjoin(_destination, _destination.c.id == _delivery.c.destination_id)
            .where(_delivery.c.run_id.in_(runs), _delivery.c.id.in_(ids[at : at + _CHUNK]))
        )
        for row in connection.execute(statement):
            found[row[0], row[1]] = (int(row[2]), str(row[3]), str(row[4]))
    in_order = dict.fromkeys((row.run_id, row.delivery_id) for row in rows if (row.run_id, row.delivery_id) in found)
    admitted = _admitted(connection, [(run_id, found[run_id, who][1]) for run_id, who in in_order])
    return {
        key: Recipient(variant, domain if (key[0], domain) in admitted else "", provider)
        for key in in_order
        for variant, domain, provider in (found[key],)
    }


def _admitted(connection: Connection, wanted: Sequence[tuple[int, str]]) -> set[tuple[int, str]]:
    """Which of these (run, domain) have rows of their own: those that do already, then as many as there is room for."""
    admitted: set[tuple[int, str]] = set()
    for run_id in sorted({run_id for run_id, _ in wanted}):
        names = list(dict.fromkeys(domain for of_run, domain in wanted if of_run == run_id))
        of_run = (_statistic.c.run_id == run_id, _statistic.c.cut == "domain", _statistic.c.value != "")
        known = {
            str(row[0])
            for at in range(0, len(names), _CHUNK)
            for row in connection.execute(
                select(_statistic.c.value).where(*of_run, _statistic.c.value.in_(names[at : at + _CHUNK])).distinct()
            )
        }
        new = [name for name in names if name not in known]
        room = 0
        if new:
            number = connection.execute(select(func.count(_statistic.c.value.distinct())).where(*of_run)).scalar_one()
            room = max(0, MOST_DOMAINS - int(number))
        admitted |= {(run_id, name) for name in [*known, *new[:room]]}
    return admitted


def _remembered(connection: Connection, rows: Sequence[Row[Any]]) -> dict[tuple[int, int], Counted]:
    runs = sorted({row.run_id for row in rows})
    ids = sorted({row.delivery_id for row in rows if row.delivery_id is not None and row.kind not in ONCE})
    found: dict[tuple[int, int], Counted] = {}
    for at in range(0, len(ids), _CHUNK):
        wanted = (_recipient.c.run_id.in_(runs), _recipient.c.delivery_id.in_(ids[at : at + _CHUNK]))
        columns = select(_recipient.c.run_id, _recipient.c.delivery_id, _recipient.c.counted)
        for row in connection.execute(columns.where(*wanted)):
            found[row[0], row[1]] = Counted.read(row[2])
    return found


def _remember(connection: Connection, workspace_id: int, remembered: Mapping[tuple[int, int], Counted]) -> None:
    if not remembered:
        return
    put = upsert(connection, _recipient)
    keys = [_recipient.c.run_id, _recipient.c.delivery_id]
    put = put.on_conflict_do_update(index_elements=keys, set_={"counted": put.excluded.counted})
    rows = [
        {"run_id": run_id, "delivery_id": who, "workspace_id": workspace_id, "counted": counted.write()}
        for (run_id, who), counted in remembered.items()
    ]
    connection.execute(put, rows)


def _revised_moments(connection: Connection, rows: Sequence[Row[Any]]) -> dict[int, int]:
    """When the opens and clicks happened that revisions are about; they were recorded minutes before."""
    revisions = [row for row in rows if row.kind in REVISIONS]
    ids = sorted({one for row in revisions if isinstance(one := json.loads(row.data).get("event"), int)})
    months = {month for row in revisions for month in (row.month, _month_before(row.month))}
    found: dict[int, int] = {}
    for at in range(0, len(ids), _CHUNK):
        wanted = (_event.c.month.in_(sorted(months)), _event.c.id.in_(ids[at : at + _CHUNK]))
        for row in connection.execute(select(_event.c.id, _event.c.occurred_at).where(*wanted)):
            found[int(row[0])] = int(row[1])
    return found


def _month_before(month: int) -> int:
    return month - 89 if month % 100 == 1 else month - 1


def _store(connection: Connection, workspace_id: int, tally: Tally) -> None:
    keys = tally.events.keys() | tally.recipients.keys()
    rows = [
        {
            **dict(zip(Key._fields, key, strict=True)),
            "workspace_id": workspace_id,
            "events": tally.events[key],
            "recipients": tally.recipients[key],
        }
        for key in sorted(keys)
    ]
    put = upsert(connection, _statistic)
    sums = {name: _statistic.c[name] + put.excluded[name] for name in ("events", "recipients")}
    connection.execute(
        put.on_conflict_do_update(index_elements=[_statistic.c[name] for name in Key._fields], set_=sums), rows
    )


def forget_recipients(connection: Connection, delivery_ids: Collection[int]) -> int:
    """Forget what single recipients were counted for, for whoever withdraws consent; the counts stay."""
    ids = sorted(delivery_ids)
    gone = 0
    for at in range(0, len(ids), _CHUNK):
        chosen = _recipient.c.delivery_id.in_(ids[at : at + _CHUNK])
        runs = _recipient.c.run_id.in_(sorted({one >> 28 for one in ids[at : at + _CHUNK]}))
        gone += connection.execute(delete(_recipient).where(runs, chosen)).rowcount
    return gone


@dataclass(frozen=True, slots=True)
class CountRow:
    """A sum of counts; ``run_id``, ``value`` and ``variant`` are 0 or empty where it goes over all of them."""

    run_id: int
    value: str
    variant: int
    kind: str
    detail: str
    events: int
    recipients: int


def counts(
    connection: Connection, workspace_id: int, run_ids: Collection[int], cut: str, by: Collection[str] = ()
) -> list[CountRow]:
    """The counts of runs by one cut, summed over whatever of ``run_id``, ``value``, ``variant`` is not in ``by``."""
    grouped = [_statistic.c[name] for name in ("run_id", "value", "variant") if name in by]
    ids = sorted(run_ids)
    found: list[CountRow] = []
    for at in range(0, len(ids), _CHUNK):
        statement = (
            select(
                *grouped,
                *(_statistic.c.kind, _statistic.c.detail),
                func.sum(_statistic.c.events).label("events"),
                func.sum(_statistic.c.recipients).label("recipients"),
            )
            .where(
                _statistic.c.workspace_id == workspace_id,
                _statistic.c.run_id.in_(ids[at : at + _CHUNK]),
                _statistic.c.cut == cut,
            )
            .group_by(*grouped, _statistic.c.kind, _statistic.c.detail)
        )
        found += [_count_row(dict(row)) for row in connection.execute(statement).mappings()]
    return found


def _count_row(row: Mapping[str, Any]) -> CountRow:
    return CountRow(
        int(row.get("run_id", 0)),
        str(row.get("value", "")),
        int(row.get("variant", 0)),
        str(row["kind"]),
        str(row["detail"]),
        int(row["events"]),
        int(row["recipients"]),
    )


@dataclass(frozen=True, slots=True)
class CountedRun:
    """A run that statistics are asked of."""

    id: int
    kind: str
    campaign_id: int | None
    list_id: int | None
    created_at: int


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs; ``None`` means any. ``since`` and ``until`` are about when the run began, in microseconds."""

    run_id: int | None = None
    campaign_id: int | None = None
    list_id: int | None = None
    since: int | None = None
    until: int | None = None


def runs(connection: Connection, workspace_id: int, wanted: RunFilter, limit: int) -> list[CountedRun]:
    """The newest runs that the filter lets through; test runs are not among them."""
    conditions = [_run.c.workspace_id == workspace_id, _run.c.is_test.is_(False)]
    named = (
        (_run.c.id, wanted.run_id),
        (_run.c.campaign_id, wanted.campaign_id),
        (_run.c.list_id, wanted.list_id),
    )
    conditions += [column == value for column, value in named if value is not None]
    if wanted.since is not None:
        conditions.append(_run.c.created_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(_run.c.created_at < wanted.until)
    columns = (_run.c.id, _run.c.kind, _run.c.campaign_id, _run.c.list_id, _run.c.created_at)
    statement = select(*columns).where(*conditions).order_by(_run.c.id.desc()).limit(limit)
    return [CountedRun(*row) for row in connection.execute(statement)]


def link_targets(connection: Connection, run_ids: Collection[int]) -> dict[tuple[int, int], str]:
    """Where the links of runs lead, by run and number; of variants that differ, the first one's."""
    columns = select(_link.c.run_id, _link.c.number, _link.c.url)
    statement = columns.where(_link.c.run_id.in_(sorted(run_ids))).order_by(_link.c.variant.desc())
    return {(int(row[0]), int(row[1])): str(row[2]) for row in connection.execute(statement)}


def who_clicked(
    connection: Connection, run_id: int, link: int | None, verdicts: Collection[str], span: tuple[int, int]
) -> tuple[list[int], int | None]:
    """The contacts who clicked in a run, with such a verdict; ``span``: behind which delivery, and how many to look at.

    With the delivery to go on behind, ``None`` at the end. Recipients of API clients have no contact and are left out.
    """
    after, limit = span
    rows = connection.execute(
        select(_recipient.c.delivery_id, _recipient.c.counted)
        .where(_recipient.c.run_id == run_id, _recipient.c.delivery_id > after)
        .order_by(_recipient.c.delivery_id)
        .limit(limit)
    ).all()
    name = "clicked" if link is None else f"link {link}"
    chosen = []
    for delivery_id, text in rows:
        engaged = Counted.read(text).engaged.get(name)
        if engaged is not None and engaged.verdict in verdicts:
            chosen.append(int(delivery_id))
    contacts: list[int] = []
    for at in range(0, len(chosen), _CHUNK):
        wanted = (_delivery.c.run_id == run_id, _delivery.c.id.in_(chosen[at : at + _CHUNK]))
        found = connection.execute(select(_delivery.c.contact_id).where(*wanted, _delivery.c.contact_id.is_not(None)))
        contacts += [int(row[0]) for row in found]
    return contacts, int(rows[-1][0]) if len(rows) == limit else None


def put_contacts_on_list(
    connection: Connection, workspace_id: int, list_id: int, contact_ids: Collection[int], now: int
) -> int:
    """Put contacts on a list; returns how many were not on it."""
    if not contact_ids:
        return 0
    put = upsert(connection, _membership).on_conflict_do_nothing()
    before = select(func.count()).select_from(_membership).where(_membership.c.list_id == list_id)
    had = int(connection.execute(before).scalar_one())
    shared = {"workspace_id": workspace_id, "list_id": list_id, "joined_at": now, "source": "clicked"}
    connection.execute(put, [shared | {"contact_id": one} for one in sorted(contact_ids)])
    return int(connection.execute(before).scalar_one()) - had
