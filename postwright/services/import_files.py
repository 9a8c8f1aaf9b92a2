"""A file to import, before its rows are: kept in pieces and read like a file, looked at, and planned."""

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO, Final

from mailtypes.saying import say
from postwright.services.errors import RefusedError
from postwright.services.import_encodings import DetectedEncoding, detect
from postwright.services.import_options import (
    Column,
    ColumnUse,
    ImportOptions,
    ImportPlan,
    check_columns,
    guess_columns,
)
from postwright.services.import_tables import OpenTable, Reading, TableFormat, guess_reading, open_table

PIECE: Final = 256 * 1024
"""Octets that are stored, read and hashed at a time."""
_SHOWN_ROWS: Final = 10
_LOOKED_AT: Final = 100


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file holds, before anything of it is imported: how it was read, its columns, and its first rows."""

    detected: DetectedEncoding
    reading: Reading
    header: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def is_sure(self) -> bool:
        """Whether the encoding is more than a guess."""
        return self.detected.is_certain and self.reading.encoding == self.detected.name


class StoredFile(io.RawIOBase):
    """A stored file, read from its beginning a piece at a time; it can go back to its beginning."""

    def __init__(self, piece: Callable[[int], bytes | None]) -> None:
        self._piece = piece
        self._number = self._place = self._before = 0
        self._current: bytes = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It can go anywhere, at the cost of what lies before."""
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to an octet, counted from the beginning or from here."""
        if whence == 2:
            raise io.UnsupportedOperation("the end is not known")
        here = self._before + self._place
        wanted = offset + here if whence == 1 else offset
        if wanted < self._before:
            self._number = self._place = self._before = 0
            self._current = b""
        while wanted > self._before + len(self._current) and self._go_on():
            pass
        self._place = min(max(wanted - self._before, 0), len(self._current))
        return self._before + self._place

    def readinto(self, buffer: Any, /) -> int:
        """As much as is left of the current piece."""
        if self._place >= len(self._current) and not self._go_on():
            return 0
        part = self._current[self._place : self._place + len(buffer)]
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)

    def _go_on(self) -> bool:
        found = self._piece(self._number)
        if found is None:
            return False
        self._before += len(self._current)
        self._number, self._current, self._place = self._number + 1, found, 0
        return True


def digest_of(file: BinaryIO) -> str:
    """The SHA-256 of a whole file, in hexadecimal."""
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(PIECE):
        digest.update(block)
    return digest.hexdigest()


def look_at(file: BinaryIO, file_name: str, options: ImportOptions) -> Preview:
    """How a file would be read; raises ``RefusedError`` for what is no table."""
    detected = detect(file)
    encoding = options.encoding or detected.name
    try:
        reading = _reading(file, file_name, encoding, options)
        table = open_table(file, reading)
        first = list(islice(table.rows, _LOOKED_AT))
    except UnicodeError as error:
        raise _undecodable(encoding) from error
    columns = _columns(table, [row.cells for row in first], options)
    shown = tuple(tuple(str(cell)[:200] for cell in row.cells) for row in first[:_SHOWN_ROWS] if not row.fault)
    return Preview(detected, reading, tuple(table.header), columns, shown)


def plan_and_count(file: BinaryIO, file_name: str, options: ImportOptions) -> tuple[ImportPlan, int]:
    """How the file is read, and how many rows it has: it is read through once, so that no job stumbles over it."""
    detected = detect(file)
    if not options.encoding and not detected.is_certain:
        likely = ", ".join(detected.candidates)
        what = (
            say("Line %(bad_line)s is not UTF-8.", bad_line=detected.bad_line)
            if detected.bad_line
            else say("The file is not UTF-8.")
        )
        raise RefusedError(
            "encoding",
            what,
            field="file",
            next_step=say(
                "Save the file in UTF-8, or look at the preview and say its encoding: perhaps %(likely)s.",
                likely=likely,
            ),
        )
    encoding = options.encoding or detected.name
    try:
        reading = _reading(file, file_name, encoding, options)
        table = open_table(file, reading)
        first = list(islice(table.rows, _LOOKED_AT))
        columns = _columns(table, [row.cells for row in first], options)
        check_columns(table.header, columns, options.columns)
        rows = len(first) + sum(1 for _ in table.rows)
    except UnicodeError as error:
        raise _undecodable(encoding) from error
    return ImportPlan(reading, columns, options), rows


def _undecodable(encoding: str) -> RefusedError:
    return RefusedError(
        "encoding",
        say("The file is not %(encoding)s.", encoding=encoding),
        field="encoding",
        next_step=say("Look at the preview for the encodings that fit."),
    )


def _reading(file: BinaryIO, file_name: str, encoding: str, options: ImportOptions) -> Reading:
    guessed = guess_reading(file, file_name, encoding)
    wanted = TableFormat(options.format) if options.format else guessed.format
    if wanted is TableFormat.NDJSON:
        return Reading(encoding, wanted)
    return Reading(encoding, wanted, options.delimiter or guessed.delimiter)


def _columns(table: OpenTable, sample: Sequence[Sequence[Any]], options: ImportOptions) -> tuple[Column, ...]:
    guessed = guess_columns(table.header, sample)
    given = options.columns
    if any(one.use is ColumnUse.ADDRESS for one in given.values()):
        guessed = tuple(
            Column(ColumnUse.FIELD, name) if one.use is ColumnUse.ADDRESS else one
            for name, one in zip(table.header, guessed, strict=True)
        )
    return tuple(given.get(name, one) for name, one in zip(table.header, guessed, strict=True))
