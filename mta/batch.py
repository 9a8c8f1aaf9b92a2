"""The delivery of one leased batch over one connection at a time.

The order that nothing may change: a chunk is composed and signed; ``transmitting`` of the whole chunk is made durable;
only then does any of its messages reach the wire; outcomes are stored in groups behind. Whatever way the batch ends,
every leased delivery gets an outcome: what had no turn is given back.
"""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from mailtypes.clock import Clock, Microseconds
from mailtypes.smtp import SmtpReply
from mta.connector import NoHostError
from mta.delivery import Happening
from mta.ports import AttemptOutcome, Delivery, DeliveryQueue, RetryPolicy
from mta.retry import looks_like_greylisting, retry_at
from mta.sessions import Session
from mta.shaping.ports import Observation
from mta.shaping.rules import Stage
from mta.shaping.slots import Slots
from mta.signing import ChunkPreparer, Prepared, PreparedChunk
from mta.transmission import Attempt, Transmission, Verdict

_HAPPENINGS = {
    Verdict.ACCEPTED: Happening.ACCEPTED,
    Verdict.TRANSIENT: Happening.TRANSIENT,
    Verdict.PERMANENT: Happening.PERMANENT,
    Verdict.NOT_SENT: Happening.NOT_SENT,
    Verdict.UNKNOWN: Happening.UNKNOWN,
}
_MOST_OBSERVATIONS = 50
_RECORDS_UNDER_WAY = 2
_LONGEST_UNSTORED = 0.1  # seconds; what was accepted and not stored is what a crash sends twice


@dataclass(slots=True)
class StopSign:
    """Set once: no further message is begun (one may be, whose commands went out with the end of another)."""

    is_set: bool = False


@dataclass(frozen=True, slots=True)
class BatchTools:
    """What every batch of one engine works with."""

    queue: DeliveryQueue
    preparer: ChunkPreparer
    executor: Executor
    clock: Clock
    random: random.Random
    retry: RetryPolicy
    chunk: Callable[[], int]
    """How many messages are made at once now."""
    note_octets: Callable[[Sequence[int]], None]
    """Takes how large the messages of a chunk have turned out."""
    messages_per_connection: int
    stop: StopSign
    slots: Slots | None = None
    """When each message may begin, ``None``: as fast as it goes."""
    halts: Callable[[Observation], bool] = lambda _observation: False
    """Whether what was heard ends the batch."""


@dataclass(slots=True)
class BatchReport:
    """What became of a batch: how many were leased, how many outcomes there were of each kind."""

    leased: int = 0
    happenings: Counter[Happening] = field(default_factory=Counter)
    begun: int = 0
    observations: list[Observation] = field(default_factory=list)
    """What was heard that was no success, the first ones."""
    is_destination_failing: bool = False
    """No host could be spoken to, or the connection ended before a single message was accepted."""


