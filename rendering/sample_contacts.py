"""Which contacts to look at before a mail goes out: the ones that break templates.

Pure: the caller hands in the records (some thousands of a list, not millions) and gets positions back.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

_MOST_CHARACTERS = 10_000  # of one value that are looked at


class SampleKind(StrEnum):
    """Why a contact was chosen."""

    ADDRESS = "address"
    LONGEST_NAME = "longest-name"
    EMPTIEST = "emptiest"
    RIGHT_TO_LEFT = "right-to-left"
    TYPICAL = "typical"


@dataclass(frozen=True, slots=True)
class SampleContact:
    """A chosen contact: its place in the records, why, and a word about it."""

    index: int
    kind: SampleKind
    detail: str


def choose_samples(
    records: Sequence[Mapping[str, object]], name_fields: Sequence[str] = ("first_name", "last_name", "name")
) -> tuple[SampleContact, ...]:
    """A typical contact, the longest name, the emptiest record, one in Hebrew or Arabic; each contact once.

    Deterministic: of equals the first is taken. Kinds that no record has are left out.
    """
    if not records:
        return ()
    chosen: dict[int, SampleContact] = {}
    for sample in (
        _right_to_left(records, name_fields),
        _longest_name(records, name_fields),
        _emptiest(records),
        _typical(records),
    ):
        if sample is not None:
            chosen.setdefault(sample.index, sample)
    order = list(SampleKind)
    return tuple(sorted(chosen.values(), key=lambda sample: (order.index(sample.kind) != 4, order.index(sample.kind))))


def by_address(records: Sequence[Mapping[str, object]], address: str, field: str = "email") -> SampleContact | None:
    """The contact of an address, upper and lower case alike."""
    wanted = address.strip().casefold()
    for index, record in enumerate(records):
        if str(record.get(field, "")).strip().casefold() == wanted:
            return SampleContact(index, SampleKind.ADDRESS, str(record.get(field)))
    return None


def _longest_name(records: Sequence[Mapping[str, object]], fields: Sequence[str]) -> SampleContact | None:
    lengths = [max((len(_shown(record.get(field))) for field in fields), default=0) for record in records]
    longest = max(range(len(records)), key=lengths.__getitem__)
    if not lengths[longest]:
        return None
    return SampleContact(longest, SampleKind.LONGEST_NAME, f"{lengths[longest]} characters")


def _emptiest(records: Sequence[Mapping[str, object]]) -> SampleContact:
    names = {name for record in records for name in record}
    missing = [sum(not _shown(record.get(name)) for name in names) for record in records]
    emptiest = max(range(len(records)), key=missing.__getitem__)
    return SampleContact(emptiest, SampleKind.EMPTIEST, f"{missing[emptiest]} of {len(names)} fields are empty")


def _right_to_left(records: Sequence[Mapping[str, object]], fields: Sequence[str]) -> SampleContact | None:
    for index, record in enumerate(records):
        for name in (*fields, *record):
            if _is_right_to_left(_shown(record.get(name))):
                return SampleContact(index, SampleKind.RIGHT_TO_LEFT, name)
    return None


def _typical(records: Sequence[Mapping[str, object]]) -> SampleContact:
    """The first record with the number of filled fields that is most common."""
    filled = [sum(bool(_shown(value)) for value in record.values()) for record in records]
    counts: dict[int, int] = {}
    for number in filled:
        counts[number] = counts.get(number, 0) + 1
    most = max(counts, key=lambda number: (counts[number], number))
    return SampleContact(filled.index(most), SampleKind.TYPICAL, f"{most} fields are filled, as in most records")


def _shown(value: object) -> str:
    return "" if value is None else str(value).strip()[:_MOST_CHARACTERS]


def _is_right_to_left(text: str) -> bool:
    strong = next((kind for kind in map(unicodedata.bidirectional, text) if kind in ("L", "R", "AL")), "")
    return strong in ("R", "AL")
