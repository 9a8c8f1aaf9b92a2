"""Endpoints of webhooks: made, changed, enabled, told again, and what became of telling them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from mailtypes.clock import Clock, Microseconds, microseconds
from mailtypes.saying import say
from postwright.keyrings import KeyRing
from postwright.outbound_http import HttpPosted
from postwright.services.errors import NotFoundError, RefusedError
from postwright.services.event_vocabulary import check_kinds
from postwright.services.webhook_messages import new_secret, open_secret, seal_secret, signed_headers, trial_payload
from postwright.services.webhook_turns import WebhookClient
from postwright.store import events, webhook_feeds, webhooks
from postwright.store.database import Database
from postwright.store.log_reading import Place
from postwright.store.rowsets import storable
from postwright.store.webhooks import DISABLED, LIVE, REPLAY, Delivery, Endpoint, Feed, Secret

MOST_ENDPOINTS: Final = 100
MOST_SECRETS: Final = 5
LONGEST_OVERLAP: Final = timedelta(days=30)
LONGEST_URL: Final = 2_000
_LONGEST_ANSWER: Final = 500
_ANY_EVENT: Final = (1 << 63) - 1
UrlCheck = Callable[[str], str | None]
"""Why nothing would ever be asked of a URL; ``None`` where something may be."""


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """An endpoint with where it stands: its feeds that are not finished, the live one first."""

    endpoint: Endpoint
    feeds: Sequence[Feed]

    @property
    def live(self) -> Feed:
        """The feed of what happens."""
        return next(feed for feed in self.feeds if feed.kind == LIVE)


@dataclass(frozen=True, slots=True)
class EndpointChanges:
    """What to change of an endpoint; ``None`` stays as it is."""

    url: str | None = None
    description: str | None = None
    kinds: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """What an endpoint said to a test; ``status`` is ``None`` where it said nothing, for that ``cause``.

    ``duration`` in microseconds, ``answer`` the first octets as text.
    """

    webhook_id: str
    status: int | None
    cause: str
    answer: str
    duration: int

    @property
    def is_taken(self) -> bool:
        """Whether it would count as told: 2xx."""
        return self.status is not None and 200 <= self.status < 300


class Webhooks:
    """The endpoints of a workspace. ``check_url`` is that of whoever posts (``OutboundHttp.check_url``).

    Without a ``client`` nothing can be tried.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        master: KeyRing,
        check_url: UrlCheck,
        client: WebhookClient | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._master = master
        self._check_url = check_url
        self._client = client

    async def create(self, workspace_id: int, wanted: EndpointChanges) -> tuple[EndpointStatus, str]:
        """Make an endpoint that is told of what happens from now on; with its secret, which is shown this one time.

        Raises ``RefusedError`` for a URL that nothing is posted to, and for kinds of events that there are not.
        """
        values = self._checked(wanted)
        secret, now = new_secret(), self._clock.now()

        def store(connection: Connection) -> EndpointStatus:
            if len(webhooks.list_endpoints(connection, workspace_id)) >= MOST_ENDPOINTS:
                raise RefusedError(
                    "too_many_endpoints",
                    say("A workspace has at most %(most_endpoints)s endpoints.", most_endpoints=MOST_ENDPOINTS),
                )
            words = (values.url or "", values.description or "")
            endpoint_id = webhooks.add_endpoint(connection, workspace_id, words, values.kinds or (), now)
            made = _status(connection, workspace_id, endpoint_id)
            self._add_secret(connection, made.endpoint, secret, now)
            return made

        return await self._database.write(store), secret

    def _checked(self, wanted: EndpointChanges) -> EndpointChanges:
        if wanted.url is not None:
            fault = say("it is too long") if len(wanted.url) > LONGEST_URL else self._check_url(wanted.url)
            if fault is not None:
                raise RefusedError(
                    "bad_url",
                    say("Nothing can be posted there: %(fault)s.", fault=fault),
                    field="url",
                    next_step=say("Give an https URL with a host name, such as https://example.com/webhooks."),
                )
        kinds = None if wanted.kinds is None else check_kinds(wanted.kinds)
        return EndpointChanges(wanted.url, wanted.description, kinds)

    def _add_secret(self, connection: Connection, endpoint: Endpoint, secret: str, now: Microseconds) -> None:
        sealed = seal_secret(self._master, endpoint.id, secret)
        webhooks.add_secret(connection, endpoint, sealed, self._master.active, now)

    async def list(self, workspace_id: int) -> Sequence[EndpointStatus]:
        """All endpoints in the order in which they were made."""

        def read(connection: Connection) -> list[EndpointStatus]:
            found = webhooks.list_endpoints(connection, workspace_id)
            return [EndpointStatus(one, webhooks.feeds_of(connection, one.id)) for one in found]

        return await self._database.read(read)

    async def get(self, workspace_id: int, endpoint_id: int) -> EndpointStatus:
        """One endpoint; raises ``NotFoundError``."""
        return await self._database.read(partial(_status, workspace_id=workspace_id, endpoint_id=endpoint_id))

    async def change(self, workspace_id: int, endpoint_id: int, wanted: EndpointChanges) -> EndpointStatus:
        """Change URL, description or kinds. Other kinds count from where the endpoint has been told up to."""
        checked, now = self._checked(wanted), self._clock.now()
        values: dict[str, Any] = {}
        if checked.url is not None:
            values["url"] = checked.url
        if checked.description is not None:
            values["description"] = checked.description
        if checked.kinds is not None:
            values["kinds"] = webhooks.kinds_json(checked.kinds)

        def store(connection: Connection) -> EndpointStatus:
            _status(connection, workspace_id, endpoint_id)
            webhooks.change_endpoint(connection, endpoint_id, values, now)
            return _status(connection, workspace_id, endpoint_id)

        return await self._database.write(store)

    async def remove(self, workspace_id: int, endpoint_id: int) -> None:
        """It is told nothing more; its log is forgotten."""
        now = self._clock.now()

        def store(connection: Connection) -> None:
            _status(connection, workspace_id, endpoint_id)
            webhooks.remove_endpoint(connection, endpoint_id, now)

        await self._database.write(store)

    async def rotate_secret(self, workspace_id: int, endpoint_id: int, overlap: timedelta) -> str:
        """A new secret. Until ``overlap`` is over, every webhook is signed with the old ones too."""
        if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
            raise RefusedError(
                "bad_overlap",
                say("The overlap is from 0 to %(days)s days.", days=LONGEST_OVERLAP.days),
                field="overlap",
            )
        secret, now = new_secret(), self._clock.now()

        def store(connection: Connection) -> str:
            endpoint = _status(connection, workspace_id, endpoint_id).endpoint
            webhooks.retire_secrets(connection, endpoint_id, now + microseconds(overlap))
            webhooks.forget_secrets(connection, endpoint_id, now)
            if len(webhooks.secrets_of(connection, endpoint_id, now)) >= MOST_SECRETS:
                raise RefusedError(
                    "too_many_secrets",
                    say("%(most_secrets)s secrets are in use already.", most_secrets=MOST_SECRETS),
                    next_step=say("Wait until one has ended, or rotate without overlap."),
                )
            self._add_secret(connection, endpoint, secret, now)
            return secret

        return await self._database.write(store)

    async def enable(self, workspace_id: int, endpoint_id: int, *, skip_missed: bool = False) -> EndpointStatus:
        """Go on at once: from where it stood, or with what happens from now on. Ends a wait between attempts, too."""
        now = self._clock.now()

        def store(connection: Connection) -> EndpointStatus:
            before = _status(connection, workspace_id, endpoint_id).endpoint
            webhooks.enable(connection, endpoint_id, (now, 0) if skip_missed else None, now)
            if before.state == DISABLED:
                data = {"endpoint": before.public_id, "url": webhooks.origin_of(before.url), "reason": before.reason}
                event = events.NewEvent(workspace_id, "webhook_enabled", now, data=data)
                events.append(connection, [event], now)
            return _status(connection, workspace_id, endpoint_id)

        return await self._database.write(store)

    async def disable(self, workspace_id: int, endpoint_id: int, reason: str) -> EndpointStatus:
        """Tell it nothing until it is enabled again; what happens meanwhile waits in the log."""
        now = self._clock.now()

        def store(connection: Connection) -> EndpointStatus:
            before = _status(connection, workspace_id, endpoint_id).endpoint
            if before.state != DISABLED:
                values = {"state": DISABLED, "reason": reason, "disabled_at": now}
                webhooks.change_endpoint(connection, endpoint_id, values, now)
                data = {"endpoint": before.public_id, "url": webhooks.origin_of(before.url), "reason": reason}
                event = events.NewEvent(workspace_id, "webhook_disabled", now, data=data)
                events.append(connection, [event], now)
            return _status(connection, workspace_id, endpoint_id)

        return await self._database.write(store)

    async def try_out(self, workspace_id: int, endpoint_id: int) -> Trial:
        """Post a test at once, signed like every webhook, whatever the endpoint's state; nothing is changed by it."""
        if self._client is None:
            raise RefusedError("nothing_posts", say("Nothing can be posted from here."))
        now = self._clock.now()

        def read(connection: Connection) -> tuple[str, list[Secret]]:
            endpoint = _status(connection, workspace_id, endpoint_id).endpoint
            return endpoint.url, webhooks.secrets_of(connection, endpoint_id, now)

        url, sealed = await self._database.read(read)
        webhook_id, body = trial_payload(now)
        headers = signed_headers(webhook_id, body, [open_secret(self._master, one) for one in sealed], now)
        async with self._client.target(url, _LONGEST_ANSWER) as target:
            answer = await target.post(body.encode("utf-8"), headers)
        taken = self._clock.now() - now
        if isinstance(answer, HttpPosted):
            return Trial(webhook_id, answer.status, "", storable(answer.answer.decode("utf-8", "replace")), taken)
        return Trial(webhook_id, None, answer.cause, "", taken)

    async def replay(self, workspace_id: int, endpoint_id: int, since: int, until: int) -> Feed:
        """Tell it again of what was recorded from ``since`` to ``until`` (microseconds), beside what is new."""
        if until <= since:
            raise RefusedError("bad_range", say("The end is not behind the beginning."), field="until")
        until = min(until, self._clock.now())
        return await self._replay(workspace_id, endpoint_id, ((since, 0), (until, _ANY_EVENT)))

    async def replay_one(self, workspace_id: int, endpoint_id: int, delivery_id: int) -> Feed:
        """Tell it again of the event of a row in its log, under the same ``webhook-id``."""
        told = await self.delivery(workspace_id, endpoint_id, delivery_id)
        place = (told.event_recorded_at, told.event_id)
        return await self._replay(workspace_id, endpoint_id, ((place[0], place[1] - 1), place))

    async def _replay(self, workspace_id: int, endpoint_id: int, span: tuple[Place, Place]) -> Feed:
        now = self._clock.now()

        def store(connection: Connection) -> Feed:
            status = _status(connection, workspace_id, endpoint_id)
            if len(status.feeds) > _MOST_FEEDS:
                raise RefusedError(
                    "too_many_replays",
                    say("%(most_feeds)s replays are under way already.", most_feeds=_MOST_FEEDS),
                    next_step=say("Wait until one is through."),
                )
            feed_id = webhooks.add_feed(connection, (workspace_id, endpoint_id), REPLAY, span, now)
            found = webhooks.get_feed(connection, feed_id)
            assert found is not None  # just stored
            return found

        return await self._database.write(store)

    async def skip(self, workspace_id: int, endpoint_id: int) -> bool:
        """Give up the event that the endpoint refuses, and go on behind it; ``False`` where there is none."""
        now = self._clock.now()

        def store(connection: Connection) -> bool:
            live = _status(connection, workspace_id, endpoint_id).live
            return webhook_feeds.skip_head(connection, live, now)

        return await self._database.write(store)

    async def deliveries(
        self, workspace_id: int, endpoint_id: int, state: str | None = None, *, before: int = 0, limit: int = 100
    ) -> Sequence[Delivery]:
        """What became of telling an endpoint, the newest first."""

        def read(connection: Connection) -> Sequence[Delivery]:
            _status(connection, workspace_id, endpoint_id)
            return webhooks.list_deliveries(connection, endpoint_id, state, before=before, limit=limit)

        return await self._database.read(read)

    async def delivery(self, workspace_id: int, endpoint_id: int, delivery_id: int) -> Delivery:
        """A row of its log; raises ``NotFoundError``."""

        def read(connection: Connection) -> Delivery:
            _status(connection, workspace_id, endpoint_id)
            found = webhooks.get_delivery(connection, endpoint_id, delivery_id)
            if found is None:
                raise NotFoundError("webhook delivery")
            return found

        return await self._database.read(read)


_MOST_FEEDS: Final = 100


def _status(connection: Connection, workspace_id: int, endpoint_id: int) -> EndpointStatus:
    endpoint = webhooks.get_endpoint(connection, workspace_id, endpoint_id)
    if endpoint is None:
        raise NotFoundError("webhook endpoint")
    return EndpointStatus(endpoint, webhooks.feeds_of(connection, endpoint_id))
