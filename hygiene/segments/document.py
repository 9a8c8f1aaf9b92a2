"""A segment tree as JSON, which ``hygiene.segments.parse`` reads back."""

from collections.abc import Callable, Mapping
from typing import Any

from hygiene.segments.tree import (
    ActivityAge,
    ActivityCount,
    AllOf,
    AmountOperator,
    AnyOf,
    AttributeIs,
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
)


def as_document(node: Node) -> dict[str, Any]:
    """The tree as JSON; ``parse.parse`` gives the same tree again."""
    if isinstance(node, AllOf | AnyOf):
        return {"all" if isinstance(node, AllOf) else "any": [as_document(part) for part in node.parts]}
    if isinstance(node, NotThis):
        return {"not": as_document(node.part)}
    return _WRITERS[type(node)](node)


def _compared(word: str, name: str, node: FieldIs | AttributeIs) -> dict[str, Any]:
    found: dict[str, Any] = {word: name, "op": str(node.operator)}
    if node.operator is not FieldOperator.IS_SET:
        found["value"] = list(node.value) if isinstance(node.value, tuple) else node.value
    return found


def _counted(word: str, node: ActivityCount | ReceivedSince) -> dict[str, Any]:
    found: dict[str, Any] = {word: str(node.kind), "op": str(node.operator)}
    if node.operator is not AmountOperator.NONE:
        found["value"] = node.value
    return found


def _consent_document(node: ConsentIs) -> dict[str, Any]:
    scope = "all" if node.reach is ConsentReach.ALL else {str(node.reach): node.name}
    return {"consent": str(node.answer), "scope": scope}


def _activity_document(node: ActivityCount) -> dict[str, Any]:
    return _counted("activity", node) | ({} if node.within_days is None else {"within_days": node.within_days})


def _listed(names: tuple[str, ...]) -> str | list[str]:
    return names[0] if len(names) == 1 else list(names)


_WRITERS: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    FieldIs: lambda node: _compared("field", node.name, node),
    AttributeIs: lambda node: _compared("contact", str(node.attribute), node),
    OnList: lambda node: {"list": node.name},
    HasTag: lambda node: {"tag": node.name},
    ConsentIs: _consent_document,
    ActivityCount: _activity_document,
    ActivityAge: lambda node: {"activity_last": str(node.kind), str(node.operator): node.days},
    ReceivedSince: lambda node: _counted("received_since", node),
    OpenedInARow: lambda node: {"opened_in_a_row": node.value},
    Joined: lambda node: {"joined": {str(node.operator): node.days}},
    DomainIs: lambda node: {"domain": _listed(node.names)},
    ProviderIs: lambda node: {"provider": _listed(node.names)},
    InSegment: lambda node: {"segment": node.name},
}
