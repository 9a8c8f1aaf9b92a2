"""The merge values of one message, encoded once for both parts where every place writes them alike."""

import re
from collections.abc import Sequence

from rendering.places import MARKUP, Place
from rendering.transfer import MAX_LINE, SOFT_BREAK

COMMON_PLACES = frozenset({Place.TEXT, Place.ATTRIBUTE, Place.PLAIN})
"""Places that write a value without markup and controls as it is."""
# Printable ASCII that neither these places nor quoted-printable change: none of &<>"'=, no dot at the beginning,
# and every space between two words. A strict part of what ``quoted_printable_value`` takes as it stands.
_PLAIN = re.compile(r"(?!\.)[!#-%(-;?-~]+(?: [!#-%(-;?-~]+)*\Z")
_REMEMBERED, _REMEMBERED_LENGTH = 8192, 64


class EncodedValues:
    """What goes into the slots of a message at ``COMMON_PLACES``; ``None`` where a value has to be escaped there."""

    __slots__ = ("_octets", "_quoted", "values")

    def __init__(self, values: Sequence[str]) -> None:
        self.values = values
        self._quoted: list[bytes | None] | None = None
        self._octets: list[bytes | None] | None = None

    @property
    def quoted(self) -> list[bytes | None]:
        """In quoted-printable, each with the soft break behind it."""
        if self._quoted is None:
            known = _KNOWN
            self._quoted = [
                encoded if (encoded := known.get(value)) is not None else _quoted(value) for value in self.values
            ]
        return self._quoted

    @property
    def octets(self) -> list[bytes | None]:
        """As octets, for base64."""
        if self._octets is None:
            markup = MARKUP.search
            self._octets = [
                value.encode("utf-8", "replace") if markup(value) is None else None for value in self.values
            ]
        return self._octets


_KNOWN: dict[str, bytes] = {}
"""Names and cities recur. Threads share it; whoever finds it full empties it, and what is lost is made anew."""


def _quoted(value: str) -> bytes | None:
    if not value:
        return b""
    if len(value) >= MAX_LINE or not ((value.isascii() and value.isalnum()) or _PLAIN.match(value)):
        return None
    encoded = value.encode("ascii") + SOFT_BREAK
    if len(value) <= _REMEMBERED_LENGTH:
        if len(_KNOWN) >= _REMEMBERED:
            _KNOWN.clear()
        _KNOWN[value] = encoded
    return encoded
