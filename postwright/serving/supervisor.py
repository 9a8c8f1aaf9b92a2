"""The tree of processes: one a role (several for delivery), begun again when one dies, all ended by one signal."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from postwright.serving.process import configure_logging, prepare, stop_event
from postwright.serving.roles import Role
from postwright.settings import Settings

_LOG = logging.getLogger(__name__)
_GRACE = timedelta(seconds=45)  # the engine's own grace, and then some
_SPARING = {"MALLOC_ARENA_MAX": "2"}
"""glibc would keep a heap for each thread, and a tenth of a process' memory would lie about in them."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_MOST_BY_DEFAULT = 4
_STEADY = 60.0  # after this many seconds a process counts as healthy again


@dataclass(frozen=True, slots=True)
class _Child:
    name: str
    arguments: tuple[str, ...]
    core: int | None = None
    """The processor that it keeps to, ``None``: any."""


def supervise(settings: Settings, environment: Mapping[str, str], *, follow_parent: bool = False) -> int:
    """Run every role in a process of its own until a signal; returns the exit status of the tree."""
    configure_logging(settings.log_level)
    return asyncio.run(_supervise(settings, environment, follow_parent))


async def _supervise(settings: Settings, environment: Mapping[str, str], follow_parent: bool) -> int:
    await prepare(settings)
    stop = stop_event(follow_parent=follow_parent)
    async with asyncio.TaskGroup() as keepers:
        for child in _children(settings):
            keepers.create_task(_keep(child, environment, stop))
    return 0


def _children(settings: Settings) -> Sequence[_Child]:
    base = (sys.executable, "-m", "postwright", "serve", "--no-prepare", "--follow-parent", "--role")
    others = [_Child(str(role), (*base, str(role))) for role in Role if role is not Role.DELIVER]
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    deliver = (*base, str(Role.DELIVER))
    return others + [_Child(str(Role.DELIVER), deliver, core) for core in _delivery_cores(settings, cores)]


def _delivery_cores(settings: Settings, cores: Sequence[int]) -> list[int | None]:
    """The core of each delivery process, ``None`` for any.

    Where each core has its process, it stays there: the threads of one interpreter take turns, and on two cores each
    turn begins with the other's memory to be fetched (a fifth of the CPU time; docs/performance.md).
    """
    number = settings.deliver.processes or min(len(cores) or 1, _MOST_BY_DEFAULT)
    if not 1 < len(cores) <= number:
        return [None] * number
    return [cores[each % len(cores)] for each in range(number)]


async def _keep(child: _Child, environment: Mapping[str, str], stop: asyncio.Event) -> None:
    """Begin a process again whenever it dies, with longer and longer pauses while it keeps dying; end it at last."""
    loop = asyncio.get_running_loop()
    pause = _FIRST_PAUSE
    while not stop.is_set():
        begun = loop.time()
        outcome = await _run_once(child, environment, stop)
        if stop.is_set():
            return
        pause = _FIRST_PAUSE if loop.time() - begun > _STEADY else min(pause * 2, _LONGEST_PAUSE)
        _LOG.error("role %s %s; beginning it again in %.1f s", child.name, outcome, pause)
        try:
            await asyncio.wait_for(stop.wait(), pause)
        except TimeoutError:
            continue


async def _run_once(child: _Child, environment: Mapping[str, str], stop: asyncio.Event) -> str:
    """Run the process until it dies or ``stop`` ends it; what became of it, in words."""
    try:
        # The pipe tells the child when we are gone, however we went.
        process = await asyncio.create_subprocess_exec(
            *child.arguments, env=_SPARING | dict(environment), stdin=asyncio.subprocess.PIPE, start_new_session=True
        )
    except OSError as error:  # no more processes or no memory: neither need last
        return f"could not be begun ({error})"
    if child.core is not None:
        with suppress(OSError):  # dead already, or not to be had any more: it runs anywhere
            os.sched_setaffinity(process.pid, {child.core})
    died = asyncio.ensure_future(process.wait())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        # Looked at only now that the process is known: a signal that came while it was being begun counts, too.
        await asyncio.wait({died, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not died.done():
            await _end(child, process, died)
    finally:
        stopping.cancel()
    return f"ended with status {await died}"


async def _end(child: _Child, process: asyncio.subprocess.Process, died: "asyncio.Future[int]") -> None:
    with suppress(ProcessLookupError):  # dead already, and not yet told so
        process.send_signal(signal.SIGTERM)
    await asyncio.wait({died}, timeout=_GRACE.total_seconds())
    if not died.done():
        _LOG.error("role %s (process %s) did not end in time", child.name, process.pid)
        with suppress(ProcessLookupError):
            process.kill()
