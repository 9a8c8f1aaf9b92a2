"""What has to hold before the first mail of a warm-up; "could not find out" is not "yes"."""

from dataclasses import dataclass
from enum import StrEnum


class Precondition(StrEnum):
    """What is asked for."""

    AUDIT_PASSED = "audit_passed"
    ONE_CLICK = "one_click"
    HYGIENE_DONE = "hygiene_done"


@dataclass(frozen=True, slots=True)
class GateFacts:
    """``True`` yes, ``False`` no, ``None`` could not find out. One-click is asked of marketing mail alone."""

    audit_passed: bool | None
    one_click: bool | None
    hygiene_done: bool | None
    marketing: bool = True


@dataclass(frozen=True, slots=True)
class Blocked:
    """A reason not to begin; ``known`` is ``False`` where it could not be found out."""

    precondition: Precondition
    known: bool
    sentence: str
    next_step: str


_TEXTS: dict[Precondition, tuple[str, str, str]] = {
    Precondition.AUDIT_PASSED: (
        "The audit of the sender domain found errors.",
        "It is not known whether the sender domain passes the audit.",
        "Run the domain check, publish what it asks for, and let it pass.",
    ),
    Precondition.ONE_CLICK: (
        "One-click unsubscribe (RFC 8058) is off.",
        "It is not known whether one-click unsubscribe (RFC 8058) is on.",
        "Give the domain a tracking host with HTTPS, and send a test mail.",
    ),
    Precondition.HYGIENE_DONE: (
        "The list has not been through hygiene.",
        "It is not known whether the list has been through hygiene.",
        "Run hygiene on the list, and decide about what it finds.",
    ),
}


def gate(facts: GateFacts) -> tuple[Blocked, ...]:
    """The reasons not to begin, none where all is well."""
    answers = {
        Precondition.AUDIT_PASSED: facts.audit_passed,
        Precondition.ONE_CLICK: facts.one_click if facts.marketing else True,
        Precondition.HYGIENE_DONE: facts.hygiene_done,
    }
    blocked = []
    for precondition, answer in answers.items():
        if answer is not True:
            no, unknown, next_step = _TEXTS[precondition]
            blocked.append(Blocked(precondition, answer is False, no if answer is False else unknown, next_step))
    return tuple(blocked)
