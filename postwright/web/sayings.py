"""Findings in the language of the page: the rooms say them in English by templates, the catalogues have the others.

What comes straight from a room is a ``Saying`` and knows its template. What was stored has become plain text; it is
recognised by the templates that the catalogues know. A text of somebody else (the reply of a remote server, the name of
a list) fits none and stays as it is.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from mailtypes.saying import Saying
from postwright.web.language import catalogue_files, gettext, read_catalogues, speech

_PLACE = re.compile(r"%\((\w+)\)s")
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"  # Unicode Standard Annex 9, section 2.4.2
_RIGHT_TO_LEFT_MARK = "\u200f"
"""Leads a sentence of ours, so that ``dir="auto"`` is not misled by a name or a number at its beginning."""
_LONGEST = 4_000  # characters of a stored text
_FEWEST_LETTERS = 8  # of a template that a stored text may be recognised by
_FEWEST_OF_A_PAGE = 10  # of those that stand in the other catalogues, among words for buttons
_DEEPEST = 4
_WORDS_OF_A_NAME = 3  # from so many spaces on a value has to be shorter than what stands around it
_SENTENCES = re.compile(r"[.!?] [A-Z]")  # what is no value of one sentence, but several of them
_BETWEEN = ("; ", ". ")


@dataclass(frozen=True, slots=True)
class _Template:
    """A template taken apart: what stands between its values, in order, and the values' names."""

    text: str
    literals: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "_Template":
        parts = _PLACE.split(text)
        literals = parts[::2]
        return cls(text, tuple(one.replace("%%", "%") for one in literals), tuple(parts[1::2]))

    @property
    def letters(self) -> int:
        """How much of the text is the template's own."""
        return sum(letter.isalpha() for literal in self.literals for letter in literal)

    def values_in(self, text: str) -> dict[str, str] | None:
        """The values by which the template makes ``text``, if it does; in linear time, each value as short as it can
        be, the last one as long as it has to."""
        first, last = self.literals[0], self.literals[-1]
        end = len(text) - len(last)
        if not text.startswith(first) or not text.endswith(last) or end < len(first):
            return None
        values: dict[str, str] = {}
        at = len(first)
        for number, name in enumerate(self.names):
            behind = self.literals[number + 1]
            is_last = number == len(self.names) - 1
            stop = end if is_last else text.find(behind, at, end) if behind else at
            if stop < 0 or values.setdefault(name, text[at:stop]) != text[at:stop]:
                return None
            at = stop + len(behind)
        return values


def told(text: str) -> str:
    """``text`` in the language of the page, as far as the house has said it; what others wrote stays as it is."""
    if not text:
        return ""
    if speech().language == "en":
        return str(text)
    said = _said(text)
    return f"{_RIGHT_TO_LEFT_MARK}{said}" if said != text and speech().direction == "rtl" else said


def _said(text: str) -> str:
    return _filled(text.template, text.values) if isinstance(text, Saying) else _recalled(text, speech().language)


def _filled(template: str, values: Mapping[str, str]) -> str:
    said = gettext(template)
    return said % {name: _value(value) for name, value in values.items()} if values else said


def _value(value: str) -> str:
    """A value as it stands in a sentence: isolated, so that it does not turn around what is beside it."""
    said = _said(value)
    if not said or said != value or isinstance(value, Saying):
        return said
    return _isolated(said)


@lru_cache(maxsize=4096)
def _recalled(text: str, language: str, depth: int = 0) -> str:
    """A stored text, said anew where it is recognised."""
    if len(text) > _LONGEST or depth > _DEEPEST:
        return text
    whole = _said_anew(text, language, depth)
    if whole is not None:
        return whole
    for between in _BETWEEN:  # sentences one behind the other
        head, found, rest = text.partition(between)
        if found:
            first = _said_anew(head + between.strip() if between == ". " else head, language, depth)
            if first is not None:
                return first + (" " if between == ". " else between) + _recalled(rest, language, depth + 1)
    return text


def _said_anew(text: str, language: str, depth: int) -> str | None:
    known, templates = _known(language)
    forms = _forms(text)
    for form, end in forms:
        if form in known:
            return gettext(form) + end
    for template in templates:
        for form, end in forms:
            values = template.values_in(form)
            if values is None:
                continue
            told_values = {name: _recalled_value(value, language, depth + 1) for name, value in values.items()}
            if _are_values(template, values, told_values):
                return gettext(template.text) % told_values + end
    return None


def _forms(text: str) -> list[tuple[str, str]]:
    """The text as a template may have it: at the beginning of a line it has got a capital, and at the end a stop."""
    small = text[:1].lower() + text[1:]
    forms = [(text, ""), (small, "")]
    return [(text[:-1], "."), (small[:-1], "."), *forms] if text.endswith(".") else forms


def _are_values(template: _Template, values: Mapping[str, str], told_values: Mapping[str, str]) -> bool:
    """Whether that is what stood in the template's places, and not the rest of another sentence."""
    for name, before in zip(template.names, template.literals, strict=False):
        value = values[name]
        if _SENTENCES.search(value):
            return False
        is_unknown = told_values[name] == _isolated(value)
        is_long = value.count(" ") >= _WORDS_OF_A_NAME and len(value) > template.letters
        if is_long and is_unknown and not before.endswith(": "):  # behind a colon anybody may say anything
            return False
    return True


def _recalled_value(value: str, language: str, depth: int) -> str:
    said = _recalled(value, language, depth)
    return said if said != value or not value else _isolated(value)


def _isolated(value: str) -> str:
    return f"{_FIRST_STRONG_ISOLATE}{value}{_POP_ISOLATE}"


@cache
def _known(language: str) -> tuple[frozenset[str], tuple[_Template, ...]]:
    """What the catalogues know: findings without values, and all templates, the most telling first."""
    files = catalogue_files(language)
    findings = _texts(language, [path for path in files if path.stem.startswith("findings")])
    others = [one for one in _by_weight(_texts(language, files)) if one.letters >= _FEWEST_OF_A_PAGE]
    templates = {one.text: one for one in (*_by_weight(findings), *others)}
    ordered = sorted(templates.values(), key=lambda one: -one.letters)
    return frozenset(text for text in findings if not _PLACE.search(text)), tuple(ordered)


def _texts(language: str, files: list[Path]) -> list[str]:
    return [entry.id for entry in read_catalogues(language, files) if isinstance(entry.id, str) and entry.id]


def _by_weight(texts: Iterable[str]) -> tuple[_Template, ...]:
    templates = [_Template.of(text) for text in texts if _PLACE.search(text)]
    telling = [one for one in templates if one.letters >= _FEWEST_LETTERS]
    return tuple(sorted(telling, key=lambda one: -one.letters))
