"""The commands of a submission session (RFC 6409, RFC 5321 section 4.1.1): AUTH first, then mail.

Nothing can be relayed, by construction: a transaction begins with a submitter, and only AUTH makes one.
"""

import asyncio
import logging

from mailtypes.errors import StorageFullError, SurroundingsError
from mailtypes.smtp import SmtpReply
from mta.strict_smtp import Listeners
from mta.submission.auth import MECHANISMS, read_credentials
from mta.submission.connection import Ground, SubmissionConnection
from mta.submission.faults import CommandError, ContentSyntaxError, one_line
from mta.submission.parameters import read_mail, read_rcpt
from mta.submission.ports import Refusal, Submission, SubmissionReceipt, SubmissionRefusedError, Submitter
from mta.submission.reception import MessageReception
from mta.submission.transaction import Origin, Transaction

_LOG = logging.getLogger(__name__)
_AUTH_FAILURES = 3
_LONGEST_HELO = 255
_BARE_IN_DATA = b"550 5.6.0 a carriage return or line feed stands alone in the message\r\n"
_BEHIND_DATA = b"554 5.5.1 octets before the answer to DATA\r\n"
_HOPELESS = b"552 5.3.4 the message is far larger than the size that is offered\r\n"
_TOO_SLOW = b"421 4.4.2 the message came too slowly\r\n"
_AUTH_ENOUGH = b"421 4.7.0 too many keys that were no good\r\n"
_BYE = b"221 2.0.0 bye\r\n"
_STORAGE_FULL = SmtpReply.of(452, "4.3.1 no room to store it, try again later")


