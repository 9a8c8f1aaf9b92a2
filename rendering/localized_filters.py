"""Filters that write for the reader's language: numbers, money, dates, plurals, direction (CLDR data, by Babel).

The locale is the filter's own ``locale:`` argument, else the contact's field ``locale`` or ``language``, else one
named ``locale`` in the merge data, else English. What a contact's field says is never an error: an unknown locale
falls back to its language, and that to English.

::

    {{ contact.points | number }}                                12,345        12.345 in German
    {{ order.total | money: "ILS" }}                             ₪1,234.50
    {{ 0.125 | percent }}                                        12%
    {{ order.placed_at | date: "long" }}                         3 March 2026, in the reader's language
    {{ order.placed_at | timezone: "Asia/Jerusalem" | date: "%H:%M" }}
    {{ n | plural: one: "one item", two: "two items", other: "# items" }}
    <div dir="{{ contact.locale | direction }}">                 rtl
    {{ order.number | isolate }}                                 kept apart from the text around it
"""

import datetime
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from liquid import RenderContext
from liquid.exceptions import FilterArgumentError
from liquid.filter import with_context
from liquid.undefined import is_undefined

from mailtypes.saying import say
from rendering.liquid_limits import BudgetedContext

if TYPE_CHECKING:
    from babel import Locale

DATE_LENGTHS = frozenset({"short", "medium", "long", "full"})
_MOST = Decimal(10) ** 21
_LONGEST_NUMBER = 40
_LOCALE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z]{4})?(?:[-_](?:[A-Za-z]{2}|\d{3}))?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,30}(?:/[A-Za-z0-9_+-]{1,30}){0,2}")
_PLURAL_FORMS = ("zero", "one", "two", "few", "many", "other")
# First strong isolate and pop directional isolate (Unicode UAX 9 section 2.5).
_ISOLATE = ("\u2068", "\u2069")


def localized_filters() -> Mapping[str, Callable[..., Any]]:
    """The filters by name."""
    return {
        "number": _number,
        "money": _money,
        "percent": _percent,
        "plural": _plural,
        "direction": _direction,
        "isolate": _isolate,
        "timezone": _timezone,
    }


def localized_date(moment: datetime.datetime, length: str, context: RenderContext, locale: object = None) -> str:
    """A date as the reader's language writes it; ``length`` is one of ``DATE_LENGTHS``."""
    from babel.dates import format_date  # noqa: PLC0415 (tens of milliseconds to import)

    return str(format_date(moment.date(), length, locale=_reader(context, locale)))


@with_context
def _number(value: object, decimals: object = None, *, context: RenderContext, locale: object = None) -> str:
    from babel.numbers import format_decimal  # noqa: PLC0415

    number = _as_number(value)
    if number is None:
        return _as_it_stands(value)
    if decimals is None:
        return str(format_decimal(number, locale=_reader(context, locale)))
    places = _places(decimals)
    pattern = "#,##0" + ("." + "0" * places if places else "")
    return str(format_decimal(number, format=pattern, locale=_reader(context, locale)))


@with_context
def _money(value: object, currency: object = None, *, context: RenderContext, locale: object = None) -> str:
    from babel.numbers import format_currency  # noqa: PLC0415

    if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
        raise FilterArgumentError(say('money needs a currency of three letters, such as money: "EUR"'), token=None)
    number = _as_number(value)
    if number is None:
        return _as_it_stands(value)
    return str(format_currency(number, currency, locale=_reader(context, locale)))


@with_context
def _percent(value: object, decimals: object = 0, *, context: RenderContext, locale: object = None) -> str:
    from babel.numbers import format_percent  # noqa: PLC0415

    number = _as_number(value)
    if number is None:
        return _as_it_stands(value)
    places = _places(decimals)
    reader = _reader(context, locale)
    if not places:
        return str(format_percent(number, locale=reader))
    return str(format_percent(number, format="#,##0." + "0" * places + "%", locale=reader))


