"""Tells endpoints of events: each recipient's in the order of the log, at least once, beside whatever else goes on.

Any number of processes may do so: an endpoint is told by whoever holds its lease. What an endpoint has acknowledged is
stored after at most a second; a process that is killed before that repeats it under the same ``webhook-id``. An
endpoint that is slow or does not answer holds up nobody but itself.
"""

import asyncio
import logging
import random
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from sqlalchemy import Connection

from mailtypes.clock import MINUTE, SECOND, Clock, Microseconds
from mailtypes.errors import StorageError
from postwright.keyrings import KeyRing, UnsealError
from postwright.services.webhook_messages import open_secret
from postwright.services.webhook_retries import RetryTerms
from postwright.services.webhook_turns import Batch, Targets, Told, Turn, TurnTerms, WebhookClient
from postwright.store import webhook_feeds, webhooks
from postwright.store.database import Database
from postwright.store.webhook_feeds import Claimed, Progress
from postwright.store.webhooks import Feed

_LOG = logging.getLogger(__name__)
_BATCH: Final = 200
_TURN: Final = 20 * SECOND
_POLL_SECONDS: Final = 0.5
_PURGE_EVERY: Final = 10 * MINUTE
_GRACE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class DeliveryTerms:
    """``concurrency``: endpoints that a process tells at once, ``in_flight`` webhooks to each of them.

    ``lease`` and ``keep_log`` in microseconds; the lease is far longer than one answer may take.
    """

    concurrency: int = 32
    in_flight: int = 8
    lease: int = 2 * MINUTE
    keep_log: int = 30 * 24 * 60 * MINUTE
    retries: RetryTerms = field(default_factory=RetryTerms)


class WebhookDeliveries:
    """Delivers webhooks in tasks of its own. ``step`` is for the scheduler, ``deliver_due`` for tests."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        client: WebhookClient,
        master: KeyRing,
        chance: random.Random,
        terms: DeliveryTerms | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._client = client
        self._master = master
        self._chance = chance
        self._terms = terms or DeliveryTerms()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._next_purge = Microseconds(0)

    def begin(self) -> bool:
        """Begin to deliver beside whatever else goes on, unless that is under way; whether it has begun."""
        if self._closing or (self._task is not None and not self._task.done()):
            return False
        self._task = asyncio.create_task(self._deliver_and_tell())
        return True

    async def step(self) -> int:
        """Begin to deliver, and forget a little of the delivery log; returns how much was forgotten."""
        self.begin()
        now = self._clock.now()
        if now < self._next_purge:
            return 0
        before = Microseconds(now - self._terms.keep_log)
        forgotten = 0
        # Asked first, since a write every now and then would keep an idle machine's disk busy.
        if await self._database.read(partial(webhooks.has_old, before=before)):
            forgotten = await self._database.write(partial(webhooks.purge, before=before))
        if not forgotten:
            self._next_purge = Microseconds(now + _PURGE_EVERY)
        return forgotten

    async def aclose(self) -> None:
        """Take no more turns, let the answers that are on their way come in, and give the leases back."""
        self._closing = True
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_GRACE_SECONDS)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _deliver_and_tell(self) -> None:
        try:
            await self.deliver_due()
        except StorageError as error:
            # The scheduler's own steps meet the same database, and decide what becomes of the process.
            _LOG.error("webhooks could not be delivered: %s", error)
        except Exception:
            _LOG.exception("webhooks could not be delivered")

    async def deliver_due(self) -> int:
        """Tell every endpoint that is due, several at once, until none is left; returns how many were told."""
        turns: set[asyncio.Task[int]] = set()
        told = 0
        try:
            while True:
                turns |= await self._begin_turns(self._terms.concurrency - len(turns))
                if not turns:
                    return told
                done, turns = await asyncio.wait(turns, timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                told += sum(turn.result() for turn in done)
        finally:
            for turn in turns:
                turn.cancel()
            await asyncio.gather(*turns, return_exceptions=True)

    async def _begin_turns(self, most: int) -> set[asyncio.Task[int]]:
        now = self._clock.now()
        if most < 1 or self._closing:
            return set()
        # Asked first: most of the time nobody is due, and a claim writes.
        if not await self._database.read(partial(webhook_feeds.has_due, now=now)):
            return set()
        lease = self._terms.lease
        claimed = await self._database.write(partial(webhook_feeds.claim, limit=most, lease=lease, now=now))
        return {asyncio.create_task(self._turn(one)) for one in claimed}

    async def _turn(self, claimed: Claimed) -> int:
        """Tell one endpoint, feed after feed, for a while; returns of how many events."""
        until, told, behind = self._clock.now() + _TURN, 0, 0
        terms = TurnTerms(self._terms.in_flight, self._terms.retries)
        failing_since = claimed.endpoint.failing_since

        def is_over() -> bool:
            return self._closing or self._clock.now() >= until

        try:
            signing = await self._secrets(claimed)
            async with Targets(self._client, claimed.endpoint.url) as targets:
                turn = Turn(terms, targets, signing, self._clock, is_over)
                while not is_over():
                    now = self._clock.now()
                    find = partial(webhook_feeds.next_feed, claimed=claimed, now=now, behind=behind)
                    feed = await self._database.read(find)
                    if feed is None and not behind:
                        break
                    # One batch of each feed in turn, so that neither what is new nor a replay has to wait.
                    behind = 0 if feed is None else feed.id
                    if feed is not None:
                        batch = Batch(await self._read(claimed, feed), terms, self._chance, failing_since)
                        goes_on = await turn.tell(batch, partial(self._store, claimed))
                        told, failing_since = told + batch.count, batch.failing_since
                        if not goes_on:
                            break
        except UnsealError as error:
            _LOG.error("the webhook endpoint %s cannot be told: %s", claimed.endpoint.public_id, error)
            return told  # the lease runs out by itself: somebody has to bring the key back
        await self._database.write(partial(webhook_feeds.release, claimed=claimed))
        return told

    async def _secrets(self, claimed: Claimed) -> list[str]:
        now = self._clock.now()
        read = partial(webhooks.secrets_of, endpoint_id=claimed.endpoint.id, now=now)
        return [open_secret(self._master, one) for one in await self._database.read(read)]

    async def _read(self, claimed: Claimed, feed: Feed) -> Told:
        kinds = claimed.endpoint.wanted

        def read(connection: Connection) -> Told:
            reading = webhook_feeds.read_on(connection, feed, kinds, _BATCH)
            around = webhook_feeds.surroundings(connection, reading.events)
            return Told(feed, reading, around, webhook_feeds.earlier(connection, feed, reading.events))

        return await self._database.read(read)

    async def _store(self, claimed: Claimed, progress: Progress) -> bool:
        now, lease = self._clock.now(), self._terms.lease
        store = partial(webhook_feeds.store_progress, claimed=claimed, progress=progress, lease=lease, now=now)
        return await self._database.write(store)
