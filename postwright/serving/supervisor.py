"""The tree of processes: one a role (several of some), begun again when one dies, all ended by one signal."""

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
    if not settings.deliver.egress:
        _LOG.warning(
            "deliver.egress names no address to send from: mail waits until there is one and Postwright is begun"
        )
    async with asyncio.TaskGroup() as keepers:
        kept = [keepers.create_task(_keep(child, environment, stop)) for child in _children(settings)]
    return max((task.result() for task in kept), default=0)


def _children(settings: Settings) -> Sequence[_Child]:
    base = (sys.executable, "-m", "postwright", "serve", "--no-prepare", "--follow-parent", "--role")
    counts = {Role.DELIVER: 0, Role.TRACK: settings.track.processes}
    others = [_Child(str(role), (*base, str(role))) for role in Role for _ in range(counts.get(role, 1))]
    if not settings.deliver.egress:
        return others
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


async def _keep(child: _Child, environment: Mapping[str, str], stop: asyncio.Event) -> int:
    """Begin a process again whenever it dies, with longer and longer pauses while it keeps dying; end it at last.

    Settings with which it cannot even begin are not mended by trying again: they end the tree with ``os.EX_CONFIG``.
    Where it has run before, somebody is changing them; the other roles go on meanwhile.
    """
    loop = asyncio.get_running_loop()
    pause, has_run = _FIRST_PAUSE, False
    while not stop.is_set():
        begun = loop.time()
        outcome = await _run_once(child, environment, stop)
        if stop.is_set():
            break
        is_steady = loop.time() - begun > _STEADY
        has_run |= is_steady
        if outcome == os.EX_CONFIG and not has_run:
            _LOG.critical("role %s cannot begin with these settings (it said why); ending all roles", child.name)
            stop.set()
            return os.EX_CONFIG
        pause = _FIRST_PAUSE if is_steady else min(pause * 2, _LONGEST_PAUSE)
        words = outcome if isinstance(outcome, str) else f"ended with status {outcome}"
        _LOG.error("role %s %s; beginning it again in %.1f s", child.name, words, pause)
        try:
            await asyncio.wait_for(stop.wait(), pause)
        except TimeoutError:
            continue
    return 0


async def _run_once(child: _Child, environment: Mapping[str, str], stop: asyncio.Event) -> int | str:
    """Run the process until it dies or ``stop`` ends it; its status, or why it could not be begun."""
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
    return await died


async def _end(child: _Child, process: asyncio.subprocess.Process, died: "asyncio.Future[int]") -> None:
    with suppress(ProcessLookupError):  # dead already, and not yet told so
        process.send_signal(signal.SIGTERM)
    await asyncio.wait({died}, timeout=_GRACE.total_seconds())
    if not died.done():
        _LOG.error("role %s (process %s) did not end in time", child.name, process.pid)
        with suppress(ProcessLookupError):
            process.kill()
