"""The forms of an assessment: a score, its band, and the reasons with weight, place and mend."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Part = Literal["subject", "html", "plain_text"]


class Band(StrEnum):
    """How much the score asks for attention; the limits are ``MEDIUM_FROM`` and ``HIGH_FROM``."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Block(StrEnum):
    """What a reason is about."""

    CONTENT = "content"
    AUTHENTICATION = "authentication"
    INFRASTRUCTURE = "infrastructure"


MEDIUM_FROM = 3.0
HIGH_FROM = 6.0
HIGHEST = 10.0


def band_of(score: float) -> Band:
    """The band of a score."""
    if score >= HIGH_FROM:
        return Band.HIGH
    return Band.MEDIUM if score >= MEDIUM_FROM else Band.LOW


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reason was found; line and column count from 1, ``excerpt`` is the text there, shortened."""

    part: Part
    line: int
    column: int
    excerpt: str


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that moved the score by ``weight`` points; below zero where it speaks for the mail.

    ``code`` never changes its meaning. ``is_calibrated`` says whether the weight was fitted on mail; the others are
    set by hand.
    """

    code: str
    block: Block
    weight: float
    place: Place | None
    sentence: str
    mend: str
    is_calibrated: bool


@dataclass(frozen=True, slots=True)
class SpamRisk:
    """What a mail risks. A signal, and no forecast of the inbox: receivers weigh reputation above all.

    ``score`` goes from 0 to 10; it is the sum of ``content``, ``authentication`` and ``infrastructure``, at most 10.
    ``content`` is ``baseline`` and the weights of its reasons added up, kept between 0 and 10, so that no friendly
    wording outweighs a missing signature. ``unknown`` tells, in a sentence each, what could not be weighed: it
    counts neither for nor against the mail.
    """

    score: float
    band: Band
    content: float
    authentication: float
    infrastructure: float
    baseline: float
    reasons: tuple[Reason, ...]
    unknown: tuple[str, ...]

    def of_block(self, block: Block) -> tuple[Reason, ...]:
        """The reasons of one block, the heaviest first."""
        return tuple(reason for reason in self.reasons if reason.block is block)
