"""Who first: those who read, since their opens and clicks are what a provider learns a new sender by."""

from dataclasses import dataclass
from datetime import timedelta

from mailtypes.clock import Microseconds, microseconds

_FRESH, _RECENT, _OLD = (microseconds(timedelta(days=days)) for days in (30, 90, 180))


@dataclass(frozen=True, slots=True)
class Engagement:
    """What is known of one contact; ``None`` is never. Opens and clicks are those of people, not of machines.

    ``joined`` is when the contact asked for the mail.
    """

    last_click: Microseconds | None = None
    last_open: Microseconds | None = None
    last_received: Microseconds | None = None
    joined: Microseconds | None = None


def order(engagement: Engagement, now: Microseconds) -> tuple[int, int, int]:
    """A sort key, the most engaged first: the tier, clicks before opens, then the latest.

    Tiers: 0 clicked or opened in 30 days, 1 joined in 30 days (the sign-up is fresh), 2 engaged in 90 days, 3 in 180
    days, 4 never written to, 5 engaged longer ago, 6 written to without any answer.
    """
    clicked, opened = engagement.last_click, engagement.last_open
    acted = max((moment for moment in (clicked, opened) if moment is not None), default=None)
    tier = _tier(engagement, acted, now)
    # An open may be an image proxy; a click of a person in the same tier says more.
    clicks_count = clicked is not None and now - clicked <= _TIER_SPAN.get(tier, _OLD)
    latest = acted if acted is not None and tier != _JOINED else engagement.joined or 0
    return tier, 0 if clicks_count else 1, -latest


_TIER_SPAN = {0: _FRESH, 2: _RECENT, 3: _OLD}
_JOINED, _NEVER_WRITTEN_TO, _LONG_AGO, _NO_ANSWER = 1, 4, 5, 6


def _tier(engagement: Engagement, acted: Microseconds | None, now: Microseconds) -> int:
    tier = _NO_ANSWER if engagement.last_received is not None else _NEVER_WRITTEN_TO
    if acted is not None:
        tier = next((one for one, span in _TIER_SPAN.items() if now - acted <= span), _LONG_AGO)
    fresh = engagement.joined is not None and now - engagement.joined <= _FRESH
    return min(tier, _JOINED) if fresh else tier
