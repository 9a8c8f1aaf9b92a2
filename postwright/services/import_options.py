"""How the rows of a file become contacts: what a column is, what becomes of contacts who are known, and of doubts."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from hygiene.address_verdict import AddressCode
from hygiene.segments.errors import FieldValueError
from hygiene.segments.fields import check_name
from mailtypes.saying import say
from postwright.services.errors import RefusedError
from postwright.services.import_encodings import check_encoding
from postwright.services.import_tables import DELIMITERS, Reading, TableFormat

MOST_TAGS: Final = 20
LONGEST_NAME: Final = 200
LONGEST_WORDING: Final = 4000


class ColumnUse(StrEnum):
    """What the cells of a column are."""

    ADDRESS = "address"
    FIELD = "field"
    LIST = "list"
    TAG = "tag"
    LOCALE = "locale"
    TIME_ZONE = "time_zone"
    CONSENT_AT = "consent_at"
    IGNORE = "ignore"


_USE_WORDS: Final[Mapping[ColumnUse, str]] = {
    ColumnUse.ADDRESS: say("address"),
    ColumnUse.LOCALE: say("locale"),
    ColumnUse.TIME_ZONE: say("time_zone"),
    ColumnUse.CONSENT_AT: say("consent_at"),
}


class ExistingRule(StrEnum):
    """What becomes of the fields of a contact who is known already: empty cells never change anything."""

    OVERWRITE = "overwrite"
    FILL = "fill"
    KEEP = "keep"


class Judgement(StrEnum):
    """What a doubt about an address, or a value that does not fit, does to the row."""

    REFUSE = "refuse"
    FLAG = "flag"
    ACCEPT = "accept"


JUDGED: Final = (
    AddressCode.LIKELY_TYPO,
    AddressCode.HEBREW_LAYOUT,
    AddressCode.DISPOSABLE_DOMAIN,
    AddressCode.ROLE_ADDRESS,
    AddressCode.NEEDS_SMTPUTF8,
)
"""Doubts that may be judged; what is no address is always refused, and so is a second row with the same one."""
VALUE: Final = "bad_value"
"""The code of a cell that does not fit its field; where that is not refused, the row comes in without it."""
JUDGEABLE: Final = (*(str(code) for code in JUDGED), VALUE)


@dataclass(frozen=True, slots=True)
class Column:
    """What a column is; ``name`` is the field's where it is one."""

    use: ColumnUse
    name: str = ""


