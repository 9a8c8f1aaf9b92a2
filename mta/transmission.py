"""One message made ready for the wire: checked envelope, content with its dots doubled (RFC 5321 section 4.5.2)."""

import re
from dataclasses import dataclass
from enum import StrEnum

from mailtypes.bounce import Stage
from mailtypes.smtp import SmtpReply
from mta.ports import CompositionError

_MAX_PATH_OCTETS = 254  # RFC 5321 section 4.5.3.1.3: 256 with the angle brackets
_FINAL_DOT = b".\r\n"
# A control character, a space or an angle bracket would end the path early and let the rest be read as a command.
_NOT_IN_PATH = re.compile(r"[\x00-\x20\x7f<>]")


class Verdict(StrEnum):
    """What became of one message on one connection."""

    ACCEPTED = "accepted"  # 2yz after the final dot
    TRANSIENT = "transient"  # 4yz at any step
    PERMANENT = "permanent"  # 5yz at any step, or the other side cannot take such a message at all
    NOT_SENT = "not_sent"  # the connection ended before the final dot was written
    UNKNOWN = "unknown"  # the connection ended after the final dot, before its reply


@dataclass(frozen=True, slots=True)
class Attempt:
    """The verdict with the reply that gave it and the command it answered, or our ``cause`` where there was none."""

    verdict: Verdict
    reply: SmtpReply | None = None
    cause: str = ""
    stage: Stage = Stage.UNKNOWN


class UnsendableError(CompositionError):
    """An envelope or content that must never reach the wire; the text begins with an enhanced status code."""


@dataclass(frozen=True, slots=True)
class Transmission:
    """A message as it will be written: ``content`` has doubled dots and ends with the final dot.

    ``size`` is the number of octets before the dots were doubled, as RFC 1870 section 5 counts them.
    """

    mail_from: str
    rcpt_to: str
    content: bytes
    size: int
    is_8bit: bool
    needs_smtputf8: bool

    @property
    def chunk(self) -> tuple[bytes, memoryview]:
        """The message as one chunk (RFC 3030 section 2): the BDAT command and the octets, no dot doubled."""
        size, octets = len(self.content) - len(_FINAL_DOT), memoryview(self.content)[: -len(_FINAL_DOT)]
        if size != self.size:  # dots were doubled, or the last line was ended
            single = bytes(octets).replace(b"\r\n..", b"\r\n.")
            octets = memoryview(single[1:] if single.startswith(b"..") else single)
        return b"BDAT %d LAST\r\n" % len(octets), octets

    @classmethod
    def of(cls, mail_from: str, rcpt_to: str, message: bytes, *, is_checked: bool = False) -> "Transmission":
        """Check the envelope and the line ends; raise ``UnsendableError``. ``mail_from`` may be empty (``<>``).

        ``is_checked`` leaves the content alone: for what a DKIM ``Signer`` has just signed, since it refuses bare CR,
        bare LF and NUL itself, and a second look at 30 KB costs a quarter of an RSA signature.
        """
        _check_envelope(mail_from, rcpt_to)
        if not is_checked:
            check_content(message)
        is_8bit = not message.isascii()
        return cls(
            mail_from=mail_from,
            rcpt_to=rcpt_to,
            content=with_final_dot(message),
            size=len(message),
            is_8bit=is_8bit,
            needs_smtputf8=not (mail_from.isascii() and rcpt_to.isascii()) or (is_8bit and _has_8bit_header(message)),
        )

    @classmethod
    def of_parts(cls, mail_from: str, rcpt_to: str, header: bytes, body: bytes) -> "Transmission":
        """As ``of`` for a signed ``header`` and the body of a ``ComposedMessage``, which needs no second look."""
        _check_envelope(mail_from, rcpt_to)
        if not body.endswith(b"\r\n"):
            raise UnsendableError("5.6.0 the last line of the message does not end")
        is_8bit = not header.isascii()
        head = header.replace(b"\r\n.", b"\r\n..")
        if head.startswith(b"."):
            head = b"." + head
        return cls(
            mail_from=mail_from,
            rcpt_to=rcpt_to,
            content=b"".join((head, b"\r\n", body, b".\r\n")),
            size=len(header) + 2 + len(body),
            is_8bit=is_8bit,
            needs_smtputf8=is_8bit or not (mail_from.isascii() and rcpt_to.isascii()),
        )


def _check_envelope(mail_from: str, rcpt_to: str) -> None:
    check_path(mail_from)
    check_path(rcpt_to)
    if not rcpt_to:
        raise UnsendableError("5.1.3 the message has no recipient")


def check_path(path: str) -> None:
    """Raise ``UnsendableError`` where ``path`` could not stand between the angle brackets of MAIL or RCPT."""
    if _NOT_IN_PATH.search(path):
        raise UnsendableError("5.1.3 the address has a character that cannot stand in an SMTP path")
    if len(path.encode("utf-8", "replace")) > _MAX_PATH_OCTETS:
        raise UnsendableError(f"5.1.3 the address is longer than {_MAX_PATH_OCTETS} octets")
    if not path.isascii() and any("\ud800" <= character <= "\udfff" for character in path):
        raise UnsendableError("5.1.3 the address is not valid Unicode")


def check_content(message: bytes) -> None:
    """Raise ``UnsendableError`` for a bare CR or LF or a NUL (RFC 5321 section 2.3.8): they let mail be smuggled."""
    # Looking for what is not there is fast, counting what is there 400 times is not.
    without_line_ends = message.replace(b"\r\n", b"")
    if b"\n" in without_line_ends or b"\r" in without_line_ends:
        raise UnsendableError("5.6.0 the message has a carriage return or line feed that stands alone")
    if b"\x00" in message:
        raise UnsendableError("5.6.0 the message has a NUL character")


def with_final_dot(message: bytes) -> bytes:
    """``message`` with leading dots doubled, its last line ended, and the line with the final dot."""
    content = message.replace(b"\r\n.", b"\r\n..")
    if content.startswith(b"."):
        content = b"." + content
    return content + (b".\r\n" if content.endswith(b"\r\n") or not content else b"\r\n.\r\n")


def _has_8bit_header(message: bytes) -> bool:
    end = message.find(b"\r\n\r\n")
    return not message[: end if end >= 0 else len(message)].isascii()
