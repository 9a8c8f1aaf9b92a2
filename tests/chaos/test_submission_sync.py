"""The order of system calls, seen by strace: what was received is synced to the disk before 250 or 202 is written."""

import asyncio
import os
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from mailtypes.clock import SystemClock
from postwright.install.initialise import initialise
from postwright.sandbox.ports import free_ports
from postwright.services.accounts import KeyScope
from postwright.settings import CONFIG_VARIABLE, read_settings
from postwright.store import domains
from postwright.wiring.application import Application

MESSAGES = 5  # the first one writes other things as well: that the key was used, the day's run
CONFIG = """\
log_level = "warning"
[http]
port = {0}
[smtp]
port = {1}
[submission]
port = {2}
"""
CONTENT = "From: orders@news.acme.test\r\nSubject: {0}\r\n\r\nThe order {0} has left the orchard.\r\n"


@pytest.fixture
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("strace is missing: nobody would see what is synced, and when")
        pytest.skip("strace is not installed")
    return found


@pytest.fixture
def install(tmp_path: Path) -> tuple[Path, str]:
    """The configuration of an install with a verified domain, and an API key."""
    config = tmp_path / "postwright.toml"
    config.write_text(CONFIG.format(*free_ports(3)))
    return config, asyncio.run(_prepare(config))


async def _prepare(config: Path) -> str:
    done = await initialise(config, "admin@acme.test", "main", SystemClock())
    application = Application.open(read_settings(config))
    try:
        domain = await application.sender_domains.add(done.workspace_id, "news.acme.test")
        now = application.clock.now()
        await application.database.write(lambda c: domains.save_audit(c, domain.id, "verified", "{}", now))
        return (await application.accounts.create_key(done.workspace_id, "test", frozenset({KeyScope.SEND})))[1]
    finally:
        await application.close()


@contextmanager
def traced(strace: str, config: Path, role: str, calls: Path) -> Iterator[None]:
    """Run a role with its system calls written down: names of files beside descriptors (-y), all threads (-f)."""
    command = [strace, "-f", "-y", "-s", "64", "-o", str(calls)]
    command += ["-e", "trace=fsync,fdatasync,write,writev,sendto,sendmsg,read,readv,recvfrom,recvmsg"]
    command += [sys.executable, "-m", "postwright", "serve", "--no-prepare", "--role", role]
    process = subprocess.Popen(command, env={**os.environ, CONFIG_VARIABLE: str(config)}, stdin=subprocess.DEVNULL)
    try:
        settings = read_settings(config)
        port = settings.submission.port if role == "smtp" else settings.http.port
        deadline = time.monotonic() + 60
        while not _listens(port):
            assert process.poll() is None, f"strace ended with {process.returncode}"
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield
    finally:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children():
                child.send_signal(signal.SIGTERM)
        process.wait(60)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def steps(calls: Path, received: str, answered: str) -> list[str]:
    """``r`` for a message received, ``s`` for the log of the database synced, ``a`` for an answer, in their order.

    A call that another thread interrupts has two lines: a sync counts when it has ended, an answer when it begins.
    """
    kinds: list[str] = []
    syncing: set[str] = set()
    for line in calls.read_text("utf-8", "replace").splitlines():
        thread = line.split()[0]
        if re.search(r"\b(?:fsync|fdatasync)\(\d+<[^>]*-wal>", line):
            if "<unfinished" in line:
                syncing.add(thread)
            elif line.endswith("= 0"):
                kinds.append("s")
        elif "sync resumed>" in line and thread in syncing and line.endswith("= 0"):
            syncing.discard(thread)
            kinds.append("s")
        elif re.search(r"\b(?:write|writev|sendto|sendmsg)\(", line) and answered in line:
            kinds.append("a")
        elif re.search(r"\b(?:read|readv|recvfrom|recvmsg)\b", line) and received in line:
            kinds.append("r")
    return kinds


def _by_smtp(config: Path, key: str) -> None:
    with smtplib.SMTP("127.0.0.1", read_settings(config).submission.port, timeout=60) as client:
        client.login("any", key)
        for number in range(MESSAGES):
            client.sendmail("shop@acme.test", ["a@example.test"], CONTENT.format(number))


def _by_http(config: Path, key: str) -> None:
    port = read_settings(config).http.port
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
        for number in range(MESSAGES):
            message = {"subject": f"Order {number}", "text": "It has left.", "to": ["a@example.test"]}
            answer = client.post("/v1/messages", json={"from": "orders@news.acme.test", **message})
            assert answer.status_code == 202, answer.text


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("role", "submit", "received", "answered"),
    [
        ("smtp", _by_smtp, "From: orders@news", "250 2.0.0 stored as"),
        ("http", _by_http, "POST /v1/messages", "HTTP/1.1 202"),
    ],
)
def test_synced_before_the_answer(
    role: str,
    submit: Callable[[Path, str], None],
    received: str,
    answered: str,
    strace: str,
    install: tuple[Path, str],
    tmp_path: Path,
) -> None:
    config, key = install
    calls = tmp_path / "calls"
    with traced(strace, config, role, calls):
        submit(config, key)
    found = steps(calls, received, answered)
    assert _answers(found) == (MESSAGES, MESSAGES), found


def _answers(kinds: Sequence[str]) -> tuple[int, int]:
    """How many answers there are, and before how many of them a sync lies behind the message's last octets."""
    answers = synced = 0
    since: set[str] = set()
    for kind in kinds:
        if kind == "r":
            since.clear()
        elif kind == "s":
            since.add("s")
        else:
            answers += 1
            synced += "s" in since
    return answers, synced


def test_an_answer_without_a_sync_is_noticed() -> None:
    assert _answers("rsarsa") == (2, 2)
    assert _answers("srarsa") == (2, 1)
