"""A mail server under measurement: its processes, what they have used, and how they end."""

import atexit
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_TICKS = os.sysconf("SC_CLK_TCK")
_GRACE = 30.0


@dataclass(frozen=True)
class Signature:
    """Where the public key of a peer's signatures would be published, and the record."""

    selector: str
    record: str


@dataclass(frozen=True)
class Place:
    """What a relay gets: an empty folder, the ports to listen on and to send to, the key to sign with."""

    folder: Path
    port: int
    sink_port: int
    private_key: Path
    signature: Signature


class Relay(Protocol):
    """A mail server that takes messages by SMTP and sends them on, signed."""

    name: str
    port: int
    key: str  # the secret that clients sign in with, "" where they need not
    signature: Signature

    def cpu(self) -> float:
        """CPU seconds of all its processes so far."""
        ...

    def close(self) -> None:
        """End its processes."""
        ...


class Processes:
    """Programs begun together, each the leader of its own group, and ended together."""

    def __init__(self) -> None:
        self._begun: list[subprocess.Popen[bytes]] = []
        self._adopted: list[int] = []
        atexit.register(self.close)  # where somebody did not come up, nobody else would end the others

    def begin(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[bytes]":
        """Begin a program; what it says goes to a file of its own in ``folder``."""
        with (folder / f"{Path(command[0]).name}.{len(self._begun)}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        self._begun.append(process)
        return process

    def adopt(self, leader: int) -> None:
        """Count and end a process that one of them has begun as the leader of a group of its own."""
        self._adopted.append(leader)

    def cpu(self) -> float:
        """CPU seconds of all of them and of their children, those that have ended included."""
        groups = {process.pid for process in self._begun}
        return sum(_cpu_by_group(groups.union(self._adopted)))

    def close(self) -> None:
        """SIGTERM in the order they were begun, SIGKILL for the groups of those that take too long."""
        deadline = time.monotonic() + _GRACE
        for leader in self._adopted:
            _end_group(leader, deadline)
        for process in self._begun:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._begun:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                print(f"process {process.pid} did not end in time", file=sys.stderr)
            # Its children are in its group, and nobody else is.
            if _members(process.pid):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(_GRACE)
        self._begun, self._adopted = [], []
        atexit.unregister(self.close)


def _stat(folder: Path) -> list[str]:
    try:
        return (folder / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:  # it has ended meanwhile
        return []


def _cpu_by_group(groups: set[int]) -> list[float]:
    """Of each living process in these groups, with what its children had used when they ended."""
    stats = [_stat(folder) for folder in Path("/proc").glob("[0-9]*")]
    return [sum(int(field) for field in stat[11:15]) / _TICKS for stat in stats if stat and int(stat[2]) in groups]


def _end_group(leader: int, deadline: float) -> None:
    """SIGTERM for the leader, which is to end its children; SIGKILL for whoever is left of its group in the end."""
    if _members(leader):
        os.kill(leader, signal.SIGTERM)
    while _members(leader) and time.monotonic() < deadline:
        time.sleep(0.05)
    if _members(leader):
        os.killpg(leader, signal.SIGKILL)


def _members(group: int) -> list[list[str]]:
    """Processes of a group that are alive."""
    stats = [_stat(folder) for folder in Path("/proc").glob("[0-9]*")]
    return [stat for stat in stats if stat and int(stat[2]) == group and stat[0] != "Z"]