@with_context
def _plural(value: object, *, context: RenderContext, locale: object = None, **forms: object) -> str:
    """The form that the language asks for with this number; ``#`` in it is the number as the language writes it."""
    unknown = sorted(set(forms) - set(_PLURAL_FORMS))
    if unknown or "other" not in forms:
        raise FilterArgumentError(
            say(
                "plural takes the forms %(plural_forms)s; 'other' is always needed",
                plural_forms=", ".join(_PLURAL_FORMS),
            ),
            token=None,
        )
    number = _as_number(value)
    reader = _reader(context, locale)
    form = "other" if number is None else str(reader.plural_form(abs(number)))
    written = _number(value, context=context, locale=locale) if number is not None else _as_it_stands(value)
    return str(forms.get(form, forms["other"])).replace("#", written)


def _direction(value: object) -> str:
    """``rtl`` or ``ltr`` for a locale such as ``he`` or ``ar-EG``; ``ltr`` where it is none."""
    return str((_known_locale(str(value)) or _english()).text_direction) if not is_undefined(value) else "ltr"


def _isolate(value: object) -> str:
    """The text in directional isolates, so that a number or a name does not turn the text around it."""
    text = "" if value is None or is_undefined(value) else str(value)
    return text.join(_ISOLATE) if text else ""


def _timezone(value: object, name: object = None) -> object:
    """A moment in another time zone (a name of the IANA database); one without a zone counts as UTC."""
    if not isinstance(name, str) or (zone := _zone(name)) is None:
        raise FilterArgumentError(say("there is no time zone '%(name)s'", name=str(name)[:60]), token=None)
    if isinstance(value, str) and 0 < len(value) <= 64:
        try:
            value = datetime.datetime.fromisoformat(value)
        except ValueError:
            return value
    if not isinstance(value, datetime.datetime):
        return value
    return (value if value.tzinfo is not None else value.replace(tzinfo=datetime.UTC)).astimezone(zone)


@lru_cache(maxsize=1_024)
def _zone(name: str) -> ZoneInfo | None:
    if not _ZONE.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _reader(context: RenderContext, wanted: object) -> "Locale":
    if wanted is not None and not is_undefined(wanted):
        locale = _known_locale(name := str(wanted))
        if isinstance(context, BudgetedContext):
            context.spend_locale(name[:_LONGEST_NUMBER])
        if locale is None:
            raise FilterArgumentError(say("there is no locale '%(wanted)s'", wanted=str(wanted)[:40]), token=None)
        return locale
    contact = context.resolve("contact", default=None)
    fields = contact if isinstance(contact, Mapping) else {}
    for said in (fields.get("locale"), fields.get("language"), context.resolve("locale", default=None)):
        if isinstance(said, str) and (locale := _known_locale(said)) is not None:
            return locale
    return _english()


def _english() -> "Locale":
    english = _known_locale("en")
    assert english is not None
    return english


def _known_locale(name: str) -> "Locale | None":
    return _parsed_locale(name.strip().replace("-", "_")) if len(name) <= 16 else None


@lru_cache(maxsize=1_024)
def _parsed_locale(name: str) -> "Locale | None":
    from babel import Locale, UnknownLocaleError  # noqa: PLC0415

    if not _LOCALE.fullmatch(name):
        return None
    for tried in (name, name.split("_", maxsplit=1)[0]):
        try:
            return Locale.parse(tried)
        except (UnknownLocaleError, ValueError):
            continue
    return None


def _as_number(value: object) -> Decimal | None:
    if isinstance(value, bool) or value is None or is_undefined(value):
        return None
    if not isinstance(value, int | float | Decimal | str) or (isinstance(value, str) and len(value) > _LONGEST_NUMBER):
        return None
    if isinstance(value, int) and value.bit_length() > 80:
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < _MOST else None


def _places(decimals: object) -> int:
    if isinstance(decimals, bool) or not isinstance(decimals, int) or not 0 <= decimals <= 10:
        raise FilterArgumentError(say("decimals are a whole number from 0 to 10"), token=None)
    return decimals


def _as_it_stands(value: object) -> str:
    return "" if value is None or is_undefined(value) else str(value)
