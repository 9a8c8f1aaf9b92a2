"""Reads delivery status notifications that keep to RFC 3464; what each recipient's group of fields says."""

import re
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from enum import StrEnum

from mailtypes.errors import InputSyntaxError
from mailtypes.smtp import EnhancedStatus

_MAX_OCTETS = 2 * 1024 * 1024
_MAX_RECIPIENTS = 100
_MAX_TEXT = 2000
_FOLD = re.compile(r"\s*\r?\n\s*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class DsnSyntaxError(InputSyntaxError):
    """A message that is not a delivery status notification by RFC 3464."""


class DsnAction(StrEnum):
    """What the reporting host did (RFC 3464 section 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


@dataclass(frozen=True, slots=True)
class DsnRecipient:
    """One per-recipient group. ``recipient`` is the address without its type, the original one where it is given."""

    recipient: str
    action: DsnAction
    status: EnhancedStatus | None
    diagnostic: str


def read_dsn(message: bytes) -> tuple[DsnRecipient, ...]:
    """The recipients that a DSN reports on; raise ``DsnSyntaxError`` where the message is none or is too large."""
    if len(message) > _MAX_OCTETS:
        raise DsnSyntaxError(f"the message is longer than {_MAX_OCTETS} octets")
    # compat32 on purpose: the newer policies parse every field they return, and fail on what bounces contain.
    status = _status_part(BytesParser(policy=compat32).parsebytes(message))
    if status is None:
        raise DsnSyntaxError("the message has no message/delivery-status part", next_step="RFC 3464 section 2.1.")
    groups = [group for group in status.walk() if group is not status][: _MAX_RECIPIENTS + 1]
    found = [recipient for group in groups if (recipient := _recipient(group)) is not None]
    if not found:
        raise DsnSyntaxError("the report names no recipient", next_step="RFC 3464 section 2.3 wants one at least.")
    return tuple(found)


def _status_part(message: Message) -> Message | None:
    if message.get_content_type() != "multipart/report" or not message.is_multipart():
        return None
    # Only what lies directly in the report: the returned message may hold a DSN of its own.
    parts = message.get_payload()
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, Message) and part.get_content_type() == "message/delivery-status":
            return part
    return None


def _recipient(group: Message) -> DsnRecipient | None:
    # RFC 3464 section 2.3.1: the original recipient is the one that we wrote to.
    recipient = _typed(group, "Original-Recipient") or _typed(group, "Final-Recipient")
    try:
        action = DsnAction(_text(group, "Action").partition(" ")[0].lower())
    except ValueError:
        return None
    if not recipient:
        return None
    return DsnRecipient(
        recipient, action, EnhancedStatus.find(_text(group, "Status")), _typed(group, "Diagnostic-Code")
    )


def _typed(group: Message, name: str) -> str:
    """The value after its type: ``rfc822; user@example.com`` (RFC 3464 section 2.1.2)."""
    before, semicolon, after = _text(group, name).partition(";")
    return (after if semicolon else before).strip()


def _text(group: Message, name: str) -> str:
    value = _FOLD.sub(" ", str(group.get(name, "")))[:_MAX_TEXT]
    return _CONTROL.sub("?", value.encode("utf-8", "replace").decode("utf-8", "replace")).strip()
