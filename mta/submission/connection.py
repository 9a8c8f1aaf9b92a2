"""A client's connection: octets into command lines, replies out, TLS in between; what the commands mean is elsewhere.

aiosmtpd carries the stream and its timeouts. The loop over the commands is ours, since aiosmtpd's logs and echoes
whatever it does not know (a password sent too early, for one), answers without enhanced status codes, and takes 512
octets as a limit that grows with each EHLO of anybody.
"""

import asyncio
import ipaddress
import logging
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from mailtypes.smtp import SmtpReply
from mta.strict_smtp import Listeners, SessionBounds, StrictSession
from mta.submission.auth import KeyCheck
from mta.submission.faults import CommandError
from mta.submission.limits import OctetBudget, SubmissionLimits
from mta.submission.ports import Submissions

_LOG = logging.getLogger(__name__)
_COMMAND_OCTETS = 512  # RFC 5321 section 4.5.3.1.4, with the CRLF
# What the extensions add: SIZE 26, BODY 17, SMTPUTF8 10 and a longer path, AUTH 500, RET and ENVID 117; NOTIFY and
# ORCPT 540 (RFC 1870 section 3, RFC 6152 section 2, RFC 6531 section 3.1, RFC 4954 section 3, RFC 3461 section 4).
_LONGER = {b"MAIL": 1300, b"RCPT": 1200, b"AUTH": 1400}
_READER_OCTETS = 4096
_COUNTED_FROM = 2 * _READER_OCTETS
_REPLIES_OCTETS = 16 * 1024
_TOO_LONG = b"500 5.5.6 the command line is too long\r\n"
_TOO_MANY_ERRORS = b"421 4.7.0 too many errors\r\n"
_TOO_MANY_COMMANDS = b"421 4.7.0 too many commands\r\n"
_FAULT = b"421 4.3.0 local error, try again later\r\n"
_NO_ROOM = b"421 4.3.1 too much mail at once, try again later\r\n"
_BEHIND_STARTTLS = b"554 5.5.1 octets in the clear behind STARTTLS\r\n"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

Command = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ground:
    """What all sessions of a listener share."""

    submissions: Submissions
    keys: KeyCheck
    hostname: str
    limits: SubmissionLimits
    budget: OctetBudget
    tls: ssl.SSLContext | None

    @property
    def bounds(self) -> SessionBounds:
        """For the strict session."""
        limits = self.limits
        return SessionBounds(limits.connections, limits.connections_per_peer, limits.idle, limits.session)


