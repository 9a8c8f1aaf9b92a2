"""The tree of processes: one a role (several of some), begun again when one dies, all ended by one signal.

All are forked from the supervisor, which has imported what most of them need, has one thread and opens nothing.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from postwright.serving.forking import Forked, Forks, run_apart
from postwright.serving.process import configure_logging, prepare, run_roles, stop_event
from postwright.serving.roles import Role
from postwright.settings import Settings, read_settings

_LOG = logging.getLogger(__name__)
_GRACE = timedelta(seconds=45)  # the engine's own grace, and then some
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_MOST_BY_DEFAULT = 4
_STEADY = 60.0  # after this many seconds a process counts as healthy again


Guard = Callable[[Callable[[], None]], int]
"""Does a work and gives the exit status; what went wrong is told as people read it."""


@dataclass(frozen=True, slots=True)
class _Child:
    name: str
    work: Callable[[], int]
    core: int | None = None
    """The processor that it keeps to, ``None``: any."""


def supervise(settings: Settings, guard: Guard, *, follow_parent: bool = False) -> int:
    """Run every role in a process of its own until a signal; returns the exit status of the tree.

    Each process reads the settings anew when it begins. Call it from a process with one thread.
    """
    # Once, for all children to share; a process of one role does without.
    from postwright.serving import application_roles  # noqa: F401, PLC0415

    configure_logging(settings.log_level)
    if status := run_apart("postwright: prepare", lambda: guard(lambda: asyncio.run(prepare(settings)))):
        return status
    return asyncio.run(_supervise(settings, guard, follow_parent))


async def _supervise(settings: Settings, guard: Guard, follow_parent: bool) -> int:
    stop = stop_event(follow_parent=follow_parent)
    if not settings.deliver.egress:
        _LOG.warning(
            "deliver.egress names no address to send from: mail waits until there is one and Postwright is begun"
        )
    with Forks() as forks:
        async with asyncio.TaskGroup() as keepers:
            kept = [keepers.create_task(_keep(child, forks, stop)) for child in _children(settings, guard)]
    return max((task.result() for task in kept), default=0)


def _children(settings: Settings, guard: Guard) -> Sequence[_Child]:
    def child(role: Role, core: int | None = None) -> _Child:
        return _Child(str(role), lambda: guard(lambda: run_roles(read_settings(), [role], follow_parent=True)), core)

    counts = {Role.DELIVER: 0, Role.TRACK: settings.track.processes}
    others = [child(role) for role in Role for _ in range(counts.get(role, 1))]
    if not settings.deliver.egress:
        return others
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return others + [child(Role.DELIVER, core) for core in _delivery_cores(settings, cores)]


def _delivery_cores(settings: Settings, cores: Sequence[int]) -> list[int | None]:
    """The core of each delivery process, ``None`` for any.

    Where each core has its process, it stays there: the threads of one interpreter take turns, and on two cores each
    turn begins with the other's memory to be fetched (a fifth of the CPU time; docs/performance.md).
    """
    number = settings.deliver.processes or min(len(cores) or 1, _MOST_BY_DEFAULT)
    if not 1 < len(cores) <= number:
        return [None] * number
    return [cores[each % len(cores)] for each in range(number)]


async def _keep(child: _Child, forks: Forks, stop: asyncio.Event) -> int:
    """Begin a process again whenever it dies, with longer and longer pauses while it keeps dying; end it at last.

    Settings with which it cannot even begin are not mended by trying again: they end the tree with ``os.EX_CONFIG``.
    Where it has run before, somebody is changing them; the other roles go on meanwhile.
    """
    loop = asyncio.get_running_loop()
    pause, has_run = 0.0, False
    while not stop.is_set():
        begun = loop.time()
        outcome = await _run_once(child, forks, stop)
        if stop.is_set():
            break
        is_steady = loop.time() - begun > _STEADY
        has_run |= is_steady
        if outcome == os.EX_CONFIG and not has_run:
            _LOG.critical("role %s cannot begin with these settings (it said why); ending all roles", child.name)
            stop.set()
            return os.EX_CONFIG
        pause = _FIRST_PAUSE if is_steady or not pause else min(pause * 2, _LONGEST_PAUSE)
        words = outcome if isinstance(outcome, str) else f"ended with status {outcome}"
        _LOG.error("role %s %s; beginning it again in %.1f s", child.name, words, pause)
        try:
            await asyncio.wait_for(stop.wait(), pause)
        except TimeoutError:
            continue
    return 0


async def _run_once(child: _Child, forks: Forks, stop: asyncio.Event) -> int | str:
    """Run the process until it dies or ``stop`` ends it; its status, or why it could not be begun."""
    try:
        process = forks.begin(f"postwright: {child.name}", child.work)
    except OSError as error:  # no more processes or no memory: neither need last
        return f"could not be begun ({error})"
    if child.core is not None:
        with suppress(OSError):  # dead already, or not to be had any more: it runs anywhere
            os.sched_setaffinity(process.pid, {child.core})
    stopping = asyncio.ensure_future(stop.wait())
    first: set[asyncio.Future[Any]] = {process.died, stopping}
    try:
        # Looked at only now that the process is known: a signal that came while it was being begun counts, too.
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if not process.died.done():
            await _end(child, process)
    finally:
        stopping.cancel()
    return await process.died


async def _end(child: _Child, process: Forked) -> None:
    with suppress(ProcessLookupError):  # dead already, and not yet told so
        os.kill(process.pid, signal.SIGTERM)
    await asyncio.wait({process.died}, timeout=_GRACE.total_seconds())
    if not process.died.done():
        _LOG.error("role %s (process %s) did not end in time", child.name, process.pid)
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
