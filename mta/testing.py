"""Public fakes: a scripted SMTP peer on loopback, and a queue in memory that keeps to the table of states."""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import TracebackType

from mailtypes.clock import Microseconds, microseconds
from mailtypes.domain import DomainName
from mta.delivery import DeliveryState, Happening, next_state
from mta.ports import AttemptOutcome, Delivery, DueDestination
from mta.retry import happening_instead_of_retry


@dataclass(frozen=True, slots=True)
class Reaction:
    """What the peer does at one step: wait ``delay``, say ``reply`` (if any), and perhaps hang up.

    ``take_octets`` at DATA: read so many octets of the content after the reply before hanging up.
    """

    reply: str | None = None
    delay: timedelta = timedelta()
    disconnect: bool = False
    take_octets: int = 0


DISCONNECT = Reaction(disconnect=True)

_DEFAULTS: Mapping[str, str] = {
    "CONNECT": "220 peer.test ESMTP",
    "HELO": "250 peer.test",
    "STARTTLS": "220 2.0.0 go ahead",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go ahead",
    "DATA_TO_NOBODY": "503 5.5.1 no valid recipients",
    "CONTENT": "250 2.0.0 taken",
    "RSET": "250 2.0.0 ok",
    "QUIT": "221 2.0.0 bye",
}


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message that the peer read to its final dot, dots undoubled, with the peer's answer to it."""

    mail_from: str
    rcpt_to: tuple[str, ...]
    content: bytes
    reply: str
    tls: bool


@dataclass(slots=True)
class _Session:
    mail_from: str = ""
    rcpt_to: list[str] = field(default_factory=list)
    tls: bool = False
    chunks: bytearray = field(default_factory=bytearray)


