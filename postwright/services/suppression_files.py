"""Suppressions as files: read from and written in the forms of the big providers, told apart by their column names.

A provider's word for the reason becomes one of ours, and stands in the note as it came. Who unsubscribed or complained
elsewhere asked not to get newsletters, and may still want receipts: what these rows suppress is told by ``asks_all``.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from mailtypes.clock import as_datetime
from mailtypes.saying import say
from postwright.services.csv_text import csv_text
from postwright.services.errors import RefusedError
from postwright.store.suppressions import Suppression, SuppressionReason

MOST_ROWS: Final = 1_000_000
_LONGEST_NOTE: Final = 300
_SAMPLE: Final = 5


class FileForm(StrEnum):
    """Whose form a file has."""

    POSTWRIGHT = "postwright"
    SENDGRID = "sendgrid"
    MAILGUN = "mailgun"
    SES = "ses"
    POSTMARK = "postmark"
    MAILCHIMP = "mailchimp"


@dataclass(frozen=True, slots=True)
class FileRow:
    """One row: where it stands (a line, or the number of an object), the address as written, why, and since when."""

    place: int
    address: str
    reason: str
    note: str = ""
    created_at: int | None = None
    scope: str = ""
    expires_at: int | None = None

    @property
    def asks_all(self) -> bool:
        """Whether nothing at all may be sent: the mailbox is gone, or a person decided so."""
        return self.reason not in (SuppressionReason.UNSUBSCRIBED, SuppressionReason.COMPLAINT)


@dataclass(frozen=True, slots=True)
class _Columns:
    """How a form names its columns, in small letters; ``reasons`` maps its words, ``reason`` where it has none."""

    address: str
    reason: str = ""
    note: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    fixed: SuppressionReason | None = None


_WORDS: Final[Mapping[str, SuppressionReason]] = MappingProxyType(
    {
        "bounce": SuppressionReason.HARD_BOUNCE,
        "bounced": SuppressionReason.HARD_BOUNCE,
        "hardbounce": SuppressionReason.HARD_BOUNCE,
        "hard_bounce": SuppressionReason.HARD_BOUNCE,
        "cleaned": SuppressionReason.HARD_BOUNCE,
        "complaint": SuppressionReason.COMPLAINT,
        "spamcomplaint": SuppressionReason.COMPLAINT,
        "spam": SuppressionReason.COMPLAINT,
        "unsubscribe": SuppressionReason.UNSUBSCRIBED,
        "unsubscribed": SuppressionReason.UNSUBSCRIBED,
        "manualsuppression": SuppressionReason.MANUAL,
        "manual": SuppressionReason.MANUAL,
        "soft_bounces": SuppressionReason.SOFT_BOUNCES,
        "imported": SuppressionReason.IMPORTED,
        "erased": SuppressionReason.ERASED,
        "dormant": SuppressionReason.DORMANT,
    }
)


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file as it was understood."""

    form: FileForm
    rows: Sequence[FileRow]


def read_file(content: bytes) -> ReadFile:
    """Read CSV, JSON or NDJSON in any of the forms; raises ``RefusedError`` where it is none of them."""
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedError("not_text", say("The file is not text in UTF-8 or UTF-16."), field="file") from error
    if not text.strip():
        raise RefusedError("empty_file", say("The file is empty."), field="file")
    found = _read_json(text) if text.lstrip()[:1] in "[{" else _read_csv(text)
    if len(found.rows) > MOST_ROWS:
        raise RefusedError(
            "too_many_rows", say("A file has at most %(most_rows)s rows.", most_rows=f"{MOST_ROWS:,}"), field="file"
        )
    return found


# --- CSV --------------------------------------------------------------------------------------------------------------

