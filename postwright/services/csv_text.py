"""CSV that somebody will open in a spreadsheet (RFC 4180)."""

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """A line for each row. Text that a spreadsheet would calculate with is led by an apostrophe; anybody wrote it."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([_inert(cell) for cell in row] for row in rows)
    return text.getvalue()


def _inert(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
