"""What happens to those who wait, once a decision is there or the deadline has come: pure, and the same every time."""

from dataclasses import dataclass
from enum import StrEnum

from experiments.decision import Answer, Verdict
from mailtypes.clock import Microseconds
from mailtypes.saying import say


class OnWinner(StrEnum):
    """Who says that the rest gets the winner."""

    SEND = "send"
    ASK = "ask"


class AtDeadline(StrEnum):
    """What happens where the deadline comes before a winner."""

    SEND_DEFAULT = "send_default"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Policy:
    """Set before the start. ``default``: the variant that goes out where none is better.

    ``earliest``: no decision acts before this moment, so that not only the quickest readers decide.
    """

    default: str
    on_winner: OnWinner = OnWinner.SEND
    at_deadline: AtDeadline = AtDeadline.SEND_DEFAULT
    earliest: Microseconds | None = None


@dataclass(frozen=True, slots=True)
class SendVariant:
    """The rest gets ``variant``."""

    variant: str
    cause: str


@dataclass(frozen=True, slots=True)
class AskPerson:
    """A person chooses; ``proposed`` is what the policy would have sent, if anything."""

    proposed: str | None
    cause: str


@dataclass(frozen=True, slots=True)
class KeepWaiting:
    """Look again with later counts, and at ``until`` at the latest."""

    until: Microseconds
    cause: str


Resolution = SendVariant | AskPerson | KeepWaiting


def resolve(policy: Policy, verdict: Verdict, now: Microseconds, deadline: Microseconds) -> Resolution:
    """The next thing for the rest of the audience. After the deadline it is never ``KeepWaiting``."""
    if now < deadline and policy.earliest is not None and now < policy.earliest:
        return KeepWaiting(
            min(policy.earliest, deadline), say("It is too early: the quickest readers are not all readers.")
        )
    if verdict.answer is Answer.WINNER and verdict.winner is not None:
        if policy.on_winner is OnWinner.SEND:
            return SendVariant(verdict.winner, verdict.sentence)
        return AskPerson(verdict.winner, verdict.sentence)
    if verdict.answer is Answer.NO_DIFFERENCE:
        chosen = policy.default if policy.default in verdict.contenders else verdict.contenders[0]
        if policy.on_winner is OnWinner.SEND:
            return SendVariant(chosen, verdict.sentence)
        return AskPerson(chosen, verdict.sentence)
    if now < deadline:
        return KeepWaiting(deadline, verdict.sentence)
    return _at_deadline(policy, verdict)


def _at_deadline(policy: Policy, verdict: Verdict) -> Resolution:
    stopped = next((one for one in verdict.guard_rails if one.variant == policy.default), None)
    if stopped is not None:  # what a guard rail stops goes out by a person's word alone
        return AskPerson(
            None, say("The deadline has come, and the default is stopped. %(sentence)s", sentence=stopped.sentence)
        )
    if policy.at_deadline is AtDeadline.ASK:
        return AskPerson(policy.default, say("The deadline has come. %(sentence)s", sentence=verdict.sentence))
    return SendVariant(policy.default, say("The deadline has come. %(sentence)s", sentence=verdict.sentence))