@dataclass(frozen=True, slots=True)
class ImportConsent:
    """What all rows agreed to: ``scope`` is all or list (the import's own). ``given_at`` in microseconds.

    Rows with a moment of their own (a column ``consent_at``) keep that. Who took consent back stays so.
    """

    scope: str
    source: str
    wording: str
    given_at: int | None = None


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """``encoding``, ``format``, ``delimiter`` and ``columns`` are found where they are not given.

    An encoding that is no more than a guess has to be given. ``again`` does an import once more that was done before.
    """

    encoding: str = ""
    format: str = ""
    delimiter: str = ""
    columns: Mapping[str, Column] = field(default_factory=dict)
    existing: ExistingRule = ExistingRule.OVERWRITE
    judgements: Mapping[str, Judgement] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    consent: ImportConsent | None = None
    again: bool = False

    def judgement(self, code: str) -> Judgement:
        """What the code does to a row."""
        return self.judgements.get(code, Judgement.FLAG)


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """Options with everything found: what a job keeps."""

    reading: Reading
    columns: tuple[Column, ...]
    options: ImportOptions

    def as_json(self) -> str:
        """For the job's row."""
        document = {
            "reading": asdict(self.reading),
            "columns": [asdict(one) for one in self.columns],
            "existing": self.options.existing,
            "judgements": dict(self.options.judgements),
            "tags": list(self.options.tags),
            "consent": asdict(self.options.consent) if self.options.consent else None,
        }
        return json.dumps(document, ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "ImportPlan":
        """What ``as_json`` wrote."""
        document: dict[str, Any] = json.loads(text)
        reading = document["reading"]
        options = ImportOptions(
            existing=ExistingRule(document["existing"]),
            judgements={code: Judgement(value) for code, value in document["judgements"].items()},
            tags=tuple(document["tags"]),
            consent=ImportConsent(**document["consent"]) if document["consent"] else None,
        )
        return cls(
            Reading(reading["encoding"], TableFormat(reading["format"]), reading["delimiter"]),
            tuple(Column(ColumnUse(one["use"]), one["name"]) for one in document["columns"]),
            options,
        )

    def fingerprint(self, sha256: str, list_id: int) -> str:
        """The same for the same file, list and options."""
        return hashlib.sha256(f"{sha256} {list_id} {self.as_json()}".encode()).hexdigest()


_ADDRESS_NAMES = ("email", "e-mail", "address", "mail", "email address", "e-mail address", "דואל", 'דוא"ל', "אימייל")
_OTHER_NAMES: Mapping[str, ColumnUse] = {
    "locale": ColumnUse.LOCALE,
    "time_zone": ColumnUse.TIME_ZONE,
    "time zone": ColumnUse.TIME_ZONE,
    "timezone": ColumnUse.TIME_ZONE,
    "tags": ColumnUse.TAG,
    "תגיות": ColumnUse.TAG,
    "lists": ColumnUse.LIST,
    "רשימות": ColumnUse.LIST,
    "consent_at": ColumnUse.CONSENT_AT,
    "consent at": ColumnUse.CONSENT_AT,
}
_OWN_EXPORT = frozenset({"id", "created_at", "archived_at"})
"""Columns of our own export that are no fields: together they tell that it is one."""


def guess_columns(header: Sequence[str], sample: Iterable[Sequence[Any]] = ()) -> tuple[Column, ...]:
    """What each column is by its name; where no name says so, the column whose cells look like addresses has them."""
    rows = [row for row in sample if len(row) == len(header)]
    by_name = [place for place, name in enumerate(header) if name.casefold() in _ADDRESS_NAMES]
    address = by_name[0] if by_name else _looking_like_addresses(header, rows)
    is_own = set(header) >= _OWN_EXPORT
    found = []
    for place, name in enumerate(header):
        if place == address:
            found.append(Column(ColumnUse.ADDRESS))
        elif is_own and name in _OWN_EXPORT:
            found.append(Column(ColumnUse.IGNORE))
        elif name.casefold() in _OTHER_NAMES:
            found.append(Column(_OTHER_NAMES[name.casefold()]))
        else:
            found.append(Column(ColumnUse.FIELD, name))
    return tuple(found)


def _looking_like_addresses(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
    counts = [sum("@" in str(row[place]) for row in rows) for place in range(len(header))]
    best = max(range(len(header)), key=lambda place: counts[place], default=-1)
    return best if rows and counts[best] * 2 > len(rows) else -1


def check_columns(header: Sequence[str], columns: Sequence[Column], given: Mapping[str, Column]) -> None:
    """Raise ``RefusedError`` for a mapping that makes no contacts."""
    stray = [name for name in given if name not in header]
    if stray:
        shown = ", ".join(header[:10])
        raise RefusedError(
            "no_such_column",
            say("The file has no column '%(column)s'.", column=stray[0][:50]),
            field="columns",
            next_step=say("Its columns are %(shown)s.", shown=shown),
        )
    for use in (ColumnUse.ADDRESS, ColumnUse.LOCALE, ColumnUse.TIME_ZONE, ColumnUse.CONSENT_AT):
        several = [name for name, column in zip(header, columns, strict=True) if column.use is use]
        if len(several) > 1:
            raise RefusedError(
                "column_twice",
                say(
                    "Both %(first)s and %(second)s are the %(use)s.",
                    first=several[0],
                    second=several[1],
                    use=_USE_WORDS[use],
                ),
                field="columns",
            )
    names = [column.name for column in columns if column.use is ColumnUse.FIELD]
    if len(set(names)) != len(names):
        raise RefusedError("column_twice", say("Two columns are the same field."), field="columns")
    if all(column.use is not ColumnUse.ADDRESS for column in columns):
        raise RefusedError(
            "no_address_column",
            say("No column holds addresses."),
            field="file",
            next_step=say("Say which column has the addresses, or name it 'email' in the first line."),
        )
    _check_field_names(names)


def _check_field_names(names: Iterable[str]) -> None:
    for name in names:
        try:
            check_name(name)
        except FieldValueError as error:
            raise RefusedError("field_name", error.message, field="columns", next_step=error.next_step) from error


def read_column(text: str) -> Column:
    """A column's use as people write it: ``address``, ``ignore``, ..., ``field:city``; raises ``RefusedError``."""
    use, _, name = text.strip().partition(":")
    if use in set(ColumnUse) and bool(name.strip()) == (use == ColumnUse.FIELD):
        return Column(ColumnUse(use), name.strip())
    raise RefusedError(
        "column_use",
        say("'%(text)s' is nothing that a column can be.", text=text[:50]),
        field="columns",
        next_step=say("Say address, field:NAME, list, tag, locale, time_zone, consent_at or ignore."),
    )


def check_options(options: ImportOptions) -> ImportOptions:
    """The options in one spelling; raises ``RefusedError``."""
    unknown = [code for code in options.judgements if code not in JUDGEABLE]
    if unknown:
        sentence = say("'%(doubt)s' is no doubt that can be judged.", doubt=unknown[0][:40])
        raise RefusedError(
            "unknown_code",
            sentence,
            field="judgements",
            next_step=say("Take one of %(known)s.", known=", ".join(JUDGEABLE)),
        )
    if options.delimiter and options.delimiter not in DELIMITERS:
        raise RefusedError(
            "delimiter", say("Cells are parted by a comma, a semicolon, a tab or a bar."), field="delimiter"
        )
    if options.format and options.format not in set(TableFormat):
        raise RefusedError("format", say("A file is csv or ndjson."), field="format")
    tags = tuple(dict.fromkeys(one.strip() for one in options.tags if one.strip()))
    if len(tags) > MOST_TAGS:
        raise RefusedError(
            "too_many_tags",
            say("An import gives at most %(most_tags)s tags to all rows.", most_tags=MOST_TAGS),
            field="tags",
        )
    for tag in tags:
        check_tag(tag)
    _check_consent(options.consent)
    encoding = check_encoding(options.encoding) if options.encoding else ""
    return ImportOptions(
        encoding,
        options.format,
        options.delimiter,
        options.columns,
        options.existing,
        options.judgements,
        tags,
        options.consent,
        options.again,
    )


def check_tag(name: str) -> str:
    """A tag's name without blanks around it; raises ``RefusedError``."""
    kept = name.strip()
    if not kept or len(kept) > LONGEST_NAME or not kept.isprintable():
        sentence = say(
            "A tag has 1 to %(longest_name)s characters, all of which can be printed.", longest_name=LONGEST_NAME
        )
        raise RefusedError("tag_name", sentence, field="tag")
    return kept


def _check_consent(consent: ImportConsent | None) -> None:
    if consent is None:
        return
    if consent.scope not in {"all", "list"}:
        raise RefusedError("consent_scope", say("Consent of an import is for all or for its list."), field="consent")
    if not consent.source.strip() or len(consent.source) > LONGEST_NAME or len(consent.wording) > LONGEST_WORDING:
        raise RefusedError(
            "consent_source",
            say("Consent needs a source: where and how people gave it."),
            field="consent",
            next_step=say("Say such as 'paper form at the fair, May 2026', and the wording that people read."),
        )
