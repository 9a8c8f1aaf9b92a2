"""What a service refuses, in values that the edges turn into their own words (HTTP status, exit code, page)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from mailtypes.errors import InputSyntaxError, PostwrightError
from mailtypes.saying import say


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: a stable code, a sentence, the place where it can be named, and the next step."""

    code: str
    sentence: str
    field: str = ""
    place: str = ""
    next_step: str = ""

    @classmethod
    def of(cls, error: InputSyntaxError, code: str, field: str = "") -> "Problem":
        """The problem that a syntax error tells of."""
        at = error.line_and_column
        place = say("line %(line)s, column %(column)s", line=at[0], column=at[1]) if at else ""
        return cls(code, error.message, field, place, error.next_step)


class ServiceError(PostwrightError):
    """Root of what services refuse."""


class RefusedError(ServiceError):
    """Valid in form, but it cannot be done as things stand; nothing was changed."""

    def __init__(self, code: str, sentence: str, *, field: str = "", next_step: str = "") -> None:
        super().__init__(sentence)
        self.problems: tuple[Problem, ...] = (Problem(code, sentence, field, "", next_step),)

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> "RefusedError":
        """A refusal for several reasons at once."""
        first = problems[0]
        error = cls(first.code, first.sentence)
        error.problems = tuple(problems)
        return error


class NotFoundError(ServiceError):
    """There is no such thing in this workspace."""

    def __init__(self, what: str) -> None:
        super().__init__(f"There is no such {what}.")
        self.what = what


class TooManyTriesError(ServiceError):
    """Try again after ``wait``."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(say("Too many tries. Please wait a quarter of an hour."))
        self.wait = wait
