"""The delivery status notification to whoever submitted a message that failed for good (RFC 3461, RFC 3464, RFC 6522).

Pure: from what is known of the message and its recipients to the octets of the notice, which goes out with the null
reverse path, so that no notice is ever answered by another one (RFC 5321 section 6.1).
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import format_datetime

from mailtypes.clock import SECOND, Microseconds, as_datetime

_MOST_RETURNED = 50_000
"""Octets of the original that a notice brings back at most; longer ones come as their header alone."""
_PRINTABLE = re.compile(r"[^!-~ ]")
_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_DEFAULT_STATUS = {"failed": "5.0.0", "expired": "4.4.7", "suppressed": "5.7.1", "cancelled": "5.0.0"}


@dataclass(frozen=True, slots=True)
class FailedRecipient:
    """A recipient who did not get it. ``state`` is the delivery's; ``reply`` what the other side said, or our cause.

    ``original_recipient`` is the submitter's ORCPT (``rfc822;address``), ``None`` where none was given.
    """

    address: str
    state: str
    reply_code: int | None
    reply: str
    original_recipient: str | None = None


@dataclass(frozen=True, slots=True)
class FailureNotice:
    """What a notice tells. ``message`` are the octets of the original as submitted; ``full`` returns its body too.

    ``from_address`` is ours, ``to_address`` the reverse path of the submission.
    """

    from_address: str
    to_address: str
    reporting_host: str
    message_id: str
    date: Microseconds
    arrived_at: Microseconds
    envelope_id: str | None
    subject: str
    recipients: Sequence[FailedRecipient]
    message: bytes
    full: bool


def compose_notice(notice: FailureNotice) -> bytes:
    """The notice as octets with CRLF line ends, pure ASCII."""
    original = _original(notice)
    # "=_" cannot occur in base64, and the boundary carries the notice's own id, so no part holds it.
    boundary = "=_dsn_" + re.sub(r"[^A-Za-z0-9]", "", notice.message_id)[:40]
    parts = [
        _part("text/plain; charset=utf-8", _words(notice).encode(), encode=True),
        _part("message/delivery-status", _status(notice).encode("ascii")),
        _part("message/rfc822" if original.full else "text/rfc822-headers", original.octets, encode=not original.plain),
    ]
    header = (
        f"From: Mail Delivery System <{notice.from_address}>\r\n"
        f"To: <{notice.to_address}>\r\n"
        "Subject: Undelivered mail returned to sender\r\n"
        f"Date: {_date(notice.date)}\r\n"
        f"Message-ID: {notice.message_id}\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="{boundary}"\r\n'
    ).encode("ascii")
    delimiter = f"--{boundary}".encode()
    body = b"".join(b"\r\n" + delimiter + b"\r\n" + part for part in parts)
    return header + body + b"\r\n" + delimiter + b"--\r\n"


@dataclass(frozen=True, slots=True)
class _Original:
    octets: bytes
    full: bool
    plain: bool


def _original(notice: FailureNotice) -> _Original:
    head, _, _ = notice.message.partition(b"\r\n\r\n")
    full = notice.full and len(notice.message) <= _MOST_RETURNED and notice.message.isascii()
    octets = notice.message if full else head[:_MOST_RETURNED] + b"\r\n"
    # message/rfc822 takes no transfer encoding but 7bit and 8bit (RFC 2046 section 5.2.1).
    return _Original(octets, full, octets.isascii())


def _words(notice: FailureNotice) -> str:
    who = "\n".join(f"  {item.address}\n    {_reason(item)}" for item in notice.recipients)
    return (
        f"The message below could not be delivered to {len(notice.recipients)} of its recipients,\n"
        "and no further attempt will be made.\n\n"
        f"Subject: {notice.subject}\n\n{who}\n"
    )


def _reason(item: FailedRecipient) -> str:
    said = item.reply or {"expired": "It could not be delivered in time."}.get(item.state, "No reason was given.")
    return f"{item.reply_code} {said}" if item.reply_code else said


def _status(notice: FailureNotice) -> str:
    """RFC 3464 section 2: a group about the message, one for each recipient."""
    lines = []
    if notice.envelope_id:
        lines.append(f"Original-Envelope-Id: {_xtext_free(notice.envelope_id)}")
    lines += [f"Reporting-MTA: dns; {notice.reporting_host}", f"Arrival-Date: {_date(notice.arrived_at)}", ""]
    for item in notice.recipients:
        if item.original_recipient:
            lines.append(f"Original-Recipient: {_xtext_free(item.original_recipient)}")
        lines += [f"Final-Recipient: rfc822; {item.address}", "Action: failed", f"Status: {_enhanced_status(item)}"]
        if item.reply_code:
            lines.append(f"Diagnostic-Code: smtp; {item.reply_code} {_xtext_free(item.reply)[:900]}")
        lines.append("")
    return "\r\n".join(lines)


def _enhanced_status(item: FailedRecipient) -> str:
    found = _STATUS.search(item.reply)
    return found[1] if found else _DEFAULT_STATUS.get(item.state, "5.0.0")


def _xtext_free(text: str) -> str:
    return _PRINTABLE.sub("?", " ".join(text.split()))


def _part(content_type: str, octets: bytes, *, encode: bool = False) -> bytes:
    head = f"Content-Type: {content_type}\r\n"
    if encode:
        encoded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
        return f"{head}Content-Transfer-Encoding: base64\r\n\r\n".encode() + encoded
    return f"{head}\r\n".encode() + octets


def _date(moment: Microseconds) -> str:
    return format_datetime(as_datetime(moment // SECOND * SECOND))
