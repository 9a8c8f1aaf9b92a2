"""The rules of ``rules.toml`` as tables that are quick to ask. The file tells what its fields mean."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from mailtypes.bounce import DEAD_REASONS, BounceReason

MAX_TEXT: Final = 2_000  # characters of a reply that are looked at
_WIDE: Final = 60  # characters that * may stand for
_NARROW: Final = 24  # characters that ~ may stand for
_GAPS: Final = {"*": _WIDE, "~": _NARROW}
_GAP_SIGN: Final = re.compile(r"[*~]")
_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_MAX_PLACES: Final = 16  # of a phrase's first piece in one reply, from which the others are looked for
_MAX_PHRASES: Final = 2_000  # that one phrase with braces may stand for
_FIRST_UNSPACED: Final = "\u2e80"  # from here on, Chinese and Japanese: words without spaces between them
_LETTERS: Final = 3
_END: Final = "$"
_NO_WORD: Final = re.compile(r"[\W_]+")
_MAX_BEGINNING: Final = 60
_CODES: Final = re.compile(r"\A[245]\d\d[ -](?:[245]\.\d{1,3}\.\d{1,3} )?")
_CONTINUED: Final = re.compile(r"(?<=\s)[245]\d\d(?:-(?:[245]\.\d{1,3}\.\d{1,3}\s)?| [245]\.\d{1,3}\.\d{1,3}\s)")
_SUBJECT_REST: Final = -1


@dataclass(frozen=True, slots=True)
class StatusRule:
    """What an enhanced status code means. ``is_vague``: the wording is asked first; ``believes``: see the file.

    ``is_of_class_5``: the rest of its subject counts where the class is 4.
    """

    name: str
    reason: BounceReason
    is_vague: bool
    believes: bool
    source: str
    is_of_class_5: bool = False


@dataclass(frozen=True, slots=True)
class Phrase:
    """A piece of text, and those that follow it: each with how many characters may stand before it."""

    first: str
    rest: tuple[tuple[int, str], ...]

    def is_in(self, words: str) -> bool:
        """Whether ``words`` has the pieces in their order, each no farther behind the one before than it may be."""
        start = words.find(self.first)
        if start < 0 or not all(piece in words for _, piece in self.rest):
            return False
        for _ in range(_MAX_PLACES):
            end = start + len(self.first)
            for gap, piece in self.rest:
                found = words.find(piece, end, end + gap + len(piece))
                if found < 0:
                    break
                end = found + len(piece)
            else:
                return True
            start = words.find(self.first, start + 1)
            if start < 0:
                break
        return False


@dataclass(frozen=True, slots=True)
class WordingRule:
    """What a phrase means. ``is_certain``: it is said of missing mailboxes alone, at whatever stage.

    ``acquits``: where it stands alone, it is believed even beside a status that says that there is no such mailbox.
    """

    name: str
    reason: BounceReason
    phrases: tuple[Phrase, ...]
    source: str
    is_certain: bool = False
    acquits: bool = False
    beginnings: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    example_stage: str = "unknown"


class WordingTable:
    """Wordings in the order in which they are asked, found by the first letters of their first words."""

    def __init__(self, rules: Iterable[WordingRule]) -> None:
        self.rules = tuple(rules)
        self._by_letters: dict[str, list[tuple[int, Phrase]]] = {}
        self._unspaced: list[tuple[int, Phrase]] = []
        for number, rule in enumerate(self.rules):
            for phrase in rule.phrases:
                letters = phrase.first.split()[0][:_LETTERS]
                is_unspaced = phrase.first[0] >= _FIRST_UNSPACED
                (self._unspaced if is_unspaced else self._by_letters.setdefault(letters, [])).append((number, phrase))

    def first(self, words: str) -> WordingRule | None:
        """The first rule that has a phrase in ``words`` (as ``folded_words`` makes them)."""
        best = len(self.rules)
        candidates = [self._by_letters.get(letters, ()) for letters in {word[:_LETTERS] for word in words.split()}]
        if not words.isascii():
            candidates.append(self._unspaced)
        for phrases in candidates:
            for number, phrase in phrases:
                if number >= best:
                    break
                if phrase.is_in(words):
                    best = number
                    break
        return self.rules[best] if best < len(self.rules) else None


@dataclass(frozen=True, slots=True)
class Rules:
    """All of them: statuses by subject and detail, wordings in the order in which they are asked.

    ``deadly`` are those of ``wordings`` that speak of an address to which nothing will ever be delivered.
    """

    statuses: Mapping[tuple[int, int], StatusRule]
    literal: tuple[WordingRule, ...]
    outweighing: WordingTable
    wordings: WordingTable
    deadly: WordingTable

    def beginning(self, text: str) -> WordingRule | None:
        """The rule of what a reply begins with, letter by letter, behind its codes."""
        beginning = _CODES.sub("", text[:_MAX_BEGINNING]).lower()
        return next((rule for rule in self.literal if beginning.startswith(rule.beginnings)), None)

    def of_status(self, subject: int, detail: int, status_class: int = 5) -> StatusRule | None:
        """The rule of a status, or of the rest of its subject."""
        rule, rest = self.statuses.get((subject, detail)), self.statuses.get((subject, _SUBJECT_REST))
        return rest if rule is None or (rule.is_of_class_5 and status_class != 5) else rule


def folded_words(text: str) -> str:
    """Lower-case words with one space around each, without addresses and without the paths of URLs.

    An address or a link may hold any word (``spam@a.test``, ``/policy/``), and it says nothing; the codes that begin
    each line of a reply of several (RFC 5321 section 4.2.1) would part its words.
    """
    text = text[:MAX_TEXT].lower()
    text = _CONTINUED.sub("", text)
    if "@" in text:
        text = " ".join([word for word in text.split() if "@" not in word or "://" in word])
    if "://" in text:
        text = " ".join([_host_of(word) if "://" in word else word for word in text.split()])
    return f" {_NO_WORD.sub(' ', text).strip()} {_END} "


def _host_of(url: str) -> str:
    before, _, after = url.partition("://")
    return f"{before} {after.partition('/')[0]}"


def _spelled_out(text: str) -> list[str]:
    """All that a phrase with braces stands for: ``{no,unknown} user`` is two."""
    found, pending = list[str](), [text]
    while pending:
        one = pending.pop()
        braces = _BRACES.search(one)
        if braces is None:
            found.append(one)
        else:
            pending += [f"{one[: braces.start()]}{word}{one[braces.end() :]}" for word in braces[1].split(",")]
        if len(found) + len(pending) > _MAX_PHRASES:
            raise ValueError(f"the phrase {text!r} stands for more than {_MAX_PHRASES:,}")
    return found


def _phrases(text: str) -> list[Phrase]:
    return [_phrase(one) for one in _spelled_out(text)]


def _phrase(text: str) -> Phrase:
    first, *rest = (_piece(piece) for piece in _GAP_SIGN.split(text))
    words = first.split()
    is_unspaced = first[:1] >= _FIRST_UNSPACED
    too_short = len(words) == 1 and not is_unspaced and len(words[0]) < _LETTERS
    if not words or not all(map(str.strip, rest)) or too_short:
        raise ValueError(f"the phrase {text!r} is too short to be found")
    gaps = [_GAPS[sign] for sign in _GAP_SIGN.findall(text)]
    return Phrase(first, tuple(zip(gaps, rest, strict=True)))


@cache  # phrases with braces are made of few pieces
def _piece(text: str) -> str:
    folded = folded_words(text).rstrip()
    kept = folded if text.endswith(_END) else folded.removesuffix(_END).rstrip()
    return kept.lstrip() if kept.lstrip()[:1] >= _FIRST_UNSPACED else kept


def _wording(row: Mapping[str, Any]) -> WordingRule:
    return WordingRule(
        name=row["name"],
        reason=BounceReason(row["reason"]),
        phrases=tuple(phrase for text in row.get("phrases", ()) for phrase in _phrases(text)),
        source=row["source"],
        is_certain=row.get("certain", False),
        acquits=row.get("acquits", False),
        beginnings=tuple(row.get("begins", ())),
        examples=tuple(row["examples"]),
        example_stage=row.get("at", "unknown"),
    )


def _statuses(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[int, int], StatusRule]:
    table: dict[tuple[int, int], StatusRule] = {}
    for row in rows:
        for code in row["codes"]:
            rule = StatusRule(
                f"X.{code}",
                BounceReason(row["reason"]),
                row.get("vague", False),
                row.get("believes", False),
                row["source"],
                row.get("permanent", False),
            )
            subject, _, details = code.partition(".")
            first, _, last = details.partition("-")
            numbers = [_SUBJECT_REST] if details == "*" else range(int(first), int(last or first) + 1)
            for detail in numbers:
                if (int(subject), detail) in table:
                    raise ValueError(f"two rules for the status X.{subject}.{detail}")
                table[int(subject), detail] = rule
    return table


def load_rules(text: str) -> Rules:
    """Read rules; ``ValueError`` or ``KeyError`` where the text is not what ``rules.toml`` says of itself."""
    document = tomllib.loads(text)
    asked_later = [_wording(row) for row in document["wording"] if not row.get("outweighs")]
    return Rules(
        _statuses(document["status"]),
        tuple(_wording(row) for row in document["wording"] if "begins" in row),
        WordingTable(_wording(row) for row in document["wording"] if row.get("outweighs")),
        WordingTable(asked_later),
        WordingTable(rule for rule in asked_later if rule.reason in DEAD_REASONS),
    )


RULES: Final = load_rules(files("mta.bounce").joinpath("rules.toml").read_text("utf-8"))
"""The rules that come with the package."""
