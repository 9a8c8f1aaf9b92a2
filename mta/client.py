"""The asyncio edge of the conversation: one ``Connection`` to one address of one host.

Every step has its time limit (RFC 5321 section 4.5.3.2), renewed only when a whole reply moved the conversation on:
a server that drips a reply octet by octet gains nothing.
"""

import asyncio
import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import cast

from mailtypes.bounce import Stage
from mailtypes.errors import PeerError
from mailtypes.smtp import SmtpReply
from mta.conversation import Conversation, Done, Ended, Event, Ready, StartTls, Write, WriteContent
from mta.conversation_table import State
from mta.ports import ConnectionPolicy
from mta.sessions import Course
from mta.transmission import Attempt, Transmission, Verdict

_QUIT_SECONDS = 5.0
_MOST_REMEMBERED = 10_000
# An idle session is the pool's affair; the handshake has its own limit in ``start_tls``.
_NOT_TIMED = frozenset({State.READY, State.HANDSHAKE})
_GREETING = frozenset({State.GREETING})
_CONTENT = frozenset({State.CONTENT, State.FINAL, State.FINAL_CHAINED, State.DOT_MOOT})


class UnusableHostError(PeerError):
    """A host could not be spoken to: no connection, a refusing greeting, or a broken session before any message."""

    def __init__(
        self, cause: str, *, remote: str, reply: SmtpReply | None = None, stage: Stage = Stage.UNKNOWN
    ) -> None:
        super().__init__(f"{remote}: {cause}" + (f": {reply}" if reply else ""))
        self.stage = stage
        self.cause = cause
        self.remote = remote
        self.reply = reply


class TlsFailedError(UnusableHostError):
    """STARTTLS was answered with 220, but the handshake failed; clear text may still work (RFC 7435)."""


@dataclass(frozen=True, slots=True)
class EgressSource:
    """Where we send from: our name in EHLO and the local addresses (at most one a family is used).

    With addresses given, only destinations of their families are spoken to: mail of one pool never leaves from
    another address. Without, the operating system chooses.
    """

    ehlo_name: str
    addresses: tuple[str, ...] = ()

    def can_reach(self, address: str) -> bool:
        """Whether there is a source address of the family of ``address``."""
        return not self.addresses or self.address_for(address) is not None

    def address_for(self, address: str) -> tuple[str, int] | None:
        """The local address to bind for a connection to ``address``, with port 0 for "any"."""
        version = ip_address(address).version
        return next(((own, 0) for own in self.addresses if ip_address(own).version == version), None)


@dataclass(frozen=True, slots=True)
class Remote:
    """The host spoken to: its MX name, and the address and port behind it."""

    host: str
    address: str
    port: int = 25

    def __str__(self) -> str:
        return f"{self.host}[{self.address}]:{self.port}"


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """How sessions are held; ``tls`` is the context for STARTTLS, ``None`` where it is not to be tried.

    ``no_chunks`` are the hosts that offered CHUNKING and refused BDAT; all terms made from these share the memory.
    """

    source: EgressSource
    policy: ConnectionPolicy = field(default_factory=ConnectionPolicy)
    tls: ssl.SSLContext | None = None
    no_chunks: set[str] = field(default_factory=set, compare=False)


