"""The role that prepares, releases, watches and tidies."""

import asyncio
import logging

from prometheus_client import Counter

from mailtypes.errors import PostwrightError, StorageError
from postwright.wiring.application import Application

_LOG = logging.getLogger(__name__)
_FAULT_PAUSE = 5.0

SCHEDULE_STEPS = Counter("postwright_schedule_steps_total", "Steps of the scheduler", ["result"])


async def run_schedule(application: Application, stop: asyncio.Event) -> None:
    """Step after step until ``stop``; a fault of one step is logged and tried again."""
    tick = application.settings.schedule.tick.total_seconds()
    while not stop.is_set():
        try:
            step = await application.scheduler.step()
        except StorageError:
            raise
        except PostwrightError:
            _LOG.exception("a step of the scheduler failed; trying again")
            SCHEDULE_STEPS.labels("failed").inc()
            await _wait(stop, _FAULT_PAUSE)
            continue
        SCHEDULE_STEPS.labels("done").inc()
        if not step.did_something:
            await _wait(stop, tick)


async def _wait(stop: asyncio.Event, seconds: float) -> bool:
    """Sleep, but not longer than until ``stop``; whether it has come."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True