_FORMS: Final[Sequence[tuple[frozenset[str], FileForm, _Columns]]] = (
    (
        frozenset({"address", "scope", "reason", "created_at"}),
        FileForm.POSTWRIGHT,
        _Columns("address", "reason", ("note",), ("created_at",)),
    ),
    (
        frozenset({"emailaddress", "suppressionreason"}),
        FileForm.POSTMARK,
        _Columns("emailaddress", "suppressionreason", ("origin",), ("createdat",)),
    ),
    (
        frozenset({"email address", "unsub_time"}),
        FileForm.MAILCHIMP,
        _Columns("email address", "", ("unsub_reason",), ("unsub_time",), SuppressionReason.UNSUBSCRIBED),
    ),
    (
        frozenset({"email address", "clean_time"}),
        FileForm.MAILCHIMP,
        _Columns("email address", "", ("clean_campaign_title",), ("clean_time",), SuppressionReason.HARD_BOUNCE),
    ),
    (
        frozenset({"address", "error", "created_at"}),
        FileForm.MAILGUN,
        _Columns("address", "", ("code", "error"), ("created_at",), SuppressionReason.HARD_BOUNCE),
    ),
    (
        frozenset({"address", "tags", "created_at"}),
        FileForm.MAILGUN,
        _Columns("address", "", ("tags",), ("created_at",), SuppressionReason.UNSUBSCRIBED),
    ),
    (
        frozenset({"address", "created_at"}),
        FileForm.MAILGUN,
        _Columns("address", "", (), ("created_at",), SuppressionReason.COMPLAINT),
    ),
    (
        frozenset({"email", "ip", "created"}),
        FileForm.SENDGRID,
        _Columns("email", "", (), ("created",), SuppressionReason.COMPLAINT),
    ),
    (
        frozenset({"email", "reason", "created"}),
        FileForm.SENDGRID,
        _Columns("email", "", ("status", "reason"), ("created",), SuppressionReason.HARD_BOUNCE),
    ),
    (
        frozenset({"email", "created"}),
        FileForm.SENDGRID,
        _Columns("email", "", (), ("created",), SuppressionReason.UNSUBSCRIBED),
    ),
    (
        frozenset({"emailaddress", "reason"}),
        FileForm.SES,
        _Columns("emailaddress", "reason", (), ("lastupdatetime",)),
    ),
    (frozenset({"email"}), FileForm.POSTWRIGHT, _Columns("email", "reason", ("note",), ("created_at",))),
    (frozenset({"address"}), FileForm.POSTWRIGHT, _Columns("address", "reason", ("note",), ())),
    (frozenset({"email address"}), FileForm.MAILCHIMP, _Columns("email address", "", (), ())),
)
"""The columns that tell a form, the most telling first."""


def _read_csv(text: str) -> ReadFile:
    try:
        lines = csv.reader(io.StringIO(text, newline=""), strict=False)
        header = next(lines)
        if len(header) == 2 and header[1].strip().upper() in ("BOUNCE", "COMPLAINT"):
            # SES takes and gives two columns without a first line.
            rest = [(1, header), *((lines.line_num, row) for row in lines if row)]
            rows = [FileRow(at, _armed(row[0].strip()), _word(row[1] if len(row) > 1 else ""), "") for at, row in rest]
            return ReadFile(FileForm.SES, rows)
        names = [name.strip().lower() for name in header]
        form, columns = _form_of(names)
        return ReadFile(
            form, [_row(columns, dict(zip(names, row, strict=False)), lines.line_num) for row in lines if row]
        )
    except csv.Error as error:
        raise RefusedError("not_csv", say("The file is not CSV: %(error)s.", error=error), field="file") from error


def _form_of(names: Iterable[str]) -> tuple[FileForm, _Columns]:
    there = frozenset(names)
    for needed, form, columns in _FORMS:
        if needed <= there:
            return form, columns
    raise RefusedError(
        "no_address_column",
        say("The first line names no column 'email' or 'address'."),
        field="file",
        next_step=say("Exports of SendGrid, Mailgun, SES, Postmark and Mailchimp are known by their column names."),
    )


def _row(columns: _Columns, row: Mapping[str, Any], place: int) -> FileRow:
    def value(name: str) -> str:
        found = row.get(name)
        return "" if found is None else str(found).strip()

    said = value(columns.reason) if columns.reason else ""
    note = " ".join(part for part in (value(name) for name in columns.note) if part)
    reason = columns.fixed or _word(said)
    created = next((at for name in columns.created if (at := _moment(value(name))) is not None), None)
    scope, ends = value("scope") if columns.fixed is None else "", _moment(value("expires_at"))
    return FileRow(place, _armed(value(columns.address)), str(reason), note[:_LONGEST_NOTE], created, scope, ends)


def _word(said: str) -> str:
    """One of our reasons for a provider's word; what is no such word stays as it is."""
    if not said:
        return SuppressionReason.IMPORTED
    return str(_WORDS.get(said.strip().lower().replace(" ", "").replace("-", "_"), said.strip()))


