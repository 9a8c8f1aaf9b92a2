"""How much mail one contact gets at most: so many in so many days, decided from what was sent lately.

For marketing mail; what somebody waits for (a receipt, a password) is not capped, and the caller does not ask.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from mailtypes.clock import Microseconds, microseconds
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import say

_MOST_MAILS = 1000
_LONGEST = timedelta(days=366)


class FrequencyCapError(InputSyntaxError):
    """A cap that can mean nothing."""


@dataclass(frozen=True, slots=True)
class FrequencyCap:
    """At most ``mails`` in any stretch of ``within``. Raises ``FrequencyCapError``."""

    mails: int
    within: timedelta

    def __post_init__(self) -> None:
        if not 1 <= self.mails <= _MOST_MAILS:
            raise FrequencyCapError(
                say("a cap of %(mails)s mails", mails=self.mails),
                next_step=say("Give a number from 1 to %(most_mails)s.", most_mails=f"{_MOST_MAILS:,}"),
            )
        if not timedelta(0) < self.within <= _LONGEST:
            raise FrequencyCapError(
                say("a cap over %(within)s", within=self.within),
                next_step=say("Give up to 366 days, and more than none."),
            )


@dataclass(frozen=True, slots=True)
class FrequencyDecision:
    """Whether a mail may go now; else ``earliest`` is the first moment when it may, and ``cap`` the one in the way."""

    is_allowed: bool
    earliest: Microseconds
    cap: FrequencyCap | None = None
    cause: str = ""


def may_send(caps: Iterable[FrequencyCap], recent: Sequence[Microseconds], now: Microseconds) -> FrequencyDecision:
    """Whether a contact who was sent mail at the moments ``recent`` (any order) may be sent one more ``now``.

    ``recent`` has to reach back as far as the longest cap. A mail counts for exactly ``within``: one sent a week ago to
    the microsecond no longer counts for a cap of seven days. Moments after ``now`` (a mail that is scheduled already)
    count as sent, so that a decision never has to be taken back.
    """
    sent = sorted(recent)
    earliest, hindering = now, None
    for cap in caps:
        if len(sent) < cap.mails:
            continue
        # Every mail from the cap's number-th last on counts; once that one is old enough there is room for one more.
        free = Microseconds(sent[-cap.mails] + microseconds(cap.within))
        if free > earliest:
            earliest, hindering = free, cap
    if hindering is None:
        return FrequencyDecision(True, now)
    days = hindering.within / timedelta(days=1)
    cause = say(
        "%(mails)s mails in %(days)s days is the most, and so many were sent", mails=hindering.mails, days=f"{days:g}"
    )
    return FrequencyDecision(False, earliest, hindering, cause)
