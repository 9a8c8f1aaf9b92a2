"""Exit codes (documented in docs/cli.md), and errors as people read them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer
from rich.console import Console
from sqlalchemy.exc import DBAPIError

from mailtypes.errors import ConfigurationError, InputSyntaxError, SurroundingsError
from postwright.services.errors import NotFoundError, Problem, RefusedError, ServiceError

_ERRORS = Console(stderr=True, highlight=False, soft_wrap=True)


class Exit(IntEnum):
    """What the command's exit status means."""

    OK = 0
    REFUSED = 1  # understood, and it cannot be done, or the check found errors
    UNKNOWN = 2  # could not find out
    USAGE = 64  # sysexits.h EX_USAGE: the command line is wrong
    DATA = 65  # EX_DATAERR: the input is wrong
    NOT_FOUND = 66  # EX_NOINPUT: no such thing, or no such file
    UNAVAILABLE = 69  # EX_UNAVAILABLE: database, disk or network do not work
    CONFIGURATION = 78  # EX_CONFIG: the settings are wrong


@contextmanager
def explained() -> Iterator[None]:
    """Turn what goes wrong inside into a sentence on standard error and an exit code."""
    try:
        yield
    except InputSyntaxError as error:
        _fail(error.explain(), Exit.DATA)
    except RefusedError as error:
        _fail("\n".join(problem_text(problem) for problem in error.problems), Exit.REFUSED)
    except NotFoundError as error:
        _fail(str(error), Exit.NOT_FOUND)
    except FileNotFoundError as error:
        _fail(f"There is no file {error.filename}.", Exit.NOT_FOUND)
    except ConfigurationError as error:
        _fail(str(error), Exit.CONFIGURATION)
    except (SurroundingsError, ServiceError) as error:
        _fail(str(error), Exit.UNAVAILABLE)
    except DBAPIError as error:
        _fail(f"The database does not answer as it should: {error.orig}", Exit.UNAVAILABLE)


def problem_text(problem: Problem) -> str:
    """A problem in one paragraph: where, what, what next."""
    where = ", ".join(part for part in (problem.field, problem.place) if part)
    next_step = f" {problem.next_step}" if problem.next_step else ""
    sentence = problem.sentence if problem.sentence.endswith((".", "!", "?")) else f"{problem.sentence}."
    return f"{where}: {sentence}{next_step}" if where else f"{sentence}{next_step}"


def _fail(text: str, code: Exit) -> None:
    _ERRORS.print(text, markup=False)
    sys.stderr.flush()
    raise typer.Exit(int(code))
