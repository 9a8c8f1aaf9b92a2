"""The roles by name, for processes that hold the whole application."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from postwright.serving.deliver_role import run_deliver
from postwright.serving.roles import Role
from postwright.serving.schedule_role import run_schedule
from postwright.serving.smtp_role import run_smtp
from postwright.serving.web_roles import run_http, run_track
from postwright.wiring.application import Application

WORKS: Mapping[Role, Callable[[Application, asyncio.Event], Awaitable[None]]] = {
    Role.HTTP: run_http,
    Role.SMTP: run_smtp,
    Role.DELIVER: run_deliver,
    Role.SCHEDULE: run_schedule,
    Role.TRACK: run_track,
}
