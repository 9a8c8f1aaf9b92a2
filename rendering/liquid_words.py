"""What the Liquid library says of a template, as sayings: the same English, which pages can say in their language."""

import re
from collections.abc import Mapping
from typing import Final

from mailtypes.saying import say

_LONGEST: Final = 500
_EXPECTED: Final = re.compile(r"expected (?P<wanted>.{1,200}?), found (?P<found>.+)", re.DOTALL)
_UNEXPECTED: Final = re.compile(r"unexpected (?P<found>'.+'|token .+)", re.DOTALL)
_NO_DIVISION: Final = re.compile(r"(?P<name>\w{1,40}): can't divide by 0")
_SENTENCES: Final[Mapping[str, str]] = {
    sentence: sentence
    for sentence in (
        say("the Liquid in this template cannot be read"),
        say("missing expression"),
        say("unexpected expression"),
        say("invalid identifier"),
        say("unbalanced parentheses"),
        say("missing or unexpected path segment"),
        say("missing tag name or closing delimiter"),
        say("expected at least one argument"),
        say("expected a string or identifier"),
        say("comment tag was never closed"),
        say("loop iteration limit reached"),
        say("output stream limit reached"),
        say("local namespace limit reached"),
    )
}
_PARTS: Final[Mapping[str, str]] = {
    part: part
    for part in (
        say("end of file"),
        say("a name"),
        say("an identifier"),
        say("an argument name"),
        say("a path with multiple segments"),
        say("a primitive expression"),
        say("an infix expression"),
        say("a dot or bracket notation"),
        say("a parameter list"),
        say("a comma separated list of arguments"),
    )
}


def said(message: str) -> str:
    """``message`` of the library as a ``Saying`` where it is known here, and as it is where it is not."""
    known = _SENTENCES.get(message)
    if known is not None or len(message) > _LONGEST:
        return known or message
    found = _EXPECTED.fullmatch(message)
    if found is not None:
        wanted, seen = (_PARTS.get(found[name], found[name]) for name in ("wanted", "found"))
        return say("expected %(wanted)s, found %(found)s", wanted=wanted, found=seen)
    found = _UNEXPECTED.fullmatch(message)
    if found is not None:
        return say("unexpected %(found)s", found=found["found"])
    found = _NO_DIVISION.fullmatch(message)
    return message if found is None else say("%(name)s: can't divide by 0", name=found["name"])
