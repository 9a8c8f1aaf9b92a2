"""Installs in a folder of their own, and the command as its users call it: arguments in, texts and exit code out."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from postwright.cli import printing
from postwright.cli.app import main
from postwright.services import accounts


@dataclass
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[Any]:
        """What ``--json`` printed: one object a line."""
        found = [json.loads(line) for line in self.out.splitlines()]
        assert all(isinstance(one, dict) for one in found)
        return found


Command = Callable[..., Result]


def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> Result:
    capsys.readouterr()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "argv", ["postwright", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    told = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    assert "Traceback" not in told.err
    return Result(ended.value.code, told.out, told.err)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command in an empty folder."""
    monkeypatch.setattr(accounts, "PasswordHasher", lambda: PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    monkeypatch.setenv("POSTWRIGHT_CONFIG", str(tmp_path / "postwright.toml"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(printing.console, "width", 200)  # it has read COLUMNS when somebody imported it
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: call(monkeypatch, capsys, *arguments)


@pytest.fixture(scope="session")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An install as ``postwright init`` leaves it, made once and copied."""
    from asyncio import run  # noqa: PLC0415

    from mailtypes.clock import SystemClock  # noqa: PLC0415
    from postwright.install.initialise import initialise  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("initialised")
    (folder / "data").mkdir()
    begin = lambda: run(initialise(folder / "postwright.toml", "admin@acme.test", "main", SystemClock()))  # noqa: E731
    begin()
    with (folder / "postwright.toml").open("a") as config:
        # Nobody answers at this resolver: DNS is silent.
        config.write('[[deliver.egress]]\nip = "127.0.0.1"\nehlo = "mta.acme.test"\n')
        config.write('[dns]\nnameservers = ["127.0.0.1"]\nport = 9\ntimeout = 0.2\n')
    begin()  # once more, which takes the address to send from into the database
    return folder


@pytest.fixture
def postwright(bare: Command, tmp_path: Path, initialised: Path) -> Command:
    """The command in an install."""
    shutil.copytree(initialised, tmp_path, dirs_exist_ok=True)
    return bare
