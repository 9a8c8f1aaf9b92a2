"""Starts a sandbox as a process of its own and ends it again."""

import contextlib
import select
import subprocess
import sys
from datetime import timedelta
from types import TracebackType
from typing import Self

from mailtypes.errors import SurroundingsError
from postwright.sandbox.layout import SandboxLayout

_START_SECONDS = 30.0
_STOP_SECONDS = 15.0
_LOG_TAIL = 2000


class SandboxStartError(SurroundingsError):
    """The sandbox did not come up; the message ends with what it logged last."""


class SandboxProcess:
    """A sandbox in a process of its own, to be used as a context manager or by ``start`` and ``stop``.

    The process ends when the starter does, however that ends, unless ``outlive_starter``. It logs to
    ``sandbox.log`` in its directory. ``layout`` has the ports in use once started.
    """

    def __init__(self, layout: SandboxLayout, *, outlive_starter: bool = False) -> None:
        self.layout = layout
        self._outlive_starter = outlive_starter
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, timeout: timedelta = timedelta(seconds=_START_SECONDS)) -> SandboxLayout:
        """Start it and wait until everything listens; returns the layout with the ports in use.

        Raises ``SandboxStartError`` where it ends or is not ready in time.
        """
        self.layout.directory.mkdir(parents=True, exist_ok=True)
        log_path = self.layout.directory / "sandbox.log"
        with log_path.open("ab") as log:
            process = self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL if self._outlive_starter else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Ctrl-C in a terminal is for the starter, which still has mail to hand over.
                start_new_session=True,
            )
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], timeout.total_seconds())
        line = process.stdout.readline() if readable else b""
        if b'"ready"' not in line:
            self.stop()
            tail = log_path.read_text("utf-8", "replace")[-_LOG_TAIL:].strip()
            raise SandboxStartError(f"the sandbox did not start: {tail or 'it logged nothing'}")
        process.stdout.close()
        self.layout = SandboxLayout.load(self.layout.directory)
        return self.layout

    def stop(self, timeout: timedelta = timedelta(seconds=_STOP_SECONDS)) -> int | None:
        """End it by SIGTERM, by SIGKILL where that does not help in time; returns the exit code."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.terminate()
        try:
            process.wait(timeout.total_seconds())
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        return process.returncode

    def kill(self) -> None:
        """End it by SIGKILL, as a crash would, for tests of what survives."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _command(self) -> list[str]:
        layout = self.layout
        command = [sys.executable, "-m", "postwright.sandbox", "--dir", str(layout.directory)]
        command += ["--dns-address", layout.dns_address, "--dns-port", str(layout.dns_port)]
        command += ["--smtp-port", str(layout.smtp_port), "--judge-processes", str(layout.judge_processes)]
        command += ["--greylist-delay", str(layout.greylist_delay.total_seconds())]
        command += [] if layout.judge else ["--no-judge"]
        command += [] if layout.keep_bodies else ["--no-bodies"]
        return command if self._outlive_starter else [*command, "--follow-stdin"]
