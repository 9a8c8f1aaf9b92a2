"""What comes in at our return paths: the strict listener, with hooks that store and relay nothing.

- 250 after the final dot means that the sink has stored the message for good; 451 asks to send it again.
- Recipients are decided on by a callback; nothing is relayed.
- Connections, their length, the message's size and its number of recipients are bounded.
"""

import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any

from mailtypes.errors import StorageError
from mta.strict_smtp import Listeners, SessionBounds, StrictServer, StrictSession

_LOG = logging.getLogger(__name__)
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
    connections_per_peer: int = 100
    idle: timedelta = timedelta(minutes=5)
    session: timedelta = timedelta(minutes=30)


Sink = Callable[[IncomingMessage], Coroutine[Any, Any, None]]
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
            await server.store(self._sink(message))
        except StorageError:
            _LOG.exception("an incoming message could not be stored")
            return "451 4.3.0 could not be stored, try again later"
        return _STORED

    async def handle_exception(self, error: Exception) -> str:
        """A fault of ours must not become a bounce of theirs."""
        _LOG.error("fault in an incoming session", exc_info=error)
        return "451 4.3.0 local error, try again later"


class ReturnPathSession(StrictSession):
    """One incoming session."""

    # Returned messages in bounces often have longer lines than RFC 5321 section 4.5.3.1.6 allows.
    line_length_limit = 16 * 1024

    def __init__(self, handler: ReturnPathHandler, hostname: str, listeners: Listeners) -> None:
        limits = handler.limits
        super().__init__(
            handler,
            SessionBounds(limits.connections, limits.connections_per_peer, limits.idle, limits.session),
            listeners,
            data_size_limit=limits.message_octets,
            enable_SMTPUTF8=True,
            hostname=hostname,
            command_call_limit=1000,
            auth_exclude_mechanism=["LOGIN", "PLAIN"],
        )


class ReturnPathServer(StrictServer):
    """A listener for return paths."""

    def __init__(self, handler: ReturnPathHandler, hostname: str) -> None:
        super().__init__(lambda listeners: ReturnPathSession(handler, hostname, listeners))
