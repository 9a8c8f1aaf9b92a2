"""What has to hold before the first mail of a warm-up; "could not find out" is not "yes"."""

from dataclasses import dataclass
from enum import StrEnum

from mailtypes.saying import joined, say


class Precondition(StrEnum):
    """What is asked for."""

    AUDIT_PASSED = "audit_passed"
    ONE_CLICK = "one_click"
    HYGIENE_DONE = "hygiene_done"


@dataclass(frozen=True, slots=True)
class HygienePolicy:
    """Lists have been through hygiene where a look of the last ``days`` covers ``percent`` of the audience."""

    days: int = 30
    percent: int = 90

    def __post_init__(self) -> None:
        if not 1 <= self.days <= 365 or not 1 <= self.percent <= 100:
            raise ValueError("days are 1 to 365, the share is 1 to 100 %")


@dataclass(frozen=True, slots=True)
class HygieneCover:
    """How far hygiene has looked at the audience lately: at ``covered`` of ``contacts`` who may be written to.

    A look is a plan to prune that was applied (or had nothing to do), or mails that proved a list to be healthy. Who
    came after the look is not covered. ``harmful``: lists whose last mails did harm; nobody on them is covered.
    """

    contacts: int
    covered: int
    harmful: tuple[str, ...] = ()
    policy: HygienePolicy = HygienePolicy()

    def __post_init__(self) -> None:
        if not 0 <= self.covered <= self.contacts:
            raise ValueError(f"{self.covered} of {self.contacts} contacts")

    @property
    def done(self) -> bool | None:
        """Whether that is enough; ``None`` where there is nobody to look at."""
        return 100 * self.covered >= self.policy.percent * self.contacts if self.contacts else None

    def sentence(self) -> str:
        """The cause in words."""
        if not self.contacts:
            return say("There are no contacts yet, so nothing is known of their hygiene.")
        looked = say(
            "Hygiene of the last %(days)s days has looked at %(covered)s of %(contacts)s contacts; %(percent)s %% are"
            " asked for.",
            days=self.policy.days,
            covered=f"{self.covered:,}",
            contacts=f"{self.contacts:,}",
            percent=self.policy.percent,
        )
        if not self.harmful:
            return looked
        return joined((looked, say("The last mails to %(lists)s did harm.", lists=", ".join(self.harmful[:3]))), " ")


@dataclass(frozen=True, slots=True)
class GateFacts:
    """``True`` yes, ``False`` no, ``None`` could not find out. One-click is asked of marketing mail alone."""

    audit_passed: bool | None
    one_click: bool | None
    hygiene: HygieneCover | None
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
        say("The audit of the sender domain found errors."),
        say("It is not known whether the sender domain passes the audit."),
        say("Run the domain check, publish what it asks for, and let it pass."),
    ),
    Precondition.ONE_CLICK: (
        say("One-click unsubscribe (RFC 8058) is off."),
        say("It is not known whether one-click unsubscribe (RFC 8058) is on."),
        say("Give the domain a tracking host with HTTPS, and send a test mail."),
    ),
    Precondition.HYGIENE_DONE: (
        say("The lists have not been through hygiene."),
        say("It is not known whether the lists have been through hygiene."),
        say("Make a hygiene plan over all contacts, look at it, and apply it."),
    ),
}


def gate(facts: GateFacts) -> tuple[Blocked, ...]:
    """The reasons not to begin, none where all is well."""
    answers = {
        Precondition.AUDIT_PASSED: facts.audit_passed,
        Precondition.ONE_CLICK: facts.one_click if facts.marketing else True,
        Precondition.HYGIENE_DONE: None if facts.hygiene is None else facts.hygiene.done,
    }
    blocked = []
    for precondition, answer in answers.items():
        if answer is not True:
            no, unknown, next_step = _TEXTS[precondition]
            sentence = no if answer is False else unknown
            if precondition == Precondition.HYGIENE_DONE and facts.hygiene is not None:
                sentence = joined((sentence, facts.hygiene.sentence()), " ")
            blocked.append(Blocked(precondition, answer is False, sentence, next_step))
    return tuple(blocked)
