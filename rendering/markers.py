"""Slot markers: what stands in a text for a value while MJML and CSS are compiled.

A marker is letters and digits only, so that every compiler passes it through, and is salted so that the author's
text has none. Contacts' values are never inserted before compiling, so no value can forge one.
"""

import hashlib
import re
from collections.abc import Iterator
from enum import StrEnum

from rendering.places import LOOK_BACK, Place, url_place


class MarkerKind(StrEnum):
    """What a marker stands for; the URL kinds occur in the plain part, where nothing else tells them apart."""

    MERGE = "m"
    MERGE_URL = "u"
    MERGE_URL_PATH = "h"
    MERGE_URL_PART = "c"
    LINK = "k"
    UNSUBSCRIBE = "s"
    PREFERENCES = "f"


_URL_KINDS = {
    Place.URL: MarkerKind.MERGE_URL,
    Place.URL_PATH: MarkerKind.MERGE_URL_PATH,
    Place.URL_PART: MarkerKind.MERGE_URL_PART,
}


class Markers:
    """Makes and finds the markers of one template; the same template always gets the same ones."""

    def __init__(self, *sources: str) -> None:
        for round_number in range(1_000):
            digest = hashlib.sha256("\x00".join((*sources, str(round_number))).encode("utf-8", "replace")).hexdigest()
            self._salt = f"pw{digest[:12]}"
            if not any(self._salt in source for source in sources):
                break
        self._pattern = re.compile(rf"{self._salt}([muhcksf])(\d+)z")

    def make(self, kind: MarkerKind, number: int = 0) -> str:
        """The marker for a slot."""
        return f"{self._salt}{kind}{number}z"

    def find(self, text: str) -> Iterator[tuple[int, int, MarkerKind, int]]:
        """Each marker of ``text`` as (start, end, kind, number)."""
        for match in self._pattern.finditer(text):
            yield match.start(), match.end(), MarkerKind(match[1]), int(match[2])

    def stand_in(self, url: str) -> str:
        """A beginning of a URL with its markers replaced by something that a URL could hold there."""
        at_start = self._pattern.match(url.lstrip())
        return ("https://x" if at_start else "") + self._pattern.sub("x", url.lstrip())[1 if at_start else 0 :]

    def as_url_kind(self, url: str) -> str:
        """A URL with its merge markers turned into the kinds that say where in the URL they stand."""
        pieces: list[str] = []
        position = 0
        for start, end, kind, number in self.find(url):
            if kind is not MarkerKind.MERGE:
                continue
            place = url_place(self.stand_in(url[:start])) if start <= LOOK_BACK else Place.URL_PART
            pieces += [url[position:start], self.make(_URL_KINDS[place], number)]
            position = end
        return "".join(pieces) + url[position:]
