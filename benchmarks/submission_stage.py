"""An install that takes mail: configuration, database, verified domain, API key, template; and its processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import letter
import stage

from mailtypes.clock import SystemClock
from postwright.install.initialise import initialise
from postwright.sandbox.ports import free_ports
from postwright.services.accounts import KeyScope
from postwright.settings import CONFIG_VARIABLE, Settings, read_settings
from postwright.store.templates import TemplateText
from postwright.wiring.application import Application

_ROOT = Path(__file__).resolve().parent.parent
_HOST = "127.0.0.1"
_START_SECONDS = 60.0
_CONFIG = """\
log_level = "warning"

[database]
url = "{url}"

[http]
port = {http}

[smtp]
hostname = "mx.postwright.test"
port = {return_path}

[submission]
port = {submission}

[track]
hostname = "track.postwright.test"
"""


@dataclass(frozen=True)
class Install:
    """What the clients need to know."""

    folder: Path
    config: Path
    settings: Settings
    workspace_id: int
    key: str
    template_id: int


async def make_install(folder: Path, url: str, more: str = "") -> Install:
    """Set everything up in an empty folder; ``more`` goes to the end of the configuration."""
    config = folder / "postwright.toml"
    http, return_path, submission = free_ports(3)
    written = _CONFIG.format(url=url, http=http, return_path=return_path, submission=submission) + more
    config.write_text(written, encoding="utf-8")
    done = await initialise(config, "bench@acme.test", "bench", SystemClock())
    settings = read_settings(config)
    application = Application.open(settings)
    try:
        await stage.verified_domain(application, done.workspace_id)
        scopes = frozenset({KeyScope.SEND})
        _, key = await application.accounts.create_key(done.workspace_id, "bench", scopes)
        text = TemplateText(letter.body(), "html", letter.SUBJECT)
        template = await application.templates.save(done.workspace_id, "Letter", text)
    finally:
        await application.close()
    return Install(folder, config, settings, done.workspace_id, key, template.template.id)


@contextmanager
def served(install: Install, role: str) -> Iterator[int]:
    """Run one role in a process of its own, as ``postwright serve`` does; gives its process id."""
    process = subprocess.Popen(
        [sys.executable, "-m", "postwright", "serve", "--no-prepare", "--follow-parent", "--role", role],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        env={**os.environ, CONFIG_VARIABLE: str(install.config), "PYTHONPATH": str(_ROOT)},
    )
    try:
        port = install.settings.submission.port if role == "smtp" else install.settings.http.port
        await_port(process, port)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def await_port(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Return as soon as somebody listens there; end the program where the process dies or takes too long."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"the process ended with status {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex((_HOST, port)) == 0:
                return
        time.sleep(0.05)
    sys.exit("the process did not begin to listen")
