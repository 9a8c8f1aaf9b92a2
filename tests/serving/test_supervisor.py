"""The tree of processes: begun again when one dies, ended by one signal, whenever it comes."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mailtypes.errors import ConfigurationError
from postwright.serving import forking, supervisor
from postwright.serving.web_roles import _shared_listener
from postwright.settings import Settings

PREFIX = "postwright: "


def idle(note: Path, *, is_deaf: bool = False) -> Callable[[], int]:
    """A child that notes its beginning in a file and waits for a signal, which the deaf one does not hear."""

    def work() -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN if is_deaf else lambda *_: sys.exit(0))
        with note.open("a") as file:
            file.write("x")
        while True:
            signal.pause()

    return lambda: guarded(work)


def guarded(work: Callable[[], int]) -> int:
    try:
        return work()
    except SystemExit as end:
        return int(end.code or 0)


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A supervisor over two idle children; each child notes its beginning in a file."""

    def children(*_: object) -> list[supervisor._Child]:
        return [supervisor._Child(name, idle(tmp_path / name)) for name in ("one", "two")]

    monkeypatch.setattr(supervisor, "_children", children)
    return lambda: asyncio.ensure_future(supervisor._supervise(Settings(), lambda _: 0, follow_parent=False))


async def _until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.01)


def _running() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if _title(child).startswith(PREFIX)]


def _title(process: psutil.Process) -> str:
    return "".join(process.cmdline()[:1])


async def test_a_signal_while_a_child_is_being_begun_ends_the_tree(tree, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = forking.Forks.begin

    def slow(self, title, work):
        if not signalled:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.3)  # the signal is there before anybody knows of this child
        process = begin(self, title, work)
        signalled.append(process.pid)
        return process

    signalled: list[int] = []
    monkeypatch.setattr(forking.Forks, "begin", slow)
    running = tree()
    async with asyncio.timeout(20):
        assert await running == 0
    assert not psutil.pid_exists(signalled[0])


async def test_a_killed_child_is_begun_again(tree, tmp_path: Path) -> None:
    running = tree()
    await _until(lambda: (tmp_path / "one").exists() and (tmp_path / "two").exists())
    victim = next(child for child in _running() if _title(child) == f"{PREFIX}one")
    victim.kill()
    await _until(lambda: (tmp_path / "one").read_text() == "xx")
    assert (tmp_path / "two").read_text() == "x"
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(20):
        assert await running == 0
    assert _running() == []


async def test_a_child_that_does_not_listen_is_killed_after_the_grace(
    tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = supervisor._Child("deaf", idle(tmp_path / "deaf", is_deaf=True))
    monkeypatch.setattr(supervisor, "_children", lambda *_: [deaf])
    monkeypatch.setattr(supervisor, "_GRACE", supervisor._GRACE / 450)
    running = tree()
    await _until((tmp_path / "deaf").exists)
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(5):
        assert await running == 0
    assert _running() == []


async def test_a_child_that_cannot_be_begun_is_tried_again(
    tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fork, failures = os.fork, []

    def fails_once() -> int:
        if not failures:
            failures.append(1)
            raise BlockingIOError("no more processes")  # EAGAIN
        return fork()

    monkeypatch.setattr(os, "fork", fails_once)
    running = tree()
    await _until(lambda: (tmp_path / "one").exists() and (tmp_path / "two").exists())
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(20):
        assert await running == 0


def _with_wrong_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One idle child, and one that cannot begin; it waits for the other, which is to be ended."""
    other = tmp_path / "one"

    def faulty() -> int:
        while not other.exists():
            time.sleep(0.01)
        return os.EX_CONFIG

    children = [supervisor._Child("one", idle(other)), supervisor._Child("faulty", faulty)]
    monkeypatch.setattr(supervisor, "_children", lambda *_: children)


async def test_settings_that_a_role_cannot_begin_with_end_the_tree(
    tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _with_wrong_settings(tmp_path, monkeypatch)
    async with asyncio.timeout(20):
        assert await tree() == os.EX_CONFIG
    assert _running() == []
    assert "role faulty cannot begin with these settings" in caplog.text


async def test_a_role_that_has_run_is_begun_again_whatever_its_settings_are_now(
    tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _with_wrong_settings(tmp_path, monkeypatch)
    monkeypatch.setattr(supervisor, "_STEADY", 0.0)
    monkeypatch.setattr(supervisor, "_FIRST_PAUSE", 0.0)
    running = tree()
    await _until(lambda: caplog.text.count("role faulty ended with status 78; beginning it again") >= 2)
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(20):
        assert await running == 0


def _told(_: Callable[[], None]) -> int:
    return 0


def test_without_an_address_to_send_from_there_is_no_delivery() -> None:
    names = [child.name for child in supervisor._children(Settings(), _told)]
    assert "deliver" not in names
    assert {"http", "smtp", "schedule", "track"} <= set(names)


def test_there_are_as_many_tracking_processes_as_are_set() -> None:
    egress = [{"ip": "127.0.0.1", "ehlo": "mta.acme.test"}]
    children = supervisor._children(Settings(track={"processes": 3}, deliver={"processes": 2, "egress": egress}), _told)
    names = [child.name for child in children]
    assert sorted(names) == ["deliver"] * 2 + ["http", "schedule", "smtp"] + ["track"] * 3


def test_tracking_processes_share_their_port() -> None:
    with _shared_listener("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with _shared_listener("127.0.0.1", port) as second:
            assert second.getsockname() == first.getsockname()
            first.listen()
            with pytest.raises(OSError, match="in use"), socket.create_server(("127.0.0.1", port)):
                pass
    with pytest.raises(ConfigurationError, match=r"track\.port"):
        _shared_listener("192.0.2.1", 8026)


async def test_children_end_when_the_supervisor_is_gone_whoever_else_lives(tmp_path: Path) -> None:
    """None holds the lifeline of another, and whatever was open in the supervisor is closed in them."""

    def read_to_the_end(name: str) -> Callable[[], int]:
        def work() -> int:
            held = [fd for fd in os.listdir("/proc/self/fd") if int(fd) > 2]
            (tmp_path / name).write_text(f"{len(held)}")
            os.read(0, 1)
            return 0

        return work

    with forking.Forks() as forks:
        first = forks.begin(f"{PREFIX}first", read_to_the_end("first"))
        second = forks.begin(f"{PREFIX}second", read_to_the_end("second"))
        await _until(lambda: all((tmp_path / name).exists() for name in ("first", "second")))
        os.close(first.lifeline)
        first.lifeline = os.dup(second.lifeline)  # closed with its child
        async with asyncio.timeout(20):
            assert await first.died == 0
        assert not second.died.done()
        os.kill(second.pid, signal.SIGKILL)
        assert await second.died == -signal.SIGKILL
    # One is the folder of descriptors that is being listed.
    assert [(tmp_path / name).read_text() for name in ("first", "second")] == ["1", "1"]


def test_what_is_run_apart_gives_its_status() -> None:
    def fails() -> int:
        raise ValueError("told on standard error, in the child")

    assert forking.run_apart(f"{PREFIX}seven", lambda: 7) == 7
    assert forking.run_apart(f"{PREFIX}fails", fails) == 1
