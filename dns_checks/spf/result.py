"""What ``check_host()`` says, and how it came to say so (RFC 7208 sections 2.6 and 8)."""

from dataclasses import dataclass, field
from enum import StrEnum

from mailtypes.errors import Span


class SpfResult(StrEnum):
    """The seven results, as the RFC writes them."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"  # noqa: S105 - a result of SPF
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class TermOutcome(StrEnum):
    """What became of one term (RFC 7208 section 4.6.2)."""

    MATCH = "match"
    NO_MATCH = "no-match"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class SpfSpent:
    """How much of the budget of section 4.6.4 is gone: terms that cause DNS queries, lookups that found nothing."""

    terms: int = 0
    voids: int = 0


@dataclass(frozen=True, slots=True)
class SpfTraceStep:
    """One term that was evaluated, in the order in which it was begun.

    ``domain`` holds the record in which ``term`` stands at ``span``; ``depth`` counts the includes around it.
    ``target`` is the name it led to after macro expansion, ``detail`` what matched or why nothing did, and
    ``spent`` the budget after it.
    """

    domain: str
    term: str
    span: Span
    depth: int
    target: str
    outcome: TermOutcome
    detail: str
    spent: SpfSpent


@dataclass(frozen=True, slots=True)
class SpfVerdict:
    """The result of ``check_host()`` with its cause in a sentence.

    ``explanation`` is the domain owner's own text for a ``fail`` (RFC 7208 section 6.2), US-ASCII, or ``None``.
    It comes from a stranger: label it as theirs when you show it. ``record`` is the record of the domain asked
    for, as published, or ``None`` where there is not exactly one.
    """

    result: SpfResult
    cause: str
    explanation: str | None = None
    trace: tuple[SpfTraceStep, ...] = ()
    record: str | None = None
    spent: SpfSpent = field(default_factory=SpfSpent)
