"""JSON into a segment tree (back: ``hygiene.segments.document``); what is wrong is told with its JSON path."""

import math
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, TypeVar

from hygiene.segments.errors import SegmentSyntaxError
from hygiene.segments.fields import is_date, is_text
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
    ConsentReach,
    ContactAttribute,
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
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.saying import say

DEEPEST: Final = 12
MOST_NODES: Final = 200
MOST_VALUES: Final = 500
LONGEST_NAME: Final = 200
LONGEST_VALUE: Final = 1000
MOST_DAYS: Final = 3650
MOST_DAYS_COUNTED: Final = 365
"""Windows in which more than one mail is counted; what happened on a day is not kept for ever."""
LONGEST_ROW: Final = 10
_MOST_MAILS = 1_000_000

Document = Mapping[str, Any]
E = TypeVar("E", bound=StrEnum)


def parse(document: object) -> Node:
    """Read a tree; raises ``SegmentSyntaxError``."""
    return _Reader().node(document, "$", 1)


class _Reader:
    """Reads nodes and counts them."""

    def __init__(self) -> None:
        self._nodes = 0

    def node(self, document: object, path: str, depth: int) -> Node:
        self._nodes += 1
        if self._nodes > MOST_NODES or depth > DEEPEST:
            raise SegmentSyntaxError(
                say("the tree is too large"),
                path=path,
                next_step=say(
                    "Use at most %(most_nodes)s conditions, nested at most %(deepest)s deep;"
                    " keep parts of it as segments of their own.",
                    most_nodes=MOST_NODES,
                    deepest=DEEPEST,
                ),
            )
        if not isinstance(document, Mapping) or not document:
            raise _fault(
                path, say("a condition is an object"), say('Write one such as {"list": "news"} or {"all": [...]}.')
            )
        word = next((word for word in (*_GROUPS, *_LEAVES) if word in document), None)
        if word is None:
            known = ", ".join((*_GROUPS, *_LEAVES))
            raise _fault(
                path,
                say("'%(value)s' is no kind of condition", value=_shown(next(iter(document)))),
                say("Write one of: %(known)s.", known=known),
            )
        if word in _GROUPS:
            return self._group(word, document, path, depth)
        make, keys = _LEAVES[word]
        _only(document, keys, path)
        return make(document, path)

    def _group(self, word: str, document: Document, path: str, depth: int) -> Node:
        _only(document, (word,), path)
        inner = document[word]
        if word == "not":
            return NotThis(self.node(inner, f"{path}.not", depth + 1))
        if not isinstance(inner, Sequence) or isinstance(inner, str | bytes):
            raise _fault(f"{path}.{word}", say("this is no list of conditions"), f'Write {{"{word}": [ ... ]}}.')
        parts = tuple(self.node(part, f"{path}.{word}[{number}]", depth + 1) for number, part in enumerate(inner))
        return AllOf(parts) if word == "all" else AnyOf(parts)


def _field(document: Document, path: str) -> Node:
    operator = _member(FieldOperator, document, "op", path)
    return FieldIs(_name(document, "field", path), operator, _operand(operator, document, path))


def _attribute(document: Document, path: str) -> Node:
    operator = _member(FieldOperator, document, "op", path)
    if operator not in TEXT_OPERATORS:
        raise _fault(
            f"{path}.op",
            say("%(operator)s does not compare texts", operator=operator),
            say("Use one of: %(operators)s.", operators=", ".join(TEXT_OPERATORS)),
        )
    value = _operand(operator, document, path)
    for one in value if isinstance(value, tuple) else (value,):
        if not isinstance(one, str) and operator is not FieldOperator.IS_SET:
            raise _fault(f"{path}.value", say("this is compared with text"), say("Write the value in quotation marks."))
    return AttributeIs(_member(ContactAttribute, document, "contact", path), operator, value)


TEXT_OPERATORS: Final = (
    FieldOperator.IS,
    FieldOperator.IS_NOT,
    FieldOperator.ONE_OF,
    FieldOperator.CONTAINS,
    FieldOperator.STARTS_WITH,
    FieldOperator.ENDS_WITH,
    FieldOperator.IS_SET,
)
_OF_PLAIN_TEXT = frozenset({FieldOperator.CONTAINS, FieldOperator.STARTS_WITH, FieldOperator.ENDS_WITH})
_OF_DAYS = frozenset({FieldOperator.WITHIN_DAYS, FieldOperator.IN_NEXT_DAYS})


