"""What every listener of ours has in common: aiosmtpd, with strict hooks around it.

- Only CRLF ends a line. aiosmtpd reads commands up to a bare LF, and the octets ``LF . CR LF`` mean different things
  to different hosts (SMTP smuggling), so a bare CR or LF anywhere ends the session before it is looked at.
- Sessions are bounded in number, in all and for each peer, and in time.
- What is being stored when the other side leaves, or the server closes, is stored to its end and answered first.
"""

import asyncio
import ipaddress
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from aiosmtpd.smtp import SMTP

_LOG = logging.getLogger(__name__)
_CLOSING = b"421 4.3.2 closing down, try again later\r\n"
_TOO_MANY = b"421 4.7.0 too many connections, try again later\r\n"
_TOO_LONG = b"421 4.4.2 the session took too long\r\n"
_TOO_SLOW = b"421 4.4.2 nothing came for too long\r\n"
_BARE_LINE_END = b"521 5.5.2 a carriage return or line feed stands alone\r\n"
_LINGER_SECONDS = 2.0
_IPV6_SITE = 64

Stored = TypeVar("Stored")


@dataclass(frozen=True, slots=True)
class SessionBounds:
    """``idle`` is the time for one command or one message, ``session`` for the whole; ``per_peer`` counts sessions."""

    connections: int
    per_peer: int
    idle: timedelta
    session: timedelta


@dataclass(slots=True)
class Listeners:
    """The sessions of one server, and what they are storing."""

    sessions: set["StrictSession"] = field(default_factory=set)
    peers: Counter[str] = field(default_factory=Counter)
    works: set["asyncio.Task[Any]"] = field(default_factory=set)
    is_closing: bool = False
    _empty: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, session: "StrictSession", peer: str) -> None:
        """Count a session."""
        self.sessions.add(session)
        self.peers[peer] += 1

    def discard(self, session: "StrictSession", peer: str) -> None:
        """Forget a session; one that was never counted does no harm."""
        if session in self.sessions:
            self.sessions.remove(session)
            self.peers[peer] -= 1
            if not self.peers[peer]:
                del self.peers[peer]
        if self.is_closing and not self.sessions:
            self._empty.set()

    async def all_gone(self) -> None:
        """Wait until no session is left; only while the server closes."""
        if self.sessions:
            await self._empty.wait()