class _Recorder:
    """Stores outcomes in groups behind the sender's back; the first failure is kept and raised by ``settle``.

    A group is what one chunk brings, or what came within ``_LONGEST_UNSTORED`` where the other side is slow.
    """

    def __init__(self, queue: DeliveryQueue, report: BatchReport) -> None:
        self._queue = queue
        self._report = report
        self._group: list[AttemptOutcome] = []
        self._under_way: list[asyncio.Task[None]] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, outcome: AttemptOutcome) -> None:
        self._group.append(outcome)
        self._report.happenings[outcome.happening] += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LONGEST_UNSTORED, self._begin)

    def _begin(self) -> None:
        """Begin to store the group."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._group:
            group, self._group = tuple(self._group), []
            self._under_way.append(asyncio.ensure_future(self._queue.record(group)))

    async def flush(self) -> None:
        """Begin to store the group; wait (and raise) only where too many groups are under way."""
        self._begin()
        while self._under_way and (self._under_way[0].done() or len(self._under_way) > _RECORDS_UNDER_WAY):
            await asyncio.wait(self._under_way[:1])
            self._under_way.pop(0).result()

    async def settle(self) -> None:
        """Store the rest; returns when everything is durable, raises what failed first."""
        self._begin()
        results = await asyncio.gather(*self._under_way, return_exceptions=True)
        self._under_way = []
        for result in results:
            if isinstance(result, BaseException):
                raise result


class _Course:
    """The messages that wait for one connection, begun in their order and settled in their order."""

    def __init__(
        self,
        waiting: deque[tuple[Delivery, Transmission]],
        room: int,
        may_begin: Callable[[], bool],
        heard: Callable[[Delivery, Attempt], bool],
    ) -> None:
        self.was_dead = False
        self._waiting = waiting
        self._room = min(room, len(waiting))
        self._begun = 0
        self._settled = 0
        self._may_begin = may_begin
        self._heard = heard

    def next(self) -> Transmission | None:
        """See ``mta.sessions.Course``."""
        if self._begun == self._room or not self._may_begin():
            return None
        self._begun += 1
        return self._waiting[self._begun - self._settled - 1][1]

    def settle(self, attempt: Attempt) -> None:
        """See ``mta.sessions.Course``."""
        if self._heard(self._waiting[0][0], attempt):
            self._waiting.popleft()
            self._settled += 1
        else:
            self.was_dead = True


class Batch:
    """One batch; ``deliver`` is called once. ``open_connection`` raises ``NoHostError``."""

    def __init__(
        self,
        tools: BatchTools,
        deliveries: Sequence[Delivery],
        open_connection: Callable[[], Awaitable[Session]],
        connection: Session | None = None,
    ) -> None:
        self.connection = connection
        self.report = BatchReport(leased=len(deliveries))
        self._tools = tools
        self._open_connection = open_connection
        self._is_reused = connection is not None
        self._accepted = 0
        self._is_halted = False
        self._deliveries = deliveries
        self._without_outcome = {delivery.id: delivery for delivery in deliveries}
        self._marked: set[int] = set()
        self._recorder = _Recorder(tools.queue, self.report)

    async def deliver(self) -> BatchReport:
        """Send the whole batch. Returns when every outcome is durable; raises ``StorageError`` where one is not."""
        try:
            await self._connect_and_send()
        finally:
            self._give_back()
            await self._recorder.settle()
        return self.report

    async def _connect_and_send(self) -> None:
        try:
            if self.connection is None:
                self.connection = await self._open_connection()
        except NoHostError as error:
            self._observe(Stage.CONNECTION, error.reply)
            self.report.is_destination_failing = not self._tools.stop.is_set
            if not self._tools.stop.is_set:
                self._defer_all(error)
            return
        await self._send_chunks()

    async def _send_chunks(self) -> None:
        at = 0

        def following() -> asyncio.Future[PreparedChunk] | None:
            nonlocal at
            chunk = self._deliveries[at : at + self._tools.chunk()]
            at += len(chunk)
            return self._prepare(chunk) if chunk else None

        preparing = following()
        try:
            while preparing is not None and not self._must_halt():
                chunk = await preparing
                self._tools.note_octets([item.transmission.size for item in chunk.items if item.transmission])
                # The next chunk is composed and signed while this one is on the wire.
                preparing = following()
                await self._send_chunk(chunk)
                await self._recorder.flush()
        finally:
            if preparing is not None:
                preparing.cancel()

    def _prepare(self, chunk: Sequence[Delivery]) -> asyncio.Future[PreparedChunk]:
        tools = self._tools
        return asyncio.get_running_loop().run_in_executor(
            tools.executor, tools.preparer.prepare, chunk, tools.clock.now()
        )

    async def _send_chunk(self, chunk: PreparedChunk) -> None:
        sendable = []
        for item in chunk.items:
            if item.transmission is not None:
                sendable.append((item.delivery, item.transmission))
            else:
                self._note_unmade(item)
        if not sendable or self._must_halt():
            return
        ours = await self._tools.queue.mark_transmitting([delivery for delivery, _ in sendable], chunk.now)
        self._marked |= ours
        waiting: deque[tuple[Delivery, Transmission]] = deque()
        for delivery, transmission in sendable:
            if delivery.id in ours:
                waiting.append((delivery, transmission))
            else:  # suppressed, cancelled, or somebody else's by now
                self._without_outcome.pop(delivery.id, None)
        while waiting and not self._must_halt():
            await self._wait_for_turn()
            await self._send(waiting)

    async def _wait_for_turn(self) -> None:
        """Wait for the slot of the next message."""
        wait = self._wait()
        if wait > 0:
            await self._recorder.flush()  # nothing lies unstored meanwhile
            await asyncio.sleep(wait / 1_000_000)

    def _wait(self) -> int:
        """Microseconds until the next message may begin."""
        slots = self._tools.slots
        return 0 if slots is None else slots.moment(self.report.begun) - self._tools.clock.now()

    def _may_begin(self) -> bool:
        """Whether the next message may begin now; it is counted as begun then."""
        if self._must_halt() or self._wait() > 0:
            return False
        self.report.begun += 1
        return True

    def _observe(self, stage: Stage, reply: SmtpReply | None) -> None:
        if reply is None or reply.is_positive or len(self.report.observations) >= _MOST_OBSERVATIONS:
            return
        observation = Observation(stage, reply)
        self.report.observations.append(observation)
        self._is_halted = self._is_halted or self._tools.halts(observation)

    def _must_halt(self) -> bool:
        return self._is_halted or self._tools.stop.is_set

    async def _send(self, waiting: deque[tuple[Delivery, Transmission]]) -> None:
        """Send what waits over one connection, as far as it goes; what got its outcome waits no more."""
        connection = await self._standing_connection()
        if connection is None:
            return
        room = self._tools.messages_per_connection - connection.sent
        course = _Course(waiting, room, self._may_begin, lambda item, attempt: self._heard(item, attempt, connection))
        await connection.send_all(course)
        if course.was_dead:
            # An idle connection may die at any time; that says nothing about message or destination.
            self._is_reused, self.connection = False, None
        elif not connection.is_ready:
            self._is_halted = True
            self.report.is_destination_failing = self._accepted == 0 and not self._tools.stop.is_set

    def _heard(self, delivery: Delivery, attempt: Attempt, connection: Session) -> bool:
        """Note an outcome; ``False`` where the connection was dead and the message is still to be sent."""
        if attempt.verdict is Verdict.NOT_SENT and self._is_reused:
            return False
        self._is_reused = False
        self._note(delivery, attempt, connection)
        return True

    async def _standing_connection(self) -> Session | None:
        connection = self.connection
        if connection is not None and connection.sent >= self._tools.messages_per_connection:
            self.connection = None
            await connection.quit()
        if self.connection is None:
            try:
                self.connection = await self._open_connection()
            except NoHostError as error:
                self._observe(Stage.CONNECTION, error.reply)
                self._is_halted = True
                self.report.is_destination_failing = self._accepted == 0 and not self._tools.stop.is_set
        return self.connection

    def _note(self, delivery: Delivery, attempt: Attempt, connection: Session) -> None:
        happening = _HAPPENINGS[attempt.verdict]
        if happening is Happening.ACCEPTED:
            self._accepted += 1
        elif happening is Happening.NOT_SENT and self._accepted == 0 and not self._tools.stop.is_set:
            # A host that breaks off before it took anything has refused this attempt: it has to wait like after a
            # 4yz, or the same message would break the same connection for ever.
            happening = Happening.TRANSIENT
        self._observe(Stage.MESSAGE, attempt.reply)
        self._record(delivery, happening, attempt, str(connection.remote), connection.tls_version)

    def _note_unmade(self, item: Prepared) -> None:
        happening = Happening.PERMANENT if item.is_final else Happening.TRANSIENT
        self._record(item.delivery, happening, Attempt(Verdict.NOT_SENT, cause=item.cause))

    def _defer_all(self, error: NoHostError) -> None:
        for delivery in self._deliveries:
            attempt = Attempt(Verdict.TRANSIENT, error.reply, error.cause, error.stage)
            self._record(delivery, Happening.TRANSIENT, attempt, error.remote)

    def _give_back(self) -> None:
        for delivery in tuple(self._without_outcome.values()):
            if delivery.id in self._marked:
                happening, cause = Happening.NOT_SENT, "given back"
            else:
                happening, cause = Happening.LEASE_LOST, "given back"
            self._record(delivery, happening, Attempt(Verdict.NOT_SENT, cause=cause))

    def _record(
        self, delivery: Delivery, happening: Happening, attempt: Attempt, remote: str = "", tls: str = ""
    ) -> None:
        self._without_outcome.pop(delivery.id, None)
        moment = self._retry_at(delivery, attempt.reply) if happening is Happening.TRANSIENT else None
        now = self._tools.clock.now()
        self._recorder.add(
            AttemptOutcome(delivery, happening, now, attempt.reply, attempt.cause, moment, remote, tls, attempt.stage)
        )

    def _retry_at(self, delivery: Delivery, reply: SmtpReply | None) -> Microseconds:
        tools, attempt = self._tools, delivery.attempt
        greylisted = looks_like_greylisting(reply, attempt)
        return retry_at(tools.retry, attempt, tools.clock.now(), tools.random, greylisted=greylisted)
