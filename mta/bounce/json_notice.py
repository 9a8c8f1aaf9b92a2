"""Notices of Amazon SES that come as JSON in a mail's text: bounces, complaints and deliveries.

https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mailtypes.smtp import EnhancedStatus
from mta.bounce.addresses import clean_address
from mta.bounce.delivery_status import StatusGroup
from mta.bounce.mail_text import one_line
from mta.bounce.reports import MAX_RECIPIENTS, ComplaintReport, DsnAction, OriginalMail

_MAX_DEPTH: Final = 12
_TYPES: Final = ("notificationType", "eventType")


def read_notice(text: str) -> Mapping[str, Any] | None:
    """The notice that a text begins with, as it is or within one of Amazon SNS; ``None`` where it is none."""
    start = text.find("{")
    if start < 0 or text[:start].strip() or not any(name in text for name in _TYPES) or _is_deep(text):
        return None
    try:
        document, _ = json.JSONDecoder().raw_decode(text, start)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    inner = document.get("Message")
    if isinstance(inner, str) and "Message" not in inner[:200]:
        return read_notice(inner)
    return document if isinstance(document.get("mail"), dict) else None


def _is_deep(text: str) -> bool:
    """Whether brackets nest deeper than in any notice; the decoder recurses for each level."""
    depth = 0
    for letter in text:
        if letter in "[{":
            depth += 1
            if depth > _MAX_DEPTH:
                return True
        elif letter in "]}":
            depth -= 1
    return False


def groups_of_notice(notice: Mapping[str, Any]) -> tuple[StatusGroup, ...]:
    """Its bounced or delivered recipients."""
    bounced = [_group(row, DsnAction.FAILED) for row in _rows(notice, "bounce", "bouncedRecipients")]
    delivered = notice.get("delivery")
    if isinstance(delivered, dict):
        row = {"status": delivered.get("smtpResponse"), "diagnosticCode": delivered.get("smtpResponse")}
        named = delivered.get("recipients")
        addresses = named if isinstance(named, list) else []
        bounced += [_group(row | {"emailAddress": address}, DsnAction.DELIVERED) for address in addresses]
    return tuple(bounced[:MAX_RECIPIENTS])


def complaint_of_notice(notice: Mapping[str, Any]) -> ComplaintReport | None:
    """The complaint that it tells of."""
    complaint = notice.get("complaint")
    if not isinstance(complaint, dict):
        return None
    named = [clean_address(_text(row, "emailAddress")) for row in _rows(notice, "complaint", "complainedRecipients")]
    return ComplaintReport(
        _text(complaint, "complaintFeedbackType") or "abuse",
        tuple(address for address in named if address)[:MAX_RECIPIENTS],
        original_of_notice(notice),
        _text(complaint, "userAgent"),
    )


def original_of_notice(notice: Mapping[str, Any]) -> OriginalMail | None:
    """The header of the message, where the notice holds it."""
    headers = notice["mail"].get("headers")
    rows = [row for row in headers if isinstance(row, dict)] if isinstance(headers, list) else []
    return (
        OriginalMail(tuple((_text(row, "name").lower(), _text(row, "value")) for row in rows[:200])) if rows else None
    )


def _rows(notice: Mapping[str, Any], kind: str, name: str) -> Iterator[Mapping[str, Any]]:
    inner = notice.get(kind)
    rows = inner.get(name) if isinstance(inner, dict) else None
    yield from (row for row in (rows if isinstance(rows, list) else ()) if isinstance(row, dict))


def _group(row: Mapping[str, Any], action: DsnAction) -> StatusGroup:
    told = _text(row, "diagnosticCode")
    diagnostic = told.partition(";")[2].strip() if told.lower().startswith("smtp;") else told
    status = EnhancedStatus.find(_text(row, "status"))
    return StatusGroup(clean_address(_text(row, "emailAddress")), "", action, status, diagnostic)


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return one_line(value) if isinstance(value, str) else ""
