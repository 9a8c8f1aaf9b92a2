"""The sandbox as a process: it starts, refuses a second one, survives a kill, ends with its starter."""

import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from postwright.sandbox.layout import SandboxLayout
from postwright.sandbox.mailboxes import Mailboxes
from postwright.sandbox.process import SandboxProcess, SandboxStartError


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 10
    while any(map(is_running, pids)):
        assert time.monotonic() < deadline, "processes were left behind"
        time.sleep(0.02)


def test_a_kill_loses_nothing_and_the_ports_stay(tmp_path: Path, make_sender) -> None:
    process = SandboxProcess(SandboxLayout(tmp_path))
    layout = process.start()
    sender = make_sender(layout)
    sender.publish()
    with sender.connect("mailhub") as client:
        client.sendmail("b@news.acme.test", ["a@mailhub.test"], sender.signed(sender.message("a@mailhub.test")))
    with sender.connect("postbox") as client:
        client.mail("b@news.acme.test")
        assert client.rcpt("g@postbox.test")[0] == 451
    judges = children_of(process.pid)
    process.kill()
    wait_until_gone(judges)

    with SandboxProcess(SandboxLayout(tmp_path, greylist_delay=timedelta())) as again:
        assert (again.layout.dns_port, again.layout.smtp_port) == (layout.dns_port, layout.smtp_port)
        assert Mailboxes(layout.mailboxes_path).list_messages()[0].rcpt_key == "a@mailhub.test"
        assert list(Mailboxes(layout.mailboxes_path).greylist()) == ["127.0.0.0/24 news.acme.test g@postbox.test"]
        with sender.connect("postbox") as client:
            client.sendmail("b@news.acme.test", ["g@postbox.test"], sender.signed(sender.message("g@postbox.test")))
        with pytest.raises(SandboxStartError, match="already running"):
            SandboxProcess(SandboxLayout(tmp_path)).start()


def test_sessions_end_with_421_and_the_process_with_0(tmp_path: Path) -> None:
    process = SandboxProcess(SandboxLayout(tmp_path, judge=False))
    layout = process.start()
    with socket.create_connection((layout.provider_addresses["doar"], layout.smtp_port), 10) as connection:
        assert connection.recv(4) == b"220 "
        assert process.stop() == 0
        said = b""
        while chunk := connection.recv(1000):
            said += chunk
    assert b"421 4.3.2 " in said


def test_it_ends_when_its_starter_dies(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from postwright.sandbox.layout import SandboxLayout\n"
        "from postwright.sandbox.process import SandboxProcess\n"
        "process = SandboxProcess(SandboxLayout(Path(sys.argv[1]), judge=False)); process.start()\n"
        "print(process.pid, flush=True); os._exit(9)\n"
    )
    starter = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=False, timeout=60)
    wait_until_gone([int(starter.stdout)])


def test_settings_that_cannot_work_are_told(tmp_path: Path) -> None:
    (tmp_path / "sandbox.json").write_text("{")
    with pytest.raises(SandboxStartError, match="remove it to begin anew"):
        SandboxProcess(SandboxLayout(tmp_path)).start()
