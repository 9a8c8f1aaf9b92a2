"""Message headers as a careful sender writes them (RFC 5322, RFC 2047, RFC 2369, RFC 2919, RFC 8058).

The same headers always give the same bytes. Nothing that ends a line can enter a header: carriage return, line
feed and NUL are refused, whoever brings them.
"""

import binascii
import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from mailtypes.address import EmailAddress
from mailtypes.clock import SECOND, Microseconds, as_datetime
from mailtypes.errors import InputSyntaxError, Span
from mailtypes.saying import say

_MAX_LINE = 78  # RFC 5322 section 2.1.1: should
_MAX_LINE_HARD = 998  # RFC 5322 section 2.1.1: must
_MAX_ENCODED_WORD = 75  # RFC 2047 section 2
_MAX_HEADER_CHARACTERS = 10_000
_FORBIDDEN = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_NAME = re.compile(r"[!-9;-~]{1,76}\Z")  # RFC 5322 section 2.2: printable ASCII without the colon
_PLAIN_TEXT = re.compile(r"[!-~]+(?: [!-~]+)*\Z")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_MESSAGE_ID = re.compile(r"<[!-;=?A-~]+@[!-;=?A-~]+>\Z")
_LIST_ID = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+\Z")
_FEEDBACK_ID = re.compile(r"[!-9;-~]*(?::[!-9;-~]*){0,3}\Z")
_LIST_URI = re.compile(r"(?:https?://|mailto:)[!-;=?-~]+\Z")
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")  # RFC 2047 section 5 (3)
_REMEMBERED_LINES = 1024
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WRITTEN_HERE = frozenset(
    {
        *("from", "to", "cc", "reply-to", "subject", "date", "message-id", "mime-version", "bcc"),
        *("list-unsubscribe", "list-unsubscribe-post", "list-id", "feedback-id"),
        *(
            "content-type",
            "content-transfer-encoding",
            "content-disposition",
            "content-id",
            "dkim-signature",
            "received",
            "return-path",
        ),
    }
)


