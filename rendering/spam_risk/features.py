"""The features that are no wording: each a function from a message to a strength between 0 and 1, with its place.

A feature never falls when more of what it looks for is added and nothing else changes.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from rendering.spam_risk.subject_matter import Found, SubjectMatter

_WORD = re.compile(r"[^\W\d_]{2,40}")
_CAPITAL_WORD = re.compile(r"\b[A-Z]{4,20}\b")
_MARKS = re.compile(r"[!?]{2,}|!")
_MONEY = re.compile(r"[$€£₪]\s?[0-9][0-9.,]{0,12}|[0-9][0-9.,]{0,12}\s?(?:[$€£₪]|dollars\b|usd\b|ש\"ח)")
_SPACED = re.compile(r"(?<![\w.])(?:[^\W\d_][ .*_-]){4,30}[^\W\d_](?![\w.])")
_INNER = re.compile(r"\b[a-z]{1,12}[013@$|][a-z@$|013]{1,12}[a-z]\b")
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\u2061\u2062\u2063\u2064\ufeff\u180e]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
_NON_LATIN_IN_LATIN = re.compile(r"(?:[A-Za-z][\u0370-\u03ff\u0400-\u04ff]|[\u0370-\u03ff\u0400-\u04ff][A-Za-z])")


class Strength(NamedTuple):
    """How much of a feature there is, from 0 to 1, and where it begins."""

    value: float
    found: Found | None = None


NONE: Final = Strength(0.0)
Feature = Callable[[SubjectMatter], Strength]


def _share(count: float, full: float) -> float:
    return min(1.0, count / full)


def _text_matches(pattern: re.Pattern[str], text: str, matter: SubjectMatter, full: float) -> Strength:
    first = pattern.search(text)
    if first is None:
        return NONE
    count = 0
    for _ in pattern.finditer(text, first.start()):
        count += 1
        if count >= full:
            break
    return Strength(_share(count, full), Found(matter.text_part, *first.span()))


def _page_marks(kind: str, full: float) -> Feature:
    """Strength by the number (or length) of what the page has of a kind."""

    def feature(matter: SubjectMatter) -> Strength:
        page = matter.page
        if page is None or not page.lengths[kind]:
            return NONE
        mark = page.marks[kind][0]
        return Strength(_share(page.lengths[kind], full), _in_source(mark.offset, mark.text))

    return feature


def _in_source(offset: int, excerpt: str) -> Found:
    return Found("html", offset, offset + 1, " ".join(excerpt.split())[:60] or "…", in_source=True)


def _exclamations(matter: SubjectMatter) -> Strength:
    first, marks = _MARKS.search(matter.text), matter.text.count("!")
    if first is None or marks < 3:
        return NONE
    words = max(100, matter.text.count(" "))
    return Strength(_share(marks / words, 0.04), Found(matter.text_part, *first.span()))


def _capitals(matter: SubjectMatter) -> Strength:
    runs = _CAPITAL_WORD.findall(matter.text)
    if len(runs) < 3:
        return NONE
    letters = sum(map(len, runs))
    share = letters / max(200, sum(map(str.isalpha, matter.text)))
    first = _CAPITAL_WORD.search(matter.text)
    return Strength(_share(share, 0.3), None if first is None else Found(matter.text_part, *first.span()))


def _subject_capitals(matter: SubjectMatter) -> Strength:
    subject = matter.written_subject
    capitals = [word for word in _WORD.findall(subject) if len(word) > 3 and word.isupper()]
    words = [word for word in _WORD.findall(subject) if len(word) > 3]
    if not capitals:
        return NONE
    start = subject.find(capitals[0])
    return Strength(len(capitals) / len(words), Found("subject", start, start + len(capitals[0])))


def _subject_marks(matter: SubjectMatter) -> Strength:
    first = _MARKS.search(matter.written_subject)
    if first is None:
        return NONE
    return Strength(_share(matter.written_subject.count("!"), 2), Found("subject", *first.span()))


def _subject_money(matter: SubjectMatter) -> Strength:
    first = _MONEY.search(matter.subject)
    return NONE if first is None else Strength(1.0, Found("subject", *first.span()))


def _subject_empty(matter: SubjectMatter) -> Strength:
    is_there = matter.message.subject is None or matter.subject.strip()
    return NONE if is_there else Strength(1.0, Found("subject", 0, 0))


def _image_only(matter: SubjectMatter) -> Strength:
    """Full with a picture and under 100 letters of text, none from 400 letters for each picture up to 3."""
    page = matter.page
    if page is None or not page.lengths["image"]:
        return NONE
    letters = len(page.text.split()) * 5
    wanted = 400 * min(3, page.lengths["image"])
    mark = page.marks["image"][0]
    return Strength(max(0.0, min(1.0, (wanted - letters) / (wanted - 100))), _in_source(mark.offset, "<img>"))


def _hidden_text(matter: SubjectMatter) -> Strength:
    """A preheader of up to 250 letters is usual; beyond, by its share of the text."""
    page = matter.page
    if page is None or page.lengths["hidden"] <= 250:
        return NONE
    hidden = page.lengths["hidden"] - 250
    mark = page.marks["hidden"][0]
    return Strength(_share(hidden / (hidden + len(page.text)), 0.5), _in_source(mark.offset, mark.text))


def _html_without_plain(matter: SubjectMatter) -> Strength:
    has_plain = bool((matter.message.plain_text or "").strip())
    return NONE if matter.page is None or has_plain else Strength(1.0)


def _plain_differs(matter: SubjectMatter) -> Strength:
    """By the share of the plain part's words that the page does not have."""
    if matter.page is None or not (matter.message.plain_text or "").strip():
        return NONE
    plain = set(_WORD.findall((matter.message.plain_text or "")[:50_000].lower()))
    shown = set(_WORD.findall(matter.page.text[:100_000].lower())) | set(_WORD.findall(matter.page.source[:400_000]))
    if len(plain) < 10:
        return NONE
    missing = len(plain - shown) / len(plain)
    return Strength(max(0.0, min(1.0, (missing - 0.4) / 0.4)), Found("plain_text", 0, 40, in_source=True))


