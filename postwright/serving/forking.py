"""Processes forked from one that has imported everything: they begin in milliseconds and share what was imported.

Forking is safe from a process with one thread alone, so whoever forks here starts none: databases are opened, and
loops run, in the children.
"""

import asyncio
import ctypes
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import NoReturn

from setproctitle import setproctitle

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_M_ARENA_MAX, _ARENAS = -8, 2  # mallopt(3)
_HIGHEST_FD = 1 << 20


@dataclass(slots=True)
class Forked:
    """A child process. ``died`` has its exit status, negative for a signal; closing ``lifeline`` tells it to end."""

    pid: int
    lifeline: int
    died: "asyncio.Future[int]" = field(repr=False)


class Forks:
    """Begins children and hears of their ends; to be used as a context manager on a running loop.

    A child's standard input ends when this process does, however it does (``stop_event(follow_parent=True)``).
    """

    def __init__(self) -> None:
        self._children: dict[int, Forked] = {}

    def __enter__(self) -> "Forks":
        # What is there by now is shared with all children; a collection would copy its pages by touching them.
        gc.collect()
        gc.freeze()
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)
        gc.unfreeze()

    def begin(self, title: str, work: Callable[[], int]) -> Forked:
        """Run ``work`` in a child under that title, its result being the exit status; raises ``OSError``."""
        with _no_signal():  # also none about a child that is not known here yet
            pid, lifeline = _fork(title, work)
            child = self._children[pid] = Forked(pid, lifeline, asyncio.get_running_loop().create_future())
        return child

    def _reap(self) -> None:
        for pid, child in list(self._children.items()):
            with suppress(ChildProcessError):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if not ended:
                    continue
                del self._children[pid]
                os.close(child.lifeline)
                if not child.died.done():
                    child.died.set_result(os.waitstatus_to_exitcode(status))


def run_apart(title: str, work: Callable[[], int]) -> int:
    """Run ``work`` in a child process and wait for its exit status; no loop may run here yet."""
    with _no_signal():
        pid, lifeline = _fork(title, work)
    try:
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(lifeline)
    return os.waitstatus_to_exitcode(status)


def _fork(title: str, work: Callable[[], int]) -> tuple[int, int]:
    reading, lifeline = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        pid = os.fork()
    except OSError:
        os.close(lifeline)
        raise
    else:
        if pid == 0:
            _be_child(title, work, reading)
        return pid, lifeline
    finally:
        os.close(reading)


@contextmanager
def _no_signal() -> Iterator[None]:
    """Signals wait, so that none reaches a child while it still has its parent's handlers."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _be_child(title: str, work: Callable[[], int], lifeline: int) -> NoReturn:
    """The rest of the life of a forked process."""
    status = 1
    try:
        _become(title, lifeline)
        status = work()
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _become(title: str, lifeline: int) -> None:
    signal.set_wakeup_fd(-1)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    os.setsid()  # Ctrl-C is for the supervisor, which ends its children in order
    os.dup2(lifeline, 0)
    os.closerange(3, _HIGHEST_FD)  # the parent's loop, and the lifelines of the other children
    os.environ["SPT_NOENV"] = "1"  # a longer title would write over the environment that /proc shows
    setproctitle(title)
    # glibc would keep a heap for each thread, and a tenth of a process' memory would lie about in them.
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
