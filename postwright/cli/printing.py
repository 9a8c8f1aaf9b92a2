"""Ways to print that need nothing of the application."""

import json
from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Console

console = Console(highlight=False)
JsonOption = typer.Option(False, "--json", help="Print JSON, one object a line, instead of a table.")


def print_json(document: Mapping[str, Any]) -> None:
    """One object on one line."""
    typer.echo(json.dumps(document, ensure_ascii=False, default=str))