def _operand(operator: FieldOperator, document: Document, path: str) -> Scalar | tuple[Scalar, ...]:
    place = f"{path}.value"
    if operator is FieldOperator.IS_SET:
        if document.get("value", True) is not True:
            raise _fault(
                place, say("is_set takes no value"), say('Leave it out; put the condition into {"not": ...} for unset.')
            )
        return True
    if "value" not in document:
        raise _fault(path, say("%(operator)s needs a value", operator=operator), 'Add "value".')
    value = document["value"]
    if operator is FieldOperator.ONE_OF:
        if not isinstance(value, Sequence) or isinstance(value, str) or not 0 < len(value) <= MOST_VALUES:
            raise _fault(
                place,
                say("one_of takes a list"),
                say('Write 1 to %(most_values)s values: ["a", "b"].', most_values=MOST_VALUES),
            )
        return tuple(_scalar(one, f"{place}[{number}]") for number, one in enumerate(value))
    if operator in _OF_DAYS:
        return _whole(value, place, 0, MOST_DAYS)
    found = _scalar(value, place)
    if operator in (FieldOperator.AT_LEAST, FieldOperator.AT_MOST) and (isinstance(found, str | bool)):
        raise _fault(
            place, say("%(operator)s takes a number", operator=operator), say("Write a number without quotation marks.")
        )
    if operator in (FieldOperator.BEFORE, FieldOperator.AFTER) and not is_date(found):
        raise _fault(place, say("%(operator)s takes a day", operator=operator), say('Write it as "2026-03-09".'))
    if operator in _OF_PLAIN_TEXT and not (isinstance(found, str) and found):
        raise _fault(
            place,
            say("%(operator)s takes a text", operator=operator),
            say("Write at least one character, in quotation marks."),
        )
    return found


def _list(document: Document, path: str) -> Node:
    return OnList(_name(document, "list", path))


def _tag(document: Document, path: str) -> Node:
    return HasTag(_name(document, "tag", path))


def _segment(document: Document, path: str) -> Node:
    return InSegment(_name(document, "segment", path))


def _consent(document: Document, path: str) -> Node:
    answer = _member(ConsentAnswer, document, "consent", path)
    scope = document.get("scope", "all")
    place = f"{path}.scope"
    if scope == "all":
        return ConsentIs(answer, ConsentReach.ALL)
    if isinstance(scope, Mapping) and len(scope) == 1:
        word = next(iter(scope))
        if word in (ConsentReach.LIST, ConsentReach.STREAM):
            return ConsentIs(answer, ConsentReach(word), _name(scope, word, place))
    raise _fault(
        place, say("this is no scope of a consent"), 'Write "all", {"list": "news"} or {"stream": "marketing"}.'
    )


def _activity(document: Document, path: str) -> Node:
    operator, value = _amount(document, path)
    days = document.get("within_days")
    if days is not None:
        most = MOST_DAYS_COUNTED if value > 1 or (value == 1 and operator is AmountOperator.AT_MOST) else MOST_DAYS
        days = _whole(days, f"{path}.within_days", 1, most)
    return ActivityCount(_member(ActivityKind, document, "activity", path), operator, value, days)


def _activity_last(document: Document, path: str) -> Node:
    return ActivityAge(_member(ActivityKind, document, "activity_last", path), *_age(document, path))


def _received_since(document: Document, path: str) -> Node:
    kind = _member(ActivityKind, document, "received_since", path)
    if kind not in (ActivityKind.OPENED, ActivityKind.CLICKED):
        raise _fault(
            f"{path}.received_since", say("mails are counted since one was opened or clicked"), 'Write "opened".'
        )
    return ReceivedSince(kind, *_amount(document, path))


def _in_a_row(document: Document, path: str) -> Node:
    return OpenedInARow(_whole(document["opened_in_a_row"], f"{path}.opened_in_a_row", 1, LONGEST_ROW))


def _joined(document: Document, path: str) -> Node:
    inner = document["joined"]
    place = f"{path}.joined"
    if not isinstance(inner, Mapping):
        raise _fault(place, say("this tells no time"), 'Write {"joined": {"within_days": 30}}.')
    _only(inner, tuple(AgeOperator), place)
    return Joined(*_age(inner, place))


def _domain(document: Document, path: str) -> Node:
    found = []
    for number, name in enumerate(_names(document, "domain", path)):
        try:
            found.append(DomainName.parse(name).ascii)
        except DomainSyntaxError as error:
            raise _fault(
                f"{path}.domain[{number}]", error.message, error.next_step or say("Mend the domain.")
            ) from error
    return DomainIs(tuple(found))


