"""Whether a list does harm: its bounces and complaints against the thresholds at which providers lose patience.

A rate counts only as far as the numbers prove it: the lower bound of Wilson's score interval. One bounce in three
mails is 33 % and proves nothing; 600 in 10,000 prove that more than 5.6 % bounce.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from math import sqrt
from statistics import NormalDist

from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say


class ListHealthError(InputSyntaxError):
    """Counts or thresholds that cannot be."""


class Health(StrEnum):
    """What to do about a list; ``unknown``: the numbers prove neither that it is well nor that it is not."""

    HEALTHY = "healthy"
    UNKNOWN = "unknown"
    REVIEW = "review"  # find out where these addresses come from
    PAUSE = "pause"  # send no more until it is found out


@dataclass(frozen=True, slots=True)
class Threshold:
    """Shares (0 to 1) from which a list is reviewed and paused."""

    review: float
    pause: float

    def __post_init__(self) -> None:
        if not 0 < self.review <= self.pause < 1:
            raise ListHealthError(
                say("thresholds of %(review)s and %(pause)s", review=f"{self.review:.2%}", pause=f"{self.pause:.2%}"),
                next_step=say("Review at more than 0 %, and pause at no less than review."),
            )


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """Bounces of 5 % and 10 %, complaints of 0.1 % and 0.5 %. ``confidence`` is one-sided: how sure a bound is.

    Nothing is said against a list on fewer than ``least_sent`` mails, or on fewer than ``least_count`` bounces or
    complaints: Wilson's bound is too sure of itself where one of a few mails is all there is.
    """

    bounces: Threshold = field(default_factory=lambda: Threshold(0.05, 0.10))
    complaints: Threshold = field(default_factory=lambda: Threshold(0.001, 0.005))
    confidence: float = 0.95
    least_sent: int = 50
    least_count: int = 3

    def __post_init__(self) -> None:
        if not 0.5 <= self.confidence < 1:
            raise ListHealthError(
                say("a confidence of %(confidence)s", confidence=self.confidence),
                next_step=say("Give a number from 0.5 to less than 1, such as 0.95."),
            )


@dataclass(frozen=True, slots=True)
class ListCounts:
    """Mails of a list that came to an end: ``sent`` in all, of which ``bounced`` (hard or soft, but nothing that was
    the sender's own fault), and ``complained`` of those that arrived."""

    sent: int
    bounced: int
    complained: int

    def __post_init__(self) -> None:
        if min(self.bounced, self.complained) < 0 or self.bounced + self.complained > self.sent:
            raise ListHealthError(
                say(
                    "%(bounced)s bounces and %(complained)s complaints of %(sent)s mails",
                    bounced=self.bounced,
                    complained=self.complained,
                    sent=self.sent,
                ),
                next_step=say("Count each mail once: bounced mails are no complaints."),
            )


@dataclass(frozen=True, slots=True)
class Rate:
    """``count`` of ``of``; ``low`` and ``high`` bound the true share, each with the policy's confidence."""

    count: int
    of: int
    low: float
    high: float

    @property
    def share(self) -> float | None:
        """``count`` divided by ``of``; ``None`` for nothing of nothing."""
        return self.count / self.of if self.of else None


@dataclass(frozen=True, slots=True)
class RateVerdict:
    """One rate and what follows from it; ``cause`` says why in a sentence."""

    name: str
    health: Health
    rate: Rate
    threshold: Threshold
    cause: str


@dataclass(frozen=True, slots=True)
class ListHealthVerdict:
    """The gravest of both rates, with its cause and both as evidence."""

    health: Health
    cause: str
    evidence: tuple[RateVerdict, ...]


_GRAVITY = (Health.HEALTHY, Health.UNKNOWN, Health.REVIEW, Health.PAUSE)


def judge_list(counts: ListCounts, policy: HealthPolicy | None = None) -> ListHealthVerdict:
    """What the numbers prove about a list."""
    policy = policy or HealthPolicy()
    bounces = wilson_rate(counts.bounced, counts.sent, policy.confidence)
    complaints = wilson_rate(counts.complained, counts.sent - counts.bounced, policy.confidence)
    evidence = (
        _judge_rate(say("bounces"), bounces, policy.bounces, policy),
        _judge_rate(say("complaints"), complaints, policy.complaints, policy),
    )
    worst = max(evidence, key=lambda one: _GRAVITY.index(one.health))
    return ListHealthVerdict(worst.health, worst.cause, evidence)


def wilson_rate(count: int, of: int, confidence: float = 0.95) -> Rate:
    """``count`` of ``of`` with Wilson's bounds (JASA 22, 1927), each one-sided at ``confidence``."""
    if of == 0:
        return Rate(0, 0, 0.0, 1.0)
    z = NormalDist().inv_cdf(confidence)
    share = count / of
    scale = 1 + z * z / of
    centre = share + z * z / (2 * of)
    spread = z * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    low = 0.0 if count == 0 else max(0.0, (centre - spread) / scale)  # exact where rounding would leave a grain
    high = 1.0 if count == of else min(1.0, (centre + spread) / scale)
    return Rate(count, of, low, high)


def _judge_rate(name: str, rate: Rate, threshold: Threshold, policy: HealthPolicy) -> RateVerdict:
    is_enough = rate.of >= policy.least_sent and rate.count >= policy.least_count
    if is_enough and rate.low >= threshold.pause:
        health, cause = (
            Health.PAUSE,
            say(
                "more than %(low)s %(name)s: pause from %(pause)s",
                low=f"{rate.low:.2%}",
                name=name,
                pause=f"{threshold.pause:.2%}",
            ),
        )
    elif is_enough and rate.low >= threshold.review:
        health, cause = (
            Health.REVIEW,
            say(
                "more than %(low)s %(name)s: review from %(review)s",
                low=f"{rate.low:.2%}",
                name=name,
                review=f"{threshold.review:.2%}",
            ),
        )
    elif rate.high < threshold.review:
        health, cause = Health.HEALTHY, say("less than %(high)s %(name)s", high=f"{rate.high:.2%}", name=name)
    else:
        health = Health.UNKNOWN
        cause = say(
            "%(count)s %(name)s of %(of)s may be %(low)s or %(high)s: too few to tell",
            count=f"{rate.count:,}",
            name=name,
            of=f"{rate.of:,}",
            low=f"{rate.low:.2%}",
            high=f"{rate.high:.2%}",
        )
    return RateVerdict(name, health, rate, threshold, cause)