class ScriptedPeer:
    """An SMTP server on loopback that does what the script says, and keeps what it saw.

    ``script`` maps a step (``CONNECT EHLO HELO STARTTLS MAIL RCPT DATA BDAT CONTENT RSET QUIT``) to reactions, used one
    by one over all connections; a text is a reply. Where the script of a step is spent, or there is none, the peer
    answers as a friendly server does. ``CONTENT`` is the moment after the final dot or the last chunk. With CHUNKING
    among the ``extensions`` chunks are read; a scripted reply to BDAT comes after its octets, instead of ``CONTENT``.
    """

    def __init__(
        self,
        script: Mapping[str, Sequence[Reaction | str]] | None = None,
        *,
        extensions: Sequence[str] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 10485760"),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.messages: list[ReceivedMessage] = []
        self.commands: list[str] = []
        self.connections = 0
        self._script = {step: list(reactions) for step, reactions in (script or {}).items()}
        self._extensions = (*extensions, "STARTTLS") if tls else tuple(extensions)
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._sessions: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "ScriptedPeer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        for session in tuple(self._sessions):
            session.cancel()
        if self._sessions:
            await asyncio.wait(self._sessions)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        if self._server is None:
            raise RuntimeError("the peer is not running")
        host, port = self._server.sockets[0].getsockname()[:2]
        return str(host), int(port)

    @property
    def accepted(self) -> list[ReceivedMessage]:
        """The messages whose final dot was answered with 2yz."""
        return [message for message in self.messages if message.reply.startswith("2")]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        session = asyncio.current_task()
        if session is not None:
            self._sessions.add(session)
            session.add_done_callback(self._sessions.discard)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._converse(reader, writer, _Session())
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, session: _Session) -> None:
        reply = await self._react("CONNECT", writer)
        while reply is not None and not reply.startswith("221"):
            line = (await reader.readuntil(b"\r\n")).decode().rstrip("\r\n")
            self.commands.append(line)
            verb = line.partition(" ")[0].upper()
            if verb == "BDAT" and "CHUNKING" in self._extensions:
                reply = await self._take_chunk(line, reader, writer, session)
                continue
            is_moot = verb == "DATA" and not session.rcpt_to and not self._script.get("DATA")
            reply = await self._react("DATA_TO_NOBODY" if is_moot else verb, writer, reader)
            if reply is None or not reply.startswith(("2", "3")):
                continue
            if verb == "STARTTLS" and self._tls is not None:
                await writer.start_tls(self._tls)
                session.tls = True
            elif verb == "DATA":
                reply = await self._take_content(reader, writer, session)
            else:
                _follow(session, verb, line)

    async def _take_content(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, session: _Session
    ) -> str | None:
        lines: list[bytes] = []
        while (line := await reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        return await self._judge(b"".join(lines), "CONTENT", writer, session)

    async def _take_chunk(
        self, line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, session: _Session
    ) -> str | None:
        _, size, *last = line.split(" ")
        session.chunks += await reader.readexactly(int(size))
        if not session.rcpt_to:
            return await self._react("DATA_TO_NOBODY", writer)
        if last != ["LAST"]:
            return await self._react("RCPT", writer)
        step = "BDAT" if self._script.get("BDAT") else "CONTENT"
        return await self._judge(bytes(session.chunks), step, writer, session)

    async def _judge(self, content: bytes, step: str, writer: asyncio.StreamWriter, session: _Session) -> str | None:
        reply = await self._react(step, writer)
        self.messages.append(
            ReceivedMessage(session.mail_from, tuple(session.rcpt_to), content, reply or "", session.tls)
        )
        _follow(session, "RSET", "")
        return reply

    async def _react(
        self, step: str, writer: asyncio.StreamWriter, reader: asyncio.StreamReader | None = None
    ) -> str | None:
        script = self._script.get(step)
        told = script.pop(0) if script else self._default(step)
        reaction = Reaction(told) if isinstance(told, str) else told
        await asyncio.sleep(reaction.delay.total_seconds())
        if reaction.reply is not None:
            writer.write(reaction.reply.encode() + b"\r\n")
            await writer.drain()
        if reader is not None and reaction.take_octets:
            await reader.readexactly(reaction.take_octets)
        return None if reaction.disconnect else reaction.reply or ""

    def _default(self, step: str) -> str:
        if step == "EHLO":
            lines = ["peer.test", *self._extensions]
            return "\r\n".join(f"250{'-' if line is not lines[-1] else ' '}{line}" for line in lines)
        return _DEFAULTS.get(step, "500 5.5.1 unknown command")


def _follow(session: _Session, verb: str, line: str) -> None:
    path = line.partition("<")[2].partition(">")[0]
    if verb in {"MAIL", "RSET", "EHLO", "HELO"}:
        session.mail_from, session.rcpt_to = path if verb == "MAIL" else "", []
        session.chunks.clear()
    elif verb == "RCPT":
        session.rcpt_to.append(path)


class LoopbackResolver:
    """A ``HostResolver`` from a dictionary; a host may stand for several peers."""

    def __init__(self, hosts: Mapping[str, Sequence[tuple[str, int]]]) -> None:
        self._hosts = hosts

    async def addresses(self, host: str) -> Sequence[tuple[str, int]]:
        """See ``HostResolver.addresses``."""
        return self._hosts.get(host, ())


@dataclass(slots=True)
class QueueEntry:
    """One delivery as the queue in memory holds it."""

    delivery: Delivery
    destination_id: int
    state: DeliveryState
    due_at: Microseconds
    lease_ends_at: int = 0
    outcomes: list[AttemptOutcome] = field(default_factory=list)


class MemoryQueue:
    """A ``DeliveryQueue`` that follows ``NEXT_STATE``, fences by epoch and lets leases run out; durable it is not."""

    def __init__(self, lease_time: timedelta = timedelta(minutes=15)) -> None:
        self.entries: dict[int, QueueEntry] = {}
        self.outcomes: list[AttemptOutcome] = []
        self._hosts: dict[int, tuple[str, ...]] = {}
        self._lease_time = microseconds(lease_time)

    def add_destination(self, destination_id: int, hosts: Sequence[str]) -> None:
        """Make a destination known."""
        self._hosts[destination_id] = tuple(hosts)

    def add(self, destination_id: int, delivery: Delivery) -> None:
        """Put a delivery into ``ready``."""
        self.entries[delivery.id] = QueueEntry(delivery, destination_id, DeliveryState.READY, delivery.queued_at)

    def state(self, delivery_id: int) -> DeliveryState:
        """Where the delivery stands."""
        return self.entries[delivery_id].state

    def happen(self, delivery_id: int, happening: Happening) -> bool:
        """Let something happen from outside (suppress, cancel, hold); whether the table allowed it."""
        entry = self.entries[delivery_id]
        after = next_state(entry.state, happening)
        entry.state = after or entry.state
        return after is not None

    def lapse(self, now: Microseconds) -> None:
        """End the leases that ran out: unsent ones are ready again, ``transmitting`` ones ambiguous."""
        for entry in self.entries.values():
            if entry.lease_ends_at <= now:
                if entry.state is DeliveryState.LEASED:
                    self.happen(entry.delivery.id, Happening.LEASE_LOST)
                elif entry.state is DeliveryState.TRANSMITTING:
                    self.happen(entry.delivery.id, Happening.UNKNOWN)

    async def due_destinations(self, now: Microseconds) -> Sequence[DueDestination]:
        """See ``DeliveryQueue.due_destinations``."""
        self._expire(now)
        due = dict.fromkeys(entry.destination_id for entry in self.entries.values() if self._is_due(entry, now))
        return [DueDestination(each, self._hosts[each]) for each in due]

    async def next_due_at(self, now: Microseconds) -> Microseconds | None:
        """See ``DeliveryQueue.next_due_at``."""
        later = [
            entry.due_at
            for entry in self.entries.values()
            if entry.state is DeliveryState.DEFERRED and entry.due_at > now
        ]
        return min(later, default=None)

    async def lease(self, destination_id: int, limit: int, now: Microseconds) -> Sequence[Delivery]:
        """See ``DeliveryQueue.lease``."""
        leased: list[Delivery] = []
        for entry in self.entries.values():
            if len(leased) < limit and entry.destination_id == destination_id and self._is_due(entry, now):
                self.happen(entry.delivery.id, Happening.LEASE)
                entry.lease_ends_at = Microseconds(now + self._lease_time)
                entry.delivery = replace(entry.delivery, epoch=entry.delivery.epoch + 1)
                leased.append(entry.delivery)
        return leased

    async def mark_transmitting(self, deliveries: Sequence[Delivery], now: Microseconds) -> frozenset[int]:
        """See ``DeliveryQueue.mark_transmitting``."""
        ours = set()
        for delivery in deliveries:
            entry = self.entries[delivery.id]
            if entry.delivery.epoch == delivery.epoch and self.happen(delivery.id, Happening.TRANSMIT):
                first = now if entry.delivery.first_attempt_at is None else entry.delivery.first_attempt_at
                entry.delivery = replace(entry.delivery, first_attempt_at=first)
                ours.add(delivery.id)
        return frozenset(ours)

    async def record(self, outcomes: Sequence[AttemptOutcome]) -> None:
        """See ``DeliveryQueue.record``."""
        for outcome in outcomes:
            entry = self.entries[outcome.delivery.id]
            if entry.delivery.epoch != outcome.delivery.epoch or not self.happen(entry.delivery.id, outcome.happening):
                continue
            self.outcomes.append(outcome)
            entry.outcomes.append(outcome)
            if outcome.happening in {Happening.TRANSIENT, Happening.UNKNOWN}:
                entry.delivery = replace(entry.delivery, attempt=entry.delivery.attempt + 1)
            if outcome.retry_at is not None:
                entry.due_at = outcome.retry_at
                instead = happening_instead_of_retry(outcome.retry_at, entry.delivery.expires_at)
                if instead is not None:
                    self.happen(entry.delivery.id, instead)

    def _is_due(self, entry: QueueEntry, now: Microseconds) -> bool:
        return entry.state in {DeliveryState.READY, DeliveryState.DEFERRED} and entry.due_at <= now

    def _expire(self, now: Microseconds) -> None:
        for entry in self.entries.values():
            if entry.delivery.expires_at <= now and entry.state in {DeliveryState.READY, DeliveryState.DEFERRED}:
                self.happen(entry.delivery.id, Happening.EXPIRE)


def delivery(identity: int, rcpt_to: str = "", *, now: int = 1_700_000_000_000_000, days: float = 2.0) -> Delivery:
    """A delivery with sensible values, for tests."""
    queued_at = Microseconds(now)
    return Delivery(
        id=identity,
        workspace_id=1,
        run_id=1,
        epoch=0,
        attempt=1,
        mail_from="bounce@sender.test",
        rcpt_to=rcpt_to or f"user{identity}@peer.test",
        signing_domain=DomainName("sender.test"),
        queued_at=queued_at,
        expires_at=Microseconds(now + microseconds(timedelta(days=days))),
        first_attempt_at=None,
        payload=None,
    )
