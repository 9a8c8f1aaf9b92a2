"""Whether a contact is in a segment: the plain reading, which the SQL of the store has to equal."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from hygiene.segments.checking import kind_of
from hygiene.segments.facts import ContactFacts
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
    """Whether the contact is in; segments in the tree have been put in their places, its fields checked."""
    return _matches(tree, facts, _Reading(Moment(now), kinds))


@dataclass(frozen=True, slots=True)
class _Reading:
    moment: Moment
    kinds: Kinds


def _matches(node: Node, facts: ContactFacts, reading: _Reading) -> bool:
    if isinstance(node, AllOf):
        return all(_matches(part, facts, reading) for part in node.parts)
    if isinstance(node, AnyOf):
        return any(_matches(part, facts, reading) for part in node.parts)
    if isinstance(node, NotThis):
        return not _matches(node.part, facts, reading)
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


def _activity(leaf: ActivityCount, facts: ContactFacts, reading: _Reading) -> bool:
    count, is_negated = needed(leaf.operator, leaf.value)
    return _happened(leaf, count, facts, reading.moment) is not is_negated


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


def _age(leaf: ActivityAge, facts: ContactFacts, reading: _Reading) -> bool:
    moments = [facts.activity.last_at[leaf.kind]] if leaf.kind in facts.activity.last_at else []
    if leaf.kind is ActivityKind.OPENED and facts.last_open_day is not None:
        moments.append(facts.last_open_day * DAY)
    return bool(moments) and _is_aged(max(moments), leaf.operator, leaf.days, reading.moment)


def _is_aged(at: int, operator: AgeOperator, days: int, moment: Moment) -> bool:
    return (at >= moment.days_ago(days)) is (operator is AgeOperator.WITHIN_DAYS)


def _since(leaf: ReceivedSince, facts: ContactFacts, _: _Reading) -> bool:
    count, is_negated = needed(leaf.operator, leaf.value)
    return (facts.activity.received_since.get(leaf.kind, 0) >= count) is not is_negated


_LEAVES: dict[type, Callable[[Any, ContactFacts, _Reading], bool]] = {
    FieldIs: _field,
    AttributeIs: _attribute,
    OnList: lambda leaf, facts, _: leaf.name in facts.lists,
    HasTag: lambda leaf, facts, _: leaf.name in facts.tags,
    ConsentIs: _consent,
    ActivityCount: _activity,
    ActivityAge: _age,
    ReceivedSince: _since,
    OpenedInARow: lambda leaf, facts, _: facts.activity.opened_in_a_row >= leaf.value,
    Joined: lambda leaf, facts, reading: _is_aged(facts.created_at, leaf.operator, leaf.days, reading.moment),
    DomainIs: lambda leaf, facts, _: facts.domain in leaf.names,
    ProviderIs: lambda leaf, facts, _: facts.provider in leaf.names,
}