class SubmissionSession(SubmissionConnection):
    """One client."""

    def __init__(self, ground: Ground, listeners: Listeners) -> None:
        super().__init__(ground, listeners)
        self._commands = {
            b"EHLO": self._ehlo,
            b"HELO": self._helo,
            b"STARTTLS": self.command_starttls,
            b"AUTH": self._auth,
            b"MAIL": self._mail,
            b"RCPT": self._rcpt,
            b"DATA": self._data,
            b"RSET": self._rset,
            b"NOOP": self._noop,
            b"VRFY": self._vrfy,
            b"QUIT": self._quit,
        }
        self._helo_name = ""
        self._is_extended = False
        self._submitter: Submitter | None = None
        self._auth_failures = 0
        self._transaction: Transaction | None = None
        self._reception: MessageReception | None = None
        self._received: asyncio.Future[None] | None = None
        self._pace_timer: asyncio.TimerHandle | None = None

    def _bare_line_end_reply(self) -> bytes:
        return super()._bare_line_end_reply() if self._reception is None else _BARE_IN_DATA

    # Hello, and who it is

    async def _ehlo(self, argument: str) -> None:
        self._greeted(argument, is_extended=True)
        ground = self._ground
        lines = [ground.hostname, f"SIZE {ground.limits.message_octets}", "8BITMIME", "SMTPUTF8", "PIPELINING"]
        lines += ["ENHANCEDSTATUSCODES", "DSN"]
        if ground.tls is not None and not self.tls_version:
            lines.append("STARTTLS")
        if self.is_private:
            lines.append(f"AUTH {' '.join(MECHANISMS)}")
        await self.reply("\r\n".join(f"250-{line}" for line in lines[:-1]) + f"\r\n250 {lines[-1]}")

    async def _helo(self, argument: str) -> None:
        self._greeted(argument, is_extended=False)
        await self.reply(f"250 {self._ground.hostname}")

    def _greeted(self, name: str, *, is_extended: bool) -> None:
        if not name or len(name) > _LONGEST_HELO or " " in name:
            raise CommandError(501, "5.5.4", "write EHLO and the name of your host")
        self._helo_name = name
        self._is_extended = is_extended
        self._transaction = None

    def _forget_client(self) -> None:
        self._helo_name = ""
        self._is_extended = False
        self._submitter = None
        self._transaction = None

    async def _auth(self, argument: str) -> None:
        if not self._is_extended:
            raise CommandError(503, "5.5.1", "EHLO comes first")
        if self._submitter is not None or self._transaction is not None:
            raise CommandError(503, "5.5.1", "you have signed in already")  # RFC 4954 section 4
        if not self.is_private:
            raise CommandError(538, "5.7.11", "STARTTLS comes first, a key is not to be shown in the clear")
        try:
            credentials = await read_credentials(argument, self.challenge)
            self._submitter = await self._ground.keys.submitter(credentials, self.peer_ip)
        except CommandError as error:
            self._auth_failures += 1
            await self._complain(error)
            if self._auth_failures >= _AUTH_FAILURES:
                self._leave(_AUTH_ENOUGH)
            return
        self._commands_allowed = self._ground.limits.commands_between_messages
        await self.reply("235 2.7.0 welcome")

    # A transaction

    async def _mail(self, argument: str) -> None:
        if self._submitter is None:
            raise CommandError(530, "5.7.0", "AUTH comes first")
        if self._transaction is not None:
            raise CommandError(503, "5.5.1", "there is a MAIL already")
        mail = read_mail(argument)
        if mail.size > self._ground.limits.message_octets:
            raise CommandError(552, "5.3.4", "the message is larger than the size that is offered")
        if mail.size > self._ground.budget.left:
            await self.reply(Refusal.BUSY.value)
            return
        self._transaction = Transaction(mail)
        await self.reply("250 2.1.0 ok")

    async def _rcpt(self, argument: str) -> None:
        transaction, submitter = self._transaction, self._submitter
        if transaction is None or submitter is None:
            raise CommandError(503, "5.5.1", "MAIL comes first")
        recipient = read_rcpt(argument, smtputf8=transaction.mail.smtputf8)
        if len(transaction.recipients) >= self._ground.limits.recipients:
            await self.reply("452 4.5.3 too many recipients")  # RFC 5321 section 4.5.3.1.10
            return
        try:
            refusal = await self._ground.submissions.recipient(submitter, recipient.address)
        except SurroundingsError:
            _LOG.exception("a recipient could not be looked up")
            await self.reply(Refusal.STORAGE_FAILING.value)
            return
        if refusal is not None:
            await self.reply(_reply(refusal))
            return
        transaction.recipients.append(recipient)
        await self.reply("250 2.1.5 ok")

    async def _data(self, argument: str) -> None:
        transaction, submitter = self._transaction, self._submitter
        if transaction is None or submitter is None:
            raise CommandError(503, "5.5.1", "MAIL comes first")
        if argument:
            raise CommandError(501, "5.5.4", "DATA has no argument")
        if self.has_unread():
            # RFC 2920 section 3.1: were DATA refused, its message would be obeyed as commands.
            self._leave(_BEHIND_DATA)
            return
        if not transaction.recipients:
            raise CommandError(554, "5.5.1", "no recipient has been accepted")
        if self._ground.budget.left <= 0:
            await self.reply(Refusal.BUSY.value)
            return
        self._transaction = None
        origin = Origin(submitter, self.peer_ip, self._helo_name, self.tls_version)
        await self._finish(await self._message(transaction, origin))

    async def _message(self, transaction: Transaction, origin: Origin) -> SmtpReply:
        """Receive and store a message; the reply to its final dot."""
        reception = MessageReception(self._ground.limits.message_octets, self._ground.budget)
        try:
            await self._receive(reception)
            if reception.fault is not None:
                return reception.fault
            submission = await transaction.submission(reception.take(), origin, self._ground.limits)
        except ContentSyntaxError as error:
            reception.release()
            return error.reply
        except BaseException:  # the client left: what it sent must not count on
            reception.release()
            raise
        return await self.store(self._accept(submission, reception))

    async def _accept(self, submission: Submission, reception: MessageReception) -> SmtpReply:
        try:
            return _receipt_reply(await self._ground.submissions.accept(submission))
        except SubmissionRefusedError as error:
            return _reply(error)
        except StorageFullError:
            _LOG.exception("no room for a message")
            return _STORAGE_FULL
        except SurroundingsError:
            _LOG.exception("a message could not be stored")
        except Exception:
            _LOG.exception("fault while a message was stored")
        finally:
            reception.release()
        return Refusal.STORAGE_FAILING.value

    async def _finish(self, reply: SmtpReply) -> None:
        self._reset_timeout()
        self._commands_allowed = self._ground.limits.commands_between_messages
        if reply.code == 421:  # RFC 5321 section 3.8
            self._leave(f"{reply}\r\n".encode("ascii", "backslashreplace"))
            return
        await self.reply(reply)

    # The octets behind DATA

    async def _receive(self, reception: MessageReception) -> None:
        self._append(b"354 end with CRLF . CRLF")
        self._received = self.loop.create_future()
        self._reception = reception
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()  # the pace and the session's length bound it now
        self._set_pace_timer(0)
        try:
            await self.flush()
            await self._received
        finally:
            self._reception = None
            if self._pace_timer is not None:
                self._pace_timer.cancel()

    def _octets_received(self, octets: bytes) -> None:
        reception = self._reception
        if reception is None:
            super()._octets_received(octets)
            return
        rest = reception.feed(octets)
        if rest is not None:
            self._reception = None
            if self._received is not None and not self._received.done():
                self._received.set_result(None)
            if rest:
                super()._octets_received(rest)
        elif reception.is_hopeless:
            self._leave(_HOPELESS)

    def _set_pace_timer(self, octets_before: int) -> None:
        seconds = self._ground.limits.pace.total_seconds()
        self._pace_timer = self.loop.call_later(seconds, self._check_pace, octets_before)

    def _check_pace(self, octets_before: int) -> None:
        reception = self._reception
        if reception is None:
            return
        if reception.octets - octets_before < self._ground.limits.octets_per_pace:
            self._leave(_TOO_SLOW)
        else:
            self._set_pace_timer(reception.octets)

    def eof_received(self) -> bool | None:
        """Called by the event loop; a message that has no end is none."""
        if self._reception is not None and not self._is_leaving:
            self._leave(b"")
            return False
        return super().eof_received()

    # The small ones

    async def _rset(self, argument: str) -> None:
        if argument:
            raise CommandError(501, "5.5.4", "RSET has no argument")
        self._transaction = None
        await self.reply("250 2.0.0 ok")

    async def _noop(self, argument: str) -> None:
        del argument
        await self.reply("250 2.0.0 ok")

    async def _vrfy(self, argument: str) -> None:
        del argument
        await self.reply("252 2.1.5 send it and see")  # RFC 5321 section 3.5.3: not to be found out here

    async def _quit(self, argument: str) -> None:
        if argument:
            raise CommandError(501, "5.5.4", "QUIT has no argument")
        self._leave(_BYE)


def _reply(error: SubmissionRefusedError) -> SmtpReply:
    return SmtpReply.of(error.reply.code, one_line(error.reply.text))


def _receipt_reply(receipt: SubmissionReceipt) -> SmtpReply:
    text = f"2.0.0 stored as {receipt.public_id}"
    if receipt.is_repeat:
        text += " before"
    if receipt.left_out:
        text += f", {receipt.left_out} recipients left out"
    return SmtpReply.of(250, one_line(text))