class HeaderSyntaxError(InputSyntaxError):
    """A header that must not be sent; ``header`` is its name."""

    def __init__(
        self, message: str, *, header: str, source: str = "", span: Span | None = None, next_step: str = ""
    ) -> None:
        super().__init__(message, source=source, span=span, next_step=next_step)
        self.header = header


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address with the name shown beside it, which may be empty (RFC 5322 section 3.4)."""

    address: EmailAddress
    name: str = ""


@dataclass(frozen=True, slots=True)
class MessageHeaders:
    """The headers of one message. Names and subject in any script; all else as it goes on the wire.

    ``list_unsubscribe`` are https and mailto addresses without angle brackets; ``one_click`` adds
    List-Unsubscribe-Post (RFC 8058, needs an https address among them). ``list_id`` is a dotted name,
    ``message_id`` has its angle brackets.
    """

    from_address: EmailAddress
    to_address: EmailAddress
    subject: str
    date: Microseconds
    message_id: str
    from_name: str = ""
    to_name: str = ""
    reply_to: EmailAddress | None = None
    list_unsubscribe: tuple[str, ...] = ()
    one_click: bool = False
    list_id: str = ""
    list_name: str = ""
    feedback_id: str = ""
    extra: tuple[tuple[str, str], ...] = ()


def compose_headers(headers: MessageHeaders) -> bytes:
    """The header fields, each ending in CRLF, without the empty line; raises ``HeaderSyntaxError``.

    Content-Type is not among them: it comes from ``Layout.content_headers``.
    """
    to_address = headers.to_address
    lines = [
        _address_line("From", headers.from_name, headers.from_address),
        _address_line("To", headers.to_name, to_address)
        if headers.to_name or to_address.needs_smtputf8
        else f"To: {to_address.smtp}\r\n",  # each recipient's own: nothing to remember
    ]
    if headers.reply_to is not None:
        lines.append(_address_line("Reply-To", "", headers.reply_to))
    lines += content_lines(headers.subject, headers.date, headers.message_id)
    lines += _unsubscribe_lines(headers.list_unsubscribe, headers.one_click)
    lines += _identity_lines(headers.list_id, headers.list_name, headers.feedback_id)
    lines += [extra_line(name, value) for name, value in headers.extra]
    return "".join(lines).encode("ascii")


def address_lines(header: str, mailboxes: Sequence[Mailbox]) -> str:
    """A field with a list of mailboxes, each on a line of its own; raises ``HeaderSyntaxError``."""
    last = len(mailboxes) - 1
    written = (
        _mailbox(header, box, 1 if number else len(header) + 2, _MAX_LINE - (number < last))
        for number, box in enumerate(mailboxes)
    )
    return f"{header}: " + ",\r\n ".join(written) + "\r\n"


def content_lines(subject: str, date: Microseconds, message_id: str | None) -> list[str]:
    """Subject, Date, Message-ID (``None`` leaves it out) and MIME-Version; raises ``HeaderSyntaxError``."""
    lines = [f"Subject: {_text_line('Subject', subject)}\r\n", f"Date: {_date(date // SECOND)}\r\n"]
    if message_id is not None:
        lines.append(f"Message-ID: {_matching('Message-ID', message_id, _MESSAGE_ID)}\r\n")
    lines.append("MIME-Version: 1.0\r\n")
    return lines


def list_headers(unsubscribe_url: str, one_click: bool, list_id: str, list_name: str, feedback_id: str) -> bytes:
    """List-Unsubscribe, List-Unsubscribe-Post, List-Id and Feedback-ID, as ``compose_headers`` writes them.

    Empty texts leave their field out. Raises ``HeaderSyntaxError``.
    """
    uris = (unsubscribe_url,) if unsubscribe_url else ()
    lines = [*_unsubscribe_lines(uris, one_click), *_identity_lines(list_id, list_name, feedback_id)]
    return "".join(lines).encode("ascii")


def _unsubscribe_lines(uris: tuple[str, ...], one_click: bool) -> list[str]:
    lines: list[str] = []
    if uris:
        written = [f"<{_matching('List-Unsubscribe', uri, _LIST_URI)}>" for uri in uris]
        lines.append("List-Unsubscribe: " + ",\r\n ".join(written) + "\r\n")
    if one_click:
        if not any(uri.startswith("https://") for uri in uris):  # RFC 8058 section 3.1
            raise HeaderSyntaxError(
                say("one-click unsubscribe needs an https address in List-Unsubscribe"),
                header="List-Unsubscribe-Post",
                next_step=say("Give the https address of the unsubscribe page."),
            )
        lines.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")
    return lines


def _identity_lines(list_id: str, list_name: str, feedback_id: str) -> list[str]:
    lines = [_list_id_line(list_name, list_id)] if list_id else []
    if feedback_id:
        lines.append(f"Feedback-ID: {_matching('Feedback-ID', feedback_id, _FEEDBACK_ID)}\r\n")
    return lines


@lru_cache(maxsize=1024)
def _list_id_line(name: str, list_id: str) -> str:
    phrase = _phrase("List-Id", name, len("List-Id: "))
    identifier = f"<{_matching('List-Id', list_id, _LIST_ID)}>"
    return f"List-Id: {phrase} {identifier}\r\n" if phrase else f"List-Id: {identifier}\r\n"


_ADDRESS_LINES: dict[tuple[str, str, str, str], str] = {}
"""Senders recur. Threads share it; whoever finds it full empties it."""


def _address_line(header: str, name: str, address: EmailAddress) -> str:
    key = (header, name, address.local_part, address.domain.ascii)  # hashing the address itself costs as much again
    line = _ADDRESS_LINES.get(key)
    if line is None:
        line = f"{header}: {_mailbox(header, Mailbox(address, name), len(header) + 2, _MAX_LINE)}\r\n"
        if len(_ADDRESS_LINES) >= _REMEMBERED_LINES:
            _ADDRESS_LINES.clear()
        _ADDRESS_LINES[key] = line
    return line


def _mailbox(header: str, mailbox: Mailbox, column: int, limit: int) -> str:
    """A mailbox that begins at ``column`` of a line with ``limit`` characters."""
    address = mailbox.address
    if address.needs_smtputf8:
        raise HeaderSyntaxError(
            say("the part before the @ has characters that need SMTPUTF8 (RFC 6531), which is not offered"),
            header=header,
            source=address.text,
            next_step=say("Use an address in ASCII."),
        )
    phrase = _phrase(header, mailbox.name, column)
    if not phrase:
        return address.smtp
    used = len(phrase) - (phrase.rfind("\r\n") + 2 if "\r\n" in phrase else -column)
    space = " " if used + len(address.smtp) + 3 <= limit else "\r\n "
    return f"{phrase}{space}<{address.smtp}>"


def _phrase(header: str, name: str, column: int) -> str:
    _refuse_breaks(header, name)
    name = " ".join(name.split())
    if not name or (_ATOMS.match(name) and "=?" not in name and len(name) <= 50):
        return name
    if name.isascii() and "=?" not in name and len(name) <= 50:
        return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
    return _encoded_words(name, column)


def _text_line(header: str, text: str) -> str:
    """Unstructured text, folded, in encoded words where it is not plain ASCII."""
    first = len(header) + 2
    is_plain = _PLAIN_TEXT.match(text) is not None and "=?" not in text
    if is_plain and first + len(text) <= _MAX_LINE:
        return text
    _refuse_breaks(header, text)
    if is_plain:
        folded = _fold_at_spaces(text, first)
        if folded is not None:
            return folded
    return _encoded_words(text, first) if text else ""


def _fold_at_spaces(text: str, first: int) -> str | None:
    """``text`` with line breaks before spaces; ``None`` where a word is too long for a line."""
    lines: list[str] = []
    line, room = "", _MAX_LINE - first
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if len(longer) <= room:
            line = longer
            continue
        if not line or len(word) > _MAX_LINE - 1:
            return None
        lines.append(line)
        line, room = word, _MAX_LINE - 1
    return "\r\n ".join([*lines, line])


def _encoded_words(text: str, first: int) -> str:
    """RFC 2047 section 2: words of at most 75 characters, none of which splits a character."""
    octets = text.encode("utf-8", "replace")
    q_length = sum(1 if octet in _Q_SAFE or octet == 0x20 else 3 for octet in octets)
    use_q = q_length <= -(-len(octets) // 3) * 4
    words: list[str] = []
    chunk = b""
    for character in text:
        more = chunk + character.encode("utf-8", "replace")
        room = min(_MAX_ENCODED_WORD, (_MAX_LINE - first if not words else _MAX_LINE - 1))
        if chunk and len(_encoded_word(more, use_q)) > room:
            words.append(_encoded_word(chunk, use_q))
            more = character.encode("utf-8", "replace")
        chunk = more
    words.append(_encoded_word(chunk, use_q))
    return "\r\n ".join(words)


def _encoded_word(octets: bytes, use_q: bool) -> str:
    if not use_q:
        return f"=?utf-8?b?{binascii.b2a_base64(octets, newline=False).decode()}?="
    text = "".join(chr(o) if o in _Q_SAFE else "_" if o == 0x20 else f"={o:02X}" for o in octets)
    return f"=?utf-8?q?{text}?="


def extra_line(name: str, value: str) -> str:
    """A field of the caller's own; raises ``HeaderSyntaxError`` for the names that are written here."""
    if not _NAME.match(name):
        raise HeaderSyntaxError(
            say("a header's name has printable ASCII characters without colon and space"),
            header=name,
            source=name,
            next_step=say("Write a name such as X-Campaign."),
        )
    if name.lower() in _WRITTEN_HERE:
        raise HeaderSyntaxError(say("%(name)s is written by the composer itself", name=name), header=name, source=name)
    written = f"{name}: {_text_line(name, value)}"
    if any(len(line) > _MAX_LINE_HARD for line in written.split("\r\n")):
        raise HeaderSyntaxError(
            say("a line of %(name)s is longer than %(max_line_hard)s octets", name=name, max_line_hard=_MAX_LINE_HARD),
            header=name,
            source=value,
        )
    return written + "\r\n"


