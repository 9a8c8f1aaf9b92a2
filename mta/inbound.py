"""What comes in at our return paths: aiosmtpd, with strict hooks of ours around it.

- Only CRLF ends a line. aiosmtpd reads commands up to a bare LF, and the octets ``LF . CR LF`` mean different things
  to different hosts (SMTP smuggling), so a bare CR or LF anywhere ends the session with 521 before it is looked at.
- 250 after the final dot means that the sink has stored the message for good; 451 asks to send it again.
- Recipients are decided on by a callback; nothing is relayed.
- Connections, their length, the message's size and its number of recipients are bounded.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Any

from aiosmtpd.smtp import SMTP

from mailtypes.errors import StorageError

_LOG = logging.getLogger(__name__)
_CLOSING = b"421 4.3.2 closing down, try again later\r\n"
_TOO_MANY = b"421 4.7.0 too many connections, try again later\r\n"
_TOO_LONG = b"421 4.4.2 the session took too long\r\n"
_BARE_LINE_END = b"521 5.5.2 a carriage return or line feed stands alone\r\n"
_LINGER_SECONDS = 2.0
_STORED = "250 2.0.0 stored"


class RecipientDecision(Enum):
    """What to answer to RCPT; the value is the reply."""

    KNOWN = "250 2.1.5 ok"
    UNKNOWN = "550 5.1.1 no such address here"
    NOT_OURS = "550 5.7.1 relaying is not allowed"


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A message as received: ``mail_from`` is empty for the null reverse path, ``content`` has CRLF line ends."""

    mail_from: str
    rcpt_to: tuple[str, ...]
    content: bytes
    client_ip: str
    helo: str


@dataclass(frozen=True, slots=True)
class InboundLimits:
    """Bounds of the listener; ``idle`` is the time for one command or one message, ``session`` for the whole."""

    message_octets: int = 2 * 1024 * 1024
    recipients: int = 100
    connections: int = 200
    idle: timedelta = timedelta(minutes=5)
    session: timedelta = timedelta(minutes=30)


Sink = Callable[[IncomingMessage], Awaitable[None]]
"""Returns when the message is stored for good; raises ``StorageError`` where it is not."""


class ReturnPathHandler:
    """aiosmtpd's hooks: who may be written to, and what becomes of the message."""

    def __init__(
        self,
        sink: Sink,
        accept_recipient: Callable[[str], Awaitable[RecipientDecision]],
        limits: InboundLimits | None = None,
    ) -> None:
        self._sink = sink
        self._accept_recipient = accept_recipient
        self.limits = limits or InboundLimits()

    async def handle_RCPT(  # noqa: N802, the name is aiosmtpd's
        self, server: "ReturnPathSession", session: Any, envelope: Any, address: str, rcpt_options: list[str]
    ) -> str:
        """Answer RCPT."""
        del server, session, rcpt_options
        if len(envelope.rcpt_tos) >= self.limits.recipients:
            return "452 4.5.3 too many recipients"
        decision = await self._accept_recipient(address)
        if decision is RecipientDecision.KNOWN:
            envelope.rcpt_tos.append(address)
        return decision.value

    async def handle_DATA(  # noqa: N802, the name is aiosmtpd's
        self, server: "ReturnPathSession", session: Any, envelope: Any
    ) -> str:
        """Store the message, then answer the final dot."""
        mail_from = "" if envelope.mail_from == "<>" else envelope.mail_from
        message = IncomingMessage(
            mail_from, tuple(envelope.rcpt_tos), envelope.content, str(session.peer[0]), session.host_name or ""
        )
        try:
            with server.storing():
                await self._sink(message)
        except StorageError:
            _LOG.exception("an incoming message could not be stored")
            return "451 4.3.0 could not be stored, try again later"
        return _STORED

    async def handle_exception(self, error: Exception) -> str:
        """A fault of ours must not become a bounce of theirs."""
        _LOG.error("fault in an incoming session", exc_info=error)
        return "451 4.3.0 local error, try again later"


@dataclass(slots=True)
class _Listeners:
    sessions: set["ReturnPathSession"] = field(default_factory=set)
    is_closing: bool = False
    _empty: asyncio.Event = field(default_factory=asyncio.Event)

    def discard(self, session: "ReturnPathSession") -> None:
        self.sessions.discard(session)
        if self.is_closing and not self.sessions:
            self._empty.set()

    async def all_gone(self) -> None:
        if self.sessions:
            await self._empty.wait()


