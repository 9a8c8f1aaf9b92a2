"""The MX hosts: aiosmtpd around the provider models. What is answered 250 is committed to the mailboxes before."""

import asyncio
import email.header
import email.utils
import logging
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from aiosmtpd.smtp import SMTP, Envelope, Session

from mailtypes.address import EmailAddress
from mailtypes.clock import Clock, as_datetime
from mailtypes.errors import StorageError
from mailtypes.smtp import SmtpReply
from postwright.sandbox.judgement import Judgement, MailCase
from postwright.sandbox.judging import JudgePool, JudgesUnavailableError
from postwright.sandbox.mailboxes import MailboxWriter, ReceivedMessage, RefusedAttempt
from postwright.sandbox.providers import Approach, Provider, Refusal, RefusalKind

_LOG = logging.getLogger(__name__)
_MAX_MESSAGE_OCTETS = 25 * 1024 * 1024
_MAX_RECIPIENTS = 100  # RFC 5321 section 4.5.3.1.8: no fewer
_MAX_CONNECTIONS = 200
_SESSION_SECONDS = 60.0
_DECIDING_SECONDS = 5.0  # that the replies under way may take when the host goes down
_MAX_LINE_OCTETS = 998  # RFC 5321 section 4.5.3.1.6, without the CRLF
_MAX_HEADER_TEXT = 998
_FIELD = re.compile(rb"(?im)^(message-id|subject):((?:[^\r\n]|\r?\n[ \t])*)")
_PLAIN_PATH = re.compile(r"<([a-zA-Z0-9.+=_-]{1,64}@[a-zA-Z0-9.-]{1,189})>(?: +(.*))?\Z")
_END_OF_HEADER = re.compile(rb"\r\n\r\n")


@dataclass(frozen=True, slots=True)
class ReceivingParts:
    """What all MX hosts of the sandbox share; ``judges`` is ``None`` where nothing is judged."""

    mailboxes: MailboxWriter
    judges: JudgePool | None
    clock: Clock
    keep_bodies: bool = True


class _Smtp(SMTP):  # type: ignore[misc, unused-ignore]  # aiosmtpd has no types
    """aiosmtpd's session, closed with 421 when the host goes down (RFC 5321 section 3.8).

    DATA is read in large pieces: aiosmtpd's own way, line by line, is what bounds the speed of a sender.
    """

    # aiosmtpd's reader holds at most this; command lines have their own limit, lines of a message theirs below.
    line_length_limit = 1 << 17

    def __init__(self, handler: "_Sessions", **options: Any) -> None:
        super().__init__(handler, **options)
        self._smtp_methods.pop("AUTH", None)  # AUTH is for submission; an MX host neither offers nor takes it
        self._sessions = handler
        self.is_deciding = False
        self._is_going_down = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._sessions.open.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._sessions.open.discard(self)
        super().connection_lost(error)

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """A path and its parameters; the plain ones without the header parser that aiosmtpd brings to bear."""
        plain = _PLAIN_PATH.match(arg)
        return (plain[1], plain[2] or "") if plain else super()._getaddr(arg)

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802
        """RFC 5321 section 4.1.1.4."""
        assert self.envelope is not None
        if await self.check_helo_needed():
            return
        if not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 Need RCPT first")
            return
        if arg:
            await self.push("501 5.5.4 DATA takes no argument")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        content = await self._read_content()
        if content is None:
            status = "552 5.3.4 Message too large"
        else:
            self.envelope.content = self.envelope.original_content = content
            self.is_deciding = True
            status = await self._call_handler_hook("DATA")
        self._set_post_data_state()  # type: ignore[no-untyped-call]
        await self.push(status)
        self.is_deciding = False
        if self._is_going_down:
            self.say_goodbye()

    async def _read_content(self) -> bytes | None:
        """Everything up to the lone dot, dots unstuffed (RFC 5321 section 4.5.2); ``None`` where it is too much."""
        # The line end of the DATA command is put back: it begins the end mark where the message is empty.
        self._reader._buffer[:0] = b"\r\n"  # type: ignore[attr-defined]
        pieces: list[bytes] = []
        size = 0
        while True:
            ended = False
            try:
                piece = await self._reader.readuntil(b"\r\n.\r\n")
                ended = True
            except asyncio.LimitOverrunError as more:
                piece = await self._reader.readexactly(more.consumed)
            size += len(piece)
            if size > _MAX_MESSAGE_OCTETS:
                pieces.clear()
            else:
                pieces.append(piece)
            if ended:
                break
        if size > _MAX_MESSAGE_OCTETS:
            return None
        return b"".join(pieces)[:-3].replace(b"\r\n.", b"\r\n")[2:]

    async def handle_exception(self, error: Exception) -> str:
        """A fault of ours is a temporary failure for the client."""
        _LOG.error("an SMTP session failed", exc_info=error)
        return "451 4.3.0 Local error, try later"

    def say_goodbye(self) -> None:
        """End the session from our side; where a message is being decided on, after the reply to it.

        421 in place of that reply would say "not taken" of a message that is about to be kept.
        """
        self._is_going_down = True
        if self.transport is not None and not self.is_deciding:
            transport = cast("asyncio.WriteTransport", self.transport)
            transport.write(b"421 4.3.2 The host is going down\r\n")
            transport.close()

    def hang_up(self) -> None:
        """End the session without a word: what became of its message, the client cannot know."""
        if self.transport is not None:
            cast("asyncio.WriteTransport", self.transport).abort()


