"""What may be recorded of an open or a click, by the privacy modes of the list and of the contact.

CNIL (14 April 2026): measuring opens person by person needs a consent of its own; exempt is who keeps nothing but the
date of the last open, overwritten each time.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tracking.verdicts.features import FetchKind


class PrivacyMode(StrEnum):
    """How much tracking there is, from none to everything."""

    OFF = "off"
    AGGREGATE = "aggregate"
    LAST_OPEN = "last_open"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Recording:
    """What is stored: ``counts`` an event without contact or delivery; ``last_open`` the date of the contact's last
    open, overwritten; ``detail`` the event with its delivery, and the features."""

    counts: bool = False
    last_open: bool = False
    detail: bool = False

    @property
    def nothing(self) -> bool:
        """Whether the fetch leaves no trace at all."""
        return not (self.counts or self.last_open or self.detail)


_STRICTNESS: Final = tuple(PrivacyMode)
_OPENS: Final = {
    PrivacyMode.OFF: Recording(),
    PrivacyMode.AGGREGATE: Recording(counts=True),
    PrivacyMode.LAST_OPEN: Recording(last_open=True),
    PrivacyMode.FULL: Recording(last_open=True, detail=True),
}
_CLICKS: Final = {**_OPENS, PrivacyMode.LAST_OPEN: Recording(), PrivacyMode.FULL: Recording(detail=True)}

_COUNT_AS_NOTHING: Final = frozenset({FetchKind.LOOK, FetchKind.HONEYPOT})


def effective_mode(of_list: str | None, of_contact: str | None) -> PrivacyMode:
    """The stricter of both modes; ``None`` is no wish, and a word that nobody knows is ``off``."""
    modes = [_read(mode) for mode in (of_list, of_contact) if mode is not None]
    return min(modes, key=_STRICTNESS.index, default=PrivacyMode.FULL)


def recording(mode: PrivacyMode, kind: FetchKind) -> Recording:
    """What ``mode`` lets be stored of a fetch. Where only the last open is kept, clicks leave nothing.

    A look (HEAD) and a honeypot are nobody's doing, but serve to tell machines: kept where clicks are kept in detail.
    """
    allowed = (_OPENS if kind is FetchKind.OPEN else _CLICKS)[mode]
    return Recording(detail=allowed.detail) if kind in _COUNT_AS_NOTHING else allowed


def _read(mode: str) -> PrivacyMode:
    try:
        return PrivacyMode(mode)
    except ValueError:
        return PrivacyMode.OFF
