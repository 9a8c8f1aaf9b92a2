"""The roles that speak HTTP: pages and API, and tracking."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import uvicorn

from mailtypes.errors import ConfigurationError
from postwright.wiring.application import Application

_GRACE = timedelta(seconds=10)
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


async def run_http(application: Application, stop: asyncio.Event) -> None:
    """Pages and API until ``stop``."""
    # Pages and API are a third of what there is to import, and one role in five needs them.
    from postwright.serving.http import create_app  # noqa: PLC0415

    settings = application.settings.http
    config = uvicorn.Config(create_app(application), host=settings.host, port=settings.port, **_UVICORN)
    await _serve(config, stop)


async def run_track(application: Application, stop: asyncio.Event) -> None:
    """Opens, clicks and unsubscriptions until ``stop``."""
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
