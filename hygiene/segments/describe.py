"""A segment tree as a sentence."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
from mailtypes.saying import joined, say


def describe(tree: Node) -> str:
    """What the tree says: "Contacts who are on the list "news" and have opened no mail in the last 60 days."."""
    return say("%(sentence)s.", sentence=meaning(tree))


def meaning(tree: Node) -> str:
    """The same without the stop, for the middle of a sentence."""
    if isinstance(tree, AllOf) and not tree.parts:
        return say("All contacts")
    if isinstance(tree, AnyOf) and not tree.parts:
        return say("Nobody")
    return say("Contacts who %(conditions)s", conditions=_said(tree, within=""))


def _said(node: Node, *, within: str) -> str:
    if isinstance(node, AllOf | AnyOf):
        word = "and" if isinstance(node, AllOf) else "or"
        if not node.parts:
            return say("are any contact") if word == "and" else say("are nobody")
        if len(node.parts) == 1:
            return _said(node.parts[0], within=within)
        parts = [_said(part, within=word) for part in node.parts]
        chain = _both(parts) if word == "and" else _either(parts)
        return chain if within in ("", word) else say("(%(conditions)s)", conditions=chain)
    if isinstance(node, NotThis):
        return say("do not meet (%(conditions)s)", conditions=_said(node.part, within=""))
    return _WRITERS[type(node)](node)


def _both(parts: Sequence[str]) -> str:
    # By halves: five hundred of them one in the other would be deeper than Python goes.
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return say("%(first)s and %(second)s", first=_both(parts[:half]), second=_both(parts[half:]))


def _either(parts: Sequence[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return say("%(first)s or %(second)s", first=_either(parts[:half]), second=_either(parts[half:]))


# --- values -----------------------------------------------------------------------------------------------------------

_WORDS: Mapping[FieldOperator, str] = {
    FieldOperator.IS: say("is"),
    FieldOperator.IS_NOT: say("is not"),
    FieldOperator.ONE_OF: say("is one of"),
    FieldOperator.CONTAINS: say("contains"),
    FieldOperator.STARTS_WITH: say("begins with"),
    FieldOperator.ENDS_WITH: say("ends with"),
    FieldOperator.AT_LEAST: say("is at least"),
    FieldOperator.AT_MOST: say("is at most"),
    FieldOperator.BEFORE: say("is before"),
    FieldOperator.AFTER: say("is after"),
}
_ATTRIBUTES: Mapping[ContactAttribute, str] = {
    ContactAttribute.ADDRESS: say("address"),
    ContactAttribute.LOCALE: say("locale"),
    ContactAttribute.TIME_ZONE: say("time zone"),
    ContactAttribute.TRACKING: say("tracking"),
}


def _shown(value: Scalar) -> str:
    if isinstance(value, bool):
        return say("yes") if value else say("no")
    return f'"{value}"' if isinstance(value, str) else f"{value:,}"


def _compared(name: str, operator: FieldOperator, value: Scalar | tuple[Scalar, ...]) -> str:
    if operator is FieldOperator.IS_SET:
        return say("have a value for %(name)s", name=name)
    if operator is FieldOperator.WITHIN_DAYS:
        return say("have a %(name)s %(when)s", name=name, when=_within_last(value))
    if operator is FieldOperator.IN_NEXT_DAYS:
        when = say("within the next 1 day") if value == 1 else say("within the next %(days)s days", days=f"{value:,}")
        return say("have a %(name)s %(when)s", name=name, when=when)
    values = joined([_shown(one) for one in value]) if isinstance(value, tuple) else _shown(value)
    return say("have a %(name)s that %(comparison)s %(value)s", name=name, comparison=_WORDS[operator], value=values)


# --- time and mails ---------------------------------------------------------------------------------------------------


def _within_last(days: object) -> str:
    return say("within the last 1 day") if days == 1 else say("within the last %(days)s days", days=f"{days:,}")


def _aged(operator: AgeOperator, days: int) -> str:
    if operator is AgeOperator.WITHIN_DAYS:
        return _within_last(days)
    return say("more than 1 day ago") if days == 1 else say("more than %(days)s days ago", days=f"{days:,}")


def _is_none(operator: AmountOperator, value: int) -> bool:
    return operator is AmountOperator.NONE or (operator is AmountOperator.AT_MOST and value == 0)


def _amount(operator: AmountOperator, value: int) -> str:
    if operator is AmountOperator.AT_LEAST:
        return say("at least 1 mail") if value == 1 else say("at least %(mails)s mails", mails=f"{value:,}")
    return say("at most 1 mail") if value == 1 else say("at most %(mails)s mails", mails=f"{value:,}")


def _done(kind: ActivityKind, amount: str) -> str:
    match kind:
        case ActivityKind.RECEIVED:
            return say("have received %(amount)s", amount=amount)
        case ActivityKind.OPENED:
            return say("have opened %(amount)s", amount=amount)
        case ActivityKind.CLICKED:
            return say("have clicked in %(amount)s", amount=amount)
        case ActivityKind.ACTED:
            return say("have acted upon %(amount)s", amount=amount)


_NEVER_DONE: Mapping[ActivityKind, str] = {
    ActivityKind.RECEIVED: say("have received no mail"),
    ActivityKind.OPENED: say("have opened no mail"),
    ActivityKind.CLICKED: say("have clicked in no mail"),
    ActivityKind.ACTED: say("have acted upon no mail"),
}
_LAST_DONE: Mapping[ActivityKind, str] = {
    ActivityKind.RECEIVED: say("last received a mail"),
    ActivityKind.OPENED: say("last opened a mail"),
    ActivityKind.CLICKED: say("last clicked in a mail"),
    ActivityKind.ACTED: say("last acted upon a mail"),
}
_SINCE: Mapping[ActivityKind, str] = {
    ActivityKind.RECEIVED: say("since they received one"),
    ActivityKind.OPENED: say("since they opened one"),
    ActivityKind.CLICKED: say("since they clicked in one"),
    ActivityKind.ACTED: say("since they acted upon one"),
}


def _counted(kind: ActivityKind, operator: AmountOperator, value: int) -> str:
    return _NEVER_DONE[kind] if _is_none(operator, value) else _done(kind, _amount(operator, value))


def _activity(node: ActivityCount) -> str:
    counted, days = _counted(node.kind, node.operator, node.value), node.within_days
    if days is None:
        return counted
    when = say("in the last 1 day") if days == 1 else say("in the last %(days)s days", days=f"{days:,}")
    return say("%(what)s %(when)s", what=counted, when=when)


def _received_since(node: ReceivedSince) -> str:
    received = _counted(ActivityKind.RECEIVED, node.operator, node.value)
    return say("%(what)s %(when)s", what=received, when=_SINCE[node.kind])


def _in_a_row(node: OpenedInARow) -> str:
    number = node.value
    return say("opened the last 1 mail") if number == 1 else say("opened the last %(mails)s mails", mails=f"{number:,}")


def _consent(node: ConsentIs) -> str:
    if node.reach is ConsentReach.ALL:
        about = say("all mail")
    elif node.reach is ConsentReach.LIST:
        about = say('the list "%(name)s"', name=node.name)
    else:
        about = say('the stream "%(name)s"', name=node.name)
    match node.answer:
        case ConsentAnswer.NONE:
            return say("were never asked for consent to %(about)s", about=about)
        case ConsentAnswer.GIVEN:
            return say("consented to %(about)s", about=about)
        case ConsentAnswer.WITHDRAWN:
            return say("withdrew their consent to %(about)s", about=about)
        case ConsentAnswer.PENDING:
            return say("have yet to confirm %(about)s", about=about)


_WRITERS: Mapping[type, Callable[[Any], str]] = {
    FieldIs: lambda node: _compared(node.name, node.operator, node.value),
    AttributeIs: lambda node: _compared(_ATTRIBUTES[node.attribute], node.operator, node.value),
    OnList: lambda node: say('are on the list "%(name)s"', name=node.name),
    HasTag: lambda node: say('have the tag "%(name)s"', name=node.name),
    ConsentIs: _consent,
    ActivityCount: _activity,
    ActivityAge: lambda node: say(
        "%(what)s %(when)s", what=_LAST_DONE[node.kind], when=_aged(node.operator, node.days)
    ),
    ReceivedSince: _received_since,
    OpenedInARow: _in_a_row,
    Joined: lambda node: say("were added %(when)s", when=_aged(node.operator, node.days)),
    DomainIs: lambda node: say("have an address at %(names)s", names=_either(node.names)),
    ProviderIs: lambda node: say("get their mail from %(names)s", names=_either(node.names)),
    InSegment: lambda node: say('are in the segment "%(name)s"', name=node.name),
}
