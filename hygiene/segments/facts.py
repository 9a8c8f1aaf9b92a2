"""What is known of one contact, as a segment tree reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hygiene.segments.fields import Value
from hygiene.segments.tree import ActivityKind, ConsentAnswer, ConsentReach


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
    than the day of the last open is kept.
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