class _TooBusy(asyncio.Protocol):
    """Stands in for a session where there are too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast("asyncio.WriteTransport", transport)
        stream.write(b"421 4.7.0 Too many connections, try later\r\n")
        stream.close()


class _Sessions:
    """aiosmtpd's hooks for one provider."""

    def __init__(self, provider: Provider, parts: ReceivingParts) -> None:
        self._provider = provider
        self._parts = parts
        self.open: set[_Smtp] = set()

    async def handle_EHLO(  # noqa: N802
        self, _server: _Smtp, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Greet; offer PIPELINING (RFC 2920), which aiosmtpd copes with but does not say."""
        session.host_name = hostname
        offered = [line for line in responses if not line[4:].startswith(("AUTH", "HELP"))]
        return [*offered, "250-PIPELINING", "250 ENHANCEDSTATUSCODES"]

    async def handle_MAIL(  # noqa: N802
        self, _server: _Smtp, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take the reverse path; non-ASCII needs SMTPUTF8 (RFC 6531 section 3.4)."""
        if not address.isascii() and not envelope.smtp_utf8:
            return "553 5.6.7 The address needs SMTPUTF8"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender accepted"

    async def handle_RCPT(  # noqa: N802
        self, _server: _Smtp, session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Ask the provider whether the recipient may have the mail; log its refusals."""
        if len(envelope.rcpt_tos) >= _MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        if not address.isascii() and not envelope.smtp_utf8:
            return "553 5.6.7 The address needs SMTPUTF8"
        now = self._parts.clock.now()
        approach = Approach(_client_ip(session), _reverse_path(envelope), address)
        answer = self._provider.answer_rcpt(approach, now)
        if isinstance(answer, EmailAddress):
            envelope.rcpt_tos.append(address)
            return "250 2.1.5 Recipient accepted"
        greylisted = None
        if answer.kind is RefusalKind.GREYLISTED and self._provider.greylist is not None:
            triplet = self._provider.greylist.triplet(approach, EmailAddress.parse(address).key)
            greylisted = (triplet, self._provider.greylist.first_seen(triplet) or now)
        return await self._refuse(answer, session, envelope, [address], greylisted)

    async def handle_DATA(self, server: _Smtp, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Judge, then keep or refuse: the reply is the outcome."""
        raw = envelope.original_content or b""
        if (malformed := _malformed(raw)) is not None:
            return await self._refuse(malformed, session, envelope, envelope.rcpt_tos)
        case = MailCase(
            raw, _client_ip(session), _printable(session.host_name), _reverse_path(envelope), self._provider.mx_hosts[0]
        )
        try:
            judgement = await self._parts.judges.judge(case) if self._parts.judges else Judgement.unjudged()
        except JudgesUnavailableError as error:
            _LOG.warning("%s", error)
            refusal = Refusal(RefusalKind.TEMPORARY, SmtpReply.of(451, "4.3.0 Could not judge the mail, try later"))
            return await self._refuse(refusal, session, envelope, envelope.rcpt_tos)
        answer = self._provider.answer_data(judgement)
        if isinstance(answer, Refusal):
            return await self._refuse(answer, session, envelope, envelope.rcpt_tos)
        tls = _tls_version(server)
        messages = [
            self._copy(case, judgement, answer.value, EmailAddress.parse(rcpt_to), tls) for rcpt_to in envelope.rcpt_tos
        ]
        stored = self._trace(case, judgement, messages[0]) + (raw if self._parts.keep_bodies else _header_of(raw))
        try:
            await self._parts.mailboxes.store(messages, stored)
        except StorageError as error:
            _LOG.error("%s", error)
            return "452 4.3.1 The mail could not be stored, try later"
        return "250 2.0.0 Message accepted"

    async def _refuse(
        self,
        refusal: Refusal,
        session: Session,
        envelope: Envelope,
        rcpt_tos: list[str],
        greylisted: tuple[str, int] | None = None,
    ) -> str:
        attempts = [
            RefusedAttempt(
                provider=self._provider.name,
                refused_at=self._parts.clock.now(),
                client_ip=_client_ip(session),
                helo=_printable(session.host_name),
                mail_from=_reverse_path(envelope),
                rcpt_to=_printable(rcpt_to),
                kind=refusal.kind.value,
                reply=str(refusal.reply),
            )
            for rcpt_to in rcpt_tos
        ]
        try:
            await self._parts.mailboxes.refuse(attempts, greylisted)
        except StorageError as error:
            _LOG.error("%s", error)
        return str(refusal.reply)

    def _copy(
        self, case: MailCase, judgement: Judgement, folder: str, rcpt_to: EmailAddress, tls: str
    ) -> ReceivedMessage:
        fields = _read_fields(case.raw)
        return ReceivedMessage(
            provider=self._provider.name,
            folder=folder,
            received_at=self._parts.clock.now(),
            client_ip=case.client_ip,
            helo=case.helo,
            mail_from=case.mail_from,
            rcpt_to=rcpt_to.text,
            rcpt_key=rcpt_to.key,
            message_id=fields.get("message-id", ""),
            subject=_decoded(fields.get("subject", "")),
            size=len(case.raw),
            spf=judgement.spf.value,
            dkim=judgement.dkim.value,
            dmarc=judgement.dmarc.value,
            spf_domain=judgement.spf_domain,
            dkim_domain=judgement.dkim_domain,
            author_domain=judgement.author_domain,
            aligned=",".join(judgement.aligned),
            tls=tls,
        )

    def _trace(self, case: MailCase, judgement: Judgement, message: ReceivedMessage) -> bytes:
        """What a receiving host puts above a message (RFC 5321 section 4.4, RFC 8601 section 4)."""
        protocol = "ESMTPS" if message.tls else "ESMTP"
        date = email.utils.format_datetime(as_datetime(message.received_at))
        lines = [f"Return-Path: <{case.mail_from}>"]
        if judgement.header:
            lines.append(judgement.header.replace("\r", "").replace("\n", "\r\n"))
        lines.append(
            f"Received: from {case.helo} ([{case.client_ip}])\r\n by {case.authserv_id} with {protocol}; {date}"
        )
        return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")


class MxHost:
    """The listening host of one provider, at its own loopback address."""

    def __init__(self, provider: Provider, parts: ReceivingParts, tls: ssl.SSLContext | None) -> None:
        self._provider = provider
        self._sessions = _Sessions(provider, parts)
        self._tls = tls
        self._server: asyncio.Server | None = None

    async def start(self, port: int) -> int:
        """Listen on ``port`` (0 picks one) and return it; raise ``OSError`` where it is taken."""
        factory = cast("Callable[[], asyncio.Protocol]", self._new_session)
        self._server = await asyncio.get_running_loop().create_server(
            factory, self._provider.address, port, backlog=256
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and end the open sessions with 421, once the replies to their messages are given."""
        if self._server is not None:
            self._server.close()
        for session in list(self._sessions.open):
            session.say_goodbye()
        await asyncio.sleep(0)
        deadline = asyncio.get_running_loop().time() + _DECIDING_SECONDS
        while self._sessions.open and asyncio.get_running_loop().time() < deadline:
            if not any(session.is_deciding for session in self._sessions.open):
                return
            await asyncio.sleep(0.01)
        for session in list(self._sessions.open):
            session.hang_up()

    def _new_session(self) -> asyncio.BaseProtocol:
        if len(self._sessions.open) >= _MAX_CONNECTIONS:
            return _TooBusy()
        return cast(
            "asyncio.BaseProtocol",
            _Smtp(
                self._sessions,
                hostname=self._provider.mx_hosts[0],
                ident="Postwright sandbox",
                data_size_limit=_MAX_MESSAGE_OCTETS,
                enable_SMTPUTF8=True,
                tls_context=self._tls,
                timeout=_SESSION_SECONDS,
                loop=asyncio.get_running_loop(),
            ),
        )


def _malformed(raw: bytes) -> Refusal | None:
    """What careful hosts refuse since SMTP smuggling: bare CR or LF (RFC 5321 section 2.3.8), too long lines."""
    line_ends = raw.count(b"\r\n")
    if raw.count(b"\n") != line_ends or raw.count(b"\r") != line_ends:
        return Refusal(RefusalKind.MALFORMED, SmtpReply.of(554, "5.6.0 Bare CR or LF in the message"))
    if max(map(len, raw.split(b"\r\n"))) > _MAX_LINE_OCTETS:
        return Refusal(RefusalKind.MALFORMED, SmtpReply.of(554, "5.6.0 A line is longer than 998 octets"))
    return None


def _client_ip(session: Session) -> str:
    return str((session.peer or ("",))[0])


def _reverse_path(envelope: Envelope) -> str:
    address = envelope.mail_from or ""
    return "" if address == "<>" else _printable(address)


def _printable(text: str | None) -> str:
    """Text from the wire without octets that are no UTF-8 and without control characters."""
    clean = (text or "").encode("utf-8", "replace").decode("utf-8")
    return clean if clean.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in clean)


def _tls_version(server: _Smtp) -> str:
    tls = server.transport.get_extra_info("ssl_object") if server.transport is not None else None
    return (tls.version() or "") if tls is not None else ""


def _header_of(raw: bytes) -> bytes:
    end = _END_OF_HEADER.search(raw)
    return raw[: end.end()] if end else raw


def _read_fields(raw: bytes) -> dict[str, str]:
    """The first Message-ID and Subject, unfolded."""
    fields: dict[str, str] = {}
    for name, value in _FIELD.findall(_header_of(raw)):
        text = re.sub(r"\r?\n", "", value.decode("utf-8", "replace")).strip()
        fields.setdefault(name.decode().lower(), _printable(text[: 4 * _MAX_HEADER_TEXT]))
    return fields


def _decoded(text: str) -> str:
    """A header value with its encoded-words (RFC 2047) read; as it is where they are broken."""
    try:
        decoded = str(email.header.make_header(email.header.decode_header(text)))
    except (ValueError, LookupError):
        return text
    return _printable(decoded)[:_MAX_HEADER_TEXT]
