"""Each role as one coroutine that runs until it is told to stop, and finishes what it has accepted."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from typing import Any

import uvicorn
from prometheus_client import Counter, Gauge

from mailtypes.errors import PostwrightError, StorageError
from mta.inbound import InboundLimits, IncomingMessage, RecipientDecision, ReturnPathHandler, ReturnPathServer
from postwright.track.asgi import TrackApplication
from postwright.wiring import Application

_LOG = logging.getLogger(__name__)
_GRACE = timedelta(seconds=10)
_FAULT_PAUSE = 5.0

SCHEDULE_STEPS = Counter("postwright_schedule_steps_total", "Steps of the scheduler", ["result"])
ROLE_UP = Gauge("postwright_role_up", "Roles that run in this process", ["role"])


class Role(StrEnum):
    """What a process does."""

    HTTP = "http"
    SMTP = "smtp"
    DELIVER = "deliver"
    SCHEDULE = "schedule"
    TRACK = "track"


async def run_role(role: Role, application: Application, stop: asyncio.Event) -> None:
    """Run one role until ``stop``; what it has accepted by then is kept."""
    ROLE_UP.labels(role).set(1)
    _LOG.info("role %s begins", role)
    try:
        await _ROLES[role](application, stop)
    finally:
        ROLE_UP.labels(role).set(0)
        _LOG.info("role %s ends", role)


async def _http(application: Application, stop: asyncio.Event) -> None:
    # Pages and API are a third of what there is to import, and one role in five needs them.
    from postwright.serving.http import create_app  # noqa: PLC0415

    settings = application.settings.http
    config = uvicorn.Config(create_app(application), host=settings.host, port=settings.port, **_UVICORN)
    await _serve(config, stop)


async def _track(application: Application, stop: asyncio.Event) -> None:
    settings = application.settings.track
    config = uvicorn.Config(
        TrackApplication(application.engagement),
        host=settings.host,
        port=settings.port,
        ssl_certfile=settings.certificate_file,
        ssl_keyfile=settings.certificate_key_file,
        **_UVICORN,
    )
    await _serve(config, stop)


_UVICORN: dict[str, Any] = {
    "loop": "uvloop",
    "http": "httptools",
    "lifespan": "on",
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,
    "timeout_graceful_shutdown": int(_GRACE.total_seconds()),
}


class _Server(uvicorn.Server):
    """Leaves the signals to whoever runs the role."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none."""
        yield


async def _serve(config: uvicorn.Config, stop: asyncio.Event) -> None:
    server = _Server(config)
    serving = asyncio.ensure_future(server.serve())
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    stopping.cancel()
    await serving


async def _smtp(application: Application, stop: asyncio.Event) -> None:
    settings, bounces = application.settings.smtp, application.bounces
    await bounces.refresh_hosts()

    async def decide(address: str) -> RecipientDecision:
        local_part, _, host = address.rpartition("@")
        if not bounces.is_return_path(local_part):
            return RecipientDecision.UNKNOWN if bounces.is_ours(host) else RecipientDecision.NOT_OURS
        if not bounces.is_ours(host):
            # A domain may be newer than what we remember; only a return path that we made leads here.
            await bounces.refresh_hosts()
        return RecipientDecision.KNOWN if bounces.is_ours(host) else RecipientDecision.NOT_OURS

    async def sink(message: IncomingMessage) -> None:
        for address in message.rcpt_to:
            await bounces.take(address.rpartition("@")[0], message.content)

    handler = ReturnPathHandler(sink, decide, InboundLimits(message_octets=settings.max_size))
    server = ReturnPathServer(handler, settings.hostname)
    await server.start(settings.host, settings.port)
    try:
        await stop.wait()
    finally:
        await server.close_with_421(_GRACE)


async def _deliver(application: Application, stop: asyncio.Event) -> None:
    queue = application.stored_queue()
    threads = application.settings.deliver.signing_threads
    released = asyncio.Event()
    with ThreadPoolExecutor(threads, thread_name_prefix="sign") as executor:
        engine = application.delivery_engine(queue, executor)
        async with asyncio.TaskGroup() as group:
            group.create_task(queue.keep_leases(released))
            try:
                await engine.run(stop)
            finally:
                released.set()


async def _schedule(application: Application, stop: asyncio.Event) -> None:
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


_ROLES: Mapping[Role, Callable[[Application, asyncio.Event], Awaitable[None]]] = {
    Role.HTTP: _http,
    Role.SMTP: _smtp,
    Role.DELIVER: _deliver,
    Role.SCHEDULE: _schedule,
    Role.TRACK: _track,
}
