"""Telling endpoints of events: leases with an epoch, reading the log on, and storing what became of it.

An endpoint is one process's alone while its lease holds, so a recipient's webhooks keep their order. Whoever
lost the lease stores nothing more: every write is fenced by the epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from sqlalchemy import ColumnElement, Connection, and_, exists, func, literal_column, or_, select, update

from mailtypes.clock import Microseconds
from postwright.store.database import TIME_SQL
from postwright.store.events import Event, NewEvent, append
from postwright.store.log_reading import Place, counted_up_to, of_kinds, upsert, waiting, window_end
from postwright.store.records import fetch_all, fetch_one, select_as, table
from postwright.store.webhooks import DISABLED, ENABLED, Endpoint, Feed, origin_of

_endpoint, _feed, _told = table("webhook_endpoint"), table("webhook_feed"), table("webhook_delivery")
_event, _watermark = table("event"), table("watermark")
_run, _campaign = table("run"), table("campaign")
_delivery, _message = table("delivery"), table("message")
WINDOW = 5_000
"""Events that one reading goes over at most, however few of them an endpoint wants."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """An endpoint whose lease this process has."""

    endpoint: Endpoint
    epoch: int


@dataclass(frozen=True, slots=True)
class Reading:
    """Events to tell of, and how far the log has been gone through when all of them are told."""

    events: Sequence[Event]
    reached: Place


@dataclass(frozen=True, slots=True)
class Telling:
    """One event that an endpoint was told of, or not; fields as in ``tables.webhooks.WebhookDelivery``."""

    event_id: int
    event_recorded_at: int
    kind: str
    state: str
    attempts: int
    status: int | None
    duration: int
    answer: str
    cause: str
    first_attempt_at: int
    last_attempt_at: int


@dataclass(frozen=True, slots=True)
class Earlier:
    """What became of telling an event before."""

    state: str
    attempts: int
    first_attempt_at: int

    @property
    def is_settled(self) -> bool:
        """Whether it is not to be told again."""
        return self.state != "failing"


@dataclass(frozen=True, slots=True)
class FeedState:
    """Where a feed stands after some tellings; fields as in ``tables.webhooks.WebhookFeed``."""

    place: Place
    failures: int = 0
    next_attempt_at: int = 0
    head_event_id: int | None = None
    head_since: int | None = None
    head_attempts: int = 0


@dataclass(frozen=True, slots=True)
class EndpointState:
    """What is known of an endpoint after some tellings; ``disabled_for``: the reason why it gets no more."""

    failing_since: int | None
    disabled_for: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a process did for a feed since it last stored anything; ``feed`` as it was read or stored then."""

    feed: Feed
    told: Sequence[Telling]
    feed_state: FeedState
    endpoint_state: EndpointState


def _is_due(now: Microseconds) -> ColumnElement[bool]:
    marks = select(_watermark.c.rolled_up_to).where(_watermark.c.workspace_id == _feed.c.workspace_id)
    return exists().where(
        _feed.c.endpoint_id == _endpoint.c.id,
        _feed.c.finished_at.is_(None),
        _feed.c.next_attempt_at <= now,
        _feed.c.recorded_at < marks.scalar_subquery(),
    )


def _is_free(connection: Connection) -> ColumnElement[bool]:
    return _endpoint.c.lease_until < literal_column(TIME_SQL[connection.dialect.name])


def has_due(connection: Connection, now: Microseconds) -> bool:
    """Whether there is an endpoint to tell that nobody is telling."""
    statement = select(_endpoint.c.id).where(_endpoint.c.state == ENABLED, _is_free(connection), _is_due(now))
    return connection.execute(statement.limit(1)).first() is not None


