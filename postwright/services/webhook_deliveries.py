"""Tells endpoints of events: each in the order of the log, at least once, beside whatever else goes on.

Any number of processes may do so: an endpoint is told by whoever holds its lease. What an endpoint has acknowledged is
stored after at most a second; a process that is killed before that repeats it under the same ``webhook-id``. An
endpoint that is slow or does not answer holds up nobody but itself.
"""

import asyncio
import logging
import random
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Protocol

from prometheus_client import Counter

from mailtypes.clock import MINUTE, SECOND, Clock, Microseconds
from mailtypes.errors import StorageError
from mailtypes.questions import Unanswered
from postwright.keyrings import KeyRing, UnsealError
from postwright.outbound_http import HttpPosted, HttpTarget
from postwright.services.webhook_messages import event_id_of, open_secret, payload_of, signed_headers
from postwright.services.webhook_retries import GONE, RetryTerms, disabling_reason
from postwright.store import webhook_feeds, webhooks
from postwright.store.database import Database
from postwright.store.events import Event
from postwright.store.rowsets import storable
from postwright.store.webhook_feeds import Claimed, EndpointState, FeedState, Progress, Reading, Surroundings, Telling
from postwright.store.webhooks import Feed

_LOG = logging.getLogger(__name__)
WEBHOOKS = Counter("postwright_webhooks_total", "Webhooks by what became of the attempt", ["result"])
_BATCH: Final = 50
_STORE_EVERY: Final = SECOND
_TURN: Final = 20 * SECOND
_POLL_SECONDS: Final = 0.5
_PURGE_EVERY: Final = 10 * MINUTE
_LONGEST_ANSWER: Final = 500
_GRACE_SECONDS: Final = 5.0


class WebhookClient(Protocol):
    """What posts; ``postwright.outbound_http.OutboundHttp`` does."""

    def target(self, url: str, max_answer: int = ...) -> HttpTarget:
        """Somewhere to post to."""
        ...


@dataclass(frozen=True, slots=True)
class DeliveryTerms:
    """``concurrency``: endpoints that a process tells at once. ``lease`` and ``keep_log`` in microseconds.

    The lease is far longer than one answer may take.
    """

    concurrency: int = 32
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
        began, told, behind = self._clock.now(), 0, 0
        try:
            signing = await self._secrets(claimed)
            async with self._client.target(claimed.endpoint.url, _LONGEST_ANSWER) as target:
                turn = _Turn(self._terms, claimed, target, signing, self._clock, self._chance)
                while not self._closing and self._clock.now() - began < _TURN:
                    now = self._clock.now()
                    find = partial(webhook_feeds.next_feed, claimed=claimed, now=now, behind=behind)
                    feed = await self._database.read(find)
                    if feed is None and not behind:
                        break
                    # One batch of each feed in turn, so that neither what is new nor a replay has to wait.
                    behind = 0 if feed is None else feed.id
                    if feed is not None:
                        count, goes_on = await self._tell(turn, feed)
                        told += count
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

    async def _tell(self, turn: "_Turn", feed: Feed) -> tuple[int, bool]:
        """Tell of a batch of a feed; returns how many, and whether the turn goes on."""
        claimed = turn.claimed
        kinds = claimed.endpoint.wanted
        reading = await self._database.read(partial(webhook_feeds.read_on, feed=feed, kinds=kinds, limit=_BATCH))
        around = await self._database.read(partial(webhook_feeds.surroundings, events=reading.events))
        turn.begin_batch(feed, reading)
        for event in reading.events:
            is_last = event is reading.events[-1]
            went_well = await turn.tell(event, around)
            if is_last or not went_well or self._closing or turn.is_time_to_store():
                goes_on = await self._store(turn, is_whole=is_last and went_well)
                if not (goes_on and went_well) or self._closing:
                    return turn.told, False
        if not reading.events:
            return 0, await self._store(turn, is_whole=True)
        return turn.told, True

    async def _store(self, turn: "_Turn", *, is_whole: bool) -> bool:
        progress = turn.progress(is_whole=is_whole)
        now, lease = self._clock.now(), self._terms.lease
        store = partial(webhook_feeds.store_progress, claimed=turn.claimed, progress=progress, lease=lease, now=now)
        goes_on = await self._database.write(store)
        turn.was_stored(progress)
        return goes_on