def _provider(document: Document, path: str) -> Node:
    return ProviderIs(_names(document, "provider", path))


_Make = Callable[[Document, str], Node]
_GROUPS = ("all", "any", "not")
_LEAVES: Mapping[str, tuple[_Make, tuple[str, ...]]] = {
    "field": (_field, ("field", "op", "value")),
    "contact": (_attribute, ("contact", "op", "value")),
    "list": (_list, ("list",)),
    "tag": (_tag, ("tag",)),
    "consent": (_consent, ("consent", "scope")),
    "activity": (_activity, ("activity", "op", "value", "within_days")),
    "activity_last": (_activity_last, ("activity_last", *AgeOperator)),
    "received_since": (_received_since, ("received_since", "op", "value")),
    "opened_in_a_row": (_in_a_row, ("opened_in_a_row",)),
    "joined": (_joined, ("joined",)),
    "domain": (_domain, ("domain",)),
    "provider": (_provider, ("provider",)),
    "segment": (_segment, ("segment",)),
}
"""What begins each kind of condition, and the keys that may stand in it."""


def _fault(path: str, message: str, next_step: str) -> SegmentSyntaxError:
    return SegmentSyntaxError(message, path=path, next_step=next_step)


def _shown(key: object) -> str:
    return str(key)[:50]


def _only(document: Document, keys: Sequence[str], path: str) -> None:
    for key in document:
        if key not in keys:
            raise _fault(
                f"{path}.{_shown(key)}",
                say("this does not belong here"),
                say("Known here: %(keys)s.", keys=", ".join(keys)),
            )


def _member(kind: type[E], document: Document, key: str, path: str) -> E:
    value = document.get(key)
    if isinstance(value, str) and value in {str(one) for one in kind}:
        return kind(value)
    known = ", ".join(kind)
    raise _fault(
        f"{path}.{key}",
        say("'%(value)s' is not known", value=_shown(value)),
        say("Write one of: %(known)s.", known=known),
    )


def _name(document: Document, key: str, path: str) -> str:
    value = document[key]
    if isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable() and is_text(value):
        return value
    next_step = say("Write 1 to %(longest_name)s printable characters, in quotation marks.", longest_name=LONGEST_NAME)
    raise _fault(f"{path}.{key}", say("this is not the name of a %(key)s", key=key), next_step)


def _names(document: Document, key: str, path: str) -> tuple[str, ...]:
    value = document[key]
    if isinstance(value, str):
        return (_name(document, key, path),)
    if not isinstance(value, Sequence) or not 0 < len(value) <= MOST_VALUES:
        raise _fault(
            f"{path}.{key}",
            say("this is neither a name nor a list of names"),
            say("Write 1 to %(most_values)s names.", most_values=MOST_VALUES),
        )
    return tuple(_name({key: one}, key, f"{path}.{key}[{number}]") for number, one in enumerate(value))


def _scalar(value: object, place: str) -> Scalar:
    if isinstance(value, str) and len(value) <= LONGEST_VALUE and is_text(value):
        return value
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and math.isfinite(value) and abs(value) < 1e15:
        return value
    raise _fault(
        place,
        say("this is no value to compare with"),
        say(
            "Write a text of at most %(longest_value)s characters, a number, true or false.",
            longest_value=LONGEST_VALUE,
        ),
    )


def _whole(value: object, place: str, least: int, most: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise _fault(
        place,
        say("'%(value)s' cannot stand here", value=_shown(value)),
        say("Write a whole number from %(least)s to %(most)s.", least=least, most=most),
    )


def _amount(document: Document, path: str) -> tuple[AmountOperator, int]:
    operator = _member(AmountOperator, document, "op", path)
    if operator is AmountOperator.NONE:
        if "value" in document:
            raise _fault(f"{path}.value", say("none takes no value"), say("Leave it out."))
        return operator, 0
    return operator, _whole(document.get("value"), f"{path}.value", 0, _MOST_MAILS)


def _age(document: Document, path: str) -> tuple[AgeOperator, int]:
    given = [one for one in AgeOperator if one in document]
    if len(given) != 1:
        raise _fault(path, say("this tells no time"), say('Write either "within_days" or "before_days".'))
    return given[0], _whole(document[str(given[0])], f"{path}.{given[0]}", 1, MOST_DAYS)
