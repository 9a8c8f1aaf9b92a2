"""``postwright demo`` as a newcomer runs it: to its end, again, beside another, and killed in the middle."""

import csv
import fcntl
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mailtypes.errors import StorageError
from postwright.sandbox.mailboxes import Mailboxes
from postwright.sandbox.ports import free_ports

EXAMPLES = Path(__file__).parents[2] / "examples"
SENT_ONCE = re.compile(r"Each of the ([\d,]+) good recipients got exactly one correctly signed message")
ROWS = 150


class Demo:
    """One run of the command in a folder."""

    def __init__(self, folder: Path, examples: Path) -> None:
        self.folder = folder
        self._examples = examples
        (self._port,) = free_ports(1)

    def begin(self, *options: str) -> subprocess.Popen:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "postwright", "demo", "--exit", "--dir", str(self.folder)),
                *("--http-port", str(self._port), "--examples", str(self._examples), *options),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, seconds: float = 100) -> tuple[int, str]:
        process = self.begin()
        try:
            output, _ = process.communicate(timeout=seconds)
        finally:
            process.kill()
        return process.returncode, output

    def received(self) -> int:
        try:
            return Mailboxes(self.folder / "sandbox" / "mailboxes.db").summary().messages
        except StorageError:  # not there yet
            return 0

    def processes(self) -> list[psutil.Process]:
        """Those of this demo, found by its folder."""
        found = []
        for process in psutil.process_iter(["cmdline", "environ"]):
            line, environment = process.info["cmdline"] or [], process.info["environ"] or {}
            config = environment.get("POSTWRIGHT_CONFIG", "")
            if str(self.folder / "sandbox") in line or config == str(self.folder / "postwright.toml"):
                found.append(process)
        return found


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    examples = tmp_path / "examples"
    examples.mkdir()
    for name in ("newsletter.mjml", "suppressions.csv"):
        shutil.copy(EXAMPLES / name, examples)
    with (EXAMPLES / "contacts.csv").open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    with (examples / "contacts.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *random.Random(7).sample(rows, ROWS)])
    return Demo(tmp_path / "demo", examples)


def wait_until(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.01)


@pytest.mark.timeout(400)
def test_the_whole_example(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "demo", EXAMPLES)
    status, output = demo.run(380)
    assert status == 0, output
    words = re.sub(r"\s+", " ", output)
    assert "1,964 new, 0 known, 36 rows refused" in words
    assert SENT_ONCE.search(words)[1] == "1,944"
    assert re.search(r"delivered deferred failed suppressed deferred on the way ambiguous 1,944 0 8 12 \d+ 0 ", words)
    for judged in ("SPF", "DKIM", "DMARC"):
        assert re.search(rf"{judged} 1,944 ", words)
    assert re.search(r"1,944 messages received, [\d,]+ messages a second", words)
    wait_until(lambda: demo.processes() == [], 10)


def test_a_finished_demo_begins_afresh(demo: Demo) -> None:
    for _ in range(2):
        status, output = demo.run()
        assert status == 0, output
        assert re.search(r"[\d,]+ new, 0 known", output)
        assert SENT_ONCE.search(re.sub(r"\s+", " ", output))


def test_a_demo_that_was_killed_goes_on(demo: Demo) -> None:
    first = demo.begin()
    try:
        wait_until(lambda: demo.received() > ROWS // 10)
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate()
    before = demo.received()
    status, output = demo.run()  # at once: what is left of the first is still ending
    words = re.sub(r"\s+", " ", output)
    assert re.search(r" [\d,]+ new, 0 known, ", words)  # the same file again is the same import
    assert before < demo.received()
    summary = Mailboxes(demo.folder / "sandbox" / "mailboxes.db").summary()
    if summary.duplicate_recipients:
        assert status == 1
        assert f"{summary.duplicate_recipients} recipients have more than one copy" in words
        ambiguous = re.search(r"on the way ambiguous (?:[\d,]+ ){5}(\d+) ", words)
        assert summary.duplicate_recipients <= int(ambiguous[1])
    else:
        assert (status, bool(SENT_ONCE.search(words))) == (0, True), output
    wait_until(lambda: demo.processes() == [], 10)


def test_two_demos_do_not_share_a_folder(demo: Demo) -> None:
    demo.folder.mkdir()
    held = os.open(demo.folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)  # as the one that runs there does
        status, output = demo.run()
    finally:
        os.close(held)
    assert status == 1
    assert "A demo is running in" in output


def test_a_demo_outlives_its_web_application(demo: Demo) -> None:
    process = demo.begin()
    try:
        wait_until(lambda: demo.received() > ROWS // 10)
        for one in demo.processes():
            if one.cmdline()[:1] == ["postwright: http"]:
                one.kill()
        output, _ = process.communicate(timeout=100)
    finally:
        process.kill()
    assert process.returncode == 0, output
    assert SENT_ONCE.search(re.sub(r"\s+", " ", output))