class _Turn:
    """One process telling one endpoint: what was told and is not stored yet."""

    def __init__(
        self,
        terms: DeliveryTerms,
        claimed: Claimed,
        target: HttpTarget,
        secrets: list[str],
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self.claimed = claimed
        self._terms = terms
        self._target = target
        self._secrets = secrets
        self._clock = clock
        self._chance = chance
        self._endpoint = EndpointState(claimed.endpoint.failing_since)
        self.told = 0

    def begin_batch(self, feed: Feed, reading: Reading) -> None:
        """What is told from now on is the reading of that feed."""
        self._feed, self._reading = feed, reading
        self._state = FeedState(
            feed.place,
            feed.failures,
            feed.next_attempt_at,
            feed.head_event_id,
            feed.head_since,
            feed.head_attempts,
        )
        self._tellings: list[Telling] = []
        self._stored_at = self._clock.now()
        self.told = 0

    def is_time_to_store(self) -> bool:
        """Whether what was acknowledged has waited for a second."""
        return self._clock.now() - self._stored_at >= _STORE_EVERY

    async def tell(self, event: Event, around: Surroundings) -> bool:
        """Post one event; whether the endpoint took it. Anything but 2xx is no."""
        body, began = payload_of(event, around), self._clock.now()
        headers = signed_headers(event_id_of(event), body, self._secrets, began)
        answer = await self._target.post(body.encode("utf-8"), headers)
        now = self._clock.now()
        is_head = self._state.head_event_id == event.id
        since = self._state.head_since if is_head and self._state.head_since is not None else began
        attempts = 1 + (self._state.head_attempts if is_head else 0)
        went_well = isinstance(answer, HttpPosted) and 200 <= answer.status < 300
        WEBHOOKS.labels("delivered" if went_well else "failed").inc()
        telling = _telling(event, answer, (since, began, now), attempts)
        if went_well:
            self._state = FeedState((event.recorded_at, event.id))
            self._endpoint = EndpointState(None)
            self.told += 1
        else:
            telling = self._failed(event, telling, answer)
        self._tellings.append(telling)
        return went_well

    def _failed(self, event: Event, telling: Telling, answer: HttpPosted | Unanswered) -> Telling:
        now, terms = telling.last_attempt_at, self._terms.retries
        failing_since = self._endpoint.failing_since
        failing_since = telling.first_attempt_at if failing_since is None else failing_since
        reason = disabling_reason(telling.status, telling.cause, now - failing_since, terms)
        self._endpoint = EndpointState(failing_since, reason)
        failures = self._state.failures + 1
        retry_after = answer.retry_after if isinstance(answer, HttpPosted) else ""
        next_at = terms.next_attempt(failures, retry_after, Microseconds(now), self._chance)
        is_over = now - telling.first_attempt_at >= terms.give_up_after and telling.status != GONE
        if is_over:
            self._state = FeedState((event.recorded_at, event.id), failures, next_at)
            return replace(telling, state="given_up")
        # What came before this event need not be gone through again.
        place = max(self._state.place, (event.recorded_at, event.id - 1))
        head = (event.id, telling.first_attempt_at, telling.attempts)
        self._state = FeedState(place, failures, next_at, *head)
        return telling

    def progress(self, *, is_whole: bool) -> Progress:
        """What is to be stored now; ``is_whole``: the reading was told to its end."""
        state = self._state
        if is_whole:
            # Nobody was asked where nothing was wanted: what is known of failures stays.
            keep = state if not self._reading.events else FeedState(state.place)
            state = replace(keep, place=max(state.place, self._reading.reached))
        return Progress(self._feed, tuple(self._tellings), state, self._endpoint)

    def was_stored(self, progress: Progress) -> None:
        """Go on from there."""
        state = progress.feed_state
        self._feed = replace(
            self._feed,
            recorded_at=state.place[0],
            event_id=state.place[1],
            failures=state.failures,
            next_attempt_at=state.next_attempt_at,
            head_event_id=state.head_event_id,
            head_since=state.head_since,
            head_attempts=state.head_attempts,
        )
        self._tellings = []
        self._stored_at = self._clock.now()


def _telling(event: Event, answer: HttpPosted | Unanswered, moments: tuple[int, int, int], attempts: int) -> Telling:
    """``moments``: of the first attempt, and when this one began and ended."""
    first, began, ended = moments
    posted = isinstance(answer, HttpPosted)
    is_taken = isinstance(answer, HttpPosted) and 200 <= answer.status < 300
    return Telling(
        event_id=event.id,
        event_recorded_at=event.recorded_at,
        kind=event.kind,
        state="delivered" if is_taken else "failing",
        attempts=attempts,
        status=answer.status if isinstance(answer, HttpPosted) else None,
        duration=ended - began,
        answer=storable(answer.answer.decode("utf-8", "replace")) if isinstance(answer, HttpPosted) else "",
        cause="" if posted else storable(answer.cause if isinstance(answer, Unanswered) else ""),
        first_attempt_at=first,
        last_attempt_at=ended,
    )
