"""Endpoints of webhooks, their secrets, and what became of telling them of events. Leases are in ``webhook_feeds``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, delete, func, select, update

from mailtypes.clock import Microseconds
from postwright.store.log_reading import Place
from postwright.store.public_ids import public_id
from postwright.store.records import fetch_all, fetch_one, insert_row, page, select_as, table

_endpoint, _secret = table("webhook_endpoint"), table("webhook_secret")
_feed, _delivery, _event = table("webhook_feed"), table("webhook_delivery"), table("event")
ENABLED, DISABLED, REMOVED = "enabled", "disabled", "removed"
ENDPOINT_PREFIX = "whk"
LIVE, REPLAY = "live", "replay"
_PURGE = 2_000


def origin_of(url: str) -> str:
    """Scheme and host of a URL. Who may read the log need not know the rest: the path is often the receiver's key."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint; fields as in ``tables.webhooks.WebhookEndpoint``."""

    id: int
    workspace_id: int
    url: str
    description: str
    kinds: str
    state: str
    reason: str
    failing_since: int | None
    disabled_at: int | None
    created_at: int
    updated_at: int

    @property
    def wanted(self) -> tuple[str, ...]:
        """The kinds of events that it is told of; empty: all."""
        return tuple(json.loads(self.kinds))

    @property
    def public_id(self) -> str:
        """Its id as outsiders see it."""
        return public_id(ENDPOINT_PREFIX, self.created_at, self.id)


@dataclass(frozen=True, slots=True)
class Secret:
    """A sealed secret of an endpoint."""

    id: int
    endpoint_id: int
    sealed: bytes
    sealed_with: str
    created_at: int
    ends_at: int | None


