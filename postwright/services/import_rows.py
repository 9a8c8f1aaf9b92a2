"""Rows into contacts: addresses judged, values brought to their kinds, and a word on every row that is not plain."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final
from zoneinfo import available_timezones

from hygiene.address_verdict import AddressJudge, AddressVerdict
from hygiene.segments.fields import Value
from mailtypes.address import EmailAddress
from mailtypes.saying import say
from postwright.services.contact_fields import Coercer
from postwright.services.errors import RefusedError
from postwright.services.import_options import VALUE, ColumnUse, ImportPlan, Judgement, check_tag
from postwright.services.import_tables import MAX_FIELD_CHARACTERS, Row, shape_fault
from postwright.store.imported_contacts import ImportedContact
from postwright.store.imports import Refusal

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_LOCALE: Final = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}|[0-9]{3}))?\Z")
_SEPARATORS: Final = re.compile(r"[;,|]")
_MOST_NAMES_IN_A_CELL: Final = 50
_MOST_NAMES: Final = 500
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Values:
    """What fits values to fields; ``typed`` are the fields that have a kind, all others are text as it stands."""

    coerce: Coercer
    typed: frozenset[str]


@dataclass(frozen=True, slots=True)
class SortedRows:
    """A chunk of rows: those that come in, and the report about those that do not, or not as they stood."""

    rows: int
    accepted: list[ImportedContact]
    report: list[Refusal]


@dataclass(slots=True)
class _Doubts:
    """What is said about one row."""

    outcome: str = ""
    codes: list[str] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)

    def add(self, outcome: str, code: str, sentence: str) -> None:
        if self.outcome != "refused" and not (self.outcome == "changed" and outcome == "flagged"):
            self.outcome = outcome
        self.codes.append(code)
        self.sentences.append(sentence)


class RowSorter:
    """Sorts the rows of one file; knows nothing of the database."""

    def __init__(self, plan: ImportPlan, header: Sequence[str], judge: AddressJudge, values: "Values") -> None:
        self._header = header
        self._width = len(header)
        self._names: set[str] = set()
        self._judge = judge
        self._coerce = values.coerce
        self._options = plan.options
        self._address = next(place for place, one in enumerate(plan.columns) if one.use is ColumnUse.ADDRESS)
        fields = [(place, one.name) for place, one in enumerate(plan.columns) if one.use is ColumnUse.FIELD]
        self._texts = [(place, name) for place, name in fields if name not in values.typed]
        self._typed = [(place, name) for place, name in fields if name in values.typed]
        others = ((place, one.use) for place, one in enumerate(plan.columns))
        self._others = [(place, use) for place, use in others if use in _READERS]

    def sort(self, rows: Sequence[Row]) -> SortedRows:
        """A chunk; a second row of the chunk with the same address is refused, the first one stands."""
        accepted: dict[str, ImportedContact] = {}
        report: list[Refusal] = []
        for row in rows:
            found = self._sort_one(row, report)
            if found is None:
                continue
            first = accepted.setdefault(found.address_key, found)
            if first is not found:
                if report and report[-1].row_number == row.number:
                    report.pop()
                report.append(duplicate(found, first.line))
        return SortedRows(len(rows), list(accepted.values()), report)

    def _sort_one(self, row: Row, report: list[Refusal]) -> ImportedContact | None:
        cells = row.cells
        fault = shape_fault(self._header, row) if row.fault or len(cells) != self._width else self._cell_fault(cells)
        if fault is not None:
            shown = ",".join(map(str, cells))[:_SHOWN]
            report.append(Refusal(row.number, shown, *fault))
            return None
        written = cells[self._address]
        verdict = self._judge.judge(written if isinstance(written, str) else str(written))
        doubts = self._doubts(verdict, row.stray) if verdict.codes or row.stray else _Doubts()
        found = None
        if verdict.address is not None and doubts.outcome != "refused":
            found = self._contact(row, verdict.address, doubts)
        if doubts.outcome:
            reason = " ".join(doubts.sentences)
            suggestion = (verdict.suggestion or "")[:_SHOWN]
            value = str(written)[:_SHOWN]
            report.append(Refusal(row.number, value, doubts.codes[0], reason, doubts.outcome, suggestion))
        return found if doubts.outcome != "refused" else None

    def _cell_fault(self, cells: Sequence[Any]) -> tuple[str, str] | None:
        """One look at the whole row for what is in hardly any; the place is looked for only then."""
        try:
            together = "".join(cells)
        except TypeError:  # values of NDJSON
            together = "".join([cell for cell in cells if isinstance(cell, str)])
        if len(together) <= MAX_FIELD_CHARACTERS and not _CONTROL.search(together):
            return None
        for place, cell in enumerate(cells):
            if not isinstance(cell, str):
                continue
            if len(cell) > MAX_FIELD_CHARACTERS:
                return "too_long", say(
                    "A cell has more than %(max_field_characters)s characters.",
                    max_field_characters=MAX_FIELD_CHARACTERS,
                )
            if place != self._address and _CONTROL.search(cell):
                return "control_character", say(
                    "The column %(column)s has a control character.", column=self._header[place]
                )
        return None

    def _doubts(self, verdict: AddressVerdict, stray: tuple[str, ...]) -> _Doubts:
        doubts = _Doubts()
        if verdict.address is None:
            for code, sentence in zip(verdict.codes, (*verdict.sentences, *("",) * 3), strict=False):
                doubts.add("refused", str(code), sentence)
            if verdict.suggestion:
                doubts.sentences.append(say("Probably %(suggestion)s was meant.", suggestion=verdict.suggestion))
            doubts.sentences = [one for one in doubts.sentences if one]
            return doubts
        for code, sentence in zip(verdict.codes, verdict.sentences, strict=True):
            judgement = self._options.judgement(str(code))
            if judgement is not Judgement.ACCEPT:
                doubts.add("refused" if judgement is Judgement.REFUSE else "flagged", str(code), sentence)
        doubts.codes.sort(key=lambda code: self._options.judgement(code) is not Judgement.REFUSE)
        if stray:
            names = ", ".join(name[:50] for name in stray)
            doubts.add(
                "changed",
                "unknown_column",
                say("Not known from the first records and left out: %(names)s.", names=names),
            )
        return doubts

    def _contact(self, row: Row, address: EmailAddress, doubts: _Doubts) -> ImportedContact:
        cells = row.cells
        values: dict[str, Value] = {}
        unread: dict[str, Any] = {}
        for place, name in self._texts:
            cell = cells[place]
            if cell.__class__ is not str:
                unread[name] = cell
            elif kept := cell.strip():
                values[name] = kept
        if self._typed or unread:
            unread |= {name: cells[place] for place, name in self._typed}
            fitting, faults = self._coerce(unread)
            values |= fitting
            for fault in faults:
                self._misfit(doubts, f"{fault.message[:1].upper()}{fault.message[1:]}. {fault.next_step}")
        plain = ImportedContact(address.text, address.key, address.domain.ascii, values, row.number)
        return self._with_others(plain, cells, doubts) if self._others else plain

    def _with_others(self, contact: ImportedContact, cells: Sequence[Any], doubts: _Doubts) -> ImportedContact:
        others: dict[ColumnUse, Any] = {}
        for place, use in self._others:
            cell = cells[place]
            text = cell.strip() if isinstance(cell, str) else "" if cell is None else str(cell)
            if text:
                try:
                    read = _READERS[use](text)
                except ValueError as error:
                    self._misfit(doubts, str(error))
                else:
                    others[use] = (*others.get(use, ()), *read) if isinstance(read, tuple) else read
        return contact._replace(
            locale=others.get(ColumnUse.LOCALE),
            time_zone=others.get(ColumnUse.TIME_ZONE),
            tags=self._bounded(others.get(ColumnUse.TAG, ()), doubts),
            lists=self._bounded(others.get(ColumnUse.LIST, ()), doubts),
            consent_at=others.get(ColumnUse.CONSENT_AT),
        )

    def _bounded(self, names: tuple[str, ...], doubts: _Doubts) -> tuple[str, ...]:
        """Tags and lists of the file, as long as they are not so many that the column is none of tags."""
        for name in names:
            if name not in self._names and len(self._names) >= _MOST_NAMES:
                self._misfit(doubts, say("A file names at most %(most_names)s tags and lists.", most_names=_MOST_NAMES))
                return ()
            self._names.add(name)
        return names

    def _misfit(self, doubts: _Doubts, sentence: str) -> None:
        judgement = self._options.judgement(VALUE)
        if judgement is Judgement.ACCEPT:
            return
        refuses = judgement is Judgement.REFUSE
        doubts.add(
            "refused" if refuses else "changed",
            VALUE,
            sentence if refuses else say("%(sentence)s It was left out.", sentence=sentence),
        )


def duplicate(contact: ImportedContact, first: int) -> Refusal:
    """The refusal of a row whose address stands in another line already."""
    sentence = say("The address stands in line %(first)s already.", first=first)
    return Refusal(contact.line, contact.address[:_SHOWN], "duplicate", sentence)


def read_locale(text: str) -> str:
    """A language tag (RFC 5646) in its usual spelling; raises ``ValueError`` with a sentence."""
    found = _LOCALE.match(text)
    if found is None:
        raise ValueError(f"'{text[:30]}' is no language; write such as he, en-GB.")
    language, script, region = found.groups()
    return "-".join(part for part in (language.lower(), (script or "").title(), (region or "").upper()) if part)


def read_time_zone(text: str) -> str:
    """A name of the time zone database; raises ``ValueError`` with a sentence."""
    if text not in _zones():
        raise ValueError(f"'{text[:50]}' is no time zone; write such as Asia/Jerusalem.")
    return text


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def read_moment(text: str) -> int:
    """A moment (RFC 3339, UTC where it says no zone) or a day as microseconds; raises ``ValueError``."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            say("'%(text)s' is no moment; write such as 2026-03-09T10:15:00Z or 2026-03-09.", text=text[:40])
        ) from None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    if not 1970 <= found.year <= 9000:
        raise ValueError(say("'%(text)s' is no moment at which anybody could have agreed.", text=text[:40]))
    return int(found.timestamp() * 1_000_000)


def _names(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(part.strip() for part in _SEPARATORS.split(text) if part.strip()))
    if len(found) > _MOST_NAMES_IN_A_CELL:
        raise ValueError(say("A cell names at most %(most)s tags or lists.", most=_MOST_NAMES_IN_A_CELL))
    try:
        return tuple(check_tag(one) for one in found)
    except RefusedError as error:
        raise ValueError(str(error)) from None


_READERS: Final[dict[ColumnUse, Callable[[str], Any]]] = {
    ColumnUse.LOCALE: read_locale,
    ColumnUse.TIME_ZONE: read_time_zone,
    ColumnUse.CONSENT_AT: read_moment,
    ColumnUse.TAG: _names,
    ColumnUse.LIST: _names,
}


def in_chunks(rows: Iterable[Row], size: int) -> Iterable[list[Row]]:
    """Rows by the ``size``."""
    chunk: list[Row] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
