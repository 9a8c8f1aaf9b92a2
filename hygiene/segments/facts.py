"""What is known of one contact, as a segment tree reads it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from hygiene.segments.fields import Value
from hygiene.segments.tree import ActivityKind, ConsentAnswer, ConsentReach


class Known(StrEnum):
    """What is recorded of somebody's opens and clicks: all, the day of the last open alone, or nothing.

    What is not recorded may have happened: it is unknown, and holds for nobody.
    """

    ALL = "all"
    LAST_OPEN = "last_open"
    NOTHING = "nothing"


_BY_MODE: Final = {"full": Known.ALL, "last_open": Known.LAST_OPEN}


def known_by(modes: Iterable[str | None]) -> Known:
    """By the privacy modes of a contact and of lists: the strictest counts, none is no wish, any other word hides."""
    found = {_BY_MODE.get(mode, Known.NOTHING) for mode in modes if mode is not None}
    return Known.NOTHING if Known.NOTHING in found else Known.LAST_OPEN if Known.LAST_OPEN in found else Known.ALL


@dataclass(frozen=True, slots=True)
class ActivityFacts:
    """What a contact got and did; machines' opens and clicks are not in it.

    ``totals`` and ``last_at`` (microseconds) go by kind, and have nothing for what never happened. ``days`` maps days
    since 1970-01-01 UTC to the counts of ``ActivityKind`` in its order.
    """

    totals: Mapping[ActivityKind, int] = field(default_factory=dict)
    last_at: Mapping[ActivityKind, int] = field(default_factory=dict)
    received_since: Mapping[ActivityKind, int] = field(default_factory=dict)
    opened_in_a_row: int = 0
    days: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContactFacts:
    """One contact; names of lists, tags and providers as people wrote them.

    ``consents`` has the newest entry for each scope. ``last_open_day`` stands for opens of contacts of whom no more
    than the day of the last open is kept. ``list_tracking`` has the privacy modes of the lists that the contact is on;
    ``tracked_since`` is when the contact agreed to tracking (again), of what was before nothing is known.
    """

    address: str
    domain: str
    created_at: int
    locale: str | None = None
    time_zone: str | None = None
    tracking: str | None = None
    fields: Mapping[str, Value] = field(default_factory=dict)
    lists: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    consents: Mapping[tuple[ConsentReach, str], ConsentAnswer] = field(default_factory=dict)
    provider: str | None = None
    activity: ActivityFacts = field(default_factory=ActivityFacts)
    last_open_day: int | None = None
    list_tracking: frozenset[str] = frozenset()
    tracked_since: int | None = None

    @property
    def known(self) -> Known:
        """What is recorded of opens and clicks."""
        return known_by((self.tracking, *self.list_tracking))
