"""``postwright serve`` as people run it: as a tree, role by role, ended by SIGTERM, killed in parts."""

import os
import signal
import smtplib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import pytest

from postwright.settings import CONFIG_VARIABLE, read_settings


def serve(config: Path, roles: Sequence[str], log: Path) -> subprocess.Popen:
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "postwright", "serve", *(f"--role={role}" for role in roles)],
            env={**os.environ, CONFIG_VARIABLE: str(config)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def counts(here) -> dict[str, int]:
    """How many messages stand where; asked of the database, for the web application may be down."""
    path = here.stage.folder / "data" / "postwright.db"
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=20)) as database:
        return dict(database.execute("SELECT state, count(*) FROM delivery GROUP BY state").fetchall())


def test_a_tree_ends_with_a_signal_and_the_roles_go_on_apart(running, tmp_path: Path) -> None:
    here = running
    campaign = here.begin_sending()
    here.wait_until(lambda: here.mailboxes.summary().messages >= 10)

    # SIGTERM in the middle: everyone is told, what was leased is given back, nothing is left in doubt.
    settings = read_settings(here.config)
    client = smtplib.SMTP(str(settings.smtp.host), settings.smtp.port, timeout=20)
    client.ehlo("peer.test")
    begun = time.monotonic()
    assert here.stage.stop_server() == 0
    assert time.monotonic() - begun < 40
    assert client.getreply()[0] == 421
    client.close()
    before = counts(here)
    assert not before.keys() & {"leased", "transmitting", "ambiguous"}, before
    assert before["delivered"] < 90

    # The roles one by one finish the job; what was interrupted cleanly was not sent twice.
    roles = [serve(here.config, [role], tmp_path / f"{role}.log") for role in ("deliver", "schedule")]
    try:
        here.wait_until(lambda: counts(here) == {"delivered": 90})
    finally:
        for process in roles:
            process.send_signal(signal.SIGTERM)
        ends = [process.wait(30) for process in roles]
    assert ends == [0, 0]
    assert here.mailboxes.summary().duplicate_recipients == 0
    assert [(tmp_path / f"{role}.log").read_text().count("Traceback") for role in ("deliver", "schedule")] == [0, 0]

    here.stage.start()
    result = here.job.watch(campaign, lambda _: None)
    assert (result.state, result.ambiguous_ever) == ("finished", 0)


def test_a_killed_role_comes_back(running) -> None:
    here = running
    here.stage.start()
    supervisor = psutil.Process(here.stage.server_pid)
    roles = {child.cmdline()[0].removeprefix("postwright: "): child for child in supervisor.children()}
    assert roles.keys() == {"http", "smtp", "deliver", "schedule", "track"}
    roles["http"].kill()
    here.wait_until(lambda: not roles["http"].is_running())

    def is_ready() -> bool:
        try:
            return httpx.get(f"{here.stage.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    here.wait_until(is_ready)
    assert {child.pid for child in supervisor.children()} > {
        child.pid for role, child in roles.items() if role != "http"
    }


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("", "return-path.key|token.key|master.key|deliver.egress"),
        ("[deliver]\nsmtp_prot = 25\n", "smtp_prot"),
    ],
)
def test_a_deliver_role_that_cannot_work_says_why(config: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "postwright.toml").write_text(config)
    process = serve(tmp_path / "postwright.toml", ["deliver"], tmp_path / "log")
    assert process.wait(60) == 78  # EX_CONFIG
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert any(word in log for word in sentence.split("|")), log


def test_a_deliver_role_without_addresses_says_so(tmp_path: Path) -> None:
    config = tmp_path / "postwright.toml"
    environment = {**os.environ, CONFIG_VARIABLE: str(config)}
    subprocess.run([sys.executable, "-m", "postwright", "init"], env=environment, check=True, capture_output=True)
    process = serve(config, ["deliver"], tmp_path / "log")
    assert process.wait(60) == 78
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert "deliver.egress" in log
