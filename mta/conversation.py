"""The outgoing SMTP conversation without sockets: bytes in, events out (tables in ``mta.conversation_table``).

    events = conversation.receive(data)        # whatever arrived
    events = conversation.begin(transmission)  # only where ``is_ready``

The driver carries the events out in their order. Nothing here raises because of what the other side sends: a
protocol that was broken is an ``Ended`` event after the events that were earned before it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from mailtypes.bounce import Stage
from mailtypes.smtp import ReplySyntaxError, SmtpReply
from mta.conversation_table import (
    CHUNKED,
    DOT_IS_OUT,
    IN_TRANSACTION,
    LOCKSTEP,
    PIPELINED,
    Action,
    Heard,
    State,
    Table,
    heard,
)
from mta.reply_reader import ReplyReader
from mta.transmission import Attempt, Transmission, Verdict

_IN_ONE_WRITE = 64 * 1024  # longer content is written in two parts, so that "the dot is not out yet" can be known
_CHUNK_IS_JUDGED = frozenset({State.CONTENT, State.FINAL, State.FINAL_CHAINED})
_DEAF = frozenset({State.ENDED, State.HANDSHAKE})
_NO_SUCH_COMMAND = frozenset({500, 502, 503, 504})  # to BDAT, from a host that offered CHUNKING
_SIZE = re.compile(r"[0-9]{1,20}\Z")  # RFC 1870 section 3
_EHLO_NAME = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}\Z")


@dataclass(frozen=True, slots=True)
class Write:
    """Write ``data`` in one piece."""

    data: bytes


@dataclass(frozen=True, slots=True)
class WriteContent:
    """Write ``head``, wait until all of it has left, then write what ``Conversation.finish_content`` returns."""

    head: bytes


@dataclass(frozen=True, slots=True)
class StartTls:
    """Negotiate TLS now, then call ``Conversation.tls_started``."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The session is open: ``begin`` may be called."""


@dataclass(frozen=True, slots=True)
class Done:
    """The message under way has its outcome."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection is of no more use; ``reply`` where the other side said why."""

    cause: str
    reply: SmtpReply | None = None
    stage: Stage = Stage.UNKNOWN
    """The command that ``reply`` answered."""


Event: TypeAlias = Write | WriteContent | StartTls | Ready | Done | Ended


@dataclass(frozen=True, slots=True)
class Extensions:
    """What EHLO offered (RFC 5321 section 4.1.1.1).

    ``size`` in octets is the largest message taken, 0 where no limit was told, ``None`` without SIZE (RFC 1870).
    """

    pipelining: bool = False
    starttls: bool = False
    eight_bit_mime: bool = False
    smtputf8: bool = False
    chunking: bool = False
    size: int | None = None

    @classmethod
    def of(cls, reply: SmtpReply) -> "Extensions":
        """Read the lines after the first of an EHLO reply."""
        offered = {line.partition(" ")[0].upper(): line for line in reply.text.split("\n")[1:]}
        limit = offered["SIZE"].partition(" ")[2].strip() if "SIZE" in offered else None
        return cls(
            pipelining="PIPELINING" in offered,
            starttls="STARTTLS" in offered,
            eight_bit_mime="8BITMIME" in offered,
            smtputf8="SMTPUTF8" in offered,
            chunking="CHUNKING" in offered,
            size=None if limit is None else int(limit) if _SIZE.match(limit) else 0,
        )


Follower: TypeAlias = Callable[[], Transmission | None]
"""Gives the message to begin next, once it is certain that it will be begun; ``None`` where there is none."""


