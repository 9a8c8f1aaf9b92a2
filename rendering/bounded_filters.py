"""Liquid's filters within limits: what goes in and what comes out is weighed, and paid from the rendering's budget.

Filters whose result may be many times as long as what they were given look at its length before they make it, and
those that take quadratic time in Liquid's own form have one here that does not.
"""

import operator
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Final

from liquid import Environment
from liquid.exceptions import FilterArgumentError
from liquid.filter import sequence_filter, string_filter
from liquid.undefined import is_undefined

from mailtypes.saying import say
from rendering.liquid_limits import (
    MAX_ITEMS,
    NODE_WORK,
    BudgetedContext,
    check_length,
    too_many_items,
    weigh,
)
from rendering.markup import Text, scan

_CALL: Final = 2 * NODE_WORK
_CALLS: Final = {"date": 600, "money": 1_000, "number": 600, "percent": 600, "plural": 1_200, "timezone": 400}
"""What a call costs where that is more than a few microseconds: these write by the data of a language."""
_CHARACTERS: Final = {
    **dict.fromkeys(("direction", "url_decode", "url_encode"), 4),
    **dict.fromkeys(("squish", "strip_newlines"), 2),
    **dict.fromkeys(("compact", "find", "find_index", "has", "map", "reject", "sort", "where"), 4),
    **dict.fromkeys(("sort_natural", "sum", "uniq"), 8),
    "strip_html": 24,
}
"""What a character or an item costs where that is more than one unit (measured)."""
_OF_TEXTS: Final[Mapping[str, Callable[[str], str]]] = {
    "capitalize": str.capitalize,
    "downcase": str.lower,
    "lstrip": str.lstrip,
    "rstrip": str.rstrip,
    "strip": str.strip,
    "upcase": str.upper,
}
"""What Liquid's filters do with a text, without asking what it is."""
_OF_INTEGERS: Final[Mapping[str, Callable[[int, int], int]]] = {
    "minus": operator.sub,
    "plus": operator.add,
    "times": operator.mul,
}
"""The same with two integers."""
_SHALLOW: Final = frozenset({"default", "first", "last", "size"})
"""Filters that take no longer for a long value than for a short one, and make nothing."""


def bound_filters(environment: Environment) -> None:
    """Put each filter of ``environment`` within the limits; call it when all have been added."""
    for name, function in {
        "join": _join,
        "replace": _replace,
        "split": _split,
        "strip_html": _strip_html,
        "uniq": _uniq,
    }.items():
        environment.add_filter(name, function)
    for name, plain in _OF_TEXTS.items():
        environment.add_filter(name, _of_text(plain, environment.filters[name]))
    for name, sum_of in _OF_INTEGERS.items():
        environment.add_filter(name, _of_integers(sum_of, environment.filters[name]))
    for name, function in list(environment.filters.items()):
        environment.add_filter(name, _bounded(name, function) if name not in _SHALLOW else _unbounded(function))


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` as ``BudgetedContext.filter`` calls it: the context comes first."""
    call, character = _CALLS.get(name, _CALL), _CHARACTERS.get(name, 1)
    wants_context = getattr(function, "with_context", False)
    wants_environment = getattr(function, "with_environment", False)

    def within_limits(context: BudgetedContext, left: object, *arguments: object, **named: object) -> object:
        size = weigh(left) * character
        for argument in arguments:
            size += weigh(argument)
        if named:
            size += sum(map(weigh, named.values()))
        context.work_left -= call + size
        if context.work_left < 0:
            context.spend(0)
        if wants_context:
            named["context"] = context
        elif wants_environment:
            named["environment"] = context.env
        made = function(left, *arguments, **named) if named else function(left, *arguments)
        context.work_left -= weigh(made)  # whoever pays next finds out when nothing is left
        return made

    return within_limits


def _of_text(plain: Callable[[str], str], function: Callable[..., Any]) -> Callable[..., Any]:
    def filtered(left: object, *arguments: object) -> object:
        return plain(left) if type(left) is str and not arguments else function(left, *arguments)

    return filtered


def _of_integers(plain: Callable[[int, int], int], function: Callable[..., Any]) -> Callable[..., Any]:
    def filtered(left: object, right: object) -> object:
        return plain(left, right) if type(left) is int and type(right) is int else function(left, right)

    return filtered


def _unbounded(function: Callable[..., Any]) -> Callable[..., Any]:
    wants_environment = getattr(function, "with_environment", False)

    def at_once(context: BudgetedContext, left: object, *arguments: object, **named: object) -> object:
        context.work_left -= _CALL
        if wants_environment:
            named["environment"] = context.env
        return function(left, *arguments, **named)

    return at_once


@sequence_filter
def _join(items: Iterable[object], separator: object = " ") -> str:
    between = separator if isinstance(separator, str) else str(separator)
    texts = [item if isinstance(item, str) else str(item) for item in items]
    check_length(sum(map(len, texts)) + len(between) * max(0, len(texts) - 1))
    return between.join(texts)


@string_filter
def _replace(value: str, wanted: object, instead: object = "") -> str:
    old, new = str(wanted), str(instead)
    check_length(len(value) + value.count(old) * (len(new) - len(old)))
    return value.replace(old, new)


@string_filter
def _split(value: str, separator: object) -> list[str]:
    between = "" if separator is None or is_undefined(separator) else str(separator)
    if not between:
        if len(value) > MAX_ITEMS:
            raise too_many_items()
        return list(value)
    if not value or value == between:
        return []
    return value.split(None if between == " " else between, MAX_ITEMS)  # one more than allowed is refused


@string_filter
def _strip_html(value: str) -> str:
    """The text between the tags; nothing of ``style``, ``script`` and comments."""
    if "<" not in value or ">" not in value:
        return value
    return "".join(value[item.start : item.end] for item in scan(value, conditional=False) if isinstance(item, Text))


@sequence_filter
def _uniq(items: Iterable[Any], key: object = None) -> list[object]:
    seen: set[Hashable] = set()
    kept = []
    for item in items:
        same = _frozen(item if key is None else _property(item, key))
        if same not in seen:
            seen.add(same)
            kept.append(item)
    return kept


def _property(item: Any, key: object) -> object:
    try:
        return item[key]
    except KeyError:
        return _Missing
    except TypeError as error:
        raise FilterArgumentError(say("uniq cannot read a property of what is no object"), token=None) from error


class _Missing:
    """Stands for a property that an item does not have; all of them are the same."""


def _frozen(value: object) -> Hashable:
    """Something with a hash that is equal for equal values."""
    if isinstance(value, dict):
        return (dict, frozenset((name, _frozen(inner)) for name, inner in value.items()))
    if isinstance(value, list | tuple):
        return (type(value), tuple(map(_frozen, value)))
    try:
        hash(value)
    except TypeError:  # Liquid's own nil
        return None
    return value
