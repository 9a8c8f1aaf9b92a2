"""The TXT record at ``_smtp._tls`` (RFC 8460 section 3): where senders report on TLS."""

import re
from dataclasses import dataclass

from dns_checks.field_list import (
    MAX_OCTETS,
    Field,
    FieldFault,
    RecordRemark,
    first_of_each,
    has_version,
    read_fields,
    record_error,
)
from mailtypes.errors import InputSyntaxError, Span
from mailtypes.saying import say

VERSION = "TLSRPTv1"
_MAX_URIS = 50
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s,]+\Z")
_MAILTO = re.compile(r"mailto:[^\s,@]+@[A-Za-z0-9.-]+(?:\?\S*)?\Z", re.IGNORECASE)
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:[/?]\S*)?\Z", re.IGNORECASE)
_EXAMPLE = say("Write rua=mailto:tls-reports@example.com.")


class TlsRptSyntaxError(InputSyntaxError):
    """A text that is not a TLS reporting record."""


@dataclass(frozen=True, slots=True)
class TlsRptRecord:
    """A record; ``rua`` are the valid URIs as published, ``mailto:`` and ``https:`` ones."""

    text: str
    rua: tuple[str, ...]
    remarks: tuple[RecordRemark, ...] = ()


def is_record(text: str) -> bool:
    """Whether the text begins with ``v=TLSRPTv1;``; senders discard the others before they count."""
    return has_version(text, VERSION)


def parse_record(text: str) -> TlsRptRecord:
    """Read a record (latin-1 text, so that spans count octets); raise ``TlsRptSyntaxError`` with the span.

    Unknown fields are ignored, unusable addresses are ``remarks`` as long as a usable one is left.
    """
    if len(text) > MAX_OCTETS:
        raise TlsRptSyntaxError(
            say("the record is longer than %(max_octets)s octets", max_octets=MAX_OCTETS), source=text[:100]
        )
    if not is_record(text):
        raise TlsRptSyntaxError(
            say("the record does not begin with v=TLSRPTv1;"),
            source=text,
            span=Span(0, min(len(text), 11)),
            next_step=say("Begin it with 'v=TLSRPTv1;' written exactly so, then rua=."),
        )
    fields = read_fields(text)
    if isinstance(fields, FieldFault):
        raise record_error(TlsRptSyntaxError, text, fields)
    named, remarks = first_of_each(fields)
    if "rua" not in named:
        raise record_error(TlsRptSyntaxError, text, FieldFault(say("there is no rua="), Span(0, len(text)), _EXAMPLE))
    uris, faults = _read_uris(named["rua"])
    if not uris:
        raise record_error(TlsRptSyntaxError, text, faults[0])
    remarks += [RecordRemark(fault.message, fault.span, fault.next_step) for fault in faults]
    return TlsRptRecord(text, tuple(uris), tuple(remarks))


def _read_uris(field: Field) -> tuple[list[str], list[FieldFault]]:
    uris: list[str] = []
    faults: list[FieldFault] = []
    at = field.value_span.start
    for number, part in enumerate(field.value.split(",")):
        uri = part.strip(" \t")
        start = at + len(part) - len(part.lstrip(" \t"))
        span = Span(start, start + len(uri))
        at += len(part) + 1
        if number >= _MAX_URIS:
            faults.append(
                FieldFault(
                    say("more than %(max_uris)s addresses", max_uris=_MAX_URIS), span, say("Name fewer addresses.")
                )
            )
            break
        fault = _fault_of(uri)
        if fault:
            faults.append(FieldFault(fault, span, _EXAMPLE))
        else:
            uris.append(uri)
    return uris, faults


def _fault_of(uri: str) -> str:
    if "!" in uri:
        return say("an exclamation point in an address must be written %21")
    if _MAILTO.match(uri) or _HTTPS.match(uri):
        return ""
    scheme = uri.partition(":")[0].lower()
    if _URI.match(uri) and scheme not in {"mailto", "https"}:
        return say("reports cannot be sent to a %(scheme)s: address", scheme=scheme[:20])
    return say("rua= holds '%(uri)s', which is no address", uri=uri[:80])
