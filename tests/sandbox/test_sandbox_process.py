"""The sandbox as a process: it starts, refuses a second one, survives a kill, ends with its starter."""

import asyncio
import contextlib
import re
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from mailtypes.clock import SystemClock
from mailtypes.domain import DomainName
from postwright.sandbox.judgement import Judgement, MailCase
from postwright.sandbox.judging import JudgePool
from postwright.sandbox.layout import SandboxLayout
from postwright.sandbox.mailboxes import Mailboxes, MailboxWriter
from postwright.sandbox.process import SandboxProcess, SandboxStartError
from postwright.sandbox.providers import Provider
from postwright.sandbox.receiving import MxHost, ReceivingParts


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


class SlowJudges:
    """Stands in for the judges: a judgement comes when the test says so."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.say = asyncio.Event()

    async def judge(self, case: MailCase) -> Judgement:
        self.asked.set()
        await self.say.wait()
        return Judgement.unjudged()


@pytest.mark.parametrize("in_time", [True, False])
def test_the_reply_to_a_message_under_way_is_its_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_time: bool
) -> None:
    """Never 421 for a message that is kept: its sender would send it again and count no doubt."""
    monkeypatch.setattr("postwright.sandbox.receiving._DECIDING_SECONDS", 5 if in_time else 0)

    async def play() -> bytes:
        judges, mailboxes = SlowJudges(), MailboxWriter(tmp_path / "mailboxes.db")
        mailboxes.start()
        provider = Provider("mailhub", "127.0.0.1", ("mx1.mailhub.test",), (DomainName.parse("mailhub.test"),))
        host = MxHost(provider, ReceivingParts(mailboxes, cast("JudgePool", judges), SystemClock()), None)
        reader, writer = await asyncio.open_connection("127.0.0.1", await host.start(0))
        writer.write(b"EHLO a.test\r\nMAIL FROM:<b@a.test>\r\nRCPT TO:<c@mailhub.test>\r\nDATA\r\n")
        await reader.readuntil(b"354 ")
        writer.write(b"From: b@a.test\r\n\r\nHello\r\n.\r\n")
        await judges.asked.wait()
        closing = asyncio.create_task(host.close())
        await asyncio.sleep(0.05)
        judges.say.set()
        await closing
        with contextlib.suppress(ConnectionResetError):
            said = await reader.read()
            writer.close()
            await mailboxes.close()
            return said
        await mailboxes.close()
        return b""

    said = asyncio.run(asyncio.wait_for(play(), 20))
    if in_time:
        assert re.search(rb"\n250 2\.0\.0 .*\r\n421 4\.3\.2 .*\r\n\Z", said)
        assert Mailboxes(tmp_path / "mailboxes.db").recipient_keys() == {"c@mailhub.test"}
    else:
        assert b"421" not in said


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
