"""When an endpoint that does not answer well is tried again, when one event is given up, and when the endpoint is."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from mailtypes.clock import DAY, HOUR, MINUTE, SECOND, Microseconds, from_datetime
from mailtypes.saying import say

GONE: Final = 410
_LONGEST_RETRY_AFTER: Final = DAY


@dataclass(frozen=True, slots=True)
class RetryTerms:
    """All in microseconds. ``waits`` after the first, second ... failure in a row; the last one from then on.

    An event is given up ``give_up_after`` its first attempt, an endpoint disabled when it has taken nothing for
    ``disable_after``. The wait grows no longer than an hour: what waits behind it waits as long.
    """

    waits: tuple[int, ...] = (5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR)
    give_up_after: int = 3 * DAY
    disable_after: int = 5 * DAY
    jitter: float = 0.1

    def next_attempt(self, failures: int, retry_after: str, now: Microseconds, chance: random.Random) -> int:
        """When to try again after so many failures in a row (from 1); what the endpoint asks for counts if longer."""
        wait = self.waits[min(failures, len(self.waits)) - 1]
        spread = round(wait * self.jitter * (2 * chance.random() - 1))
        return now + max(wait + spread, _asked_for(retry_after, now))


def _asked_for(retry_after: str, now: Microseconds) -> int:
    """Retry-After (RFC 9110 section 10.2.3), seconds or a date, as microseconds from now; a day at most."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return min(int(text) * SECOND, _LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0
    aware: datetime = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return min(max(0, from_datetime(aware) - now), _LONGEST_RETRY_AFTER)


def disabling_reason(status: int | None, cause: str, failing_for: int, terms: RetryTerms) -> str:
    """Why an endpoint is to be disabled after this answer; empty where it is not."""
    if status == GONE:
        return say("It answered 410 (gone), which says that it wants no more webhooks.")
    if failing_for < terms.disable_after:
        return ""
    days = timedelta(microseconds=failing_for).days
    answer = say("HTTP %(status)s", status=status) if status is not None else cause
    return say("It has taken nothing for %(days)s days. The last answer: %(answer)s.", days=days, answer=answer)
