"""The TXT record at ``_mta-sts`` (RFC 8461 section 3.1)."""

import re
from dataclasses import dataclass

from dns_checks.field_list import (
    MAX_OCTETS,
    FieldFault,
    RecordRemark,
    first_of_each,
    has_version,
    read_fields,
    record_error,
)
from mailtypes.errors import InputSyntaxError, Span
from mailtypes.saying import say

VERSION = "STSv1"
_ID = re.compile(r"[A-Za-z0-9]{1,32}\Z")


class MtaStsRecordSyntaxError(InputSyntaxError):
    """A text that is not an MTA-STS record."""


@dataclass(frozen=True, slots=True)
class MtaStsRecord:
    """A record; ``id`` tells senders whether the policy they hold is still the one in force."""

    text: str
    id: str
    remarks: tuple[RecordRemark, ...] = ()


def is_record(text: str) -> bool:
    """Whether the text begins with ``v=STSv1;``; senders discard the others before they count (section 3.1)."""
    return has_version(text, VERSION)


def parse_record(text: str) -> MtaStsRecord:
    """Read a record (latin-1 text, so that spans count octets); raise ``MtaStsRecordSyntaxError`` with the span."""
    if len(text) > MAX_OCTETS:
        raise MtaStsRecordSyntaxError(
            say("the record is longer than %(max_octets)s octets", max_octets=MAX_OCTETS), source=text[:100]
        )
    if not is_record(text):
        raise MtaStsRecordSyntaxError(
            say("the record does not begin with v=STSv1;"),
            source=text,
            span=Span(0, min(len(text), 8)),
            next_step=say("Begin it with 'v=STSv1;' written exactly so, then 'id=' and a number."),
        )
    fields = read_fields(text)
    if isinstance(fields, FieldFault):
        raise record_error(MtaStsRecordSyntaxError, text, fields)
    named, remarks = first_of_each(fields)
    identity = named.get("id")
    if identity is None:
        fault = FieldFault(
            say("there is no id="), Span(0, len(text)), say("Add id= and a number, such as id=20260101000000.")
        )
        raise record_error(MtaStsRecordSyntaxError, text, fault)
    if not _ID.match(identity.value):
        fault = FieldFault(
            say("id= is not 1 to 32 letters and digits"), identity.value_span, say("Use letters and digits only.")
        )
        raise record_error(MtaStsRecordSyntaxError, text, fault)
    return MtaStsRecord(text, identity.value, tuple(remarks))
