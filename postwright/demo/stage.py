"""The demo's stage: a folder with a configuration, the sandbox, and Postwright itself as processes of their own.

Everything lies in the folder, so a demo that was cut off goes on where it stopped.
"""

import asyncio
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from socket import SO_REUSEADDR, SOL_SOCKET, socket

import httpx

from mailtypes.clock import SystemClock
from mailtypes.errors import SurroundingsError
from postwright.install.initialise import initialise
from postwright.sandbox.authority import Authority
from postwright.sandbox.layout import SandboxLayout
from postwright.sandbox.ports import free_ports
from postwright.sandbox.process import SandboxProcess
from postwright.sandbox.zones import publish_zone
from postwright.services.accounts import Accounts, KeyScope, Role
from postwright.settings import CONFIG_VARIABLE, read_settings
from postwright.store.database import Database

SENDER_DOMAIN = "news.acme.test"
ADMIN = "admin@acme.test"
_EGRESS = "127.0.0.2"
_HOST = "127.0.0.1"
_START_SECONDS = 60
_STOP_SECONDS = 60
_PREDECESSOR_SECONDS = 60.0  # what was cut off ends by itself, within the grace of its processes
_LOG_NAME = "postwright.log"
_LOCK_POLL = 0.1

# What the demo's own DNS says of the machine that Postwright would run on.
_ZONES = {
    "postwright.test": f"mta1 A {_EGRESS}\nmx A {_EGRESS}\ntrack A {_HOST}\n",
    "2.0.0.127.in-addr.arpa": "@ PTR mta1.postwright.test.\n",
}

_CONFIG = """\
# The demo's configuration: everything on loopback, mail goes to the sandbox.
log_level = "warning"

[database]
url = "sqlite:///data/postwright.db"

[http]
port = {http_port}
public_url = "http://127.0.0.1:{http_port}"

[smtp]
hostname = "mx.postwright.test"
host = "127.0.0.2"
port = {smtp_port}

[submission]
port = {submission_port}
certificate_file = "{certificate}"
certificate_key_file = "{certificate_key}"

[track]
hostname = "track.postwright.test"
port = {track_port}
public_port = {track_port}
certificate_file = "{certificate}"
certificate_key_file = "{certificate_key}"

[dns]
nameservers = ["{dns_address}"]
port = {dns_port}

[deliver]
smtp_port = {sandbox_smtp_port}
allow_private_destinations = true
retry_first = {retry_first}  # the sandbox's greylisting is quick, too
lease = {lease}

[[deliver.egress]]
ip = "{egress}"
ehlo = "mta1.postwright.test"

[sandbox]
dir = "sandbox"
"""


class StageError(SurroundingsError):
    """The demo could not be set up; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Notes:
    """What the demo remembers between two starts."""

    http_port: int
    password: str
    api_key: str
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Pace:
    """How quickly things come back on the stage: real mail waits minutes where the demo waits seconds."""

    greylist_delay: timedelta = timedelta(seconds=3)
    retry_first: timedelta = timedelta(seconds=4)
    lease: timedelta = timedelta(seconds=6)


class Stage:
    """The folder and the processes; use as ``with Stage.set_up(...) as stage``."""

    def __init__(self, folder: Path, notes: Notes, sandbox: SandboxProcess, lock: int) -> None:
        self.folder = folder
        self.notes = notes
        self.sandbox = sandbox
        self._lock = lock
        self._server: subprocess.Popen[bytes] | None = None

    @classmethod
    def set_up(cls, folder: Path, http_port: int, pace: Pace | None = None) -> "Stage":
        """Begin with a clean folder, or go on in one whose demo has not finished; ``pace`` counts for a clean one."""
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        lock = _lock_folder(folder)
        try:
            return cls._set_up(folder, http_port, pace or Pace(), lock)
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    def _set_up(cls, folder: Path, http_port: int, pace: Pace, lock: int) -> "Stage":
        _await_predecessor(folder)
        notes = _read_notes(folder)
        if notes is not None and notes.finished:
            _clear(folder)
            notes = None
        _check_port(notes.http_port if notes else http_port)
        sandbox = SandboxProcess(sandbox_layout(folder, pace))
        layout = sandbox.start()
        try:
            stage = cls(folder, notes or prepare_install(folder, layout, http_port, pace), sandbox, lock)
            try:
                stage.start()
            except BaseException:
                stage.stop_server()
                raise
        except BaseException:
            sandbox.stop()
            raise
        return stage

    @property
    def layout(self) -> SandboxLayout:
        """Where the sandbox keeps its things."""
        return self.sandbox.layout

    @property
    def url(self) -> str:
        """Where the web application is."""
        return f"http://{_HOST}:{self.notes.http_port}"

    @property
    def log_file(self) -> Path:
        """What Postwright's processes say."""
        return self.folder / _LOG_NAME

    def mark_finished(self) -> None:
        """The next demo begins with a clean folder."""
        self.notes = replace(self.notes, finished=True)
        write_notes(self.folder, self.notes)

    @property
    def server_pid(self) -> int | None:
        """The process id of ``postwright serve`` while it runs."""
        return self._server.pid if self._server is not None and self._server.poll() is None else None

    def start(self) -> None:
        """Start whichever of sandbox and Postwright does not run (any more); returns when both are ready."""
        if self.sandbox.pid is None:
            self.sandbox.stop()
            self.sandbox.start()
        if self.server_pid is None:
            self._close_server_pipe()
            self._start_server()

    def stop_server(self) -> int | None:
        """End Postwright by SIGTERM, by SIGKILL where that does not help; returns its exit status."""
        server = self._server
        if server is None:
            return None
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        self._close_server_pipe()
        return server.returncode

    def _close_server_pipe(self) -> None:
        if self._server is not None and self._server.stdin is not None:
            self._server.stdin.close()

    def _start_server(self) -> None:
        environment = {**os.environ, CONFIG_VARIABLE: str(self.folder / "postwright.toml")}
        with self.log_file.open("ab") as log:
            # Every process of the tree inherits the open file, and with it the lock on it: as long as one is left,
            # however it came to be alone, no other tree is begun beside it.
            _await_lock(log.fileno(), self.folder)
            _check_port(self.notes.http_port)
            # The pipe tells Postwright when the demo is gone, however it went.
            self._server = subprocess.Popen(
                [sys.executable, "-m", "postwright", "serve", "--follow-parent"],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        asyncio.run(self._wait_until_ready())

    async def _wait_until_ready(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, timeout=2) as client:
            for _ in range(_START_SECONDS * 5):
                assert self._server is not None  # begun by the only caller
                if self._server.poll() is not None:
                    break
                try:
                    if (await client.get("/readyz")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.2)
        raise StageError(f"Postwright did not start; what it said is in {self.log_file}.")

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_server()
        self.sandbox.stop()
        os.close(self._lock)


@contextmanager
def clean_folder(folder: Path) -> Iterator[Path]:
    """The folder, held for this process; whatever an earlier demo has left in it is deleted."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    lock = _lock_folder(folder)
    try:
        _await_predecessor(folder)
        if _read_notes(folder) is not None:
            _clear(folder)
        yield folder
    finally:
        os.close(lock)


def _lock_folder(folder: Path) -> int:
    """Hold the folder for this process; the kernel lets go of it however the process ends."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StageError(
            f"A demo is running in {folder}. End it, or choose another folder: postwright demo --dir FOLDER"
        ) from error
    return descriptor


