"""Whether a contact is in a segment: the plain reading, which the SQL of the store has to equal."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from hygiene.segments.checking import kind_of
from hygiene.segments.facts import ContactFacts, Known
from hygiene.segments.fields import NO_KINDS, FieldKind, Kinds, Value, fold, is_date_text, is_number
from hygiene.segments.tree import (
    ActivityAge,
    ActivityCount,
    ActivityKind,
    AgeOperator,
    AllOf,
    AmountOperator,
    AnyOf,
    AttributeIs,
    ConsentAnswer,
    ConsentIs,
    DomainIs,
    FieldIs,
    FieldOperator,
    HasTag,
    InSegment,
    Joined,
    LeftOut,
    Node,
    NotThis,
    OnList,
    OpenedInARow,
    ProviderIs,
    ReceivedSince,
    Scalar,
)
from mailtypes.clock import DAY, as_datetime

_PLACES: Final = {kind: place for place, kind in enumerate(ActivityKind)}
_NEVER: Final = -(1 << 62)
TRACKED: Final = frozenset({ActivityKind.OPENED, ActivityKind.CLICKED})
"""What privacy modes keep from being recorded."""


@dataclass(frozen=True, slots=True)
class Moment:
    """``now`` in microseconds, and what follows from it; days are counted and named in UTC."""

    now: int

    @property
    def day(self) -> int:
        """Days since 1970-01-01."""
        return self.now // DAY

    def days_ago(self, days: int) -> int:
        """The moment so many times 24 hours ago."""
        return self.now - days * DAY

    def date(self, days: int = 0) -> str:
        """The day so many days from now, as dates are stored; the calendar ends with the years 1 and 9999."""
        return (as_datetime(self.now).date() + timedelta(days=days)).isoformat()


def needed(operator: AmountOperator, value: int) -> tuple[int, bool]:
    """``(n, is_negated)``: true where there are at least ``n``, or where there are not."""
    return (value, False) if operator is AmountOperator.AT_LEAST else (value + 1, True)


def matches(tree: Node, facts: ContactFacts, now: int, kinds: Kinds = NO_KINDS) -> bool:
    """Whether the contact is in; segments in the tree have been put in their places, its fields checked.

    Where opens and clicks are not recorded, "has opened" is neither true nor false, and so is its opposite: whoever is
    in a segment is known to be.
    """
    return _matches(tree, facts, _Reading(Moment(now), kinds)) is True


@dataclass(frozen=True, slots=True)
class _Reading:
    moment: Moment
    kinds: Kinds


def _matches(node: Node, facts: ContactFacts, reading: _Reading) -> bool | None:
    """By Kleene's three truths; ``None`` is unknown."""
    if isinstance(node, AllOf | AnyOf):
        found = {_matches(part, facts, reading) for part in node.parts}
        decides = isinstance(node, AnyOf)
        return decides if decides in found else None if None in found else not decides
    if isinstance(node, NotThis):
        part = _matches(node.part, facts, reading)
        return part is not True if isinstance(node, LeftOut) else None if part is None else not part
    if isinstance(node, InSegment):
        raise TypeError(f"the segment {node.name} was not resolved")
    return _LEAVES[type(node)](node, facts, reading)


def _field(leaf: FieldIs, facts: ContactFacts, reading: _Reading) -> bool:
    kind = kind_of(leaf.name, reading.kinds)
    value = value_of(kind, facts.fields.get(leaf.name))
    return _compare(kind, leaf.operator, value, leaf.value, reading.moment)


def value_of(kind: FieldKind, stored: object) -> Value | None:
    """What is stored, where it is of the kind; else the field has no value."""
    if kind is FieldKind.YES_NO:
        return stored if isinstance(stored, bool) else None
    if kind in (FieldKind.NUMBER, FieldKind.RATING):
        return float(stored) if is_number(stored) and isinstance(stored, int | float) else None
    if kind is FieldKind.DATE:
        return stored if isinstance(stored, str) and is_date_text(stored) else None
    return fold(stored) if isinstance(stored, str) and stored else None


def _attribute(leaf: AttributeIs, facts: ContactFacts, reading: _Reading) -> bool:
    value = value_of(FieldKind.TEXT, getattr(facts, leaf.attribute))
    return _compare(FieldKind.TEXT, leaf.operator, value, leaf.value, reading.moment)


def _compare(
    kind: FieldKind, operator: FieldOperator, value: Value | None, wanted: Scalar | tuple[Scalar, ...], moment: Moment
) -> bool:
    if value is None:
        return operator is FieldOperator.IS_NOT
    if operator is FieldOperator.IS_SET:
        return True
    if operator is FieldOperator.ONE_OF:
        assert isinstance(wanted, tuple)
        return any(value == folded(kind, one) for one in wanted)
    assert not isinstance(wanted, tuple)
    return _COMPARISONS[operator](value, folded(kind, wanted), moment)


def folded(kind: FieldKind, value: Scalar) -> Scalar:
    """A value of a tree as it is compared with a field of the kind."""
    if kind in (FieldKind.TEXT, FieldKind.CHOICE) and isinstance(value, str):
        return fold(value)
    return float(value) if kind in (FieldKind.NUMBER, FieldKind.RATING) else value


