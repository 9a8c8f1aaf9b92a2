"""The delivery engine: the queue decides, the loop sleeps.

``step`` says what there is to do, ``deliver_one_batch`` does one piece of it and can be called alone, ``run`` joins
the two: several batches under way for each destination, connections kept for a moment between them, a clean stop.
"""

import asyncio
import random
from collections import Counter
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TypeAlias

from mailtypes.clock import SECOND, Clock, Microseconds, microseconds
from mta.batch import Batch, BatchReport, BatchTools, StopSign
from mta.chunk_sizes import ChunkSizes, rounded
from mta.connection_pool import ConnectionPool
from mta.connector import HostConnector, NoHostError
from mta.delivery import Happening
from mta.pauses import DestinationPauses
from mta.ports import Composer, ConnectionPolicy, Delivery, DeliveryQueue, DueDestination, KeySource, RetryPolicy
from mta.sessions import Session
from mta.shaping.ports import NoShaping, Permit, PermitUse, Shaping
from mta.shaping.slots import Slots
from mta.signing import ChunkPreparer, MessageSigner

_ABORT_SECONDS = 5.0
_STOPPED = "the worker stopped"
_SHORTEST_REST = 10_000  # microseconds: nobody is asked again in the same breath


@dataclass(frozen=True, slots=True)
class EnginePorts:
    """What the engine is built from."""

    queue: DeliveryQueue
    composer: Composer
    keys: KeySource
    connector: HostConnector
    clock: Clock
    random: random.Random
    shaping: Shaping | None = None
    """None: the limits of the policy alone."""


@dataclass(frozen=True, slots=True)
class EnginePolicy:
    """The limits of one engine.

    At most ``chunk`` messages are composed and made ``transmitting`` together, fewer where all connections together
    would hold more than ``prepared`` octets of messages in memory. ``poll`` is how long new work may lie unseen.
    A destination that fails rests for ``pause_first``, then twice as long each time up to ``pause_longest``.
    ``grace`` is what messages under way get when the engine stops.
    """

    connection: ConnectionPolicy = field(default_factory=ConnectionPolicy)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    chunk: int = 24
    prepared: int = 16 * 1024 * 1024
    total_connections: int = 200
    idle_time: timedelta = timedelta(seconds=10)
    poll: timedelta = timedelta(seconds=1)
    pause_first: timedelta = timedelta(seconds=30)
    pause_longest: timedelta = timedelta(minutes=15)
    grace: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Deliver:
    """For each of these destinations a batch may be begun now."""

    destinations: tuple[DueDestination, ...]


