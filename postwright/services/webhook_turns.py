"""One endpoint's turn: several webhooks on their way at once, those about one message or recipient in their order.

What has no recipient (runs, domains, people's doings) is one row of its own, in order. How far a feed has come is how
far everything before it is told; what was told beyond that is known from the log of deliveries, and is not told again.
"""

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from prometheus_client import Counter

from mailtypes.clock import SECOND, Clock, Microseconds
from mailtypes.questions import Unanswered
from postwright.outbound_http import HttpPosted, HttpTarget
from postwright.services.webhook_messages import event_id_of, payload_of, signed_headers
from postwright.services.webhook_retries import GONE, RetryTerms, disabling_reason
from postwright.store.events import Event
from postwright.store.rowsets import storable
from postwright.store.webhook_feeds import Earlier, EndpointState, FeedState, Progress, Reading, Surroundings, Telling
from postwright.store.webhooks import Feed

WEBHOOKS = Counter("postwright_webhooks_total", "Webhooks by what became of the attempt", ["result"])
_STORE_EVERY = SECOND
_LONGEST_ANSWER = 500
_FAILING = "failing"


class WebhookClient(Protocol):
    """What posts; ``postwright.outbound_http.OutboundHttp`` does."""

    def target(self, url: str, max_answer: int = ...) -> HttpTarget:
        """Somewhere to post to."""
        ...


class Targets:
    """Connections to one URL, as many as are in use at once; ``async with`` it."""

    def __init__(self, client: WebhookClient, url: str) -> None:
        self._client = client
        self._url = url
        self._open = AsyncExitStack()
        self._free: list[HttpTarget] = []

    async def __aenter__(self) -> "Targets":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._open.aclose()

    async def post(self, body: bytes, headers: Mapping[str, str]) -> HttpPosted | Unanswered:
        """The answer to ``body``, over a connection that nobody else uses meanwhile."""
        if self._free:
            target = self._free.pop()
        else:
            target = await self._open.enter_async_context(self._client.target(self._url, _LONGEST_ANSWER))
        try:
            return await target.post(body, headers)
        finally:
            self._free.append(target)


@dataclass(frozen=True, slots=True)
class TurnTerms:
    """``in_flight``: webhooks to the endpoint at once."""

    in_flight: int
    retries: RetryTerms


@dataclass(frozen=True, slots=True)
class Told:
    """A batch to tell of: what was read of a feed, what it is about, and what became of it earlier."""

    feed: Feed
    reading: Reading
    around: Surroundings
    earlier: Mapping[int, Earlier] = field(default_factory=dict)


Store: TypeAlias = Callable[[Progress], Awaitable[bool]]
"""Stores what was done; ``False`` where the turn has to end."""


class Turn:
    """One process telling one endpoint. ``is_over`` says when nothing more is to be begun."""

    def __init__(
        self, terms: TurnTerms, targets: Targets, secrets: Sequence[str], clock: Clock, is_over: Callable[[], bool]
    ) -> None:
        self._terms = terms
        self._targets = targets
        self._secrets = secrets
        self._clock = clock
        self._is_over = is_over

    async def tell(self, batch: "Batch", store: Store) -> bool:
        """Tell of a batch as far as it goes, storing every second; whether the turn goes on."""
        on_their_way: dict[asyncio.Task[Telling], int] = {}
        stored_at, goes_on = self._clock.now(), True
        try:
            while True:
                while goes_on and not self._is_over() and (position := batch.next(len(on_their_way))) is not None:
                    on_their_way[asyncio.create_task(self._post(batch, position))] = position
                if not on_their_way:
                    break
                done, _ = await asyncio.wait(on_their_way, return_when=asyncio.FIRST_COMPLETED)
                for task in sorted(done, key=on_their_way.__getitem__):
                    batch.record(on_their_way.pop(task), task.result())
                # Whoever has lost the lease meanwhile learns it here, before more is begun.
                if (on_their_way or batch.has_more) and self._clock.now() - stored_at >= _STORE_EVERY:
                    goes_on = await self._store(batch, store) and goes_on
                    stored_at = self._clock.now()
        finally:
            for task in on_their_way:
                task.cancel()
            await asyncio.gather(*on_their_way, return_exceptions=True)
        return await self._store(batch, store) and goes_on and batch.is_whole

    async def _store(self, batch: "Batch", store: Store) -> bool:
        progress = batch.progress()
        goes_on = await store(progress)
        batch.was_stored(progress)
        return goes_on

    async def _post(self, batch: "Batch", position: int) -> Telling:
        event = batch.event(position)
        body, began = payload_of(event, batch.around), self._clock.now()
        headers = signed_headers(event_id_of(event), body, self._secrets, began)
        answer = await self._targets.post(body.encode("utf-8"), headers)
        earlier = batch.earlier(event)
        first = began if earlier is None else earlier.first_attempt_at
        telling = _telling(event, answer, (first, began, self._clock.now()), 1 + (earlier.attempts if earlier else 0))
        WEBHOOKS.labels("delivered" if telling.state == "delivered" else "failed").inc()
        if telling.state == _FAILING:
            retry_after = answer.retry_after if isinstance(answer, HttpPosted) else ""
            batch.asked_for(retry_after)
            given_up = telling.last_attempt_at - first >= self._terms.retries.give_up_after
            if given_up and telling.status != GONE:
                return replace(telling, state="given_up")
        return telling


