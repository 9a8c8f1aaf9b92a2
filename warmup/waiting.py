"""Why a message waits: one sentence from the caps and what is used of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from mailtypes.clock import Microseconds
from mailtypes.saying import joined, say
from warmup.caps import Caps, Purpose, Used, remaining
from warmup.ramp import Phase
from warmup.rhythm import Rhythm


class Wait(StrEnum):
    """What is waited for."""

    DAY_USED = "day_used"
    HOUR_USED = "hour_used"
    RESERVED = "reserved"  # what is left is kept for transactional mail
    CLOSED = "closed"  # quiet hours, or a day of rest
    PAUSED = "paused"
    NOT_BEGUN = "not_begun"


@dataclass(frozen=True, slots=True)
class WaitingReason:
    """Values for the sentence; ``next_at`` is ``None`` where a person has to act first. ``subject``: whose budget."""

    wait: Wait
    provider: str
    subject: str
    used: int
    limit: int
    next_at: Microseconds | None
    next_told: str
    note: str = ""

    def sentence(self) -> str:
        """The reason in words."""
        whose = (
            say("%(provider)s budget of %(subject)s", provider=self.provider, subject=self.subject)
            if self.subject
            else say("%(provider)s budget", provider=self.provider)
        )
        counted = {"whose": whose, "used": f"{self.used:,}", "limit": f"{self.limit:,}"}
        if self.wait == Wait.DAY_USED:
            return self._with_next(say("%(whose)s of today used: %(used)s of %(limit)s", **counted))
        if self.wait == Wait.HOUR_USED:
            return self._with_next(say("%(whose)s of this hour used: %(used)s of %(limit)s", **counted))
        if self.wait == Wait.RESERVED:
            reserved = say(
                "%(whose)s: %(used)s of %(limit)s used by marketing mail, the rest is kept for transactional mail",
                **counted,
            )
            return self._with_next(reserved)
        if self.wait == Wait.CLOSED:
            return say(
                "Quiet hours or a day of rest: %(whose)s opens at %(next_told)s",
                whose=whose,
                next_told=self.next_told or say("no time that could be found"),
            )
        if self.wait == Wait.PAUSED:
            why = say(": %(note)s", note=self.note) if self.note else ""
            return say(
                "The warm-up is paused, %(whose)s%(why)s; it goes on when somebody resumes it", whose=whose, why=why
            )
        return say("The warm-up has not begun, %(whose)s; it goes on when somebody starts it", whose=whose)

    def _with_next(self, reason: str) -> str:
        return joined((reason, say("next at %(time)s", time=self.next_told)), "; ") if self.next_told else reason


@dataclass(frozen=True, slots=True)
class Budget:
    """One budget that a message has to fit: whose (a domain, an address; may be empty), its caps, what is used."""

    subject: str
    caps: Caps
    day_used: Used
    hour_used: Used


def why_waiting(budgets: Sequence[Budget], purpose: Purpose, rhythm: Rhythm, now: Microseconds) -> WaitingReason | None:
    """Why one more message of ``purpose`` has to wait: of all budgets the one that opens last; ``None`` if it fits."""
    reasons = [
        _reason(budget, purpose, rhythm, now)
        for budget in budgets
        if remaining(budget.caps, purpose, budget.day_used, budget.hour_used) == 0
    ]
    return max(reasons, key=lambda reason: (reason.next_at is None, reason.next_at or 0), default=None)


def _reason(budget: Budget, purpose: Purpose, rhythm: Rhythm, now: Microseconds) -> WaitingReason:
    caps = budget.caps
    if caps.phase in (Phase.PAUSED, Phase.WAITING):
        wait = Wait.PAUSED if caps.phase == Phase.PAUSED else Wait.NOT_BEGUN
        return WaitingReason(wait, caps.provider, budget.subject, 0, 0, None, "", caps.note)
    for window, used, wait in (
        (caps.day, budget.day_used, Wait.DAY_USED),
        (caps.hour, budget.hour_used, Wait.HOUR_USED),
    ):
        if window.limit is not None and used.total >= window.limit:
            return _until(budget, wait, (used.total, window.limit), _opens(purpose, rhythm, window.ends), rhythm, now)
    if purpose == Purpose.MARKETING and (caps.hour.marketing_limit == 0 or caps.day.marketing_limit == 0):
        return _closed(budget, rhythm, now)
    day, hour = caps.day, caps.hour
    full_day = day.marketing_limit is not None and budget.day_used.marketing >= day.marketing_limit
    window, used = (day, budget.day_used) if full_day else (hour, budget.hour_used)
    counted = (used.marketing, window.marketing_limit or 0)
    wait = Wait.RESERVED
    if full_day and not _has_reserve(budget):
        wait = Wait.DAY_USED  # the open hours of this day allow less than its cap
    return _until(budget, wait, counted, _opens(purpose, rhythm, window.ends), rhythm, now)


def _has_reserve(budget: Budget) -> bool:
    hour = budget.caps.hour
    return hour.limit != hour.marketing_limit


def _closed(budget: Budget, rhythm: Rhythm, now: Microseconds) -> WaitingReason:
    # Shut now, so the next open hour begins later than this one ends; a day without a share is over first.
    window = budget.caps.day if budget.caps.day.marketing_limit == 0 else budget.caps.hour
    return _until(budget, Wait.CLOSED, (0, 0), rhythm.next_open(window.ends), rhythm, now)


def _opens(purpose: Purpose, rhythm: Rhythm, moment: Microseconds) -> Microseconds | None:
    return rhythm.next_open(moment) if purpose == Purpose.MARKETING else moment


def _until(
    budget: Budget,
    wait: Wait,
    counted: tuple[int, int],
    opens: Microseconds | None,
    rhythm: Rhythm,
    now: Microseconds,
) -> WaitingReason:
    told = rhythm.told(opens, now) if opens is not None else ""
    return WaitingReason(wait, budget.caps.provider, budget.subject, *counted, opens, told)
