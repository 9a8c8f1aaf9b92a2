"""Numbers, times and sizes as people read them, in the language and the zone of the present page."""

from datetime import datetime

from babel.dates import format_datetime
from babel.numbers import format_decimal

from mailtypes.clock import SECOND, as_datetime
from postwright.web.language import N_, gettext, speech

_UNITS = (
    (86_400, N_("%(count)s d")),
    (3_600, N_("%(count)s h")),
    (60, N_("%(count)s min")),
    (1, N_("%(count)s s")),
)


def number(value: float) -> str:
    """With thousands separators; small fractions with one digit."""
    if isinstance(value, int) or value >= 100 or value == int(value):
        return _decimal(round(value), "#,##0")
    return _decimal(value, "#,##0.0")


def percent(part: float, whole: float) -> str:
    """A share with one digit; it says 100 only where nothing is missing, and 0 only where nothing is there."""
    if not whole:
        return "0%"
    share = 100 * part / whole
    if part in (0, whole):
        return f"{share:.0f}%"
    return f"{_decimal(min(max(share, 0.1), 99.9), '0.0')}%"


def moment(microseconds: int | None) -> str:
    """A moment to the second; its offset stands beside it (see the macro ``time``)."""
    return "" if microseconds is None else _date(microseconds, "d MMM y, HH:mm:ss")


def offset(microseconds: int) -> str:
    """How far the page's zone is from UTC at that moment: ``+03:00``."""
    text = _there(microseconds).strftime("%z")
    return f"{text[:3]}:{text[3:5]}"


def day(microseconds: int) -> str:
    """The day of a moment."""
    return _date(microseconds, "d MMM y")


def short_day(microseconds: int) -> str:
    """The day of a moment without its year."""
    return _date(microseconds, "d MMM")


def iso_moment(microseconds: int) -> str:
    """For machines: ISO 8601 with the zone."""
    return as_datetime(microseconds).isoformat(timespec="milliseconds")


def duration(seconds: float) -> str:
    """Two units are enough: ``3 min 20 s``; below ten seconds one digit behind the point."""
    if seconds < 10 and seconds != int(seconds):
        return gettext(_UNITS[-1][1], count=_decimal(seconds, "0.0"))
    left = round(seconds)
    parts: list[tuple[int, str]] = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count or (parts and len(parts) < 2):
            parts.append((count, gettext(unit, count=count)))
        if len(parts) == 2:
            break
    return " ".join(text for count, text in parts if count) or gettext(_UNITS[-1][1], count=0)


def ago(then: int, now: int) -> str:
    """How long since; ``in 5 min`` for what is to come."""
    span = (now - then) / SECOND
    if abs(span) < 1:
        return gettext("now")
    text = duration(round(abs(span)))
    return gettext("%(duration)s ago", duration=text) if span > 0 else gettext("in %(duration)s", duration=text)


def octets(count: int) -> str:
    """A size in octets, kibibytes or mebibytes."""
    if count < 1024:
        return gettext("%(count)s bytes", count=number(count))
    if count < 1024 * 1024:
        return f"{_decimal(count / 1024, '#,##0.0')} KiB"
    return f"{_decimal(count / 1024 / 1024, '#,##0.0')} MiB"


def _decimal(value: float, pattern: str) -> str:
    return format_decimal(value, pattern, locale=speech().locale)


def _there(microseconds: int) -> datetime:
    return as_datetime(microseconds).astimezone(speech().tzinfo)


def _date(microseconds: int, pattern: str) -> str:
    return format_datetime(_there(microseconds), pattern, tzinfo=speech().tzinfo, locale=speech().locale)