class SubmissionConnection(StrictSession):
    """Reads command lines and hands each to what ``commands`` has for its verb."""

    # Not a limit of lines but of the stream's buffer: reading pauses at twice as much.
    line_length_limit = _READER_OCTETS

    def __init__(self, ground: Ground, listeners: Listeners) -> None:
        super().__init__(
            object(),
            ground.bounds,
            listeners,
            hostname=ground.hostname,
            data_size_limit=ground.limits.message_octets,
            enable_SMTPUTF8=True,
            auth_exclude_mechanism=["LOGIN", "PLAIN"],
        )
        self._ground = ground
        self._commands: dict[bytes, Command] = {}
        self._commands_allowed = ground.limits.commands_before_auth
        self._errors = 0
        self._replies: list[bytes] = []
        self._replies_octets = 0
        self._counted = 0
        self.tls_version = ""
        self.peer_ip = ""

    @property
    def is_private(self) -> bool:
        """Whether a key may be shown: under TLS, or to ourselves."""
        if self.tls_version:
            return True
        try:
            ip = ipaddress.ip_address(self.peer_ip.partition("%")[0])
        except ValueError:
            return False
        mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
        return (mapped or ip).is_loopback

    # The connection's beginning and end

    def _begin(self, transport: Any) -> None:
        peer = transport.get_extra_info("peername")
        self.peer_ip = str(peer[0]) if peer else ""
        self._set_tls(transport)
        super()._begin(transport)

    def _set_tls(self, transport: asyncio.BaseTransport) -> None:
        ssl_object = transport.get_extra_info("ssl_object")
        self.tls_version = (ssl_object.version() or "TLS") if ssl_object is not None else ""

    async def _start_tls(self, transport: asyncio.Transport) -> asyncio.Transport | None:
        """The encrypted transport; ``None`` where the handshake failed, and the session is over then."""
        assert self._ground.tls is not None
        try:
            tls = await self.loop.start_tls(
                transport,
                self,
                self._ground.tls,
                server_side=True,
                ssl_handshake_timeout=self._ground.limits.handshake.total_seconds(),
            )
        except (OSError, TimeoutError, asyncio.CancelledError) as error:
            transport.abort()
            self.connection_lost(None)
            if isinstance(error, asyncio.CancelledError):
                raise
            _LOG.info("no TLS with %s: %s", self.peer_ip, error)
            return None
        if tls is None or self._is_lost:  # closed from our side meanwhile
            transport.abort()
            self.connection_lost(None)
            return None
        self._own_transport = tls
        self._set_tls(tls)
        return tls

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the event loop."""
        super().connection_lost(error)
        self._ground.budget.give_back(self._counted)
        self._counted = 0

    def eof_received(self) -> bool | None:
        """Called by the event loop; what came before is still answered."""
        if self._is_leaving or self._is_storing or self.tls_version or self._handler_coroutine is None:
            return super().eof_received()
        self._is_at_end = True
        return asyncio.StreamReaderProtocol.eof_received(self)

    # Commands

    async def _handle_client(self) -> None:
        try:
            await self.reply(f"220 {self.hostname} ESMTP")
            while not self._is_leaving:
                self._count_unread()
                if b"\r\n" not in self._unread():
                    await self.flush()
                line = await self._reader.readuntil(b"\r\n")
                self._reset_timeout()
                await self._obey(line)
        except asyncio.LimitOverrunError:
            self._leave(_TOO_LONG)
        except (ConnectionError, asyncio.IncompleteReadError):
            self._send_replies()
            self._writer.close()
        except asyncio.CancelledError:
            self._writer.close()
            raise
        except Exception:
            _LOG.exception("fault in a session of %s", self.peer_ip)
            self._leave(_FAULT)

    async def _obey(self, line: bytes) -> None:
        self._commands_allowed -= 1
        if self._commands_allowed < 0:
            self._leave(_TOO_MANY_COMMANDS)
            return
        verb, _, argument = line[:-2].partition(b" ")
        verb = verb.upper()
        try:
            if len(line) > _LONGER.get(verb, _COMMAND_OCTETS):
                raise CommandError(500, "5.5.6", "the command line is too long")
            command = self._commands.get(verb)
            if command is None:
                raise CommandError(500, "5.5.1", "there is no such command here")
            await command(_argument_text(argument))
        except CommandError as error:
            await self._complain(error)

    async def _complain(self, error: CommandError) -> None:
        await self.reply(error.reply)
        self._errors += 1
        if self._errors >= self._ground.limits.errors:
            self._leave(_TOO_MANY_ERRORS)

    async def challenge(self, octets: bytes) -> bytes:
        """Send a challenge of AUTH; the client's line without its line end."""
        self._append(octets)
        await self.flush()
        line = await self._reader.readuntil(b"\r\n")
        return line[:-2]

    async def command_starttls(self, argument: str) -> None:
        """STARTTLS (RFC 3207)."""
        if argument:
            raise CommandError(501, "5.5.4", "STARTTLS has no argument")
        if self._ground.tls is None or self.tls_version:
            raise CommandError(503, "5.5.1", "there is no TLS to be started")
        plain = self._own_transport
        assert plain is not None
        plain.pause_reading()
        if self.has_unread():
            # RFC 3207 section 4.2: whoever sits between could have put commands there, to be obeyed under TLS.
            self._leave(_BEHIND_STARTTLS)
            return
        await self.reply("220 2.0.0 go ahead")
        await self.flush()
        tls = await self._start_tls(plain)
        if tls is None:
            return
        # As aiosmtpd does it: neither stream has a public way.
        self.transport = tls
        self._reader._transport = tls  # type: ignore[attr-defined]
        self._writer._transport = tls  # type: ignore[attr-defined]
        self._over_ssl = True
        self._forget_client()

    def _forget_client(self) -> None:
        """RFC 3207 section 4.2: what was said in the clear counts no more."""
        raise NotImplementedError

    # What has come and is not read yet

    def has_unread(self) -> bool:
        """Whether the client sent more than has been looked at."""
        return bool(self._held) or bool(self._unread())

    def _unread(self) -> bytearray:
        buffer: bytearray = self._reader._buffer  # type: ignore[attr-defined]
        return buffer

    def _octets_received(self, octets: bytes) -> None:
        super()._octets_received(octets)
        self._count_unread()

    def _count_unread(self) -> None:
        """What lies in the stream's buffer counts as mail does; reading pauses, but one piece can be 256 KiB."""
        unread = len(self._unread())
        count = unread if unread > _COUNTED_FROM else 0
        if count > self._counted and not self._ground.budget.take(count - self._counted):
            self._leave(_NO_ROOM)
            return
        if count < self._counted:
            self._ground.budget.give_back(self._counted - count)
        self._counted = count

    # Replies

    async def reply(self, reply: SmtpReply | str) -> None:
        """Answer; replies to pipelined commands go out together (RFC 2920 section 3.2)."""
        self._append(str(reply).encode("ascii", "backslashreplace"))
        if self._replies_octets > _REPLIES_OCTETS:
            await self.flush()

    async def flush(self) -> None:
        """Send the replies, and wait while the client does not read them."""
        self._send_replies()
        await self._writer.drain()

    def _append(self, line: bytes) -> None:
        self._replies.append(line + b"\r\n")
        self._replies_octets += len(line)

    def _send_replies(self) -> None:
        if self._replies:
            self._writer.write(b"".join(self._replies))
            self._replies.clear()
            self._replies_octets = 0

    def _leave(self, reply: bytes) -> None:
        if not self._is_leaving and self._replies:
            self._send_replies()
        super()._leave(reply)


def _argument_text(argument: bytes) -> str:
    try:
        text = argument.decode("utf-8").strip(" ")
    except UnicodeDecodeError as error:
        raise CommandError(501, "5.5.2", "the command line is not UTF-8") from error
    if _CONTROL.search(text):
        raise CommandError(501, "5.5.2", "the command line has a control character")
    return text
