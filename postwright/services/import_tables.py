"""Files of contacts as rows: CSV, TSV and NDJSON, line by line, so that memory does not grow with the file."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import PurePath
from typing import Any, BinaryIO, Final, NamedTuple, cast

from mailtypes.saying import say
from postwright.services.errors import RefusedError
from postwright.services.import_encodings import codec_of

MAX_COLUMNS: Final = 100
MAX_FIELD_CHARACTERS: Final = 4096
LONGEST_LINE: Final = 256 * 1024  # characters; what is longer is read as several lines, none of which will be a row
_LOOKED_AT: Final = 1000  # lines of NDJSON whose names make the columns
_OPEN_QUOTE = say("Perhaps a quotation mark is not closed: the lines up to the next one belong to this row.")


class TableFormat(StrEnum):
    """How rows are written."""

    DELIMITED = "csv"
    NDJSON = "ndjson"


DELIMITERS: Final = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read: its encoding (a name of ``ENCODINGS``), format, and what stands between the cells."""

    encoding: str = "utf-8"
    format: TableFormat = TableFormat.DELIMITED
    delimiter: str = ","


class Row(NamedTuple):
    """A row of the file: the number of its first line, and its cells or why it has none.

    ``stray`` names what an NDJSON record has beside the columns. A tuple, since there are millions.
    """

    number: int
    cells: Sequence[Any]
    fault: str = ""
    code: str = "not_csv"
    stray: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenTable:
    """The columns of a file, and its rows."""

    header: list[str]
    rows: Iterator[Row]


def open_table(file: BinaryIO, reading: Reading) -> OpenTable:
    """Read a file from its beginning. Raises ``RefusedError`` for what is no table; a row of it is never refused so."""
    file.seek(0)
    text = io.TextIOWrapper(cast("Any", _Kept(file)), codec_of(reading.encoding), newline="")
    if reading.format is TableFormat.NDJSON:
        return _open_records(text)
    return _open_delimited(text, reading.delimiter)


def guess_reading(file: BinaryIO, file_name: str, encoding: str) -> Reading:
    """Format and delimiter by the file's name and its first line."""
    first = _first_line(file, encoding)
    suffix = PurePath(file_name).suffix.lower()
    if suffix in {".ndjson", ".jsonl"} or first.lstrip().startswith("{"):
        return Reading(encoding, TableFormat.NDJSON)
    if suffix == ".tsv":
        return Reading(encoding, TableFormat.DELIMITED, "\t")
    counts = {one: _outside_quotes(first, one) for one in DELIMITERS}
    best = max(DELIMITERS, key=lambda one: counts[one])
    return Reading(encoding, TableFormat.DELIMITED, best if counts[best] else ",")


def _first_line(file: BinaryIO, encoding: str) -> str:
    file.seek(0)
    text = io.TextIOWrapper(cast("Any", _Kept(file)), codec_of(encoding), errors="replace", newline="")
    line = text.readline(LONGEST_LINE)
    while line and not line.strip():
        line = text.readline(LONGEST_LINE)
    if not line:
        raise RefusedError("empty_file", say("The file is empty."), field="file")
    return line


def _outside_quotes(line: str, delimiter: str) -> int:
    return sum(part.count(delimiter) for part in line.split('"')[::2])


class _Kept(io.BufferedIOBase):
    """A file that is not closed with what reads it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        return self._file.read(-1 if size is None else size)

    def read1(self, size: int = -1, /) -> bytes:
        return self._file.read(size if size > 0 else io.DEFAULT_BUFFER_SIZE)


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    readline: Callable[[int], str] = text.readline
    while line := readline(LONGEST_LINE):
        yield line


def _open_delimited(text: io.TextIOWrapper, delimiter: str) -> OpenTable:
    reader = csv.reader(_lines(text), delimiter=delimiter, strict=False)
    header: list[str] = []
    try:
        while not any(header):
            header = [name.strip() for name in next(reader)]
    except StopIteration:
        raise RefusedError("empty_file", say("The file is empty."), field="file") from None
    except csv.Error:
        header = []  # a first line of more than 131,072 characters: whatever this is, it is no header
    check_header(header)
    return OpenTable(header, _delimited_rows(reader))


def check_header(header: Sequence[str]) -> None:
    """Raise ``RefusedError`` where the columns have no names, the same names, or are too many."""
    named = {name for name in header if name}
    too_long = any(len(name) > MAX_FIELD_CHARACTERS for name in header)
    if not header or len(header) > MAX_COLUMNS or len(named) != len(header) or too_long:
        raise RefusedError(
            "header",
            say("The first line must name every column once, at most a hundred."),
            field="file",
            next_step=say("Write a header such as email,first_name,city."),
        )


def _delimited_rows(reader: Any) -> Iterator[Row]:
    end = reader.line_num
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(
                end + 1,
                [],
                say("The row cannot be read (%(error)s). %(open_quote)s", error=error, open_quote=_OPEN_QUOTE),
            )
            end = reader.line_num
            continue
        if cells:
            yield Row(end + 1, cells)
        end = reader.line_num


def _open_records(text: io.TextIOWrapper) -> OpenTable:
    """The columns are the names in the first thousand records, in the order in which they come."""
    records = _records(_lines(text))
    first = list(islice(records, _LOOKED_AT))
    if not first:
        raise RefusedError("empty_file", say("The file is empty."), field="file")
    header = list(dict.fromkeys(name for _, found in first if not isinstance(found, str) for name in found))
    check_header([name.strip() for name in header])
    return OpenTable([name.strip() for name in header], _record_rows(header, first, records))


_Found = tuple[int, Mapping[str, Any] | str]


def _records(lines: Iterable[str]) -> Iterator[_Found]:
    """Each line's number with its record, or with what is wrong with it."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            yield number, say("The line is not JSON. Write one object in each line.")
            continue
        yield number, _flat(found) if isinstance(found, dict) else say("The line is JSON, but no object.")


def _no_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's (RFC 8259 section 6)


def _flat(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record with what stands in ``fields`` beside it, as our own export has it; lists of texts are joined."""
    fields = record.get("fields")
    whole = {**record, **fields} if isinstance(fields, dict) else record
    return {
        name: ";".join(map(str, value)) if isinstance(value, list) else value
        for name, value in whole.items()
        if not isinstance(value, dict)
    }


def _record_rows(header: Sequence[str], first: Iterable[_Found], rest: Iterable[_Found]) -> Iterator[Row]:
    known = frozenset(header)
    for records in (first, rest):
        for number, found in records:
            if isinstance(found, str):
                yield Row(number, [], found, "not_json")
                continue
            stray = tuple(name for name in found if name not in known)
            yield Row(number, [found.get(name, "") for name in header], stray=stray[:5])


def shape_fault(header: Sequence[str], row: Row) -> tuple[str, str] | None:
    """Code and sentence where a row is none."""
    if row.fault:
        return row.code, row.fault
    if len(row.cells) != len(header):
        reason = say(
            "The row has %(cells)s cells, the header has %(columns)s.", cells=len(row.cells), columns=len(header)
        )
        hint = f" {_OPEN_QUOTE}" if any("\n" in cell for cell in row.cells) else ""
        return "columns", reason + hint
    return None
