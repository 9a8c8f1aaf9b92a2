"""Runs of API clients: the standing run that single messages join, and bulks that collect their recipients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text, update

from mailtypes.clock import DAY, Microseconds
from postwright.store import events
from postwright.store.campaigns import FrozenSender, FrozenVariant, Run, freeze_variant
from postwright.store.public_ids import MAX_RECIPIENTS, delivery_id
from postwright.store.records import fetch_one, insert_row, table
from postwright.store.rowsets import BIGINT, TEXT, rows_json, rowset

_run, _delivery = table("run"), table("delivery")
COLLECTING_FOR = DAY
"""How long a bulk waits for its commit before it is cancelled."""


@dataclass(frozen=True, slots=True)
class ClientRun:
    """What a run of an API client is made from; ``kind`` is messages or bulk. Moments in microseconds.

    ``expiry``: each recipient's from the moment of release, where the run may take longer.
    """

    workspace_id: int
    kind: str
    state: str
    stream_id: int
    domain_id: int
    sender: FrozenSender
    expires_at: int
    from_address: str = ""
    from_name: str = ""
    reply_to: str | None = None
    standing_key: str | None = None
    starts_at: int | None = None
    open_until: int | None = None
    is_test: bool = False
    tags: str = "[]"
    expiry: int | None = None


@dataclass(frozen=True, slots=True)
class BulkRecipient:
    """One recipient of a bulk, checked; ``merge_data`` is JSON, ``record_key`` the client's own name for it."""

    record_key: str | None
    address: str
    address_key: str
    domain: str
    merge_data: str


def standing_run(connection: Connection, new: ClientRun, now: Microseconds) -> Run:
    """The run of that standing key, made where there is none."""
    assert new.standing_key is not None
    found = find_standing(connection, new.workspace_id, new.standing_key)
    if found is None:
        found = _get(connection, add_run(connection, new, now))
    return found


def find_standing(connection: Connection, workspace_id: int, standing_key: str) -> Run | None:
    """The run of a standing key."""
    return fetch_one(connection, Run, _run, _run.c.workspace_id == workspace_id, _run.c.standing_key == standing_key)


def add_run(connection: Connection, new: ClientRun, now: Microseconds, variants: Sequence[FrozenVariant] = ()) -> int:
    """Store a run without a campaign; returns its id."""
    run_id = insert_row(
        connection,
        _run,
        workspace_id=new.workspace_id,
        kind=new.kind,
        number=0,
        state=new.state,
        stream_id=new.stream_id,
        domain_id=new.domain_id,
        signing_domain=new.sender.signing_domain,
        return_path_host=new.sender.return_path_host,
        tracking_host=new.sender.tracking_host,
        feedback_key_id=new.sender.feedback_key_id,
        from_address=new.from_address,
        from_name=new.from_name,
        reply_to=new.reply_to,
        standing_key=new.standing_key,
        starts_at=new.starts_at,
        open_until=new.open_until,
        is_test=new.is_test,
        tags=new.tags,
        expires_at=new.expires_at,
        expiry=new.expiry,
        created_at=now,
    )
    for number, variant in enumerate(variants):
        freeze_variant(connection, new.workspace_id, run_id, number, variant)
    return run_id


def _get(connection: Connection, run_id: int) -> Run:
    found = fetch_one(connection, Run, _run, _run.c.id == run_id)
    assert found is not None  # just stored
    return found


def take_numbers(connection: Connection, run_id: int, count: int) -> range:
    """The next ``count`` recipient numbers of a run, for whoever asked alone; some may never be used."""
    last = int(
        connection.execute(
            update(_run)
            .where(_run.c.id == run_id)
            .values(recipients=_run.c.recipients + count)
            .returning(_run.c.recipients)
        ).scalar_one()
    )
    if last > MAX_RECIPIENTS:
        raise OverflowError(f"a run has at most {MAX_RECIPIENTS} recipients")
    return range(last - count + 1, last + 1)


_RECIPIENT = {
    "id": BIGINT,
    "record_key": TEXT,
    "address": TEXT,
    "address_key": TEXT,
    "domain": TEXT,
    "merge_data": TEXT,
}


