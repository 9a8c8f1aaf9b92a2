import subprocess
import sys

import pytest

from postwright import __version__
from postwright.cli.app import _COMMANDS, DeferredCommand, app
from postwright.cli.reference import reference

HEAVY = ("sqlalchemy", "fastapi", "uvicorn", "liquid", "alembic", "pydantic", "cryptography")


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_version_and_help_import_nothing_heavy(argument: str) -> None:
    program = (
        "import sys\nfrom postwright.cli.app import main\nsys.argv = ['postwright', sys.argv[1]]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    found = subprocess.run([sys.executable, "-c", program, argument], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"
    assert (__version__ if argument == "--version" else "campaign") in found.stdout


@pytest.mark.parametrize("name", _COMMANDS)
def test_the_summary_of_a_command_is_its_own(name: str) -> None:
    module, attribute, summary = _COMMANDS[name]
    command = DeferredCommand(name, (module, attribute), summary).load()
    assert " ".join((command.help or "").split()) == summary


def test_the_reference_names_every_command() -> None:
    text = reference()
    for name in _COMMANDS:
        assert f"## `postwright {name}" in text
    assert "postwright campaign create NAME" in text
    assert app.info.name == "postwright"
