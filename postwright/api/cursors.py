"""Opaque cursors: where a page ended, bound to the list that it is a page of."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from postwright.api.representations import Page
from postwright.services.errors import RefusedError

Row = TypeVar("Row")
Shown = TypeVar("Shown")
_POSITION = re.compile(r"([a-z_]{1,30})(:\d{1,19}){1,2}\Z")
_LARGEST = (1 << 63) - 1


def write_cursor(name: str, *position: int) -> str:
    """A cursor for the list ``name``."""
    text = ":".join([name, *(str(number) for number in position)])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(name: str, text: str | None, parts: int = 1) -> tuple[int, ...]:
    """The position in a cursor of the list ``name``, zeros where there is none; raises ``RefusedError``."""
    if text is None:
        return (0,) * parts
    try:
        decoded = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)).decode("ascii")
    except (UnicodeError, binascii.Error, ValueError):
        decoded = ""
    if _POSITION.match(decoded):
        found, *numbers = decoded.split(":")
        position = tuple(int(number) for number in numbers)
        # base64 and int forgive much; one position has one cursor, so what was read has to give the text again.
        is_ours = found == name and write_cursor(name, *position) == text
        if is_ours and len(position) == parts and max(position) <= _LARGEST:
            return position
    raise RefusedError(
        "bad_cursor",
        "The cursor does not belong to this list.",
        field="cursor",
        next_step="Take next_cursor from the page before, or leave it out to begin at the start.",
    )


def make_page(
    name: str,
    rows: Sequence[Row],
    limit: int,
    show: Callable[[Row], Shown],
    position: Callable[[Row], tuple[int, ...]],
    cursor: str | None,
) -> Page[Shown]:
    """A page of ``rows``, of which one more than ``limit`` was asked for; ``cursor`` is the one of the request."""
    shown = rows[:limit]
    following = write_cursor(name, *position(shown[-1])) if shown else cursor
    return Page(data=[show(row) for row in shown], has_more=len(rows) > limit, next_cursor=following)