def opportunistic_context() -> ssl.SSLContext:
    """A context that encrypts without asking who is there: without a policy, any TLS beats clear text (RFC 7435)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Connection(asyncio.Protocol):
    """An open session; ``send_all`` carries one message after the other.

    With PIPELINING the commands of the next go out in one write with the content of the one before, once this
    connection has shown that it takes mail: a host that refuses content may close at once, and what it had not yet
    read would then destroy its answer on the way.
    """

    def __init__(self, remote: Remote, terms: SessionTerms) -> None:
        self.remote = remote
        self.tls_version = ""
        self.accepted = 0
        self.sent = 0
        self._terms = terms
        self._conversation = Conversation(
            terms.source.ehlo_name, wants_tls=terms.tls is not None, wants_chunks=remote.host not in terms.no_chunks
        )
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._course: Course | None = None
        self._sending: asyncio.Future[None] | None = None
        self._held: Transmission | None = None
        self._chains = False
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._handshake: asyncio.Task[None] | None = None
        self._ended: UnusableHostError | None = None
        self._paused = False
        self._limits = _Limits(terms.policy)
        self._deadline = self._timer_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    async def open(cls, remote: Remote, terms: SessionTerms) -> "Connection":
        """Connect, greet and, where offered, encrypt; raise ``UnusableHostError`` or ``TlsFailedError``."""
        loop = asyncio.get_running_loop()
        connection = cls(remote, terms)
        local = terms.source.address_for(remote.address)
        try:
            async with asyncio.timeout(terms.policy.connect_timeout.total_seconds()):
                await loop.create_connection(lambda: connection, remote.address, remote.port, local_addr=local)
        except TimeoutError as error:
            raise UnusableHostError("the connection timed out", remote=str(remote)) from error
        except OSError as error:
            raise UnusableHostError(f"no connection: {error.strerror or error}", remote=str(remote)) from error
        try:
            await connection._opened
        except BaseException:
            connection.abort("the session was not opened")
            raise
        return connection

    @property
    def is_ready(self) -> bool:
        """Whether a message may be sent on it."""
        return self._ended is None and self._conversation.is_ready

    @property
    def end(self) -> UnusableHostError | None:
        """Why the connection is of no more use, ``None`` while it is open."""
        return self._ended

    async def send_all(self, course: Course) -> None:
        """Send what ``course`` gives; returns when it gives no more or the connection is of no more use.

        Never raises for what the other side does.
        """
        if not self.is_ready:
            if course.next() is not None:
                course.settle(Attempt(Verdict.NOT_SENT, cause=str(self._ended or "the connection is busy")))
            return
        self._course, self._sending = course, self._loop.create_future()
        try:
            self._go_on()
            await self._sending
        except asyncio.CancelledError:
            self.abort("cancelled")
            raise
        finally:
            self._course = self._sending = None

    async def quit(self) -> None:
        """Say QUIT, wait a moment for the answer, and close."""
        if self._ended is None and (events := self._conversation.quit()):
            self._carry_out(events)
            await asyncio.wait({self._gone}, timeout=_QUIT_SECONDS)
        self.abort("closed")

    def abort(self, cause: str) -> None:
        """Close at once; a message under way gets its outcome by what was written so far."""
        attempt = self._conversation.lost(cause)
        if attempt is not None:
            self._settle(attempt)
        self._end(cause)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._use(cast(asyncio.Transport, transport))  # uvloop's transports do not inherit from asyncio's
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        conversation = self._conversation
        before = conversation.state
        self._carry_out(conversation.receive(data))
        if self._sending is not None and conversation.is_ready:
            self._go_on()
        if conversation.state is not before:
            self._arm()

    def pause_writing(self) -> None:
        """Called by the event loop while written octets still wait in memory."""
        self._paused = True

    def resume_writing(self) -> None:
        """Called by the event loop once all written octets have left."""
        self._paused = False
        if self._conversation.state is State.CONTENT:
            self._finish_content()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self.abort(f"the connection was lost: {exc}" if exc else "the other side closed the connection")
        if not self._gone.done():
            self._gone.set_result(None)

    def _use(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=0)  # "resumed" shall mean that everything has left

    def _go_on(self) -> None:
        """Begin the next message where there is one."""
        course, conversation = self._course, self._conversation
        while course is not None and conversation.is_ready:
            transmission, self._held = self._held or course.next(), None
            if transmission is None:
                self._finish()
                return
            self._carry_out(conversation.begin(transmission, self._follower))

    def _follower(self) -> Transmission | None:
        """The message whose commands may go out with the end of the present one."""
        if self._course is None or not self._chains:
            return None
        transmission = self._course.next()
        if transmission is not None and not self._conversation.can_take(transmission):
            self._held, transmission = transmission, None
        return transmission

    def _finish(self) -> None:
        if self._sending is not None and not self._sending.done():
            self._sending.set_result(None)

    def _carry_out(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Write(data):
                    self._write(data)
                case Done(attempt):
                    self._settle(attempt)
                case WriteContent(head):
                    self._write(head)
                    if not self._paused:
                        self._finish_content()
                case Ready():
                    if not self._opened.done():
                        self._opened.set_result(None)
                case StartTls():
                    self._handshake = self._loop.create_task(self._start_tls())
                case Ended(cause, reply, stage):
                    self._end(cause, reply, stage)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
            self._arm()

    def _finish_content(self) -> None:
        self._write(self._conversation.finish_content())

    def _settle(self, attempt: Attempt) -> None:
        self._chains = attempt.verdict is Verdict.ACCEPTED
        self.sent += 1
        self.accepted += self._chains
        if self._course is not None:
            self._course.settle(attempt)

    def _end(self, cause: str, reply: SmtpReply | None = None, stage: Stage = Stage.UNKNOWN) -> None:
        if self._ended is not None:
            return
        if self._conversation.refuses_chunks and len(self._terms.no_chunks) < _MOST_REMEMBERED:
            self._terms.no_chunks.add(self.remote.host)
        # Whichever noticed first, the handshake or the transport.
        kind = TlsFailedError if self._handshake is not None and not self.tls_version else UnusableHostError
        self._ended = kind(cause, remote=str(self.remote), reply=reply, stage=stage)
        self._finish()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._handshake is not None and self._handshake is not asyncio.current_task(self._loop):
            self._handshake.cancel()
        if not self._opened.done():
            self._opened.set_exception(self._ended)
            self._opened.exception()  # seen: nobody may be waiting any more
        if self._transport is not None:
            self._transport.abort()

    async def _start_tls(self) -> None:
        if self._terms.tls is None or self._transport is None:
            raise RuntimeError("STARTTLS without a context")
        try:
            transport = await self._loop.start_tls(
                self._transport,
                self,
                self._terms.tls,
                server_hostname=self.remote.host,
                ssl_handshake_timeout=self._limits.command,
            )
        except (OSError, ssl.SSLError, ValueError) as error:
            self._end(f"the TLS handshake failed: {error or type(error).__name__}")
            return
        if transport is None or self._ended is not None:
            self._end("the connection was lost in the TLS handshake")
            return
        self._use(transport)
        self.tls_version = transport.get_extra_info("ssl_object").version() or ""
        self._carry_out(self._conversation.tls_started())

    def _arm(self) -> None:
        self._deadline = deadline = self._loop.time() + self._limits.of(self._conversation.state)
        if self._timer is not None and self._timer_at > deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None and self._ended is None:
            self._set_timer()

    def _set_timer(self) -> None:
        self._timer_at = self._deadline
        self._timer = self._loop.call_at(self._deadline, self._on_timer)

    def _on_timer(self) -> None:
        # One timer a connection, moved only when it fires: cheaper than one a reply.
        self._timer = None
        if self._loop.time() < self._deadline:
            self._set_timer()
        elif self._conversation.state not in _NOT_TIMED:
            self.abort(f"no reply in time in {self._conversation.state}")


class _Limits:
    """The time limits of a policy in seconds, by state."""

    __slots__ = ("_of_state", "command")

    def __init__(self, policy: ConnectionPolicy) -> None:
        self.command = policy.command_timeout.total_seconds()
        content, greeting = policy.data_timeout.total_seconds(), policy.greeting_timeout.total_seconds()
        self._of_state = dict.fromkeys(_CONTENT, content) | dict.fromkeys(_GREETING, greeting)

    def of(self, state: State) -> float:
        """How long the reply that is awaited in ``state`` may take."""
        return self._of_state.get(state, self.command)