@dataclass(frozen=True, slots=True)
class SleepUntil:
    """Nothing to begin before ``moment``."""

    moment: Microseconds


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing to begin, and nothing known to fall due."""


Step: TypeAlias = Deliver | SleepUntil | Idle


class DeliveryEngine:
    """Delivers what the queue holds. One event loop, any number of destinations."""

    def __init__(self, ports: EnginePorts, policy: EnginePolicy, executor: Executor) -> None:
        """``executor`` composes and signs; its owner shuts it down after ``run`` returned."""
        self._ports = ports
        self._policy = policy
        self._stop = StopSign()
        self._chunk_sizes = ChunkSizes(policy.chunk, policy.prepared)
        self._tools = BatchTools(
            queue=ports.queue,
            preparer=ChunkPreparer(ports.composer, MessageSigner(ports.keys)),
            executor=executor,
            clock=ports.clock,
            random=ports.random,
            retry=policy.retry,
            chunk=partial(self._chunk, None),
            note_octets=self._chunk_sizes.note,
            messages_per_connection=policy.connection.messages_per_connection,
            stop=self._stop,
        )
        self._pool = ConnectionPool(policy.total_connections, policy.idle_time)
        self._pauses = DestinationPauses(policy.pause_first, policy.pause_longest)
        self._shaping = ports.shaping or NoShaping(policy.connection.messages_per_connection)
        self._full: set[int] = set()
        self._under_way: Counter[int] = Counter()
        self._leasing: set[int] = set()
        self._has_more: dict[int, DueDestination] = {}
        self._look_at = 0.0  # by the loop's clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening: set[asyncio.Task[Session]] = set()
        self._batches: set[Batch] = set()
        self._failure: BaseException | None = None
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look at the queue at once: there is new work."""
        self._look_at = 0.0
        self._wake.set()

    async def step(self) -> Step:
        """What to do now; changes nothing that is stored.

        While a destination is under way whose last batch was as large as it could be, and so has more, the queue is
        asked only once every ``poll``, for the sake of the others.
        """
        now = self._ports.clock.now()
        free = self._policy.total_connections - self._under_way.total()
        loop_time = asyncio.get_running_loop().time()
        if loop_time < self._look_at and any(self._under_way[identity] for identity in self._has_more):
            known = self._known_startable(now, free)
            return Deliver(known) if known else SleepUntil(Microseconds(now + int((self._look_at - loop_time) * 1e6)))
        self._look_at = loop_time + self._policy.poll.total_seconds()
        moments: list[Microseconds] = []
        startable: list[DueDestination] = []
        for destination in await self._ports.queue.due_destinations(now):
            paused_until = self._pauses.until(destination.destination_id, now)
            if paused_until is not None:
                moments.append(paused_until)
            elif len(startable) < free and self._has_room(destination.destination_id):
                startable.append(destination)
        if startable:
            return Deliver(tuple(startable))
        due_at = await self._ports.queue.next_due_at(now)
        if due_at is not None:
            moments.append(due_at)
        return SleepUntil(min(moments)) if moments else Idle()

    def _known_startable(self, now: Microseconds, free: int) -> tuple[DueDestination, ...]:
        found = [
            destination
            for identity, destination in self._has_more.items()
            if self._has_room(identity) and self._pauses.until(identity, now) is None
        ]
        return tuple(found[: max(free, 0)])

    async def deliver_one_batch(self, destination: DueDestination) -> BatchReport:
        """Lease a batch of ``destination`` and deliver it; returns when every outcome is durable.

        Raises ``StorageError`` where the queue failed. What the other side does never raises.
        """
        permit = await self._admit(destination.destination_id)
        if permit is None:
            return BatchReport()
        report = BatchReport()
        try:
            report = await self._deliver_within(permit, destination)
        finally:
            use = PermitUse(report.begun, report.happenings[Happening.ACCEPTED], report.observations)
            await self._shaping.settle(permit, use)
            self._full.discard(permit.destination_id)
        return report

    async def _admit(self, identity: int) -> Permit | None:
        if self._stop.is_set:
            return None
        now = self._ports.clock.now()
        answer = await self._shaping.admit(identity, self._policy.connection.batch, now)
        if isinstance(answer, Permit):
            return answer
        if answer.is_full and self._under_way[identity] > 1:
            self._full.add(identity)  # until one of ours ends
        else:
            self._pauses.rest(identity, Microseconds(max(answer.until, now + _SHORTEST_REST)))
        return None

    async def _deliver_within(self, permit: Permit, destination: DueDestination) -> BatchReport:
        identity = permit.destination_id
        deliveries = await self._lease(destination, permit.messages)
        if not deliveries:
            return BatchReport()
        tools = replace(
            self._tools,
            chunk=partial(self._chunk, permit.slots),
            messages_per_connection=permit.messages_per_connection,
            slots=permit.slots,
            halts=partial(self._shaping.halts, identity),
        )
        batch = Batch(tools, deliveries, lambda: self._open(destination), self._pool.take(identity))
        self._batches.add(batch)
        try:
            report = await batch.deliver()
        finally:
            self._batches.discard(batch)
            if batch.connection is not None:
                self._pool.give(identity, batch.connection)
        if report.is_destination_failing:
            self._pauses.failed(identity, self._ports.clock.now())
        elif batch.connection is not None:
            self._pauses.succeeded(identity)
        return report

    def _chunk(self, slots: Slots | None) -> int:
        """How many messages of a batch are made at once now."""
        size = self._chunk_sizes.size(self._under_way.total())
        if slots is not None:
            # What is transmitting is ambiguous after a crash, so nothing is marked that will not go within a second.
            size = rounded(max(1, min(size, SECOND // slots.interval)))
        return size

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop`` is set: then nothing more is leased, and what is on the wire gets its answer.

        Raises what the queue raised (``StorageError``), after the other batches have ended.
        """
        watch = asyncio.ensure_future(self._watch(stop))
        try:
            while not self._stop.is_set:
                self._wake.clear()
                match await self.step():
                    case Deliver(destinations):
                        for destination in destinations:
                            self._start(destination)
                    case SleepUntil(moment):
                        await self._sleep(timedelta(microseconds=moment - self._ports.clock.now()))
                    case Idle():
                        await self._sleep(self._policy.poll)
        finally:
            watch.cancel()
            await self.close()
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """End the batches under way within the grace time, and say QUIT on every connection."""
        self._begin_stop()
        await self._wait(self._policy.grace.total_seconds())
        for batch in tuple(self._batches):
            if batch.connection is not None:
                batch.connection.abort(_STOPPED)
        await self._wait(_ABORT_SECONDS)
        for task in self._tasks:
            task.cancel()
        await self._wait(_ABORT_SECONDS)
        await self._pool.close()

    async def _wait(self, seconds: float) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def _watch(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._begin_stop()

    def _begin_stop(self) -> None:
        self._stop.is_set = True
        for opening in self._opening:
            opening.cancel()
        self._wake.set()

    async def _sleep(self, duration: timedelta) -> None:
        # Other processes put work into the queue without a word, so never longer than ``poll``.
        seconds = max(min(duration, self._policy.poll).total_seconds(), 0.001)
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    def _has_room(self, destination_id: int) -> bool:
        # While a batch is still being leased nobody knows whether there is more: connections grow one by one.
        return (
            destination_id not in self._leasing
            and destination_id not in self._full
            and self._under_way[destination_id] < self._policy.connection.connections
        )

    def _start(self, destination: DueDestination) -> None:
        self._under_way[destination.destination_id] += 1
        self._leasing.add(destination.destination_id)
        task = asyncio.ensure_future(self._deliver(destination))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, destination: DueDestination) -> None:
        identity = destination.destination_id
        try:
            await self.deliver_one_batch(destination)
        except Exception as error:
            self._failure = self._failure or error
            self._begin_stop()
        finally:
            self._leasing.discard(identity)
            self._under_way[identity] -= 1
            if not self._under_way[identity]:
                del self._under_way[identity]
            self._wake.set()

    async def _lease(self, destination: DueDestination, messages: int) -> tuple[Delivery, ...]:
        identity, limit = destination.destination_id, min(self._policy.connection.batch, messages)
        if self._stop.is_set:
            return ()
        deliveries = tuple(await self._ports.queue.lease(identity, limit, self._ports.clock.now()))
        self._leasing.discard(identity)
        if len(deliveries) >= limit:
            self._has_more[identity] = destination
            self._wake.set()
            return deliveries
        self._has_more.pop(identity, None)
        if not deliveries:
            # Due, but not to be had: somebody else is at it. Not to be asked again in the same breath.
            rest = microseconds(self._policy.poll)
            self._pauses.rest(identity, Microseconds(self._ports.clock.now() + rest))
        return deliveries

    async def _open(self, destination: DueDestination) -> Session:
        if self._stop.is_set:
            raise NoHostError((), _STOPPED)
        self._pool.shrink(self._policy.total_connections - max(self._under_way.total(), 1))
        coming = self._ports.connector.open(destination.hosts, verified_tls=destination.verified_tls)
        opening = asyncio.ensure_future(coming)
        self._opening.add(opening)
        try:
            await asyncio.wait({opening})
        except asyncio.CancelledError:
            opening.cancel()
            opening.add_done_callback(_abort_opened)
            raise
        finally:
            self._opening.discard(opening)
        if opening.cancelled():
            raise NoHostError((), _STOPPED)
        return opening.result()


def _abort_opened(opening: asyncio.Task[Session]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().abort("nobody waits for it any more")