_COMPARISONS: dict[FieldOperator, Callable[[Any, Any, Moment], bool]] = {
    FieldOperator.IS: lambda value, wanted, _: bool(value == wanted),
    FieldOperator.IS_NOT: lambda value, wanted, _: bool(value != wanted),
    FieldOperator.CONTAINS: lambda value, wanted, _: wanted in value,
    FieldOperator.STARTS_WITH: lambda value, wanted, _: value.startswith(wanted),
    FieldOperator.ENDS_WITH: lambda value, wanted, _: value.endswith(wanted),
    FieldOperator.AT_LEAST: lambda value, wanted, _: bool(value >= wanted),
    FieldOperator.AT_MOST: lambda value, wanted, _: bool(value <= wanted),
    FieldOperator.BEFORE: lambda value, wanted, _: bool(value < wanted),
    FieldOperator.AFTER: lambda value, wanted, _: bool(value > wanted),
    FieldOperator.WITHIN_DAYS: lambda value, wanted, moment: moment.date(-wanted) <= value <= moment.date(),
    FieldOperator.IN_NEXT_DAYS: lambda value, wanted, moment: moment.date() <= value <= moment.date(wanted),
}


def _consent(leaf: ConsentIs, facts: ContactFacts, _: _Reading) -> bool:
    return facts.consents.get((leaf.reach, leaf.name), ConsentAnswer.NONE) is leaf.answer


def _activity(leaf: ActivityCount, facts: ContactFacts, reading: _Reading) -> bool | None:
    count, is_negated = needed(leaf.operator, leaf.value)
    since = _NEVER if leaf.within_days is None else (reading.moment.day - leaf.within_days + 1) * DAY
    if _happened(leaf, count, facts, reading.moment):
        return not is_negated
    return is_negated if _is_known(leaf.kind, facts, since, by_day=count == 1) else None


def _is_known(kind: ActivityKind, facts: ContactFacts, since: int, *, by_day: bool) -> bool:
    """Whether what was not recorded since then has not happened; ``by_day``: the day of the last open tells it."""
    if kind not in TRACKED:
        return True
    enough = {Known.ALL, Known.LAST_OPEN} if by_day and kind is ActivityKind.OPENED else {Known.ALL}
    return facts.known in enough and (facts.tracked_since is None or facts.tracked_since <= since)


def _happened(leaf: ActivityCount, count: int, facts: ContactFacts, moment: Moment) -> bool:
    """Whether there were at least ``count``. Whether there was any is told by the last; more are added up by days."""
    if count == 0:
        return True
    activity, is_open = facts.activity, leaf.kind is ActivityKind.OPENED
    if leaf.within_days is None:
        is_any = is_open and facts.last_open_day is not None
        return activity.totals.get(leaf.kind, 0) >= count or (count == 1 and is_any)
    after = moment.day - leaf.within_days
    days = [activity.last_at[leaf.kind] // DAY] if leaf.kind in activity.last_at else []
    if count == 1:
        days += [facts.last_open_day] if is_open and facts.last_open_day is not None else []
        return any(day > after for day in days)
    if activity.totals.get(leaf.kind, 0) < count or not any(day > after for day in days):
        return False
    place = _PLACES[leaf.kind]
    return sum(counts[place] for day, counts in activity.days.items() if day > after) >= count


def _age(leaf: ActivityAge, facts: ContactFacts, reading: _Reading) -> bool | None:
    moments = [facts.activity.last_at[leaf.kind]] if leaf.kind in facts.activity.last_at else []
    if leaf.kind is ActivityKind.OPENED and facts.last_open_day is not None:
        moments.append(facts.last_open_day * DAY)
    since, is_asked_within = reading.moment.days_ago(leaf.days), leaf.operator is AgeOperator.WITHIN_DAYS
    if moments and max(moments) >= since:
        return is_asked_within
    if not _is_known(leaf.kind, facts, since, by_day=True):
        return None
    return not is_asked_within and bool(moments)


def _is_aged(at: int, operator: AgeOperator, days: int, moment: Moment) -> bool:
    return (at >= moment.days_ago(days)) is (operator is AgeOperator.WITHIN_DAYS)


def _since(leaf: ReceivedSince, facts: ContactFacts, _: _Reading) -> bool | None:
    count, is_negated = needed(leaf.operator, leaf.value)
    if facts.activity.received_since.get(leaf.kind, 0) < count:
        return is_negated
    # What was not recorded would make them fewer. They are counted anew from when somebody agrees.
    return not is_negated if count == 0 or facts.known is Known.ALL else None


def _in_a_row(leaf: OpenedInARow, facts: ContactFacts, _: _Reading) -> bool | None:
    return facts.activity.opened_in_a_row >= leaf.value or (False if facts.known is Known.ALL else None)


_LEAVES: dict[type, Callable[[Any, ContactFacts, _Reading], bool | None]] = {
    FieldIs: _field,
    AttributeIs: _attribute,
    OnList: lambda leaf, facts, _: leaf.name in facts.lists,
    HasTag: lambda leaf, facts, _: leaf.name in facts.tags,
    ConsentIs: _consent,
    ActivityCount: _activity,
    ActivityAge: _age,
    ReceivedSince: _since,
    OpenedInARow: _in_a_row,
    Joined: lambda leaf, facts, reading: _is_aged(facts.created_at, leaf.operator, leaf.days, reading.moment),
    DomainIs: lambda leaf, facts, _: facts.domain in leaf.names,
    ProviderIs: lambda leaf, facts, _: facts.provider in leaf.names,
}