class Batch:
    """The events of one reading: which row each stands in, what became of each, and how far the feed has come."""

    def __init__(self, told: Told, terms: TurnTerms, chance: random.Random, failing_since: int | None) -> None:
        self.around = told.around
        self.count = 0
        self._feed = told.feed
        self._begun_with = told.feed
        self._reading = told.reading
        self._events = told.reading.events
        self._terms = terms
        self._chance = chance
        # After a person has enabled an endpoint, everything has its full time again.
        self._earlier = told.earlier if told.feed.head_since is not None else {}
        self._endpoint = EndpointState(failing_since)
        settled = {event_id for event_id, one in told.earlier.items() if one.is_settled}
        self._settled = {place for place, event in enumerate(self._events) if event.id in settled}
        self._rows = _rows(self._events, told.around, self._settled)
        self._ready = [row[-1] for row in self._rows.values()]
        heapq.heapify(self._ready)
        self._row_of = {place: name for name, row in self._rows.items() for place in row}
        self._failing: dict[int, Telling] = {}
        self._retry_after = ""
        self._last_at = 0
        self._tellings: list[Telling] = []
        self._is_stopped = False

    @property
    def is_whole(self) -> bool:
        """Whether all of it was told or given up, and nothing failed."""
        return len(self._settled) == len(self._events) and not self._is_stopped

    @property
    def has_more(self) -> bool:
        """Whether there is something to tell that is not on its way."""
        return bool(self._ready) and not self._is_stopped

    @property
    def failing_since(self) -> int | None:
        """Since when the endpoint has taken nothing."""
        return self._endpoint.failing_since

    def event(self, position: int) -> Event:
        """The event at that place."""
        return self._events[position]

    def earlier(self, event: Event) -> Earlier | None:
        """What became of it before; ``None`` for the first attempt."""
        return self._earlier.get(event.id)

    def asked_for(self, retry_after: str) -> None:
        """What an answer said in Retry-After; the last one counts."""
        self._retry_after = retry_after or self._retry_after

    def next(self, on_their_way: int) -> int | None:
        """What to tell next, the oldest first; ``None`` while there is nothing, or after a failure.

        An endpoint that has failed is asked by one webhook first.
        """
        is_doubtful = self._begun_with.failures > 0 and not self.count
        if self._is_stopped or on_their_way >= (1 if is_doubtful else self._terms.in_flight) or not self._ready:
            return None
        return heapq.heappop(self._ready)

    def record(self, position: int, telling: Telling) -> None:
        """What became of the webhook at that place; its row goes on if it was taken."""
        self._tellings.append(telling)
        self._last_at = max(self._last_at, telling.last_attempt_at)
        if telling.state == "delivered":
            self.count += 1
            self._settled.add(position)
            self._endpoint = EndpointState(None, self._endpoint.disabled_for)
            row = self._rows[self._row_of[position]]
            row.pop()
            if row:
                heapq.heappush(self._ready, row[-1])
            return
        self._is_stopped = True
        self._failing[position] = telling
        if telling.state != _FAILING:
            self._settled.add(position)
        since = self._endpoint.failing_since
        since = telling.last_attempt_at - telling.duration if since is None else since
        reason = disabling_reason(telling.status, telling.cause, telling.last_attempt_at - since, self._terms.retries)
        self._endpoint = EndpointState(since, self._endpoint.disabled_for or reason)

    def progress(self) -> Progress:
        """What is to be stored now."""
        return Progress(self._feed, tuple(self._tellings), self._state(), self._endpoint)

    def _state(self) -> FeedState:
        place = max(self._feed.place, self._place())
        if not self._failing:
            # Nobody was asked where nothing was told: what is known of failures stays.
            feed = self._begun_with
            if self.count:
                return FeedState(place)
            head = (feed.head_event_id, feed.head_since, feed.head_attempts)
            return FeedState(place, feed.failures, feed.next_attempt_at, *head)
        attempts = max(one.attempts for one in self._failing.values())
        failures = max(attempts, 0 if self.count else self._begun_with.failures + 1)
        now = Microseconds(self._last_at)
        next_at = self._terms.retries.next_attempt(failures, self._retry_after, now, self._chance)
        unsettled = [one for position, one in sorted(self._failing.items()) if position not in self._settled]
        if not unsettled:
            return FeedState(place, failures, next_at)
        head_telling = unsettled[0]
        head = (head_telling.event_id, head_telling.first_attempt_at, head_telling.attempts)
        return FeedState(place, failures, next_at, *head)

    def _place(self) -> tuple[int, int]:
        """How far all is settled; what came before the first that is not need not be gone through again."""
        for position, event in enumerate(self._events):
            if position not in self._settled:
                return event.recorded_at, event.id - 1
        return self._reading.reached

    def was_stored(self, progress: Progress) -> None:
        """Go on from there."""
        state = progress.feed_state
        self._feed = replace(self._feed, recorded_at=state.place[0], event_id=state.place[1])
        self._tellings = []


