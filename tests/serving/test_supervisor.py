"""The tree of processes: begun again when one dies, ended by one signal, whenever it comes."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest

from mailtypes.errors import ConfigurationError
from postwright.serving import supervisor
from postwright.serving.roles import _shared_listener
from postwright.settings import Settings

_IDLE = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
open(sys.argv[1], "a").write("x")
signal.pause()
"""
_DEAF = _IDLE.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN")


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A supervisor over two idle children, with nothing to prepare; each child notes its beginning in a file."""

    async def prepared(_: Settings) -> None:
        pass

    def children(_: Settings) -> list[supervisor._Child]:
        return [supervisor._Child(name, (sys.executable, "-c", _IDLE, str(tmp_path / name))) for name in ("one", "two")]

    monkeypatch.setattr(supervisor, "prepare", prepared)
    monkeypatch.setattr(supervisor, "_children", children)
    return lambda: asyncio.ensure_future(supervisor._supervise(Settings(), os.environ, follow_parent=False))


async def _until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.01)


def _running() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "signal.pause" in " ".join(child.cmdline())]


async def test_a_signal_while_a_child_is_being_begun_ends_the_tree(tree, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = asyncio.create_subprocess_exec

    async def slow(*arguments, **options):
        process = await begin(*arguments, **options)
        if not signalled:
            signalled.append(process.pid)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.3)  # the signal is acted upon before anybody knows of this child
        return process

    signalled: list[int] = []
    monkeypatch.setattr(asyncio, "create_subprocess_exec", slow)
    running = tree()
    async with asyncio.timeout(20):
        assert await running == 0
    assert not psutil.pid_exists(signalled[0])


async def test_a_killed_child_is_begun_again(tree, tmp_path: Path) -> None:
    running = tree()
    await _until(lambda: (tmp_path / "one").exists() and (tmp_path / "two").exists())
    victim = next(child for child in _running() if child.cmdline()[-1].endswith("one"))
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
    monkeypatch.setattr(
        supervisor,
        "_children",
        lambda _: [supervisor._Child("deaf", (sys.executable, "-c", _DEAF, str(tmp_path / "deaf")))],
    )
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
    begin, failures = asyncio.create_subprocess_exec, []

    async def fails_once(*arguments, **options):
        if not failures:
            failures.append(arguments)
            raise BlockingIOError("no more processes")  # fork: EAGAIN
        return await begin(*arguments, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", fails_once)
    running = tree()
    await _until(lambda: (tmp_path / "one").exists() and (tmp_path / "two").exists())
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(20):
        assert await running == 0


def _with_wrong_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One idle child, and one that cannot begin; it waits for the other, which is to be ended."""
    other = tmp_path / "one"
    faulty = f"import os, time, sys\nwhile not os.path.exists({str(other)!r}): time.sleep(0.01)\nsys.exit(os.EX_CONFIG)"
    children = [
        supervisor._Child("one", (sys.executable, "-c", _IDLE, str(other))),
        supervisor._Child("faulty", (sys.executable, "-c", faulty)),
    ]
    monkeypatch.setattr(supervisor, "_children", lambda _: children)


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


def test_without_an_address_to_send_from_there_is_no_delivery() -> None:
    names = [child.name for child in supervisor._children(Settings())]
    assert "deliver" not in names
    assert {"http", "smtp", "schedule", "track"} <= set(names)


def test_there_are_as_many_tracking_processes_as_are_set() -> None:
    egress = [{"ip": "127.0.0.1", "ehlo": "mta.acme.test"}]
    children = supervisor._children(Settings(track={"processes": 3}, deliver={"processes": 2, "egress": egress}))
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