def _matching(header: str, value: str, pattern: re.Pattern[str]) -> str:
    # None of the patterns lets a line break or another control character through.
    if not pattern.match(value) or len(header) + len(value) + 4 > _MAX_LINE_HARD:
        _refuse_breaks(header, value)
        raise HeaderSyntaxError(
            say("'%(value)s' cannot stand in %(header)s", value=value[:100], header=header),
            header=header,
            source=value,
            next_step=say("Check it for spaces, brackets and characters that are not ASCII."),
        )
    return value


def _refuse_breaks(header: str, value: str) -> None:
    if (match := _FORBIDDEN.search(value)) is not None:
        raise HeaderSyntaxError(
            say("%(header)s has a line break or another control character", header=header),
            header=header,
            source=value,
            span=Span(match.start(), match.end()),
            next_step=say("Remove it."),
        )
    if len(value) > _MAX_HEADER_CHARACTERS:
        raise HeaderSyntaxError(
            say(
                "%(header)s is longer than %(max_header_characters)s characters",
                header=header,
                max_header_characters=_MAX_HEADER_CHARACTERS,
            ),
            header=header,
        )


@lru_cache(maxsize=256)
def _date(second: int) -> str:
    """RFC 5322 section 3.3, in UTC; never in the locale's words."""
    moment: datetime.datetime = as_datetime(second * SECOND)
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day:02} {month} {moment.year} {moment:%H:%M:%S} +0000"
