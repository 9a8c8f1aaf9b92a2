"""The command line as Markdown, for docs/cli.md."""

import inspect
from collections.abc import Iterator
from typing import Any

import typer.main

from postwright.cli.app import app
from postwright.cli.exits import Exit

_EXIT_TEXTS = {
    Exit.OK: "all good",
    Exit.REFUSED: "understood, and refused or found wrong; the reasons are printed",
    Exit.UNKNOWN: "could not find out",
    Exit.USAGE: "the command line is wrong",
    Exit.DATA: "the input is wrong; the place is printed",
    Exit.NOT_FOUND: "no such thing, or no such file",
    Exit.UNAVAILABLE: "database, disk or network do not work",
    Exit.CONFIGURATION: "the settings are wrong",
}


def reference() -> str:
    """Every command with its arguments and options, and the exit codes."""
    commands = "\n".join(_command("postwright", typer.main.get_command(app)))
    codes = "\n".join(f"| {int(code)} | {text} |" for code, text in _EXIT_TEXTS.items())
    return f"{commands}\n## Exit codes\n\n| code | meaning |\n|---|---|\n{codes}\n"


def _command(path: str, command: Any) -> Iterator[str]:
    children = getattr(command, "commands", None)
    if children:
        for name, child in children.items():
            yield from _command(f"{path} {name}", child)
        return
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [
        parameter
        for parameter in command.params
        if parameter.param_type_name == "option" and not parameter.hidden and "--help" not in parameter.opts
    ]
    words = " ".join(f"{parameter.name.upper()}" for parameter in arguments)
    yield f"## `{f'{path} {words}'.strip()}`\n"
    yield f"{inspect.cleandoc(command.help or '')}\n"
    if options:
        yield "| option | meaning |\n|---|---|"
        for option in options:
            names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
            yield f"| {names} | {option.help or ''} |"
        yield ""
