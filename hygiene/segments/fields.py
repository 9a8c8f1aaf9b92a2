"""Typed contact fields: what a kind takes, and what it is stored as.

Values lie in JSON: text, dates (``2026-03-09``) and choices as strings, numbers and ratings as numbers, yes/no as
true and false. What was stored before a field got its kind stays as it is, and counts as no value until it is given
again (``coerce`` brings it over).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from hygiene.segments.errors import FieldValueError
from mailtypes.saying import say

LONGEST_TEXT: Final = 4096
LONGEST_NAME: Final = 100
MOST_CHOICES: Final = 200
HIGHEST_RATING: Final = 5
_MOST_DIGITS = 15
"""Every decimal number of so many digits survives the way through a double (IEEE 754)."""
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,15})?\Z")
_YES = frozenset({"yes", "y", "true", "1", "on", "כן"})
_NO = frozenset({"no", "n", "false", "0", "off", "לא"})

Value = str | int | float | bool


class FieldKind(StrEnum):
    """What a field holds."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    CHOICE = "choice"
    YES_NO = "yes_no"
    RATING = "rating"


_KIND_WORDS: Final[Mapping[FieldKind, str]] = {
    FieldKind.TEXT: say("text"),
    FieldKind.NUMBER: say("number"),
    FieldKind.DATE: say("date"),
    FieldKind.CHOICE: say("choice"),
    FieldKind.YES_NO: say("yes_no"),
    FieldKind.RATING: say("rating"),
}


def kind_word(kind: FieldKind) -> str:
    """A kind as sentences name it."""
    return _KIND_WORDS[kind]


@dataclass(frozen=True, slots=True)
class FieldDefinition:
    """A field of a workspace; ``choices`` is empty but for the kind choice."""

    name: str
    kind: FieldKind
    choices: tuple[str, ...] = ()


Kinds = Mapping[str, FieldKind]
"""The kinds of the fields that have one; every other field is text."""

NO_KINDS: Final[Kinds] = MappingProxyType({})


def check_name(name: str) -> None:
    """Raise ``FieldValueError`` for what cannot be a field's name."""
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or name != name.strip() or set('"\\') & set(name):
        raise FieldValueError(
            say("'%(name)s' cannot name a field", name=name[:50]),
            source=name,
            next_step=say(
                "Take 1 to %(longest_name)s printable characters, none of them a quotation mark or a backslash.",
                longest_name=LONGEST_NAME,
            ),
        )


def check_definition(definition: FieldDefinition) -> None:
    """Raise ``FieldValueError`` for a definition that makes no sense."""
    check_name(definition.name)
    choices = definition.choices
    if (definition.kind is FieldKind.CHOICE) != bool(choices):
        raise FieldValueError(
            say("a field of the kind %(kind)s has no choices", kind=kind_word(definition.kind))
            if choices
            else say("a field of the kind %(kind)s needs choices", kind=kind_word(definition.kind)),
            next_step=say("Give choices to fields of the kind choice, and to no others."),
        )
    folded = {fold(choice) for choice in choices}
    are_texts = all(one and is_text(one) for one in choices)
    if len(choices) > MOST_CHOICES or len(folded) != len(choices) or not are_texts:
        raise FieldValueError(
            say("the choices are not a list of different texts"),
            next_step=say(
                "Name at most %(most_choices)s choices, each once, of at most %(longest_text)s characters.",
                most_choices=MOST_CHOICES,
                longest_text=LONGEST_TEXT,
            ),
        )