def _moment(text: str) -> int | None:
    """Microseconds from seconds since 1970 or from what ISO 8601 or RFC 5322 write; ``None`` where it is neither."""
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return int(text) * 1_000_000 if len(text) <= 11 else None
    for read in (datetime.fromisoformat, _read_http_date):
        try:
            at = read(text)
        except (ValueError, TypeError, OverflowError):
            continue
        known = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return int((known - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)
    return None


def _read_http_date(text: str) -> datetime:
    return datetime.strptime(text.replace("UTC", "+0000").replace("GMT", "+0000"), "%a, %d %b %Y %H:%M:%S %z")


# --- JSON -------------------------------------------------------------------------------------------------------------

_INSIDE: Final = ("suppresseddestinationsummaries", "suppressions", "items", "members", "data", "bounces")


def _read_json(text: str) -> ReadFile:
    documents = _documents(text)
    lowered = [{str(name).lower(): value for name, value in one.items()} for one in documents]
    names = frozenset(name for one in lowered[:_SAMPLE] for name in one)
    if {"email_address", "status"} <= names:
        columns = _Columns("email_address", "status", ("unsubscribe_reason",), ("last_changed",))
        form = FileForm.MAILCHIMP
    elif {"email_address"} <= names:
        form, columns = FileForm.MAILCHIMP, _Columns("email_address")
    else:
        form, columns = _form_of(names)
    return ReadFile(form, [_row(columns, one, place) for place, one in enumerate(lowered, start=1)])


def _documents(text: str) -> list[Mapping[str, Any]]:
    """The objects of an array, of what a provider's API wraps around one, or of lines."""
    try:
        document = json.loads(text)
    except RecursionError as error:
        raise RefusedError("not_json", say("The JSON is nested too deep."), field="file") from error
    except ValueError:  # no JSON, or a number of more digits than Python reads
        return [_object(line) for line in text.splitlines() if line.strip()]
    if isinstance(document, dict):
        inner = next((value for name, value in document.items() if str(name).lower() in _INSIDE), None)
        document = inner if isinstance(inner, list) else [document]
    if not isinstance(document, list) or not all(isinstance(one, dict) for one in document):
        raise RefusedError("not_a_list", say("The JSON is no list of objects."), field="file")
    return document


def _object(line: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RefusedError("not_json", say("The file is neither JSON nor one object a line."), field="file") from error
    if not isinstance(found, dict):
        raise RefusedError("not_a_list", say("Every line has to be one JSON object."), field="file")
    return found


# --- written ----------------------------------------------------------------------------------------------------------

HEADERS: Final[Mapping[FileForm, tuple[str, ...]]] = MappingProxyType(
    {
        FileForm.POSTWRIGHT: ("address", "scope", "reason", "note", "created_at", "expires_at"),
        FileForm.SENDGRID: ("email", "status", "reason", "created"),
        FileForm.MAILGUN: ("address", "code", "error", "created_at"),
        FileForm.SES: (),
        FileForm.POSTMARK: ("EmailAddress", "SuppressionReason", "Origin", "CreatedAt"),
        FileForm.MAILCHIMP: ("Email Address", "UNSUB_TIME", "UNSUB_REASON"),
    }
)
_POSTMARK: Final = {
    SuppressionReason.HARD_BOUNCE: "HardBounce",
    SuppressionReason.COMPLAINT: "SpamComplaint",
}


def write_csv(form: FileForm, rows: Iterable[Suppression]) -> Iterator[str]:
    """The rows as CSV in a provider's form, line by line. A form that has one reason alone takes all rows as that."""
    if HEADERS[form]:
        yield csv_text([HEADERS[form]])
    for one in rows:
        yield csv_text([_cells(form, one)])


def _cells(form: FileForm, one: Suppression) -> Sequence[object]:
    at = as_datetime(one.created_at)
    written = at.isoformat(timespec="seconds").replace("+00:00", "Z")
    match form:
        case FileForm.SENDGRID:
            return (one.address, "", one.note or one.reason, int(at.timestamp()))
        case FileForm.MAILGUN:
            return (one.address, 550, one.note or one.reason, at.strftime("%a, %d %b %Y %H:%M:%S UTC"))
        case FileForm.SES:
            return (one.address, "COMPLAINT" if one.reason == SuppressionReason.COMPLAINT else "BOUNCE")
        case FileForm.POSTMARK:
            word = next((word for reason, word in _POSTMARK.items() if reason == one.reason), "ManualSuppression")
            return (one.address, word, "Customer", written)
        case FileForm.MAILCHIMP:
            return (one.address, at.strftime("%Y-%m-%d %H:%M:%S"), one.note or one.reason)
        case _:
            ends = "" if one.expires_at is None else as_datetime(one.expires_at).isoformat().replace("+00:00", "Z")
            return (one.address, one.scope, one.reason, one.note, as_datetime(one.created_at).isoformat(), ends)


def _armed(address: str) -> str:
    """An address as it was before ``csv_text``."""
    return address[1:] if address[:1] == "'" and address[1:2] in ("=", "+", "-") else address
