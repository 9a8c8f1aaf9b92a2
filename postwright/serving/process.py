"""One process of Postwright: an event loop with some roles, ended by SIGTERM or SIGINT."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial

import uvloop

from mailtypes.clock import SystemClock
from postwright.serving.roles import Role, open_roles, run_role
from postwright.settings import Settings
from postwright.store.workspaces import PooledSource, list_workspaces, set_egress_sources
from postwright.wiring.foundation import Foundation


def run_roles(settings: Settings, roles: Sequence[Role], *, follow_parent: bool = False) -> None:
    """Run roles until a signal; returns when everything accepted is kept and every connection is closed.

    Raises what the first role that failed has raised; the others have been ended then.
    With ``follow_parent`` the end of standard input counts as a signal: whoever began this process is gone.
    """
    configure_logging(settings.log_level)
    uvloop.run(_run(settings, roles, follow_parent))


async def _run(settings: Settings, roles: Sequence[Role], follow_parent: bool) -> None:
    stop = stop_event(follow_parent=follow_parent)
    foundation, works = open_roles(settings, roles)
    try:
        async with asyncio.TaskGroup() as group:
            for role, work in zip(roles, works, strict=True):
                group.create_task(run_role(role, work, stop))
    except BaseExceptionGroup as failures:
        # People are told of an error, not of the tasks that it came through.
        raise _first(failures) from failures
    finally:
        await foundation.close()


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    failure = failures.exceptions[0]
    return _first(failure) if isinstance(failure, BaseExceptionGroup) else failure


def stop_event(*, follow_parent: bool) -> asyncio.Event:
    """Set by SIGTERM or SIGINT and, with ``follow_parent``, by the end of standard input."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def readable() -> None:
        if not os.read(0, 1024):
            loop.remove_reader(0)
            stop.set()

    if follow_parent:
        loop.add_reader(0, readable)
    return stop


async def prepare(settings: Settings) -> None:
    """What has to be true before any role begins: the schema is current, the pools have the configured addresses."""
    # Migrations bring a good deal to import, and no role needs them.
    from postwright.store import schema  # noqa: PLC0415

    await asyncio.to_thread(schema.upgrade, settings.database.url)
    foundation = Foundation(settings, SystemClock())
    deliver = settings.deliver
    sources = [PooledSource(str(egress.ip), egress.ehlo, egress.pool) for egress in deliver.egress]
    setting = partial(set_egress_sources, sources=sources, pools=deliver.pools)
    try:
        for workspace in await foundation.database.read(list_workspaces):
            await foundation.database.write(partial(setting, workspace_id=workspace.id))
    finally:
        await foundation.close()


def configure_logging(level: str) -> None:
    """One line an event on standard error: time, level, place, sentence."""
    logging.basicConfig(
        level=level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S%z",
        force=True,
    )
    # aiosmtpd tells of each connection, and of the addresses in it.
    logging.getLogger("mail.log").setLevel(logging.WARNING)
