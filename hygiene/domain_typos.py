"""What a mistyped domain was meant to be: one slip of the finger from a provider's, or an ending that nobody can have.

A slip is one edit of the Damerau-Levenshtein kind: two letters swapped, one left out, one too many, one replaced.
Nothing is ever suggested for a domain that is known itself.
"""

from dataclasses import dataclass
from enum import IntEnum

from hygiene.known_domains import KNOWN_DOMAINS, TYPO_TARGETS, WRONG_DOMAINS, WRONG_ENDINGS
from mailtypes.saying import say

_ROWS = ("1234567890-", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_MAX_LABELS_OF_ENDING = 3
_LONGEST_TYPO = max(map(len, TYPO_TARGETS)) + 1


class Slip(IntEnum):
    """How somebody came from one text to the other, the likeliest first."""

    SWAPPED = 1
    LEFT_OUT = 2
    ONE_TOO_MANY = 3
    NEIGHBOUR_KEY = 4
    OTHER_KEY = 5


@dataclass(frozen=True, slots=True)
class DomainTypo:
    """``typed`` was most likely meant to be ``meant``; ``how`` says in a few words what went wrong."""

    typed: str
    meant: str
    how: str


_WORDS = {
    Slip.SWAPPED: say("two letters are swapped"),
    Slip.LEFT_OUT: say("a letter is missing"),
    Slip.ONE_TOO_MANY: say("there is a letter too many"),
    Slip.NEIGHBOUR_KEY: say("a neighbouring key was hit"),
    Slip.OTHER_KEY: say("one letter is wrong"),
}


def _neighbours() -> dict[str, frozenset[str]]:
    """Keys that touch each other on a QWERTY keyboard; each row stands half a key to the right of the one above."""
    found: dict[str, set[str]] = {}
    for row, keys in enumerate(_ROWS):
        for column, key in enumerate(keys):
            beside = [(row, column - 1), (row, column + 1), (row + 1, column - 1), (row + 1, column)]
            for other_row, other_column in beside:
                if 0 <= other_row < len(_ROWS) and 0 <= other_column < len(_ROWS[other_row]):
                    other = _ROWS[other_row][other_column]
                    found.setdefault(key, set()).add(other)
                    found.setdefault(other, set()).add(key)
    return {key: frozenset(others) for key, others in found.items()}


_NEIGHBOURS = _neighbours()


def _with_one_left_out(text: str) -> set[str]:
    return {text, *(text[:at] + text[at + 1 :] for at in range(len(text)))}


def _targets_by_part() -> dict[str, tuple[str, ...]]:
    """Targets by what is left of them without one letter: texts that are one slip apart have such a part in common."""
    found: dict[str, list[str]] = {}
    for target in TYPO_TARGETS:
        for part in _with_one_left_out(target):
            found.setdefault(part, []).append(target)
    return {part: tuple(targets) for part, targets in found.items()}


_TARGETS_BY_PART = _targets_by_part()


def find_typo(domain: str) -> DomainTypo | None:
    """What ``domain`` (lower case, A-labels, or something like it) was meant to be; ``None`` where it may be right."""
    if domain in KNOWN_DOMAINS:
        return None
    if domain.startswith("www.") and domain[4:] in KNOWN_DOMAINS:
        return DomainTypo(domain, domain[4:], say("a web address is no mail address"))
    if domain in WRONG_DOMAINS:
        return DomainTypo(domain, WRONG_DOMAINS[domain], say("the provider has another domain"))
    slip = _nearest_provider(domain)
    if slip is not None:
        return slip
    mended = _with_right_ending(domain)
    if mended is None:
        return None
    further = find_typo(mended)
    return DomainTypo(domain, further.meant if further else mended, say("there is no such ending"))


def _nearest_provider(domain: str) -> DomainTypo | None:
    if len(domain) > _LONGEST_TYPO:
        return None
    near = {target for part in _with_one_left_out(domain) for target in _TARGETS_BY_PART.get(part, ())}
    best: tuple[Slip, str] | None = None
    for target in sorted(near, key=TYPO_TARGETS.index):  # the commoner one wins among equals
        slip = slip_between(domain, target)
        if slip is None or _may_be_another(domain, target, slip):
            continue
        if best is None or slip < best[0]:
            best = slip, target
    return None if best is None else DomainTypo(domain, best[1], _WORDS[best[0]])


def _may_be_another(typed: str, target: str, slip: Slip) -> bool:
    """Whether the one difference may well be another company's name: another country, another first letter."""
    name, _, ending = typed.rpartition(".")
    target_name, _, _ = target.rpartition(".")
    if name == target_name and len(ending) == 2:
        return ending not in {"co", "cm", "om"} or not target.endswith(".com")
    return slip is Slip.OTHER_KEY and typed[0] != target[0]


def _with_right_ending(domain: str) -> str | None:
    labels = domain.split(".")
    for count in range(min(_MAX_LABELS_OF_ENDING, len(labels) - 1), 0, -1):
        right = WRONG_ENDINGS.get(".".join(labels[-count:]))
        if right is not None:
            return ".".join((*labels[:-count], right))
    return None


def slip_between(typed: str, meant: str) -> Slip | None:
    """The one slip that leads from ``meant`` to ``typed``; ``None`` where they are equal or further apart. Linear."""
    difference = len(typed) - len(meant)
    if typed == meant or abs(difference) > 1:
        return None
    at = next((n for n, (one, other) in enumerate(zip(typed, meant, strict=False)) if one != other), len(meant))
    if difference == -1:
        return Slip.LEFT_OUT if typed[at:] == meant[at + 1 :] else None
    if difference == 1:
        at = min(at, len(typed) - 1)
        return Slip.ONE_TOO_MANY if typed[at + 1 :] == meant[at:] else None
    if typed[at + 1 :] == meant[at + 1 :]:
        return Slip.NEIGHBOUR_KEY if typed[at] in _NEIGHBOURS.get(meant[at], ()) else Slip.OTHER_KEY
    if typed[at : at + 2] == meant[at : at + 2][::-1] and typed[at + 2 :] == meant[at + 2 :]:
        return Slip.SWAPPED
    return None