def _empty_body(matter: SubjectMatter) -> Strength:
    has_image = matter.page is not None and matter.page.lengths["image"] > 0
    return NONE if matter.text.strip() or has_image else Strength(1.0)


def _charset_faults(matter: SubjectMatter) -> Strength:
    control = _CONTROL.search(matter.text)
    count = matter.message.charset_faults + len(_CONTROL.findall(matter.text)) + matter.text.count("\ufffd")
    if not count:
        return NONE
    start = control.start() if control else 0
    return Strength(_share(count, 3), Found(matter.text_part, start, start + 1))


def _with_subject(pattern: re.Pattern[str], full: float) -> Feature:
    def feature(matter: SubjectMatter) -> Strength:
        first = pattern.search(matter.written_subject)
        if first is not None:
            return Strength(1.0, Found("subject", *first.span()))
        return _text_matches(pattern, matter.text, matter, full)

    return feature


FEATURES: Final[dict[str, Feature]] = {
    "exclamations": _exclamations,
    "capitals": _capitals,
    "money": lambda matter: _text_matches(_MONEY, matter.folded, matter, 5),
    "spaced_letters": _with_subject(_SPACED, 1),
    "digits_in_words": lambda matter: _text_matches(_INNER, matter.prose, matter, 3),
    "invisible_characters": _with_subject(_INVISIBLE, 10),
    "mixed_scripts": _with_subject(_NON_LATIN_IN_LATIN, 2),
    "charset_faults": _charset_faults,
    "subject_capitals": _subject_capitals,
    "subject_marks": _subject_marks,
    "subject_money": _subject_money,
    "subject_empty": _subject_empty,
    "image_only": _image_only,
    "hidden_text": _hidden_text,
    "tiny_text": _page_marks("tiny", 40),
    "large_text": _page_marks("large", 200),
    "red_text": _page_marks("red", 100),
    "camouflaged_text": _page_marks("camouflaged", 40),
    "comment_in_word": _page_marks("comment_in_word", 2),
    "form": _page_marks("form", 1),
    "script": _page_marks("script", 1),
    "embedded_object": _page_marks("embedded", 1),
    "data_image": _page_marks("data_image", 1),
    "html_without_plain": _html_without_plain,
    "plain_differs": _plain_differs,
    "empty_body": _empty_body,
}
"""By the name that ``rules.toml`` uses; those about links are in ``link_features.py``."""