class ReturnPathSession(SMTP):
    """One incoming session."""

    # Returned messages in bounces often have longer lines than RFC 5321 section 4.5.3.1.6 allows.
    line_length_limit = 16 * 1024

    def __init__(self, handler: ReturnPathHandler, hostname: str, listeners: _Listeners) -> None:
        self._limits = handler.limits
        super().__init__(
            handler,
            data_size_limit=self._limits.message_octets,
            enable_SMTPUTF8=True,
            hostname=hostname,
            ident="ESMTP",
            timeout=self._limits.idle.total_seconds(),
            command_call_limit=1000,
            auth_exclude_mechanism=["LOGIN", "PLAIN"],
            loop=asyncio.get_running_loop(),
        )
        self._listeners = listeners
        self._is_refused = False
        self._is_leaving = False
        self._is_storing = False
        self._held = b""
        self._session_timer: asyncio.TimerHandle | None = None
        self._own_transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        """Called by the event loop."""
        self._own_transport = transport
        if self._listeners.is_closing or len(self._listeners.sessions) >= self._limits.connections:
            self._is_refused = True
            self._leave(_CLOSING if self._listeners.is_closing else _TOO_MANY)
            return
        self._listeners.sessions.add(self)
        seconds = self._limits.session.total_seconds()
        self._session_timer = self.loop.call_later(seconds, self._leave, _TOO_LONG)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the event loop."""
        self._listeners.discard(self)
        if self._session_timer is not None:
            self._session_timer.cancel()
        if not self._is_refused:
            super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop; octets go on to aiosmtpd only where all line ends are CRLF."""
        if self._is_leaving:
            return
        octets = self._held + data
        self._held = b"\r" if octets.endswith(b"\r") else b""
        octets = octets.removesuffix(b"\r") if self._held else octets
        pairs = octets.count(b"\r\n")
        if octets.count(b"\n") != pairs or octets.count(b"\r") != pairs:
            self._leave(_BARE_LINE_END)
        elif octets:
            super().data_received(octets)

    def eof_received(self) -> bool | None:
        """Called by the event loop."""
        return False if self._is_leaving else super().eof_received()

    def storing(self) -> "_Storing":
        """A context in which the session may not be closed: the other side is owed the answer."""
        return _Storing(self)

    def close_with_421(self) -> None:
        """End the session now, or as soon as the message that is being stored has its answer."""
        if not self._is_storing:
            self._leave(_CLOSING)

    def abort(self) -> None:
        """End the session without a word."""
        if self._own_transport is not None:
            self._own_transport.abort()

    def set_storing(self, *, is_storing: bool) -> None:
        """Called by ``storing``."""
        self._is_storing = is_storing
        if not is_storing and self._listeners.is_closing:
            self.loop.call_soon(self._leave, _CLOSING)  # after the answer to the final dot

    def _leave(self, reply: bytes) -> None:
        transport = self._own_transport
        if transport is not None and not self._is_leaving and not transport.is_closing():
            self._is_leaving = True
            transport.write(reply)
            # Closed at once, the socket would answer what is still on its way with a reset, and the reply be lost.
            try:
                transport.write_eof()
            except OSError:  # the other side is gone already
                transport.abort()
            self.loop.call_later(_LINGER_SECONDS, transport.abort)


class _Storing:
    def __init__(self, session: ReturnPathSession) -> None:
        self._session = session

    def __enter__(self) -> None:
        self._session.set_storing(is_storing=True)

    def __exit__(self, *_: object) -> None:
        self._session.set_storing(is_storing=False)


class ReturnPathServer:
    """A listener for return paths."""

    def __init__(self, handler: ReturnPathHandler, hostname: str) -> None:
        self._handler = handler
        self._hostname = hostname
        self._listeners = _Listeners()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, which the system chooses where ``port`` is 0."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: ReturnPathSession(self._handler, self._hostname, self._listeners), host, port
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def close_with_421(self, grace: timedelta = timedelta(seconds=10)) -> None:
        """Take no more connections, answer what is being stored, say 421 to everyone, and close."""
        self._listeners.is_closing = True
        if self._server is not None:
            self._server.close()
        for session in tuple(self._listeners.sessions):
            session.close_with_421()
        loop = asyncio.get_running_loop()
        timer = loop.call_later(grace.total_seconds(), self._abort_all)
        await self._listeners.all_gone()
        timer.cancel()

    def _abort_all(self) -> None:
        for session in tuple(self._listeners.sessions):
            session.abort()
