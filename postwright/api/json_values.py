"""What may stand in a JSON body whatever the schema says: values that every database and every reader can hold."""

import json
import math
from collections.abc import Iterator
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError

_LARGEST_WHOLE = (1 << 63) - 1
_MOST_FAULTS = 20


class CheckedRequest(Request):
    """A request whose JSON is looked through before any schema is; fields that no schema declares, too.

    Its ``json`` raises ``RequestValidationError`` with the place of each value that nobody could store: numbers that
    are not finite (JSON has none, RFC 8259 section 6) or longer than 64 bits, halves of surrogate pairs, NUL.
    """

    async def json(self) -> Any:
        """The body as JSON, once it is looked through."""
        if not hasattr(self, "_json"):
            self._json = read_json(await self.body())
        return self._json


def read_json(text: bytes) -> Any:
    """What a JSON text says; raises ``json.JSONDecodeError`` and ``RequestValidationError``."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        raise
    except (RecursionError, ValueError) as error:  # too deep, no UTF-8, or more digits than Python reads
        fault = {"type": "unreadable_json", "loc": ("body",), "msg": f"The JSON cannot be read: {str(error)[:100]}"}
        raise RequestValidationError([fault], body=None) from error
    check_values(value)
    return value


def check_values(value: Any) -> None:
    """Raises ``RequestValidationError`` with the places of what nobody could store."""
    faults = []
    for place, sentence in _faults(value):
        faults.append({"type": "value_error", "loc": ("body", *place), "msg": sentence})
        if len(faults) >= _MOST_FAULTS:
            break
    if faults:
        raise RequestValidationError(faults, body=None)


def _faults(value: Any) -> Iterator[tuple[tuple[Any, ...], str]]:
    left: list[tuple[tuple[Any, ...], Any]] = [((), value)]
    while left:
        place, one = left.pop()
        if isinstance(one, dict):
            for name, inner in one.items():
                if sentence := _text_fault(name):
                    yield (*place, _shown(name)), sentence
                elif type(inner) is not bool and inner is not None:
                    left.append(((*place, name), inner))
        elif isinstance(one, list):
            left.extend(((*place, number), inner) for number, inner in enumerate(one))
        elif sentence := _fault(one):
            yield place, sentence


def _fault(value: Any) -> str:
    if isinstance(value, str):
        return _text_fault(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "a number has to be finite"
    if isinstance(value, int) and not -_LARGEST_WHOLE <= value <= _LARGEST_WHOLE:
        return "a whole number has at most 64 bits"
    return ""


def _text_fault(text: str) -> str:
    # PostgreSQL stores no NUL, and nobody means one.
    place = text.find("\x00")
    if place >= 0:
        return f"a NUL cannot stand in a text; remove it (character {place + 1})"
    if text.isascii():
        return ""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"half of a surrogate pair is no character; remove it (character {error.start + 1})"
    return ""


def _shown(name: str) -> str:
    return name.replace("\x00", "\N{SYMBOL FOR NULL}").encode("ascii", "backslashreplace").decode()[:100]
