"""How much one rendering of a Liquid template may make and do: sizes of values, and a budget of work.

Everything that takes time in proportion to a value is paid from the budget, in units of about 50 nanoseconds. What a
rendering can keep in memory follows from it, since every text and every list that it makes has been paid for.
"""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from liquid import BoundTemplate, RenderContext
from liquid.exceptions import FilterArgumentError, LocalNamespaceLimitError, ResourceLimitError
from liquid.expression import Expression
from liquid.stringify import to_liquid_string
from liquid.token import Token
from liquid.undefined import UNDEFINED

from mailtypes.saying import say

MAX_CHARACTERS = 500_000
"""How many characters (and items) one value may have that a filter takes or makes, all items of a list together."""
MAX_ITEMS = 20_000
"""How many items one list may have that a filter takes or makes."""
MAX_BITS = 128
"""How long an integer may be that a filter takes or makes."""
MAX_ITERATIONS = 2_000
"""How often the loops that stand in each other may turn; also the longest range."""
MAX_WORK = 20_000_000
"""How much work one rendering of one part (body, subject, ...) may be: about a second of a processor."""
NODE_WORK = 20
"""What a tag, an output or an operand costs: about a microsecond."""
_LOCALE_WORK = 100_000  # the data of a language are read from a file, once for a process


class WorkLimitError(ResourceLimitError, FilterArgumentError):
    """A limit that was met; as an error of a filter's argument it gets the place of the filter."""


class BudgetedContext(RenderContext):
    """A context that counts the work and the size of local variables as they are made."""

    __slots__ = ("_local_sizes", "_local_total", "_locales", "work_left")

    def __init__(self, template: BoundTemplate, data: Mapping[str, object]) -> None:
        super().__init__(template, globals=data)
        self.work_left = MAX_WORK
        self._local_sizes: dict[str, int] = {}
        self._local_total = 0
        self._locales: set[str] = set()

    def spend(self, units: int) -> None:
        """Pay for work; raises ``WorkLimitError`` where nothing is left."""
        self.work_left -= units
        if self.work_left < 0:
            raise work_done()

    def spend_locale(self, name: str) -> None:
        """Pay for the data of a language, once for each that the rendering writes in."""
        if name not in self._locales:
            self._locales.add(name)
            self.spend(_LOCALE_WORK)

    def assign(self, key: str, val: Any) -> None:
        """Set a local variable; the size of all is kept, and not counted anew as Liquid does."""
        self.locals[key] = val
        size = sys.getsizeof(val, 1)
        self._local_total += size - self._local_sizes.get(key, 0)
        self._local_sizes[key] = size
        if self._local_total > (self.env.local_namespace_limit or 0):
            raise LocalNamespaceLimitError(say("local namespace limit reached"), token=None)

    def get(self, path: list[object], *, token: Token | None, default: object = UNDEFINED) -> object:
        """The value of a path; names in plain objects are looked up at once, all else is Liquid's affair."""
        try:
            value = self.scope[path[0]]  # type: ignore[index]
            for segment in path[1:]:
                if type(value) is not dict or type(segment) is not str:
                    return super().get(path, token=token, default=default)
                value = value[segment]
        except (KeyError, TypeError, IndexError):
            return super().get(path, token=token, default=default)
        return value

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        """The filter of that name, paying from this context."""
        try:
            return partial(self.env.filters[name], self)
        except KeyError:
            return super().filter(name, token)  # raises as Liquid does

    def text_of(self, expression: Expression) -> str:
        """The value of ``expression`` as an output writes it, paid for."""
        value = expression.evaluate(self)
        if type(value) is str:
            text = value
        elif type(value) is int:
            text = str(value)
        else:
            try:
                self.spend(2 * weigh(value))
            except WorkLimitError as error:
                error.token = expression.token
                raise
            text = to_liquid_string(value, autoescape=False)
        self.work_left -= NODE_WORK + (len(text) >> 5)
        if self.work_left < 0:
            raise work_done(expression.token)
        return text


def work_done(token: Token | None = None) -> WorkLimitError:
    """The refusal of a rendering that has nothing left to pay with."""
    return WorkLimitError(say("the template has too much to do: too many loops, or too long texts"), token=token)


def weigh(value: object) -> int:
    """How many characters and items ``value`` has in all; raises ``WorkLimitError`` where it is too large."""
    if isinstance(value, str):
        if len(value) > MAX_CHARACTERS:
            raise _too_long()
        return len(value)
    if type(value) is int:
        return weigh_integer(value)
    if isinstance(value, dict | list | tuple):
        return _weigh_items(value)
    return len(value) if type(value) is range else 1


def weigh_integer(number: int) -> int:
    """1; raises ``WorkLimitError`` where the number is too large."""
    if number.bit_length() > MAX_BITS:
        raise WorkLimitError(say("a number has more than %(max_bits)s bits", max_bits=MAX_BITS), token=None)
    return 1


def check_length(size: int) -> None:
    """Raise ``WorkLimitError`` for a text of ``size`` characters that is too long, before it is made."""
    if size > MAX_CHARACTERS:
        raise _too_long()


def too_many_items() -> WorkLimitError:
    """The refusal of a list that is too long."""
    return WorkLimitError(
        say("a list has more than %(max_items)s items", max_items=f"{MAX_ITEMS:,}"),
        token=None,
    )


def _too_long() -> WorkLimitError:
    return WorkLimitError(
        say("a value has more than %(max_characters)s characters", max_characters=f"{MAX_CHARACTERS:,}"), token=None
    )


def _weigh_items(value: dict[Any, Any] | list[Any] | tuple[Any, ...]) -> int:
    size, waiting = 0, [value]
    while waiting:
        inside = waiting.pop()
        size += len(inside)
        if len(inside) > MAX_ITEMS:
            raise too_many_items()
        if isinstance(inside, dict):
            size += sum(len(name) for name in inside if isinstance(name, str))
        for item in inside.values() if isinstance(inside, dict) else inside:
            if isinstance(item, str):
                size += len(item)
            elif isinstance(item, dict | list | tuple):
                waiting.append(item)
            elif type(item) is int:
                weigh_integer(item)
        if size > MAX_CHARACTERS:
            raise _too_long()
    return size