def _await_predecessor(folder: Path) -> None:
    for held in (folder / _LOG_NAME, folder / "sandbox" / "sandbox.lock"):
        if held.exists():
            with held.open("ab") as file:
                _await_lock(file.fileno(), folder)


def _await_lock(descriptor: int, folder: Path) -> None:
    """Lock what the processes of a demo that was cut off hold until the last of them has ended."""
    for _ in range(int(_PREDECESSOR_SECONDS / _LOCK_POLL)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(_LOCK_POLL)
        else:
            return
    raise StageError(f"Processes of an earlier demo in {folder} are still running; end them, or use another --dir.")


def _clear(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def sandbox_layout(folder: Path, pace: Pace) -> SandboxLayout:
    """The sandbox of a demo's folder, with the ports that it had where it was there before."""
    fresh = SandboxLayout(folder / "sandbox", greylist_delay=pace.greylist_delay)
    return SandboxLayout.load(fresh.directory) if fresh.file.exists() else fresh


def prepare_install(folder: Path, layout: SandboxLayout, http_port: int, pace: Pace) -> Notes:
    """Configuration, keys, database, admin, API key; what was done before a cut is done again, harmlessly."""
    clock = SystemClock()
    issued = Authority(layout.authority_directory, clock).issue([f"links.{SENDER_DOMAIN}", "mx.postwright.test"])
    for name, text in _ZONES.items():
        publish_zone(layout.zones_directory, name, text)
    track_port, smtp_port, submission_port = free_ports(3)
    config = folder / "postwright.toml"
    config.write_text(
        _CONFIG.format(
            http_port=http_port,
            smtp_port=smtp_port,
            submission_port=submission_port,
            track_port=track_port,
            certificate=issued.certificate_path,
            certificate_key=issued.key_path,
            dns_address=layout.dns_address,
            dns_port=layout.dns_port,
            sandbox_smtp_port=layout.smtp_port,
            egress=_EGRESS,
            retry_first=pace.retry_first.total_seconds(),
            lease=pace.lease.total_seconds(),
        ),
        encoding="utf-8",
    )
    password, api_key = asyncio.run(_people(config))
    notes = Notes(http_port, password, api_key)
    write_notes(folder, notes)
    return notes


async def _people(config: Path) -> tuple[str, str]:
    clock = SystemClock()
    done = await initialise(config, ADMIN, "main", clock)
    settings = read_settings(config)
    database = Database(settings.database.url, clock)
    try:
        accounts = Accounts(database, clock, settings.http.session_lifetime)
        password = secrets.token_urlsafe(9)
        await accounts.save_user(done.workspace_id, ADMIN, password, Role.ADMIN)
        _, api_key = await accounts.create_key(done.workspace_id, "demo", frozenset({KeyScope.ADMIN}))
    finally:
        await database.close()
    return password, api_key


def _read_notes(folder: Path) -> Notes | None:
    try:
        return Notes(**json.loads((folder / "demo.json").read_text("utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_notes(folder: Path, notes: Notes) -> None:
    """Remember these, whole or not at all."""
    draft = folder / "demo.json.new"
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(asdict(notes)), encoding="utf-8")
    draft.replace(folder / "demo.json")


def _check_port(port: int) -> None:
    with socket() as probe:
        probe.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise StageError(
                f"Port {port} is in use. End what listens there, or choose another: postwright demo --http-port N"
            ) from error