def peer_site(address: str) -> str:
    """What is counted as one peer: an IPv4 address, or an IPv6 /64, which any customer gets whole."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Network((ip, _IPV6_SITE), strict=False))


class StrictSession(SMTP):
    """One incoming session."""

    def __init__(self, handler: object, bounds: SessionBounds, listeners: Listeners, **options: Any) -> None:
        super().__init__(
            handler, timeout=bounds.idle.total_seconds(), loop=asyncio.get_running_loop(), ident="ESMTP", **options
        )
        self._bounds = bounds
        self._listeners = listeners
        self._is_leaving = False
        self._is_lost = False
        self._is_at_end = False
        self._is_storing = False
        self._farewell: bytes | None = None
        self._held = b""
        self._session_timer: asyncio.TimerHandle | None = None
        self._own_transport: asyncio.Transport | None = None
        self._site = ""

    def admit(self, address: str) -> bytes | None:
        """Count the session, which comes from ``address``; what to refuse it with where there is no place for it."""
        listeners, bounds = self._listeners, self._bounds
        self._site = peer_site(address)
        if listeners.is_closing:
            return _CLOSING
        if len(listeners.sessions) >= bounds.connections or listeners.peers[self._site] >= bounds.per_peer:
            return _TOO_MANY
        listeners.add(self, self._site)
        return None

    def connection_made(self, transport: Any) -> None:
        """Called by the event loop."""
        self._own_transport = transport
        peer = transport.get_extra_info("peername")
        if self not in self._listeners.sessions:  # it may have been admitted before its handshake
            refusal = self.admit(str(peer[0]) if peer else "")
            if refusal is not None:
                self._leave(refusal)
                return
        seconds = self._bounds.session.total_seconds()
        self._session_timer = self.loop.call_later(seconds, self._leave_when_stored, _TOO_LONG)
        self._begin(transport)

    def _begin(self, transport: Any) -> None:
        """Greet the client."""
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the event loop."""
        if self._is_lost:
            return
        self._is_lost = True
        self._listeners.discard(self, self._site)
        if self._session_timer is not None:
            self._session_timer.cancel()
        if self._handler_coroutine is not None:  # it had begun
            super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop; octets go on only where all line ends are CRLF."""
        if self._is_leaving:
            return
        octets = self._held + data
        self._held = b"\r" if octets.endswith(b"\r") else b""
        octets = octets.removesuffix(b"\r") if self._held else octets
        pairs = octets.count(b"\r\n")
        if octets.count(b"\n") != pairs or octets.count(b"\r") != pairs:
            self._leave(self._bare_line_end_reply())
        elif octets:
            self._octets_received(octets)

    def _bare_line_end_reply(self) -> bytes:
        return _BARE_LINE_END

    def _octets_received(self, octets: bytes) -> None:
        """Take octets whose line ends are all CRLF."""
        super().data_received(octets)

    def eof_received(self) -> bool | None:
        """Called by the event loop."""
        self._is_at_end = True
        if self._is_leaving:
            return False
        if self._is_storing and self._own_transport is not None and self._own_transport.can_write_eof():
            self._farewell = b""  # nothing more will come, but the answer is still wanted
            return True
        return super().eof_received()

    async def store(self, work: Coroutine[Any, Any, Stored]) -> Stored:
        """Await ``work``, which goes on to its end whatever becomes of the session.

        The session is not closed meanwhile: the other side is owed the answer.
        """
        task = self.loop.create_task(work)
        self._listeners.works.add(task)
        task.add_done_callback(self._listeners.works.discard)
        self._is_storing = True
        try:
            return await asyncio.shield(task)
        finally:
            self._is_storing = False
            if self._farewell is not None:
                self.loop.call_soon(self._leave, self._farewell)  # after the answer to the final dot

    def close_with_421(self) -> None:
        """End the session now, or as soon as the message that is being stored has its answer."""
        self._leave_when_stored(_CLOSING)

    def abort(self) -> None:
        """End the session without a word."""
        if self._own_transport is not None:
            self._own_transport.abort()

    def _timeout_cb(self) -> None:
        self._leave_when_stored(_TOO_SLOW)

    def _leave_when_stored(self, reply: bytes) -> None:
        if self._is_storing:
            self._farewell = reply
        else:
            self._leave(reply)

    def _leave(self, reply: bytes) -> None:
        transport = self._own_transport
        if transport is None or self._is_leaving:
            return
        self._is_leaving = True
        self.loop.call_later(_LINGER_SECONDS, transport.abort)
        if transport.is_closing():
            return
        transport.write(reply)
        transport.resume_reading()  # where it was paused, the other side's goodbye would not be seen
        # Closed at once, the socket would answer what is still on its way with a reset, and the reply be lost.
        if transport.can_write_eof() and not self._is_at_end:
            try:
                transport.write_eof()
            except OSError:  # the other side is gone already
                transport.abort()
        else:
            transport.close()  # TLS says goodbye in its own way; where nothing more comes, nothing is reset


class StrictServer:
    """A listener; each connection gets the session that ``make_session`` makes."""

    def __init__(self, make_session: Callable[[Listeners], StrictSession]) -> None:
        self._make_session = make_session
        self._listeners = Listeners()
        self._server: asyncio.AbstractServer | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, which the system chooses where ``port`` is 0."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: self._make_session(self._listeners), host, port, backlog=1024)
        self._server = server
        return int(server.sockets[0].getsockname()[1])

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
        if self._listeners.works:  # of clients that did not wait for their answer
            await asyncio.wait(self._listeners.works, timeout=grace.total_seconds())

    def _abort_all(self) -> None:
        _LOG.warning("%d sessions are cut off, their time to close is over", len(self._listeners.sessions))
        for session in tuple(self._listeners.sessions):
            session.abort()
