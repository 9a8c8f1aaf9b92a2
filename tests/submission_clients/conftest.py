"""An install that runs, with TLS on both submission ports, for clients that people really use."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest

from mailtypes.clock import SystemClock
from postwright.demo.main_job import MainJob
from postwright.demo.stage import Pace, Stage
from postwright.sandbox.authority import Authority
from postwright.sandbox.ports import free_ports
from postwright.settings import read_settings

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
PACE = Pace(greylist_delay=timedelta(seconds=1), retry_first=timedelta(seconds=1), lease=timedelta(seconds=5))
LONGEST_WAIT = 60


@dataclass(frozen=True)
class Install:
    """What a client has to know, and what arrived."""

    stage: Stage
    smtp_port: int
    tls_port: int
    authority: Path
    key: str
    host: str = "localhost"
    sender: str = "orders@news.acme.test"

    @property
    def url(self) -> str:
        return self.stage.url

    @property
    def environment(self) -> Mapping[str, str]:
        """For clients in a process of their own."""
        return {
            **os.environ,
            "PW_HOST": self.host,
            "PW_SMTP_PORT": str(self.smtp_port),
            "PW_TLS_PORT": str(self.tls_port),
            "PW_KEY": self.key,
            "PW_SENDER": self.sender,
            "PW_URL": self.url,
            "PW_AUTHORITY": str(self.authority),
            "SSL_CERT_FILE": str(self.authority),
            "NODE_EXTRA_CA_CERTS": str(self.authority),
        }

    def run(self, *command: str, **more: str) -> str:
        """Run a client; what it printed. Its failure is the test's."""
        done = subprocess.run(
            command, env={**self.environment, **more}, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def received(self, address: str) -> EmailMessage:
        """The message in a mailbox of the sandbox, once it is there; its DKIM signature was found good."""
        statement = "SELECT c.raw, m.dkim, m.dmarc FROM message m JOIN content c ON c.message = m.id WHERE rcpt_key = ?"
        deadline = time.monotonic() + LONGEST_WAIT
        while not (rows := self._mailboxes(statement, address)):
            assert time.monotonic() < deadline, f"{address} has got nothing"
            time.sleep(0.05)
        ((raw, dkim, dmarc),) = rows
        assert (dkim, dmarc) == ("pass", "pass")
        found = message_from_bytes(raw, policy=policy.default)
        assert isinstance(found, EmailMessage)
        assert not [name for name in found if name.lower().startswith("x-postwright")]
        return found

    def wait_for(self, address: str, subject: str, copies: int) -> None:
        """Wait until a mailbox has that many messages with a subject."""
        statement = "SELECT id FROM message WHERE rcpt_key = ? AND subject = ?"
        deadline = time.monotonic() + LONGEST_WAIT
        while len(found := self._mailboxes(statement, address, subject)) < copies:
            assert time.monotonic() < deadline, f"{address} has not got '{subject}'"
            time.sleep(0.05)
        assert len(found) == copies, f"{address} has got '{subject}' {len(found)} times"

    def _mailboxes(self, statement: str, *values: str) -> list[Any]:
        path = self.stage.layout.mailboxes_path
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=20)) as database:
            return database.execute(statement, values).fetchall()


@pytest.fixture(scope="session")
def install(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    http_port, tls_port = free_ports(2)
    with Stage.set_up(tmp_path_factory.mktemp("clients") / "stage", http_port, PACE) as stage:
        authority = Authority(stage.layout.authority_directory, SystemClock())
        issued = authority.issue(["localhost", "127.0.0.1", "mx.postwright.test"])
        assert stage.stop_server() == 0
        config = stage.folder / "postwright.toml"
        before, _, after = config.read_text("utf-8").partition("[submission]\n")
        own = re.sub(r"certificate_(key_)?file = .*\n", "", after, count=2)
        more = f'tls_port = {tls_port}\ncertificate_file = "{issued.certificate_path}"\n'
        more += f'certificate_key_file = "{issued.key_path}"\n'
        config.write_text(f"{before}[submission]\n{more}{own}", "utf-8")
        stage.start()
        with closing(MainJob(stage, EXAMPLES)) as job:
            assert job.verify_domain() == "verified"
        smtp_port = read_settings(config).submission.port
        yield Install(stage, smtp_port, tls_port, authority.root_path, _key(stage))


def _key(stage: Stage) -> str:
    """A key that may send and nothing else."""
    answer = httpx.post(
        f"{stage.url}/v1/api-keys",
        headers={"Authorization": f"Bearer {stage.notes.api_key}"},
        json={"name": "shop", "scopes": ["send"]},
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """The path of a client that the system provides."""

    def find(name: str) -> str:
        return shutil.which(name) or missing(f"{name} is not installed")

    return find


@pytest.fixture(scope="session")
def library() -> Callable[[str], None]:
    """Sees to it that a client's package can be imported."""

    def find(name: str) -> None:
        code = subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True, check=False).returncode
        if code:
            missing(f"the package {name} is not installed")

    return find


@pytest.fixture(scope="session")
def nodemailer(program: Callable[[str], str]) -> str:
    """The path of node, with Nodemailer where it finds it."""
    node = program("node")
    if not (HERE / "node" / "node_modules" / "nodemailer").is_dir():
        missing("Nodemailer is not installed; run: npm ci --prefix tests/submission_clients/node")
    return node


def missing(reason: str) -> str:
    """A client that is not there: CI has all of them."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
