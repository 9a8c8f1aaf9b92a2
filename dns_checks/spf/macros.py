"""Macro strings: reading and expanding them (RFC 7208 section 7)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote

from dns_checks.spf.errors import SpfSyntaxError
from mailtypes.errors import Span
from mailtypes.saying import say

_LETTERS = "slodiphv"
_EXPLANATION_LETTERS = "crt"  # RFC 7208 section 7.2: only in the text that exp= leads to
_MAX_NAME_OCTETS = 253  # section 7.3
_TOKEN = re.compile(
    r"%\{(?P<letter>[A-Za-z])(?P<digits>[0-9]*)(?P<reverse>[rR]?)(?P<delimiters>[.\-+,/_=]*)\}"
    r"|%(?P<escape>[%_-])"
    r"|(?P<literal>[^%]+)"
)
_FORBIDDEN = re.compile(r"[^\x21-\x7e]")
_FORBIDDEN_IN_EXPLANATION = re.compile(r"[^\x20-\x7e]")
_ESCAPES = {"%": "%", "_": " ", "-": "%20"}


@dataclass(frozen=True, slots=True)
class Literal:
    """Text that stands for itself; ``is_escape`` where it was written as ``%%``, ``%_`` or ``%-``."""

    text: str
    is_escape: bool = False


@dataclass(frozen=True, slots=True)
class Expand:
    """``%{letter digits r delimiters}``: ``keep`` right-hand parts of the value, all where it is ``None``."""

    letter: str
    keep: int | None
    reverse: bool
    delimiters: str
    url_escape: bool


Part: TypeAlias = Literal | Expand


@dataclass(frozen=True, slots=True)
class MacroString:
    """A macro string as written (``text``) and in its parts; ``%%``, ``%_`` and ``%-`` are literals already."""

    text: str
    parts: tuple[Part, ...]

    def uses(self, letter: str) -> bool:
        """Whether the macro ``letter`` (lower case) occurs."""
        return any(isinstance(part, Expand) and part.letter == letter for part in self.parts)

    def expand(self, values: Mapping[str, str]) -> str:
        """Put in ``values``, which has an entry for each lower-case letter that occurs."""
        return "".join(
            part.text if isinstance(part, Literal) else _transform(part, values[part.letter]) for part in self.parts
        )


def parse_macro_string(source: str, span: Span | None = None, *, explanation: bool = False) -> MacroString:
    """Read ``source`` in ``span`` (all of it by default); raise ``SpfSyntaxError``.

    With ``explanation`` the text is an ``explain-string``: spaces and the letters c, r and t are allowed in it.
    """
    span = span or Span(0, len(source))
    text = source[span.start : span.end]
    forbidden = (_FORBIDDEN_IN_EXPLANATION if explanation else _FORBIDDEN).search(text)
    if forbidden:
        at = span.start + forbidden.start()
        raise SpfSyntaxError(
            say("the character %(character)s is not allowed", character=repr(forbidden[0])),
            source=source,
            span=Span(at, at + 1),
            next_step=say("Use visible ASCII characters only; write a space as %_."),
        )
    parts: list[Part] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _bad_macro(source, span.start + position, span.end)
        parts.append(_read_part(match, source, span.start + position, explanation))
        position = match.end()
    return MacroString(text, tuple(parts))


def expand_domain(domain_spec: MacroString, values: Mapping[str, str]) -> str:
    """Expand to a name to ask for: without the trailing dot, cut to 253 octets from the left (section 7.3)."""
    name = domain_spec.expand(values).removesuffix(".")
    if len(name) <= _MAX_NAME_OCTETS:
        return name
    cut = name.find(".", len(name) - _MAX_NAME_OCTETS - 1)
    return name[cut + 1 :] if cut >= 0 else name


def _read_part(match: re.Match[str], source: str, at: int, explanation: bool) -> Part:
    if match["literal"]:
        return Literal(match["literal"])
    if match["escape"]:
        return Literal(_ESCAPES[match["escape"]], is_escape=True)
    letter = match["letter"].lower()
    allowed = _LETTERS + (_EXPLANATION_LETTERS if explanation else "")
    if letter not in allowed:
        only_explained = letter in _EXPLANATION_LETTERS
        raise SpfSyntaxError(
            say("the macro letter '%(letter)s' is allowed only in the text that exp= leads to", letter=match["letter"])
            if only_explained
            else say("the macro letter '%(letter)s' is unknown", letter=match["letter"]),
            source=source,
            span=Span(at + 2, at + 3),
            next_step=say("The letters here are: %(allowed)s.", allowed=", ".join(allowed)),
        )
    keep = None
    if match["digits"]:
        # Four digits are more labels than any name has; int() of a longer text would only cost time.
        keep = int(match["digits"].lstrip("0")[:4] or 0)
        if keep == 0:
            raise SpfSyntaxError(
                say("a macro cannot keep 0 parts"),
                source=source,
                span=Span(at + 3, at + 3 + len(match["digits"])),
                next_step=say("Write a number of 1 or more, or none to keep all parts."),
            )
    return Expand(letter, keep, bool(match["reverse"]), match["delimiters"] or ".", match["letter"].isupper())


def _bad_macro(source: str, at: int, end: int) -> SpfSyntaxError:
    closing = source.find("}", at, end)
    stop = closing + 1 if closing >= 0 and source[at : at + 2] == "%{" else min(at + 2, end)
    return SpfSyntaxError(
        say("'%(text)s' is not a macro", text=source[at:stop]),
        source=source,
        span=Span(at, stop),
        next_step=say("Write %{letter}, for instance %{i}, or %% for a percent sign."),
    )


def _transform(macro: Expand, value: str) -> str:
    """Section 7.3: split, reverse, keep the right-hand parts, join with dots; then escape for a URL."""
    parts = re.split(f"[{re.escape(macro.delimiters)}]", value)
    if macro.reverse:
        parts.reverse()
    if macro.keep is not None:
        parts = parts[-macro.keep :]
    joined = ".".join(parts)
    return quote(joined, safe="", errors="replace") if macro.url_escape else joined
