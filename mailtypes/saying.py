"""Sentences for people that can be said in another language later: the English text, and what it was made of."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Self

_NOTHING: Mapping[str, str] = MappingProxyType({})


class Saying(str):
    """An English text that remembers its template and the values in it.

    Everywhere it is the text: it is compared, stored and sent as such. Whoever speaks another language looks
    ``template`` up in a catalogue and puts ``values`` in; a value that is a ``Saying`` itself is said likewise.
    ``%(name)s`` in the template stands for a value, and ``%`` for itself where there are no values.
    """

    template: str
    values: Mapping[str, str]

    def __new__(cls, text: str, template: str, values: Mapping[str, str] = _NOTHING) -> Self:
        """``text`` is the template in English with the values put in; see ``say``."""
        self = super().__new__(cls, text)
        self.template = template
        self.values = values
        return self

    def __getnewargs__(self) -> tuple[str, str, dict[str, str]]:  # type: ignore[override]
        """For copies and pickles."""
        return str(self), self.template, dict(self.values)

    def __getstate__(self) -> None:
        """There is nothing beside the arguments of ``__new__``."""

    def begun(self) -> "Saying":
        """The same at the beginning of a line: with a capital letter."""
        return Saying(self[:1].upper() + self[1:], self.template, self.values)


def say(template: str, /, **values: object) -> str:
    """A ``Saying`` from a literal template: ``say("%(domain)s has no SPF record.", domain=domain)``.

    Templates are literals where they stand, so that ``scripts/translations.py`` finds them; texts of tables that it
    reads as data (the rules of the lint) may be named instead.
    """
    if not values:
        return Saying(template, template)
    told = {name: value if isinstance(value, str) else str(value) for name, value in values.items()}
    return Saying(template % told, template, MappingProxyType(told))


def begun(text: str) -> str:
    """``text`` with a capital letter at its beginning, still a ``Saying`` where it was one."""
    return text.begun() if isinstance(text, Saying) else text[:1].upper() + text[1:]


def joined(texts: Iterable[str], separator: str = ", ") -> str:
    """Texts one behind the other; those that are sayings stay so."""
    values = {f"part{number}": text for number, text in enumerate(texts)}
    return say(separator.replace("%", "%%").join(f"%({name})s" for name in values), **values)