@dataclass(frozen=True, slots=True)
class Feed:
    """A way through the log; fields as in ``tables.webhooks.WebhookFeed``."""

    id: int
    workspace_id: int
    endpoint_id: int
    kind: str
    recorded_at: int
    event_id: int
    until_recorded_at: int | None
    until_event_id: int | None
    failures: int
    next_attempt_at: int
    head_event_id: int | None
    head_since: int | None
    head_attempts: int
    created_at: int
    finished_at: int | None

    @property
    def place(self) -> Place:
        """What lies behind this has been told."""
        return self.recorded_at, self.event_id

    def is_over(self, reached: Place) -> bool:
        """Whether all that it is to tell of lies behind ``reached``."""
        if self.until_recorded_at is None or self.until_event_id is None:
            return False
        return reached >= (self.until_recorded_at, self.until_event_id)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of telling an endpoint of one event; fields as in ``tables.webhooks.WebhookDelivery``."""

    id: int
    workspace_id: int
    endpoint_id: int
    feed_id: int
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


def add_endpoint(
    connection: Connection, workspace_id: int, words: tuple[str, str], kinds: Sequence[str], now: Microseconds
) -> int:
    """Store an endpoint (``words``: URL, description) that is told of what happens from now on; returns its id."""
    endpoint_id = insert_row(
        connection,
        _endpoint,
        workspace_id=workspace_id,
        url=words[0],
        description=words[1],
        kinds=kinds_json(kinds),
        state=ENABLED,
        created_at=now,
        updated_at=now,
    )
    add_feed(connection, (workspace_id, endpoint_id), LIVE, ((now, 0), None), now)
    return endpoint_id


def kinds_json(kinds: Sequence[str]) -> str:
    """Kinds of events as the column holds them."""
    return json.dumps(list(kinds))


def get_endpoint(connection: Connection, workspace_id: int, endpoint_id: int) -> Endpoint | None:
    """The endpoint with that id, unless it was removed."""
    mine = (_endpoint.c.workspace_id == workspace_id, _endpoint.c.id == endpoint_id, _endpoint.c.state != REMOVED)
    return fetch_one(connection, Endpoint, _endpoint, *mine)


def list_endpoints(connection: Connection, workspace_id: int) -> list[Endpoint]:
    """All endpoints in the order in which they were made."""
    conditions = [_endpoint.c.workspace_id == workspace_id, _endpoint.c.state != REMOVED]
    return page(connection, Endpoint, _endpoint, conditions, limit=10_000)


def change_endpoint(connection: Connection, endpoint_id: int, values: Mapping[str, Any], now: Microseconds) -> None:
    """Change columns of an endpoint."""
    connection.execute(update(_endpoint).where(_endpoint.c.id == endpoint_id).values(**values, updated_at=now))


def enable(connection: Connection, endpoint_id: int, place: Place | None, now: Microseconds) -> None:
    """Let an endpoint be told again, at once; from ``place`` on where one is given, else from where it stood."""
    change_endpoint(
        connection, endpoint_id, {"state": ENABLED, "reason": "", "failing_since": None, "disabled_at": None}, now
    )
    values: dict[str, Any] = {"failures": 0, "next_attempt_at": 0, "head_since": None, "head_attempts": 0}
    if place is not None:
        values |= {"recorded_at": place[0], "event_id": place[1], "head_event_id": None}
    # What was replayed when it was disabled is replayed on; the place is the live feed's alone.
    live = (_feed.c.endpoint_id == endpoint_id, _feed.c.kind == LIVE)
    connection.execute(update(_feed).where(*live).values(**values))
    others = update(_feed).where(
        _feed.c.endpoint_id == endpoint_id, _feed.c.finished_at.is_(None), _feed.c.kind != LIVE
    )
    connection.execute(others.values(failures=0, next_attempt_at=0))


def remove_endpoint(connection: Connection, endpoint_id: int, now: Microseconds) -> None:
    """It is gone for everybody at once; ``purge`` deletes what it leaves behind."""
    connection.execute(delete(_secret).where(_secret.c.endpoint_id == endpoint_id))
    change_endpoint(connection, endpoint_id, {"state": REMOVED}, now)


def add_secret(connection: Connection, endpoint: Endpoint, sealed: bytes, sealed_with: str, now: Microseconds) -> int:
    """Store a secret that messages are signed with from now on."""
    return insert_row(
        connection,
        _secret,
        workspace_id=endpoint.workspace_id,
        endpoint_id=endpoint.id,
        sealed=sealed,
        sealed_with=sealed_with,
        created_at=now,
    )


def retire_secrets(connection: Connection, endpoint_id: int, ends_at: int) -> None:
    """Let the secrets in use end then; those that end sooner stay as they are."""
    later = (_secret.c.ends_at.is_(None)) | (_secret.c.ends_at > ends_at)
    connection.execute(update(_secret).where(_secret.c.endpoint_id == endpoint_id, later).values(ends_at=ends_at))


def secrets_of(connection: Connection, endpoint_id: int, now: Microseconds) -> list[Secret]:
    """The secrets that messages are signed with now, the newest first."""
    in_use = (_secret.c.ends_at.is_(None)) | (_secret.c.ends_at > now)
    statement = select_as(Secret, _secret).where(_secret.c.endpoint_id == endpoint_id, in_use)
    return fetch_all(connection, Secret, statement.order_by(_secret.c.id.desc()))


def forget_secrets(connection: Connection, endpoint_id: int, before: Microseconds) -> None:
    """Delete the secrets of an endpoint that have ended."""
    connection.execute(delete(_secret).where(_secret.c.endpoint_id == endpoint_id, _secret.c.ends_at <= before))


def add_feed(
    connection: Connection, whose: tuple[int, int], kind: str, span: tuple[Place, Place | None], now: Microseconds
) -> int:
    """A way through the log from behind ``span[0]`` to ``span[1]`` (none: for ever), for (workspace, endpoint)."""
    until = span[1] or (None, None)
    return insert_row(
        connection,
        _feed,
        workspace_id=whose[0],
        endpoint_id=whose[1],
        kind=kind,
        recorded_at=span[0][0],
        event_id=span[0][1],
        until_recorded_at=until[0],
        until_event_id=until[1],
        created_at=now,
    )


def feeds_of(connection: Connection, endpoint_id: int) -> list[Feed]:
    """The feeds of an endpoint that are not finished: the live one first, then replays in their order."""
    statement = select_as(Feed, _feed).where(_feed.c.endpoint_id == endpoint_id, _feed.c.finished_at.is_(None))
    return fetch_all(connection, Feed, statement.order_by(_feed.c.kind, _feed.c.id))


def get_feed(connection: Connection, feed_id: int) -> Feed | None:
    """The feed with that id."""
    return fetch_one(connection, Feed, _feed, _feed.c.id == feed_id)


def list_deliveries(
    connection: Connection, endpoint_id: int, state: str | None, *, before: int = 0, limit: int = 100
) -> list[Delivery]:
    """What became of telling an endpoint, the newest first, from before the id ``before`` on."""
    statement = select_as(Delivery, _delivery).where(_delivery.c.endpoint_id == endpoint_id)
    if before:
        statement = statement.where(_delivery.c.id < before)
    if state is not None:
        statement = statement.where(_delivery.c.state == state)
    return fetch_all(connection, Delivery, statement.order_by(_delivery.c.id.desc()).limit(limit))


def get_delivery(connection: Connection, endpoint_id: int, delivery_id: int) -> Delivery | None:
    """One of them."""
    mine = (_delivery.c.endpoint_id == endpoint_id, _delivery.c.id == delivery_id)
    return fetch_one(connection, Delivery, _delivery, *mine)


def has_old(connection: Connection, before: Microseconds) -> bool:
    """Whether ``purge`` finds something."""
    old = select(_delivery.c.id).where(_delivery.c.last_attempt_at < before).limit(1)
    gone = select(_endpoint.c.id).where(_endpoint.c.state == REMOVED).limit(1)
    return any(connection.execute(one).first() is not None for one in (old, gone))


def purge(connection: Connection, before: Microseconds) -> int:
    """Forget a handful of what was told before that moment, and what removed endpoints left; returns how many rows."""
    removed = [int(row[0]) for row in connection.execute(select(_endpoint.c.id).where(_endpoint.c.state == REMOVED))]
    done = _delete_some(connection, _delivery.c.last_attempt_at < before)
    for endpoint_id in removed:
        done += _delete_some(connection, _delivery.c.endpoint_id == endpoint_id)
        left = select(func.count()).select_from(_delivery).where(_delivery.c.endpoint_id == endpoint_id)
        if not connection.execute(left).scalar_one():
            connection.execute(delete(_secret).where(_secret.c.endpoint_id == endpoint_id))
            connection.execute(delete(_feed).where(_feed.c.endpoint_id == endpoint_id))
            done += connection.execute(delete(_endpoint).where(_endpoint.c.id == endpoint_id)).rowcount
    over = select(_feed.c.id).where(_feed.c.finished_at < before).limit(_PURGE)
    return done + connection.execute(delete(_feed).where(_feed.c.id.in_(over))).rowcount


def _delete_some(connection: Connection, condition: Any) -> int:
    some = select(_delivery.c.id).where(condition).limit(_PURGE)
    return connection.execute(delete(_delivery).where(_delivery.c.id.in_(some))).rowcount
