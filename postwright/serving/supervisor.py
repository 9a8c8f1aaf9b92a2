"""The tree of processes: one a role (several for delivery), begun again when one dies, all ended by one signal."""

import asyncio
import logging
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from postwright.serving.process import configure_logging, prepare, stop_event
from postwright.serving.roles import Role
from postwright.settings import Settings

_LOG = logging.getLogger(__name__)
_GRACE = timedelta(seconds=45)  # the engine's own grace, and then some
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_STEADY = 60.0  # after this many seconds a process counts as healthy again


@dataclass(slots=True)
class _Child:
    name: str
    arguments: tuple[str, ...]
    process: asyncio.subprocess.Process | None = None


def supervise(settings: Settings, environment: Mapping[str, str], *, follow_parent: bool = False) -> int:
    """Run every role in a process of its own until a signal; returns the exit status of the tree."""
    configure_logging(settings.log_level)
    return asyncio.run(_supervise(settings, environment, follow_parent))


async def _supervise(settings: Settings, environment: Mapping[str, str], follow_parent: bool) -> int:
    await prepare(settings)
    stop = stop_event(follow_parent=follow_parent)
    children = _children(settings)
    keepers = [asyncio.ensure_future(_keep(child, environment, stop)) for child in children]
    await stop.wait()
    await _end(children)
    await asyncio.gather(*keepers)
    return 0


def _children(settings: Settings) -> Sequence[_Child]:
    base = (sys.executable, "-m", "postwright", "serve", "--no-prepare", "--follow-parent", "--role")
    names: list[Role] = [role for role in Role if role is not Role.DELIVER]
    names += [Role.DELIVER] * settings.deliver.processes
    return [_Child(str(role), (*base, str(role))) for role in names]


async def _keep(child: _Child, environment: Mapping[str, str], stop: asyncio.Event) -> None:
    """Begin a process again whenever it dies, with longer and longer pauses while it keeps dying."""
    loop = asyncio.get_running_loop()
    pause = _FIRST_PAUSE
    while not stop.is_set():
        begun = loop.time()
        # The pipe tells the child when we are gone, however we went.
        child.process = await asyncio.create_subprocess_exec(
            *child.arguments, env=dict(environment), stdin=asyncio.subprocess.PIPE, start_new_session=True
        )
        status = await child.process.wait()
        if stop.is_set():
            return
        pause = _FIRST_PAUSE if loop.time() - begun > _STEADY else min(pause * 2, _LONGEST_PAUSE)
        _LOG.error("role %s ended with status %s; beginning it again in %.1f s", child.name, status, pause)
        try:
            await asyncio.wait_for(stop.wait(), pause)
        except TimeoutError:
            continue


async def _end(children: Sequence[_Child]) -> None:
    running = [child.process for child in children if child.process is not None and child.process.returncode is None]
    for process in running:
        process.send_signal(signal.SIGTERM)
    waits = [asyncio.ensure_future(process.wait()) for process in running]
    if not waits:
        return
    _, late = await asyncio.wait(waits, timeout=_GRACE.total_seconds())
    for process in running:
        if late and process.returncode is None:
            _LOG.error("process %s did not end in time", process.pid)
            process.kill()
