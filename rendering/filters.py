"""Liquid filters as mail needs them.

Values are escaped by the place where they stand, after all filters. So ``escape`` has nothing left to do,
``newline_to_br`` and ``url_encode`` mark their result for the place, and ``safe`` is not offered: no merge value
is markup.
"""

import datetime
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

from liquid import Environment, RenderContext
from liquid.exceptions import FilterArgumentError
from liquid.filter import string_filter, with_context

from mailtypes.saying import say
from rendering.localized_filters import DATE_LENGTHS, localized_date, localized_filters

_NOT_OFFERED = ("safe", "escapejs", "base64_decode", "base64_url_safe_decode")
_LONGEST_PATTERN = 200


class BrokenLines(str):
    """A text whose line breaks become ``<br>`` where it stands in HTML text."""

    __slots__ = ()


class UrlEncoded(str):
    """A text that is percent-encoded already."""

    __slots__ = ()


def offer_filters(environment: Environment) -> None:
    """Replace or remove the built-in filters that do not suit mail."""
    for name in _NOT_OFFERED:
        environment.filters.pop(name, None)
    replacements: dict[str, Callable[..., Any]] = {
        "escape": _unchanged,
        "escape_once": _unchanged,
        "newline_to_br": _newline_to_br,
        "url_encode": _url_encode,
        "date": _date,
        **localized_filters(),
    }
    for name, function in replacements.items():
        environment.add_filter(name, function)


@string_filter
def _unchanged(value: str) -> str:
    return value


@string_filter
def _newline_to_br(value: str) -> str:
    return BrokenLines(value)


@string_filter
def _url_encode(value: str) -> str:
    return UrlEncoded(quote_plus(value))


@with_context
def _date(value: object, pattern: object, *, context: RenderContext, locale: object = None) -> str:
    """``{{ order.placed_at | date: "%d.%m.%Y" }}``; ``now`` is the moment that the merge data give, never the clock.

    ``short``, ``medium``, ``long`` and ``full`` write the date as the reader's language does.
    """
    if isinstance(value, str) and value in {"now", "today"}:
        value = context.resolve("now", default=None)
        if value is None:
            raise FilterArgumentError(say("the merge data give no 'now'"), token=None)
    moment = _as_datetime(value)
    if moment is None:
        return "" if value is None else str(value)
    if pattern in DATE_LENGTHS:
        return localized_date(moment, str(pattern), context, locale)
    try:
        return moment.strftime(str(pattern)[:_LONGEST_PATTERN])
    except ValueError as error:
        raise FilterArgumentError(str(error), token=None) from error


def _as_datetime(value: object) -> datetime.datetime | None:
    if isinstance(value, datetime.datetime):
        return value
    if isinstance(value, datetime.date):
        return datetime.datetime.combine(value, datetime.time.min)
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return datetime.datetime.fromtimestamp(value, tz=datetime.UTC)
        if isinstance(value, str) and value and len(value) <= 64:
            return datetime.datetime.fromisoformat(value)
    except (ValueError, OverflowError, OSError):
        return None
    return None
