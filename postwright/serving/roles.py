"""Each role as one coroutine that runs until it is told to stop, and finishes what it has accepted."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from typing import Any

import uvicorn
from prometheus_client import Counter, Gauge

from dns_checks.reports import MAX_OCTETS
from mailtypes.errors import ConfigurationError, PostwrightError, StorageError
from mta.inbound import InboundLimits, ReturnPathHandler, ReturnPathServer
from mta.strict_smtp import StrictServer
from mta.submission.limits import SubmissionLimits
from mta.submission.server import SubmissionGate, SubmissionServer, TlsSubmissionServer
from postwright.settings import SubmissionSettings
from postwright.wiring import Application, DeliveryWorker, egress_units

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
        application.track_application,
        host=settings.host,
        port=settings.port,
        ssl_certfile=settings.certificate_file,
        ssl_keyfile=settings.certificate_key_file,
        **_UVICORN,
    )
    # Alone it wants the port for itself, so that a second install on it is found out.
    shared = [_shared_listener(settings.host, settings.port)] if settings.processes > 1 else None
    await _serve(config, stop, shared)


def _shared_listener(host: str, port: int) -> socket.socket:
    """A socket on a port that other processes listen on as well; the kernel deals connections out among them."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
    except (OSError, AttributeError) as error:
        listener.close()
        raise ConfigurationError(f"track.port {port} cannot be shared: {error}") from error
    return listener


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


async def _serve(config: uvicorn.Config, stop: asyncio.Event, sockets: "list[socket.socket] | None" = None) -> None:
    server = _Server(config)
    serving = asyncio.ensure_future(server.serve(sockets))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    stopping.cancel()
    await serving


async def _smtp(application: Application, stop: asyncio.Event) -> None:
    settings, incoming = application.settings.smtp, application.incoming_mail
    await application.bounces.refresh_hosts()
    # Whatever is accepted has to be storable as a report as well.
    limits = InboundLimits(message_octets=min(settings.max_size, MAX_OCTETS))
    handler = ReturnPathHandler(incoming.take, incoming.decide, limits)
    server = ReturnPathServer(handler, settings.hostname)
    servers: list[StrictServer] = [server]
    try:
        await server.start(settings.host, settings.port)
        await _start_submission(application, servers)
        await stop.wait()
    finally:
        await asyncio.gather(*(each.close_with_421(_GRACE) for each in servers))


async def _start_submission(application: Application, servers: list[StrictServer]) -> None:
    """Add the listeners for clients to ``servers`` as they start."""
    settings, hostname = application.settings.submission, application.settings.smtp.hostname
    limits = SubmissionLimits(connections=settings.connections, octets_in_flight=settings.octets_in_flight)
    gate = SubmissionGate(application.smtp_submissions, hostname, limits)
    context = _submission_tls(settings)
    plain = SubmissionServer(gate, context)
    servers.append(plain)
    await plain.start(settings.host, settings.port)
    if settings.tls_port is not None:
        if context is None:
            raise ConfigurationError("submission.tls_port needs submission.certificate_file")
        encrypted = TlsSubmissionServer(gate, context)
        servers.append(encrypted)
        await encrypted.start(settings.host, settings.tls_port)


def _submission_tls(settings: SubmissionSettings) -> ssl.SSLContext | None:
    if settings.certificate_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.certificate_file, settings.certificate_key_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"submission.certificate_file cannot be used: {error}") from error
    return context


async def _deliver(application: Application, stop: asyncio.Event) -> None:
    threads = application.settings.deliver.signing_threads
    workers = [DeliveryWorker(application, unit) for unit in egress_units(application.settings)]
    with ThreadPoolExecutor(threads, thread_name_prefix="sign") as executor:
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(_work(worker, executor, stop))


async def _work(worker: DeliveryWorker, executor: Executor, stop: asyncio.Event) -> None:
    """One worker until ``stop``; what it holds is kept until its last message has its outcome."""
    released = asyncio.Event()
    engine = worker.engine(executor)
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.queue.keep_leases(released))
        group.create_task(worker.shaping.keep(released))
        try:
            await engine.run(stop)
        finally:
            released.set()
    await worker.shaping.close()


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
