"""The command line as Markdown, for docs/cli.md."""

import inspect
from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args

import typer.main

from postwright.cli.app import DeferredCommand, app
from postwright.cli.exit_codes import Exit

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
    if isinstance(command, DeferredCommand):
        command = command.load()
    children = getattr(command, "commands", None)
    if children:
        for name, child in children.items():
            yield from _command(f"{path} {name}", child)
        return
    shown = [one for one in command.params if not getattr(one, "hidden", False) and "--help" not in one.opts]
    words = " ".join(one.name.upper() for one in shown if one.param_type_name == "argument")
    yield f"## `{f'{path} {words}'.strip()}`\n"
    yield f"{inspect.cleandoc(command.help or '')}\n"
    if shown:
        yield "| argument or option | meaning |\n|---|---|"
        yield from (_row(one) for one in shown)
        yield ""


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        names = f"`{parameter.name.upper()}`"
    else:
        names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    meaning = [parameter.help or ""]
    annotation = parameter.type_descriptor.annotation
    kind = next(iter(get_args(annotation)), annotation)  # list[Role] is an option that may be given several times
    if isinstance(kind, type) and issubclass(kind, Enum):
        meaning.append(f"One of {', '.join(f'`{choice.value}`' for choice in kind)}.")
    if parameter.required and parameter.param_type_name == "option":
        meaning.append("Required.")
    return f"| {names} | {' '.join(meaning)} |"
