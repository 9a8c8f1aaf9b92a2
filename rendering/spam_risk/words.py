"""How words weigh: each has the log-odds that the fit gave it, and many of them are weighed like few.

The sum over the different known words of a mail is divided by the square root of their number, so that a long mail
is no worse than a short one. Words that law or good practice ask for ("unsubscribe") are not among them, nor are
names, numbers and dates.
"""

import math
import re
from typing import NamedTuple

from mailtypes.saying import say
from rendering.spam_risk.subject_matter import Found, SubjectMatter

_WORD = re.compile(r"(?<![\w'])[a-z][a-z']{2,14}(?![\w'])")
_MOST_WORDS = 20_000
_FEWEST = 10
"""A mail of fewer known words is weighed as if it had so many: two words are no evidence."""

FEW_WORDS_KNOWN = say("The wording is hardly weighed: few of its words are in the statistics, which are English.")


class Wording(NamedTuple):
    """What the words come to, and those that weigh most in that direction, with the place of the first."""

    points: float
    telling: tuple[str, ...]
    known: int
    found: Found | None


def words_in(matter: SubjectMatter) -> set[str]:
    """The different words of subject and text, as ``words_of`` finds them."""
    return {*_WORD.findall(matter.subject), *_WORD.findall(matter.prose)[:_MOST_WORDS]}


def words_of(matter: SubjectMatter) -> dict[str, Found]:
    """The different words of subject and text, each with its first place."""
    found: dict[str, Found] = {}
    for match in _WORD.finditer(matter.subject):
        found.setdefault(match[0], Found("subject", *match.span()))
    for number, match in enumerate(_WORD.finditer(matter.prose)):
        if number >= _MOST_WORDS:
            break
        if match[0] not in found:
            found[match[0]] = Found(matter.text_part, *match.span())
    return found


def damping(known: int) -> float:
    """What each word's weight is multiplied by where so many known words meet."""
    return 1 / math.sqrt(max(known, _FEWEST))


def weigh_words(matter: SubjectMatter, weights: dict[str, float]) -> Wording:
    """The points of a mail's wording."""
    known = {word: found for word, found in words_of(matter).items() if word in weights}
    points = sum(weights[word] for word in known) * damping(len(known))
    sign = 1 if points >= 0 else -1
    ranked = sorted(known, key=lambda word: (-sign * weights[word], word))
    telling = tuple(word for word in ranked[:6] if sign * weights[word] > 0)
    return Wording(points, telling, len(known), known[telling[0]] if telling else None)
