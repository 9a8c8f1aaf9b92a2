"""Each role as one coroutine that runs until it is told to stop, and finishes what it has accepted."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from functools import partial
from typing import TypeAlias

from prometheus_client import Gauge

from mailtypes.clock import SystemClock
from postwright.serving.deliver_role import run_deliver
from postwright.settings import Settings
from postwright.store.database import NARROW_CACHE_KIB
from postwright.wiring.foundation import Foundation

_LOG = logging.getLogger(__name__)

ROLE_UP = Gauge("postwright_role_up", "Roles that run in this process", ["role"])

Work: TypeAlias = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set."""


class Role(StrEnum):
    """What a process does."""

    HTTP = "http"
    SMTP = "smtp"
    DELIVER = "deliver"
    SCHEDULE = "schedule"
    TRACK = "track"


def open_roles(settings: Settings, roles: Sequence[Role]) -> tuple[Foundation, list[Work]]:
    """What the roles of one process stand on, to be closed by the caller, and their works in the same order."""
    if set(roles) == {Role.DELIVER}:
        # There may be one for each core, and four fifths of the application are nothing to them.
        foundation = Foundation(settings, SystemClock(), NARROW_CACHE_KIB)
        return foundation, [partial(run_deliver, foundation) for _ in roles]
    from postwright.serving.application_roles import WORKS  # noqa: PLC0415
    from postwright.wiring.application import Application  # noqa: PLC0415

    application = Application.open(settings)
    return application, [partial(WORKS[role], application) for role in roles]


async def run_role(role: Role, work: Work, stop: asyncio.Event) -> None:
    """Run one role until ``stop``; what it has accepted by then is kept."""
    ROLE_UP.labels(role).set(1)
    _LOG.info("role %s begins", role)
    try:
        await work(stop)
    finally:
        ROLE_UP.labels(role).set(0)
        _LOG.info("role %s ends", role)
