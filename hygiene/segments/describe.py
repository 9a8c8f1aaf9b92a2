"""A segment tree as an English sentence."""

from collections.abc import Callable, Mapping
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


def describe(tree: Node) -> str:
    """What the tree says: "Contacts who are on the list "news" and have opened no mail in the last 60 days."."""
    if isinstance(tree, AllOf) and not tree.parts:
        return "All contacts."
    if isinstance(tree, AnyOf) and not tree.parts:
        return "Nobody."
    return f"Contacts who {_said(tree, within='')}."


def _said(node: Node, *, within: str) -> str:
    if isinstance(node, AllOf | AnyOf):
        word = "and" if isinstance(node, AllOf) else "or"
        if not node.parts:
            return "are any contact" if word == "and" else "are nobody"
        if len(node.parts) == 1:
            return _said(node.parts[0], within=within)
        joined = f" {word} ".join(_said(part, within=word) for part in node.parts)
        return joined if within in ("", word) else f"({joined})"
    if isinstance(node, NotThis):
        return f"do not meet ({_said(node.part, within='')})"
    return _WRITERS[type(node)](node)


_WORDS: Mapping[FieldOperator, str] = {
    FieldOperator.IS: "is",
    FieldOperator.IS_NOT: "is not",
    FieldOperator.ONE_OF: "is one of",
    FieldOperator.CONTAINS: "contains",
    FieldOperator.STARTS_WITH: "begins with",
    FieldOperator.ENDS_WITH: "ends with",
    FieldOperator.AT_LEAST: "is at least",
    FieldOperator.AT_MOST: "is at most",
    FieldOperator.BEFORE: "is before",
    FieldOperator.AFTER: "is after",
}


def _shown(value: Scalar) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f'"{value}"' if isinstance(value, str) else f"{value:,}"


def _compared(name: str, operator: FieldOperator, value: Scalar | tuple[Scalar, ...]) -> str:
    if operator is FieldOperator.IS_SET:
        return f"have a value for {name}"
    if operator is FieldOperator.WITHIN_DAYS:
        return f"have a {name} within the last {_count(value, 'day')}"
    if operator is FieldOperator.IN_NEXT_DAYS:
        return f"have a {name} within the next {_count(value, 'day')}"
    values = ", ".join(_shown(one) for one in value) if isinstance(value, tuple) else _shown(value)
    return f"have a {name} that {_WORDS[operator]} {values}"


def _count(number: object, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


_DONE: Mapping[ActivityKind, str] = {
    ActivityKind.RECEIVED: "received",
    ActivityKind.OPENED: "opened",
    ActivityKind.CLICKED: "clicked in",
    ActivityKind.ACTED: "acted upon",
}


def _amount(operator: AmountOperator, value: int) -> str:
    if operator is AmountOperator.NONE or (operator is AmountOperator.AT_MOST and value == 0):
        return "no mail"
    return f"at {'least' if operator is AmountOperator.AT_LEAST else 'most'} {_count(value, 'mail')}"


def _activity(node: ActivityCount) -> str:
    window = "" if node.within_days is None else f" in the last {_count(node.within_days, 'day')}"
    return f"have {_DONE[node.kind]} {_amount(node.operator, node.value)}{window}"


def _aged(operator: AgeOperator, days: int) -> str:
    within = operator is AgeOperator.WITHIN_DAYS
    return f"within the last {_count(days, 'day')}" if within else f"more than {_count(days, 'day')} ago"


def _consent(node: ConsentIs) -> str:
    about = "all mail" if node.reach is ConsentReach.ALL else f'the {node.reach} "{node.name}"'
    if node.answer is ConsentAnswer.NONE:
        return f"were never asked for consent to {about}"
    words = {"given": "consented to", "withdrawn": "withdrew their consent to", "pending": "have yet to confirm"}
    return f"{words[node.answer]} {about}"


def _names(names: tuple[str, ...]) -> str:
    return " or ".join(names)


_WRITERS: Mapping[type, Callable[[Any], str]] = {
    FieldIs: lambda node: _compared(node.name, node.operator, node.value),
    AttributeIs: lambda node: _compared(str(node.attribute).replace("_", " "), node.operator, node.value),
    OnList: lambda node: f'are on the list "{node.name}"',
    HasTag: lambda node: f'have the tag "{node.name}"',
    ConsentIs: _consent,
    ActivityCount: _activity,
    ActivityAge: lambda node: f"last {_DONE[node.kind]} a mail {_aged(node.operator, node.days)}",
    ReceivedSince: lambda node: f"have received {_amount(node.operator, node.value)} since they {_DONE[node.kind]} one",
    OpenedInARow: lambda node: f"opened the last {_count(node.value, 'mail')}",
    Joined: lambda node: f"were added {_aged(node.operator, node.days)}",
    DomainIs: lambda node: f"have an address at {_names(node.names)}",
    ProviderIs: lambda node: f"get their mail from {_names(node.names)}",
    InSegment: lambda node: f'are in the segment "{node.name}"',
}
