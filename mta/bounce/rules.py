"""The rules of ``rules.toml`` as tables that are quick to ask. The file tells what its fields mean."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from mailtypes.bounce import BounceReason

MAX_TEXT: Final = 2_000  # characters of a reply that are looked at
_GAP: Final = 60  # characters that * may stand for
_LETTERS: Final = 3
_END: Final = "$"
_NO_WORD: Final = re.compile(r"[\W_]+")
_MAX_BEGINNING: Final = 60
_CODES: Final = re.compile(r"\A[245]\d\d[ -](?:[245]\.\d{1,3}\.\d{1,3} )?")
_SUBJECT_REST: Final = -1


@dataclass(frozen=True, slots=True)
class StatusRule:
    """What an enhanced status code means. ``is_vague``: the wording is asked first; ``believes``: see the file."""

    name: str
    reason: BounceReason
    is_vague: bool
    believes: bool
    source: str


@dataclass(frozen=True, slots=True)
class WordingRule:
    """What a phrase means. ``is_certain``: it is said of missing mailboxes alone, at whatever stage."""

    name: str
    reason: BounceReason
    phrases: tuple[tuple[str, ...], ...]
    source: str
    is_certain: bool = False
    beginnings: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    example_stage: str = "unknown"


class WordingTable:
    """Wordings in the order in which they are asked, found by the first letters of their first words."""

    def __init__(self, rules: Iterable[WordingRule]) -> None:
        self.rules = tuple(rules)
        self._by_letters: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
        for number, rule in enumerate(self.rules):
            for phrase in rule.phrases:
                self._by_letters.setdefault(phrase[0].split()[0][:_LETTERS], []).append((number, phrase))

    def first(self, words: str) -> WordingRule | None:
        """The first rule that has a phrase in ``words`` (as ``folded_words`` makes them)."""
        best = len(self.rules)
        for letters in {word[:_LETTERS] for word in words.split()}:
            for number, phrase in self._by_letters.get(letters, ()):
                if number >= best:
                    break
                if phrase[0] in words and (len(phrase) == 1 or _in_order(phrase, words)):
                    best = number
                    break
        return self.rules[best] if best < len(self.rules) else None


@dataclass(frozen=True, slots=True)
class Rules:
    """All of them: statuses by subject and detail, wordings in the order in which they are asked."""

    statuses: Mapping[tuple[int, int], StatusRule]
    literal: tuple[WordingRule, ...]
    outweighing: WordingTable
    wordings: WordingTable

    def beginning(self, text: str) -> WordingRule | None:
        """The rule of what a reply begins with, letter by letter, behind its codes."""
        beginning = _CODES.sub("", text[:_MAX_BEGINNING]).lower()
        return next((rule for rule in self.literal if beginning.startswith(rule.beginnings)), None)

    def of_status(self, subject: int, detail: int) -> StatusRule | None:
        """The rule of a status, or of the rest of its subject."""
        return self.statuses.get((subject, detail)) or self.statuses.get((subject, _SUBJECT_REST))


def folded_words(text: str) -> str:
    """Lower-case words with one space around each, without addresses and without the paths of URLs.

    An address or a link may hold any word (``spam@a.test``, ``/policy/``), and it says nothing.
    """
    text = text[:MAX_TEXT].lower()
    if "@" in text:
        text = " ".join([word for word in text.split() if "@" not in word or "://" in word])
    if "://" in text:
        text = " ".join([_host_of(word) if "://" in word else word for word in text.split()])
    return f" {_NO_WORD.sub(' ', text).strip()} {_END} "


def _host_of(url: str) -> str:
    before, _, after = url.partition("://")
    return f"{before} {after.partition('/')[0]}"


def _in_order(phrase: tuple[str, ...], words: str) -> bool:
    """Whether the pieces follow one another, each at most ``_GAP`` characters behind the one before."""
    first, rest = phrase[0], phrase[1:]
    start = words.find(first)
    while start >= 0:
        end = start + len(first)
        for piece in rest:
            found = words.find(piece, end, end + _GAP + len(piece))
            if found < 0:
                break
            end = found + len(piece)
        else:
            return True
        start = words.find(first, start + 1)
    return False


def _phrase(text: str) -> tuple[str, ...]:
    pieces = tuple(_piece(piece) for piece in text.split("*"))
    words = pieces[0].split()
    if not all(map(str.strip, pieces)) or (len(words) == 1 and len(words[0]) < _LETTERS):
        raise ValueError(f"the phrase {text!r} is too short to be found")
    return pieces


def _piece(text: str) -> str:
    folded = folded_words(text).rstrip()
    return folded if text.endswith(_END) else folded.removesuffix(_END).rstrip()


def _wording(row: Mapping[str, Any]) -> WordingRule:
    return WordingRule(
        name=row["name"],
        reason=BounceReason(row["reason"]),
        phrases=tuple(map(_phrase, row.get("phrases", ()))),
        source=row["source"],
        is_certain=row.get("certain", False),
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
    return Rules(
        _statuses(document["status"]),
        tuple(_wording(row) for row in document["wording"] if "begins" in row),
        WordingTable(_wording(row) for row in document["wording"] if row.get("outweighs")),
        WordingTable(_wording(row) for row in document["wording"] if not row.get("outweighs")),
    )


RULES: Final = load_rules(files("mta.bounce").joinpath("rules.toml").read_text("utf-8"))
"""The rules that come with the package."""