def _rows(events: Sequence[Event], around: Surroundings, settled: set[int]) -> dict[Hashable, list[int]]:
    """The places of the events that stand in one row, the next one last.

    Two events stand in one row if they share message, contact or address, directly or by way of others: some say
    only the one, some only the other.
    """
    leaders: dict[Hashable, Hashable] = {}

    def leader(name: Hashable) -> Hashable:
        while (above := leaders.setdefault(name, name)) != name:
            leaders[name] = leaders[above]
            name = above
        return name

    for event in events:
        first, *others = _names(event, around)
        for other in others:
            leaders[leader(other)] = leader(first)
    rows: dict[Hashable, list[int]] = {}
    for position in range(len(events) - 1, -1, -1):
        if position not in settled:
            rows.setdefault(leader(next(iter(_names(events[position], around)))), []).append(position)
    return rows


def _names(event: Event, around: Surroundings) -> Iterable[Hashable]:
    names: list[Hashable] = []
    if event.delivery_id is not None:
        names.append(("delivery", event.delivery_id))
        message = around.messages.get(event.delivery_id)
        if message is not None:
            names.append(("address", message.address.lower()))
    if event.contact_id is not None:
        names.append(("contact", event.contact_id))
    return names or ["no recipient"]


def _telling(event: Event, answer: HttpPosted | Unanswered, moments: tuple[int, int, int], attempts: int) -> Telling:
    """``moments``: of the first attempt, and when this one began and ended."""
    first, began, ended = moments
    posted = answer if isinstance(answer, HttpPosted) else None
    is_taken = posted is not None and 200 <= posted.status < 300
    return Telling(
        event_id=event.id,
        event_recorded_at=event.recorded_at,
        kind=event.kind,
        state="delivered" if is_taken else _FAILING,
        attempts=attempts,
        status=None if posted is None else posted.status,
        duration=ended - began,
        answer="" if posted is None else storable(posted.answer.decode("utf-8", "replace")),
        cause=storable(answer.cause) if isinstance(answer, Unanswered) else "",
        first_attempt_at=first,
        last_attempt_at=ended,
    )