_FOLDED = {ord(letter): ord(letter) + 32 for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def fold(text: str) -> str:
    """Text as it is compared: the letters A to Z in lower case, which every database does the same way."""
    return text.translate(_FOLDED)


def is_text(value: str) -> bool:
    """Whether both databases can hold it: not too long, no NUL, no half of a surrogate pair."""
    return len(value) <= LONGEST_TEXT and "\x00" not in value and not any("\ud800" <= one <= "\udfff" for one in value)


def is_date_text(value: object) -> bool:
    """Whether it has the form of a date as it is stored."""
    return isinstance(value, str) and _DATE.match(value) is not None


def is_date(value: object) -> bool:
    """Whether it is a day of the calendar."""
    if not (isinstance(value, str) and is_date_text(value)):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def coerce(definition: FieldDefinition, value: object) -> Value | None:
    """``value``, as a form, a file or JSON brings it, as it is stored; ``None`` for nothing (an empty text).

    Raises ``FieldValueError`` with the next step.
    """
    if isinstance(value, str):
        value = value.strip()
    if value is None or value == "":
        return None
    return _COERCIONS[definition.kind](definition, value)


def increment(definition: FieldDefinition, value: object, by: object) -> Value:
    """A counter moved on ``by`` a number (which may be negative); one that has no value begins at 0."""
    if definition.kind is not FieldKind.NUMBER:
        raise FieldValueError(
            say(
                "the field %(name)s is no number but of the kind %(kind)s",
                name=definition.name,
                kind=kind_word(definition.kind),
            ),
            next_step=say("Count with fields of the kind number."),
        )
    start = value if is_number(value) else 0
    total = Decimal(str(start)) + Decimal(str(_number(definition, by)))
    return _number(definition, format(total, "f"))


def is_number(value: object) -> bool:
    """Whether it is a JSON number (true and false are none)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(definition: FieldDefinition, value: object) -> Value:
    if isinstance(value, bool) or is_number(value):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, str) and is_text(value):
        return value
    raise _unfit(
        definition, value, say("Give a text of at most %(longest_text)s characters.", longest_text=LONGEST_TEXT)
    )


def _number(definition: FieldDefinition, value: object) -> int | float:
    text = str(value) if is_number(value) else value
    if isinstance(value, float) and math.isfinite(value):
        text = format(Decimal(str(value)), "f")
    if isinstance(text, str) and _NUMBER.match(text):
        try:
            number = Decimal(text).normalize()
        except InvalidOperation as error:  # pragma: no cover  the pattern lets none through
            raise _unfit(definition, value, say("Give a number.")) from error
        if len(number.as_tuple().digits) <= _MOST_DIGITS:
            return int(number) if number == number.to_integral_value() else float(number)
    raise _unfit(
        definition,
        value,
        say("Give a number such as 12 or -0.5, of at most %(most_digits)s digits.", most_digits=_MOST_DIGITS),
    )


def _date(definition: FieldDefinition, value: object) -> Value:
    if isinstance(value, str) and is_date(value):
        return value
    raise _unfit(definition, value, say("Give a day of the calendar as year-month-day, such as 2026-03-09."))


def _choice(definition: FieldDefinition, value: object) -> Value:
    for choice in definition.choices:
        if isinstance(value, str) and fold(choice) == fold(value):
            return choice
    shown = ", ".join(definition.choices[:10]) + (", ..." if len(definition.choices) > 10 else "")
    raise _unfit(definition, value, say("Give one of: %(shown)s.", shown=shown))


def _yes_no(definition: FieldDefinition, value: object) -> Value:
    if isinstance(value, bool):
        return value
    word = str(value).lower() if isinstance(value, str | int) else ""
    if word in _YES or word in _NO:
        return word in _YES
    raise _unfit(definition, value, say("Give yes or no."))


def _rating(definition: FieldDefinition, value: object) -> Value:
    text = str(value)
    if not isinstance(value, bool) and text in {str(number) for number in range(1, HIGHEST_RATING + 1)}:
        return int(text)
    raise _unfit(
        definition, value, say("Give a whole number from 1 to %(highest_rating)s.", highest_rating=HIGHEST_RATING)
    )


_COERCIONS = {
    FieldKind.TEXT: _text,
    FieldKind.NUMBER: _number,
    FieldKind.DATE: _date,
    FieldKind.CHOICE: _choice,
    FieldKind.YES_NO: _yes_no,
    FieldKind.RATING: _rating,
}


def _unfit(definition: FieldDefinition, value: object, next_step: str) -> FieldValueError:
    shown = str(value)[:50]
    return FieldValueError(
        say(
            "'%(shown)s' does not fit the field %(name)s (%(kind)s)",
            shown=shown,
            name=definition.name,
            kind=kind_word(definition.kind),
        ),
        source=shown,
        next_step=next_step,
    )
