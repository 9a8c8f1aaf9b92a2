"""Errors as people read them, each with its exit code."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from sqlalchemy.exc import DBAPIError

from mailtypes.errors import ConfigurationError, InputSyntaxError, SurroundingsError
from postwright.cli.exit_codes import Exit
from postwright.services.errors import NotFoundError, Problem, RefusedError, ServiceError

_ERRORS = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def explained() -> Iterator[None]:
    """Turn what goes wrong inside into a sentence on standard error and an exit code."""
    try:
        yield
    except RefusedError as error:
        if isinstance(error.__cause__, InputSyntaxError):  # a text with a place: shown with the caret under it
            _fail(_placed(error.problems[0], error.__cause__), Exit.DATA)
        _fail("\n".join(problem_text(problem) for problem in error.problems), Exit.REFUSED)
    except tuple(_SENTENCES) as error:
        sentence, code = next(_SENTENCES[kind] for kind in type(error).__mro__ if kind in _SENTENCES)
        _fail(sentence(error), code)


def status_of(work: Callable[[], None]) -> int:
    """Do the work and give the exit code; what goes wrong is told on standard error."""
    try:
        with explained():
            work()
    except typer.Exit as end:
        return int(end.exit_code)
    return 0


_SENTENCES: dict[type[BaseException], tuple[Callable[[Any], str], Exit]] = {
    InputSyntaxError: (lambda error: error.explain(), Exit.DATA),
    UnicodeDecodeError: (lambda error: f"Not text in UTF-8 (octet {error.start + 1:,}). Save it as UTF-8.", Exit.DATA),
    NotFoundError: (str, Exit.NOT_FOUND),
    FileNotFoundError: (lambda error: f"There is no file {error.filename}.", Exit.NOT_FOUND),
    IsADirectoryError: (lambda error: f"{error.filename} is a folder, not a file.", Exit.NOT_FOUND),
    OSError: (lambda error: f"{error.strerror or error}: {error.filename or 'a file'}", Exit.UNAVAILABLE),
    ConfigurationError: (str, Exit.CONFIGURATION),
    SurroundingsError: (str, Exit.UNAVAILABLE),
    ServiceError: (str, Exit.UNAVAILABLE),
    DBAPIError: (lambda error: f"The database does not answer as it should: {error.orig}", Exit.UNAVAILABLE),
}
"""By kind of error (the nearest kind counts): what to say, and the exit code."""


def problem_text(problem: Problem) -> str:
    """A problem in one paragraph: where, what, what next."""
    where = ", ".join(part for part in (problem.field, problem.place) if part)
    next_step = f" {problem.next_step}" if problem.next_step else ""
    sentence = problem.sentence if problem.sentence.endswith((".", "!", "?")) else f"{problem.sentence}."
    return f"{where}: {sentence}{next_step}" if where else f"{sentence}{next_step}"


def _placed(problem: Problem, error: InputSyntaxError) -> str:
    where = ", ".join(part for part in (problem.field, problem.place) if part)
    return f"{where}: {error.explain()}" if where else error.explain()


def _fail(text: str, code: Exit) -> None:
    _ERRORS.print(text, markup=False)
    sys.stderr.flush()
    raise typer.Exit(int(code))