def claim(connection: Connection, limit: int, lease: int, now: Microseconds) -> list[Claimed]:
    """Take the leases of up to ``limit`` endpoints that are due, for ``lease`` microseconds; longest waiting first."""
    some = (
        select(_endpoint.c.id)
        .where(_endpoint.c.state == ENABLED, _is_free(connection), _is_due(now))
        .order_by(_endpoint.c.turn_at, _endpoint.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("chosen", nesting=True)
    )
    taken = connection.execute(
        update(_endpoint)
        .where(_endpoint.c.id.in_(select(some.c.id)), _is_free(connection))
        .values(epoch=_endpoint.c.epoch + 1, lease_until=_later(connection, lease), turn_at=now)
        .returning(_endpoint.c.epoch, *(_endpoint.c[one.name] for one in fields(Endpoint)))
    )
    return [Claimed(Endpoint(*row[1:]), int(row[0])) for row in taken]


def _later(connection: Connection, lease: int) -> ColumnElement[int]:
    return literal_column(f"{TIME_SQL[connection.dialect.name]} + {int(lease)}")


def release(connection: Connection, claimed: Claimed) -> None:
    """Give a lease back before its time."""
    held = (_endpoint.c.id == claimed.endpoint.id, _endpoint.c.epoch == claimed.epoch)
    connection.execute(update(_endpoint).where(*held).values(lease_until=0))


def next_feed(connection: Connection, claimed: Claimed, now: Microseconds, behind: int = 0) -> Feed | None:
    """A feed of the endpoint in which something may be due, the first one with an id above ``behind``."""
    due = and_(
        _feed.c.endpoint_id == claimed.endpoint.id,
        _feed.c.finished_at.is_(None),
        _feed.c.next_attempt_at <= now,
        _feed.c.recorded_at < counted_up_to(connection, claimed.endpoint.workspace_id),
        _feed.c.id > behind,
    )
    first = select(func.min(_feed.c.id)).where(due).scalar_subquery()
    return fetch_one(connection, Feed, _feed, _feed.c.id == first)


def read_on(connection: Connection, feed: Feed, kinds: Sequence[str], limit: int) -> Reading:
    """The next events of a feed, up to the watermark, beyond which an event could still come in before another."""
    end = counted_up_to(connection, feed.workspace_id)
    bounds: list[ColumnElement[bool]] = list(of_kinds(kinds))
    if feed.until_recorded_at is not None and feed.until_event_id is not None:
        end = min(end, feed.until_recorded_at + 1)
        bounds.append(_up_to((feed.until_recorded_at, feed.until_event_id)))
    end = max(end, feed.recorded_at)
    span = (feed.place, end)
    # Where everything is wanted, the limit is what bounds the reading.
    last = window_end(connection, feed.workspace_id, span, WINDOW) if kinds else None
    if last is not None:
        bounds.append(_up_to(last))
    statement = waiting(select_as(Event, _event).where(*bounds), feed.workspace_id, span, limit)
    found = fetch_all(connection, Event, statement)
    if len(found) == limit:
        return Reading(found, (found[-1].recorded_at, found[-1].id))
    return Reading(found, last or (end, 0))


def _up_to(place: Place) -> ColumnElement[bool]:
    return or_(_event.c.recorded_at < place[0], and_(_event.c.recorded_at == place[0], _event.c.id <= place[1]))


def earlier(connection: Connection, feed: Feed, events: Sequence[Event]) -> dict[int, Earlier]:
    """What the log of deliveries has of these events in that feed, by their ids."""
    columns = (_told.c.event_id, _told.c.state, _told.c.attempts, _told.c.first_attempt_at)
    mine = (_told.c.feed_id == feed.id, _told.c.event_id.in_([one.id for one in events]))
    return {int(row[0]): Earlier(*row[1:]) for row in connection.execute(select(*columns).where(*mine))}


def store_progress(connection: Connection, claimed: Claimed, progress: Progress, lease: int, now: Microseconds) -> bool:
    """Store what became of tellings and where the feed stands now; the lease begins anew.

    ``False`` where the lease is lost, and nothing was stored; or where the endpoint is enabled no more, and its turn
    has to end.
    """
    after = progress.endpoint_state
    held = (_endpoint.c.id == claimed.endpoint.id, _endpoint.c.epoch == claimed.epoch)
    renewed = {"lease_until": _later(connection, lease), "failing_since": after.failing_since}
    row = connection.execute(
        update(_endpoint).where(*held).values(**renewed).returning(_endpoint.c.state)
    ).one_or_none()
    if row is None:
        return False
    _store_tellings(connection, progress.feed, progress.told)
    _store_feed(connection, progress.feed, progress.feed_state, now)
    if after.disabled_for and row[0] == ENABLED:
        disabled = {"state": DISABLED, "reason": after.disabled_for, "disabled_at": now, "updated_at": now}
        connection.execute(update(_endpoint).where(*held).values(**disabled))
        _tell_of_disabling(connection, claimed.endpoint, after.disabled_for, now)
        return False
    return str(row[0]) == ENABLED


def _tell_of_disabling(connection: Connection, endpoint: Endpoint, reason: str, now: Microseconds) -> None:
    data = {"endpoint": endpoint.public_id, "url": origin_of(endpoint.url), "reason": reason}
    append(connection, [NewEvent(endpoint.workspace_id, "webhook_disabled", now, data=data)], now)


def _store_tellings(connection: Connection, feed: Feed, told: Sequence[Telling]) -> None:
    if not told:
        return
    names = [one.name for one in fields(Telling)]
    whose = {"workspace_id": feed.workspace_id, "endpoint_id": feed.endpoint_id, "feed_id": feed.id}
    put = upsert(connection, _told)
    changed = {
        name: put.excluded[name]
        for name in ("state", "attempts", "status", "duration", "answer", "cause", "last_attempt_at")
    }
    # What a person skips meanwhile stays skipped, unless it was taken after all.
    counts = or_(_told.c.state != "skipped", put.excluded.state == "delivered")
    put = put.on_conflict_do_update(index_elements=[_told.c.feed_id, _told.c.event_id], set_=changed, where=counts)
    connection.execute(put, [whose | {name: getattr(one, name) for name in names} for one in told])


def _store_feed(connection: Connection, feed: Feed, state: FeedState, now: Microseconds) -> None:
    # Somebody may have moved the feed meanwhile (enabled it from another place): theirs counts.
    unmoved = (_feed.c.recorded_at == feed.recorded_at, _feed.c.event_id == feed.event_id)
    connection.execute(
        update(_feed)
        .where(_feed.c.id == feed.id, *unmoved)
        .values(
            recorded_at=state.place[0],
            event_id=state.place[1],
            failures=state.failures,
            next_attempt_at=state.next_attempt_at,
            head_event_id=state.head_event_id,
            head_since=state.head_since,
            head_attempts=state.head_attempts,
            finished_at=now if feed.is_over(state.place) else None,
        )
    )


def skip_head(connection: Connection, feed: Feed, now: Microseconds) -> bool:
    """Let a feed go on behind the event that it stands at; ``False`` where it has failed at none."""
    if feed.head_event_id is None:
        return False
    at_head = (_told.c.feed_id == feed.id, _told.c.event_id == feed.head_event_id)
    recorded_at = connection.execute(
        update(_told).where(*at_head).values(state="skipped").returning(_told.c.event_recorded_at)
    ).scalar_one_or_none()
    if recorded_at is None:
        return False
    # What came before it may be on its way still; the reading after this one passes over what is skipped. Where
    # nothing is, a process that is trying it at this moment finds the feed moved, and leaves it so.
    is_next = feed.place == (int(recorded_at), feed.head_event_id - 1)
    place = (int(recorded_at), feed.head_event_id) if is_next else feed.place
    _store_feed(connection, feed, FeedState(place), now)
    return True


@dataclass(frozen=True, slots=True)
class RunPlace:
    """What names a run from outside: moments of creation, from which public ids are made."""

    created_at: int
    campaign_id: int | None
    campaign_created_at: int | None


@dataclass(frozen=True, slots=True)
class MessagePlace:
    """What names a message from outside; ``tags`` and ``metadata`` are the client's, as JSON."""

    queued_at: int
    address: str
    record_key: str | None
    tags: str | None
    metadata: str | None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What events are about: runs and deliveries by their ids."""

    runs: dict[int, RunPlace]
    messages: dict[int, MessagePlace]


def surroundings(connection: Connection, events: Sequence[Event]) -> Surroundings:
    """The runs and deliveries that events are about, as far as they are still there."""
    run_ids = {one.run_id for one in events if one.run_id is not None}
    delivery_ids = {one.delivery_id for one in events if one.delivery_id is not None}
    runs = connection.execute(
        select(_run.c.id, _run.c.created_at, _run.c.campaign_id, _campaign.c.created_at)
        .outerjoin(_campaign, _campaign.c.id == _run.c.campaign_id)
        .where(_run.c.id.in_(sorted(run_ids)))
    )
    columns = (_delivery.c.queued_at, _delivery.c.address, _delivery.c.record_key)
    found = connection.execute(
        select(_delivery.c.id, *columns, _message.c.tags, _message.c.client_metadata)
        .outerjoin(_message, _message.c.id == _delivery.c.message_id)
        .where(_delivery.c.run_id.in_(sorted(run_ids)), _delivery.c.id.in_(sorted(delivery_ids)))
    )
    return Surroundings(
        {int(row[0]): RunPlace(*row[1:]) for row in runs}, {int(row[0]): MessagePlace(*row[1:]) for row in found}
    )
