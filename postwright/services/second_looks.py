"""Whether a campaign whose time has come, and which was blocked, may be begun now: looked at beside the scheduler.

A look reads the audience and waits for the hosts of images and links. Done at every step, one campaign that stays
blocked would hold up everybody's mail; so the step asks here, which costs nothing, and begins what has changed.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final, Protocol

from mailtypes.clock import MINUTE, Clock
from mailtypes.errors import InputSyntaxError
from mailtypes.saying import joined
from postwright.services.errors import Problem
from postwright.services.preflight import Preflight
from postwright.store.campaigns import Campaign

_EVERY: Final = MINUTE
_MOST: Final = 1000
_log = logging.getLogger(__name__)


def cause_of(error: InputSyntaxError) -> str:
    """Why an audience cannot be read any more (its segment, tag or list is gone or has another name): as it is kept."""
    return joined([text for text in (Problem.of(error, "audience").sentence, error.next_step) if text], ". ")


class Checker(Protocol):
    """What looks a campaign through; ``CampaignStart`` does."""

    async def check(self, campaign: Campaign) -> Preflight:
        """What keeps it from being sent now."""
        ...


@dataclass(slots=True)
class _Second:
    """What is known of one campaign: from when on it is looked at again, and the look, under way or not told yet."""

    next_at: int
    task: "asyncio.Task[bool] | None" = None


class SecondLooks:
    """Looks again at blocked campaigns, each once a minute at most, one at a time."""

    def __init__(self, start: Checker, clock: Clock) -> None:
        self._start = start
        self._clock = clock
        self._seconds: dict[int, _Second] = {}
        self._turn = asyncio.Lock()

    def is_due(self, campaign: Campaign) -> bool:
        """Whether to try now to begin a campaign that ``blocked_by`` keeps back; it is always ``False`` at first.

        ``True`` once after each look which found that nothing blocks it any more, or something else than before.
        Nothing is waited for.
        """
        now = self._clock.now()
        known = self._seconds.get(campaign.id)
        if known is None:
            self._make_room()
            self._seconds[campaign.id] = _Second(now + _EVERY)
            return False
        if known.task is not None:
            if not known.task.done():
                return False
            has_changed = known.task.cancelled() or known.task.result()
            known.task, known.next_at = None, now + _EVERY
            return has_changed
        if now >= known.next_at:
            known.task = asyncio.create_task(self._has_changed(campaign))
        return False

    async def _has_changed(self, campaign: Campaign) -> bool:
        async with self._turn:
            try:
                cause = " ".join(problem.sentence for problem in (await self._start.check(campaign)).blocking)
            except InputSyntaxError as error:
                cause = cause_of(error)
            except Exception:
                # The step that tries to begin it meets the same, and knows what to do.
                _log.exception("could not look again at campaign %s", campaign.id)
                return True
        return cause != campaign.blocked_by

    def _make_room(self) -> None:
        idle = [key for key, one in self._seconds.items() if one.task is None or one.task.done()]
        for key in idle[: max(0, len(self._seconds) - _MOST + 1)]:
            del self._seconds[key]