class Conversation:
    """One SMTP session as its client; carries any number of messages, one recipient each, one after the other."""

    def __init__(self, ehlo_name: str, *, wants_tls: bool, wants_chunks: bool = True) -> None:
        """``ehlo_name`` is a host name or an address literal (RFC 5321 section 4.1.1.1); ``ValueError`` otherwise.

        ``wants_chunks``: BDAT is used where CHUNKING is offered, and not for a host that has refused it before.
        """
        if not _EHLO_NAME.match(ehlo_name):
            raise ValueError(f"not a name for EHLO: {ehlo_name!r}")
        self.state = State.GREETING
        self.extensions = Extensions()
        self.is_encrypted = False
        self.refuses_chunks = False
        """Whether the host offered CHUNKING and did not know BDAT."""
        self._wants_chunks = wants_chunks
        self._takes_chunks = False
        self._ehlo_name = ehlo_name
        self._wants_tls = wants_tls
        self._reader = ReplyReader()
        self._table = LOCKSTEP
        self._transmission: Transmission | None = None
        self._chained: Transmission | None = None
        self._follower: Follower | None = None
        self._refusal: Attempt | None = None
        self._needs_rset = False
        self._events: list[Event] = []

    @property
    def is_ready(self) -> bool:
        """Whether ``begin`` may be called."""
        return self.state is State.READY

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes from the other side; the events that follow, to be carried out in order."""
        self._reader.feed(data)
        try:
            # RFC 3207 section 6: what comes before the handshake may have been put there by a third party.
            while self.state not in _DEAF and (reply := self._reader.next_reply()) is not None:
                self._hear(reply)
            if self._is_in(State.HANDSHAKE) and self._reader.has_bytes:
                self._events = [event for event in self._events if not isinstance(event, StartTls)]
                self._break("clear text arrived where the TLS handshake was to begin")
        except ReplySyntaxError as error:
            self._break(f"{error.message}: {error.source[:80]!r}" if error.source else error.message)
        if self._is_in(State.ENDED):
            self._reader = ReplyReader()
        return self._take_events()

    def begin(self, transmission: Transmission, follower: Follower | None = None) -> list[Event]:
        """Begin the transaction of one message; ``ValueError`` unless ``is_ready``.

        What the other side said it cannot take is refused here without sending anything. With PIPELINING ``follower``
        is asked for the message to begin together with the end of this one, and so on with that one; it gives none
        that ``can_take`` refuses. Their outcomes come in their order.
        """
        if not self.is_ready:
            raise ValueError(f"no message may begin while the conversation is in {self.state}")
        cause = self._cannot_take(transmission)
        if cause:
            return [Done(Attempt(Verdict.PERMANENT, cause=cause))]
        self._transmission, self._follower = transmission, follower
        self._refusal = None
        commands = b""
        if self._needs_rset:
            self.state, commands, self._needs_rset = State.RSET, b"RSET\r\n", False
        else:
            self.state = State.MAIL
        if self._table is not LOCKSTEP:
            return [Write(commands + self._group(transmission))]
        return [Write(commands or self._mail())]

    def can_take(self, transmission: Transmission) -> bool:
        """Whether the other side said nothing that forbids to send it."""
        return not self._cannot_take(transmission)

    def finish_content(self) -> bytes:
        """The last part of the content with the final dot; from now on a lost connection is ambiguous."""
        if self.state is not State.CONTENT or self._transmission is None:
            raise ValueError(f"no content is being written in {self.state}")
        self.state = State.FINAL
        content = b"".join(self._octets())
        return content if len(content) <= _IN_ONE_WRITE else content[-_IN_ONE_WRITE:]

    def tls_started(self) -> list[Event]:
        """TLS is up: forget what was offered in clear text and say EHLO again (RFC 3207 section 4.2)."""
        if self.state is not State.HANDSHAKE:
            raise ValueError(f"no TLS handshake is awaited in {self.state}")
        self.is_encrypted = True
        self.extensions = Extensions()
        self.state = State.EHLO
        return [Write(self._ehlo())]

    def quit(self) -> list[Event]:
        """Say goodbye where the conversation stands between messages; no events elsewhere."""
        if not self.is_ready:
            return []
        self.state = State.QUIT
        return [Write(b"QUIT\r\n")]

    def lost(self, cause: str) -> Attempt | None:
        """The connection is gone: the outcome of the message under way, ``None`` where there was none."""
        state, self.state = self.state, State.ENDED
        if state not in IN_TRANSACTION:
            return None
        if self._refusal is not None:
            return self._refusal
        return Attempt(Verdict.UNKNOWN if state in DOT_IS_OUT else Verdict.NOT_SENT, cause=f"{cause} ({state})")

    def _hear(self, reply: SmtpReply) -> None:
        kind = heard(reply)
        if self.state is State.EHLO and kind is Heard.POSITIVE:
            self.extensions = Extensions.of(reply)
            self._table = self._table_of(self.extensions)
            if self.extensions.starttls and self._wants_tls and not self.is_encrypted:
                kind = Heard.OFFERS_STARTTLS
        if self._table is CHUNKED and self.state in _CHUNK_IS_JUDGED:
            if reply.code in _NO_SUCH_COMMAND and not self._takes_chunks:
                self._give_up_chunks()
                return
            self._takes_chunks = self._takes_chunks or kind is Heard.POSITIVE
        step = self._table.get((self.state, kind))
        if step is None:
            self._break(f"unexpected reply in {self.state}: {str(reply)[:200]}")
            return
        before, (self.state, action) = self.state, step
        self._act(action, before, reply)

    def _act(self, action: Action, before: State, reply: SmtpReply) -> None:
        if action is Action.WAIT:
            return
        if (command := _COMMANDS.get(action)) is not None:
            self._events.append(Write(command(self)))
        elif action is Action.SEND_CONTENT:
            self._write_content()
        elif action is Action.KEEP_REFUSAL:
            self._refusal = _judged(reply, before)
        elif action in _REPORTS:
            self._events.append(Done(self._refusal or _judged(reply, before)))
            self._transmission, self._chained = self._chained, None
            self._needs_rset = action is Action.REPORT_THEN_RSET
        elif action is Action.START_TLS:
            self._events.append(StartTls())
        elif action is Action.ANNOUNCE_READY:
            self._events.append(Ready())
        if action is Action.END and before in IN_TRANSACTION:
            self._events.append(Done(Attempt(Verdict.NOT_SENT, reply, f"refused in {before}", _stage(before))))
        if action in {Action.END, Action.REPORT_AND_END}:
            self._events.append(Ended(f"ended in {before}", reply, _stage(before)))

    def _table_of(self, offered: Extensions) -> Table:
        if not offered.pipelining:
            return LOCKSTEP
        return CHUNKED if offered.chunking and self._wants_chunks else PIPELINED

    def _give_up_chunks(self) -> None:
        """The host does not know BDAT. Where the reply to RSET shows that it read past the chunk, DATA is next."""
        self.refuses_chunks = True
        if self.state is State.CONTENT:
            self._break("BDAT was refused while the chunk was being written")
            return
        self._table, self.state = LOCKSTEP, State.RSET
        self._events.append(Write(b"RSET\r\n"))

    def _octets(self) -> tuple[bytes | memoryview, ...]:
        """The content as it is written, in pieces."""
        if self._transmission is None:
            return ()
        return self._transmission.chunk if self._table is CHUNKED else (self._transmission.content,)

    def _write_content(self) -> None:
        octets = self._octets()
        if sum(map(len, octets)) <= _IN_ONE_WRITE:
            self.state = State.FINAL
            self._events.append(Write(b"".join((*octets, self._chain()))))
        else:
            self._events.append(WriteContent(b"".join(octets)[:-_IN_ONE_WRITE]))

    def _chain(self) -> bytes:
        """The commands of the next message, to be written behind the final dot; nothing where there is none."""
        if self._table is LOCKSTEP or self._follower is None:
            return b""
        self._chained = self._follower()
        if self._chained is None:
            return b""
        self.state = State.FINAL_CHAINED
        return (b"RSET\r\n" if self._table is CHUNKED else b"") + self._group(self._chained)

    def _is_in(self, *states: State) -> bool:
        return self.state in states

    def _break(self, cause: str) -> None:
        attempt = self.lost(cause)
        if attempt is not None:
            self._events.append(Done(attempt))
        self._events.append(Ended(cause))

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _cannot_take(self, transmission: Transmission) -> str:
        offered = self.extensions
        if offered.size and transmission.size > offered.size:
            # RFC 1870 section 5: a message above the declared limit need not be tried.
            return f"5.3.4 the message has {transmission.size} octets, the host takes {offered.size}"
        if transmission.needs_smtputf8 and not offered.smtputf8:
            return "5.6.7 the message needs SMTPUTF8, which the host does not offer"
        if transmission.is_8bit and not offered.eight_bit_mime:
            return "5.6.3 the message needs 8BITMIME, which the host does not offer"
        return ""

    def _group(self, transmission: Transmission) -> bytes:
        """MAIL, RCPT and, where no chunk follows, DATA in one write."""
        data = "" if self._table is CHUNKED else "DATA\r\n"
        return f"{self._mail_line(transmission)}RCPT TO:<{transmission.rcpt_to}>\r\n{data}".encode()

    def _mail(self) -> bytes:
        if self._transmission is None:
            raise ValueError("MAIL without a message")
        return self._mail_line(self._transmission).encode()

    def _mail_line(self, transmission: Transmission) -> str:
        offered = self.extensions
        size = f" SIZE={transmission.size}" if offered.size is not None else ""
        body = " BODY=8BITMIME" if transmission.is_8bit else ""
        utf8 = " SMTPUTF8" if transmission.needs_smtputf8 else ""
        return f"MAIL FROM:<{transmission.mail_from}>{size}{body}{utf8}\r\n"

    def _rcpt(self) -> bytes:
        if self._transmission is None:
            raise ValueError("RCPT without a message")
        return f"RCPT TO:<{self._transmission.rcpt_to}>\r\n".encode()

    def _ehlo(self) -> bytes:
        return f"EHLO {self._ehlo_name}\r\n".encode()

    def _helo(self) -> bytes:
        return f"HELO {self._ehlo_name}\r\n".encode()


def _starttls(_: Conversation) -> bytes:
    return b"STARTTLS\r\n"


def _data(_: Conversation) -> bytes:
    return b"DATA\r\n"


def _dot(_: Conversation) -> bytes:
    return b".\r\n"


_COMMANDS: dict[Action, Callable[[Conversation], bytes]] = {
    Action.SEND_EHLO: Conversation._ehlo,
    Action.SEND_HELO: Conversation._helo,
    Action.SEND_STARTTLS: _starttls,
    Action.SEND_MAIL: Conversation._mail,
    Action.SEND_RCPT: Conversation._rcpt,
    Action.SEND_DATA: _data,
    Action.SEND_DOT: _dot,
}


_REPORTS = frozenset({Action.REPORT, Action.REPORT_AND_GO_ON, Action.REPORT_THEN_RSET, Action.REPORT_AND_END})


_STAGES = {State(stage): stage for stage in Stage if stage is not Stage.UNKNOWN} | {
    State.FINAL_CHAINED: Stage.FINAL,
    State.MAIL_CHAINED: Stage.MAIL,
}


def _stage(state: State) -> Stage:
    return _STAGES.get(state, Stage.UNKNOWN)


def _judged(reply: SmtpReply, state: State) -> Attempt:
    """What ``reply``, awaited in ``state``, makes of the message."""
    if reply.is_transient:
        return Attempt(Verdict.TRANSIENT, reply, stage=_stage(state))
    return Attempt(Verdict.PERMANENT if reply.is_permanent else Verdict.ACCEPTED, reply, stage=_stage(state))