def lock_collecting(connection: Connection, workspace_id: int, run_id: int) -> Run | None:
    """The bulk while it collects, its row locked: chunks of two requests come one after the other."""
    locked = connection.execute(
        update(_run)
        .where(_run.c.id == run_id, _run.c.workspace_id == workspace_id, _run.c.state == "collecting")
        .values(state="collecting")
    ).rowcount
    return _get(connection, run_id) if locked else None


def add_recipients(
    connection: Connection,
    run: Run,
    recipients: Sequence[BulkRecipient],
    placement: Mapping[str, object],
    now: Microseconds,
) -> dict[str, int]:
    """Store recipients of a bulk; returns the delivery ids of those that were not there yet by address key.

    ``placement`` has what all of them share: state, waits_for, destination_id.
    """
    if not recipients:
        return {}
    numbers = take_numbers(connection, run.id, len(recipients))
    rows = [
        {name: getattr(item, name) for name in ("record_key", "address", "address_key", "domain", "merge_data")}
        | {"id": delivery_id(run.id, number)}
        for number, item in zip(numbers, recipients, strict=True)
    ]
    names = ", ".join(_RECIPIENT)
    added = connection.execute(
        text(
            "INSERT INTO delivery (run_id, workspace_id, message_id, variant, epoch, attempts,"  # noqa: S608  ours
            " deferrals, ambiguities, reply_text,"
            f" state, waits_for, destination_id, queued_at, expires_at, next_attempt_at, {names})"
            " SELECT :run, :workspace, 0, 0, 0, 0, 0, 0, '',"
            " :state, :waits_for, :destination_id, :now, :expires_at, :now,"
            f" {names} FROM {rowset(connection, 'given', _RECIPIENT)} WHERE true"
            " ON CONFLICT (workspace_id, run_id, message_id, address_key) DO NOTHING RETURNING id, address_key"
        ),
        {
            "rows": rows_json(rows),
            "run": run.id,
            "workspace": run.workspace_id,
            "now": now,
            "expires_at": run.expires_at,
            **placement,
        },
    )
    return {str(row[1]): int(row[0]) for row in added}


def count_recipients(connection: Connection, run_id: int) -> int:
    """How many recipients a bulk has collected."""
    return int(
        connection.execute(select(func.count()).select_from(_delivery).where(_delivery.c.run_id == run_id)).scalar_one()
    )


def commit_bulk(connection: Connection, run: Run, now: Microseconds) -> None:
    """Let a collecting bulk go: it is sent from now on, or from ``starts_at``."""
    later = run.starts_at is not None and run.starts_at > now
    state = "scheduled" if later else "sending"
    connection.execute(update(_run).where(_run.c.id == run.id, _run.c.state == "collecting").values(state=state))
    events.append(
        connection, [events.NewEvent(run.workspace_id, "run_started", now, run.id, data={"kind": "bulk"})], now
    )


def begin_scheduled(connection: Connection, now: Microseconds) -> int:
    """Let the scheduled runs begin whose moment has come; returns how many."""
    statement = update(_run).where(_run.c.state == "scheduled", _run.c.starts_at <= now).values(state="sending")
    return connection.execute(statement).rowcount


def abandon_collecting(connection: Connection, now: Microseconds) -> int:
    """Cancel the bulks that nobody committed in time; what they hold is cancelled with the other stopped runs."""
    statement = (
        update(_run)
        .where(_run.c.state == "collecting", _run.c.created_at <= now - COLLECTING_FOR)
        .values(state="cancelled", finished_at=now)
    )
    return connection.execute(statement).rowcount


def has_something_due(connection: Connection, now: Microseconds) -> bool:
    """Whether a scheduled run should begin, or a bulk has waited for its commit for too long."""
    due = (_run.c.state == "scheduled") & (_run.c.starts_at <= now)
    too_old = (_run.c.state == "collecting") & (_run.c.created_at <= now - COLLECTING_FOR)
    return connection.execute(select(_run.c.id).where(due | too_old).limit(1)).first() is not None
