"""``name=value`` fields behind a version, as MTA-STS (RFC 8461 section 3.1) and TLS-RPT (RFC 8460 section 3) have."""

import re
from dataclasses import dataclass

from dns_checks.findings import printable
from mailtypes.errors import InputSyntaxError, Span
from mailtypes.saying import say

MAX_OCTETS = 4096
_WHITE_SPACE = " \t"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}\Z")
_VALUE = re.compile(r"[\x20\x21-\x3a\x3c-\x7e]+\Z")


@dataclass(frozen=True, slots=True)
class Field:
    """One field; the spans lie in the whole record."""

    name: str
    value: str
    name_span: Span
    value_span: Span


@dataclass(frozen=True, slots=True)
class FieldFault:
    """Why a record cannot be read as fields, where, and the next step."""

    message: str
    span: Span
    next_step: str


@dataclass(frozen=True, slots=True)
class RecordRemark:
    """A fault that does not make the record void, for its owner to mend."""

    message: str
    span: Span
    next_step: str


def has_version(text: str, version: str) -> bool:
    """Whether ``text`` begins with ``v=<version>`` and the delimiter: others are discarded before anything else."""
    rest = text.removeprefix(f"v={version}")
    return rest != text and rest.lstrip(_WHITE_SPACE).startswith(";")


def read_fields(text: str) -> list[Field] | FieldFault:
    """The fields of a record in order, the version among them; the first fault otherwise."""
    fields: list[Field] = []
    start = 0
    parts = text.split(";")
    for number, part in enumerate(parts):
        if part.strip(_WHITE_SPACE):
            field = _read_field(part, start)
            if isinstance(field, FieldFault):
                return field
            fields.append(field)
        elif number < len(parts) - 1:
            span = Span(start, start + len(part) + 1)
            return FieldFault(say("there is an empty field"), span, say("Remove the extra semicolon."))
        start += len(part) + 1
    return fields


def _read_field(part: str, start: int) -> Field | FieldFault:
    name_text, equals, value_text = part.partition("=")
    name = name_text.strip(_WHITE_SPACE)
    name_start = start + len(name_text) - len(name_text.lstrip(_WHITE_SPACE))
    name_span = Span(name_start, name_start + len(name))
    if not equals:
        return FieldFault(
            say("'%(name)s' has no =", name=printable(name[:40])),
            name_span,
            say("Write each field as name=value, separated by ;."),
        )
    if not _NAME.match(name):
        return FieldFault(
            say("'%(name)s' is not a field name", name=printable(name[:40])),
            name_span,
            say("Use letters, digits and hyphens only."),
        )
    value = value_text.strip(_WHITE_SPACE)
    value_start = start + len(name_text) + 1 + len(value_text) - len(value_text.lstrip(_WHITE_SPACE))
    value_span = Span(value_start, value_start + len(value))
    if not value:
        return FieldFault(say("%(name)s= has no value", name=name), name_span, say("Give it a value or remove it."))
    if not _VALUE.match(value):
        return FieldFault(
            say("%(name)s= holds characters that are not allowed", name=name),
            value_span,
            say("Use printable ASCII only."),
        )
    return Field(name, value, name_span, value_span)


def first_of_each(fields: list[Field]) -> tuple[dict[str, Field], list[RecordRemark]]:
    """The fields by name, the first of each, with a remark on every later one."""
    named: dict[str, Field] = {}
    remarks = []
    for field in fields:
        if named.setdefault(field.name, field) is not field:
            remark = RecordRemark(
                say("%(field)s= occurs twice; the first counts", field=field.name),
                field.name_span,
                say("Keep one of them."),
            )
            remarks.append(remark)
    return named, remarks


def record_error(kind: type[InputSyntaxError], text: str, fault: FieldFault) -> InputSyntaxError:
    """``fault`` as an error of ``kind``."""
    return kind(fault.message, source=text, span=fault.span, next_step=fault.next_step)
