"""Writes a run's recipients down, a chunk at a time: who is in the audience, who is barred, what each gets, when."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Connection, TextClause, bindparam, text, update

from hygiene.segments.parse import parse
from mailtypes.clock import DAY, Microseconds
from postwright.store import consents, contacts, events, hygiene, segments, suppressions, workspaces
from postwright.store.campaigns import Run
from postwright.store.public_ids import delivery_id
from postwright.store.records import fetch_one, table
from postwright.store.rowsets import BIGINT, TEXT, rows_json, rowset_of

_run = table("run")
UNDECIDED = -1
"""The variant of whoever waits for the end of a test."""
TOO_OFTEN = "frequency_cap"
"""Why somebody was left out who had enough mail lately."""
WON_BACK_ELSEWHERE = "win_back"
"""Why somebody was left out whom a re-engagement campaign is trying to win back."""

Chunk = Sequence[tuple[int, str]]
"""Ids and address keys of contacts."""


@dataclass(frozen=True, slots=True)
class Placing:
    """Which variant an address key gets (``UNDECIDED`` where a test is to be drawn), and when, by the contact's zone.

    ``due_in`` maps a contact's time zone (``None`` where it is not known) to a moment; without it all are due at once.
    ``sender_of``: the number of the sender, where there are several.
    """

    variant_of: Callable[[str], int]
    due_in: Callable[[str | None], Microseconds] | None = None
    sender_of: Callable[[str], int] = lambda _: 0


def prepare_chunk(
    connection: Connection, run_id: int, placing: Placing, now: Microseconds, *, limit: int = 2000
) -> int:
    """Write the next ``limit`` recipients of a preparing run; returns how many contacts were read, 0 at the end.

    The run's row is locked first and remembers how far it has come, in the same transaction: a process that dies
    here leaves nothing half done, and two never prepare the same chunk.
    """
    run = _lock_preparing(connection, run_id)
    if run is None:
        return 0
    chunk = _next_of_audience(connection, run, limit)
    if not chunk:
        connection.execute(update(_run).where(_run.c.id == run_id).values(state="sending"))
        return 0
    barred = _barred(connection, run, chunk, now)
    moments = _moments(connection, placing, chunk)
    rows: list[dict[str, object]] = [
        {
            "contact_id": contact_id,
            "id": delivery_id(run.id, number),
            "variant": placing.variant_of(key),
            "sender": placing.sender_of(key),
            "why": barred.get(key),
            "due": moments.get(contact_id, now),
        }
        for number, (contact_id, key) in enumerate(chunk, start=run.recipients + 1)
    ]
    values = {"rows": rows_json(rows), "run": run.id, "workspace": run.workspace_id, "expires_at": run.expires_at}
    ages = {f"ago{days}": run.created_at - days * DAY for days in (30, 90, 180)}
    connection.execute(_preparing(connection.dialect.name), {**values, **ages, "now": now})
    _log_suppressed(connection, run, [row for row in rows if row["why"] is not None], now)
    connection.execute(
        update(_run)
        .where(_run.c.id == run_id)
        .values(last_contact_id=chunk[-1][0], recipients=run.recipients + len(chunk))
    )
    return len(chunk)


def _next_of_audience(connection: Connection, run: Run, limit: int) -> Chunk:
    """The next of the list, or of the tree that was frozen with the run; its "now" is when the run began."""
    if run.audience is not None:
        audience = segments.open_audience(connection, run.workspace_id, parse(json.loads(run.audience)))
        frozen = Microseconds(run.created_at)
        return segments.segment_keys(connection, audience, frozen, after=run.last_contact_id, limit=limit)
    if run.list_id is None:  # a bulk that is resumed: its recipients came with it
        return []
    return contacts.keys_of_list(connection, run.list_id, after=run.last_contact_id, limit=limit)


def _barred(connection: Connection, run: Run, chunk: Chunk, now: Microseconds) -> Mapping[str, str]:
    """Why some of them get nothing, by address key."""
    keys = [key for _, key in chunk]
    found: dict[str, str] = {}
    if run.frequency_cap is not None:
        cap = json.loads(run.frequency_cap)
        counted = _received_since(connection, [contact for contact, _ in chunk], (now // DAY) - int(cap["days"]) + 1)
        found = {key: TOO_OFTEN for contact, key in chunk if counted.get(contact, 0) >= int(cap["mails"])}
    stream = workspaces.get_stream(connection, run.stream_id)
    if stream is not None and stream.kind == "marketing":
        found |= _had_what_they_want(connection, chunk, now)
        reserved = hygiene.reserved_for_winning_back(connection, [one for one, _ in chunk], run.list_id)
        found |= {key: WON_BACK_ELSEWHERE for one, key in chunk if one in reserved}
    return found | suppressions.reasons(connection, run.workspace_id, keys, (run.stream_id, run.list_id), now)


def _had_what_they_want(connection: Connection, chunk: Chunk, now: Microseconds) -> Mapping[str, str]:
    """Who asked for less mail on the preference page and has had that much, by address key."""
    wishes = consents.preferences_among(connection, [contact for contact, _ in chunk])
    had: dict[int, int] = {}
    for days in {wish.within_days for wish in wishes.values()}:
        asking = [contact for contact, wish in wishes.items() if wish.within_days == days]
        had |= _received_since(connection, asking, now // DAY - days + 1)
    return {key: TOO_OFTEN for one, key in chunk if one in wishes and had.get(one, 0) >= wishes[one].most_mails}


_RECEIVED = text(
    "SELECT contact_id, SUM(received) FROM contact_day WHERE contact_id IN :ids AND day >= :day GROUP BY contact_id"
).bindparams(bindparam("ids", expanding=True))


def _received_since(connection: Connection, contact_ids: Sequence[int], day: int) -> Mapping[int, int]:
    """How many mails each has got since a day, that day included; whole days, so rather one too many than too few."""
    return {int(row[0]): int(row[1]) for row in connection.execute(_RECEIVED, {"ids": list(contact_ids), "day": day})}


_ZONES = text("SELECT id, time_zone FROM contact WHERE id IN :ids").bindparams(bindparam("ids", expanding=True))


def _moments(connection: Connection, placing: Placing, chunk: Chunk) -> Mapping[int, Microseconds]:
    """When each contact is due, where that depends on the contact."""
    if placing.due_in is None:
        return {}
    rows = connection.execute(_ZONES, {"ids": [contact for contact, _ in chunk]})
    return {int(contact): placing.due_in(zone) for contact, zone in rows}


# The tiers of ``warmup.order``, the most engaged highest; of one tier, who clicked stands before who only opened.
_PRIORITY = (
    "CASE WHEN {acted} >= :ago30 THEN 12 WHEN contact.created_at >= :ago30 THEN 10 WHEN {acted} >= :ago90 THEN 8"
    " WHEN {acted} >= :ago180 THEN 6 WHEN COALESCE(seen.received, 0) = 0 AND {acted} = 0 THEN 4"
    " WHEN {acted} > 0 THEN 2 ELSE 0 END"
    " + CASE WHEN COALESCE(seen.last_clicked_at, 0) >= :ago30 THEN 1"
    " WHEN COALESCE(seen.last_clicked_at, 0) >= :ago90 AND {acted} < :ago30 THEN 1"
    " WHEN COALESCE(seen.last_clicked_at, 0) >= :ago180 AND {acted} < :ago90 THEN 1 ELSE 0 END"
)
_GREATEST = {"sqlite": "max", "postgresql": "greatest"}


@cache
def _preparing(dialect: str) -> TextClause:
    """What a contact brings is copied inside of the database: most of a row never passes through here."""
    columns = {"contact_id": BIGINT, "id": BIGINT, "variant": BIGINT, "sender": BIGINT, "why": TEXT, "due": BIGINT}
    given = rowset_of(dialect, "given", columns)
    acted = f"{_GREATEST[dialect]}(COALESCE(seen.last_clicked_at, 0), COALESCE(seen.last_opened_at, 0))"
    priority = _PRIORITY.format(acted=acted)
    return text(
        "INSERT INTO delivery (run_id, id, workspace_id, message_id, contact_id, address, address_key,"  # noqa: S608
        " domain,"
        " variant, merge_data, state, waits_for, reply_text, settled_at,"
        " epoch, attempts, deferrals, ambiguities, queued_at, expires_at, next_attempt_at, priority,"
        " sender)"
        " SELECT :run, given.id, :workspace, 0, contact.id, contact.address, contact.address_key, contact.domain,"
        " given.variant, contact.fields, CASE WHEN given.why IS NULL THEN 'held' ELSE 'suppressed' END,"
        " CASE WHEN given.why IS NULL THEN 'route' ELSE '' END, COALESCE(given.why, ''),"
        " CASE WHEN given.why IS NOT NULL THEN CAST(:now AS BIGINT) END,"
        " 0, 0, 0, 0, :now, :expires_at, given.due,"
        f" CASE WHEN given.variant < 0 THEN -1 - ({priority}) ELSE {priority} END,"
        " given.sender"
        f" FROM {given} CROSS JOIN contact LEFT JOIN contact_activity seen ON seen.contact_id = contact.id"
        " WHERE contact.id = given.contact_id"
    )


def _lock_preparing(connection: Connection, run_id: int) -> Run | None:
    # An update that changes nothing takes the row's lock on either database.
    locked = connection.execute(
        update(_run).where(_run.c.id == run_id, _run.c.state == "preparing").values(state="preparing")
    ).rowcount
    return fetch_one(connection, Run, _run, _run.c.id == run_id) if locked else None


def _log_suppressed(connection: Connection, run: Run, rows: list[dict[str, object]], now: Microseconds) -> None:
    events.append(
        connection,
        [
            events.NewEvent(
                run.workspace_id,
                "suppressed",
                now,
                run.id,
                int(str(row["id"])),
                int(str(row["contact_id"])),
                {"reason": row["why"]},
            )
            for row in rows
        ],
        now,
    )
