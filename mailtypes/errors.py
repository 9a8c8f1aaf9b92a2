"""The one error tree for bad input and for broken surroundings.

Verdicts about the world (an SPF ``fail``, a missing record) are values, not errors. An exception means either
that somebody's input is wrong (``InputSyntaxError`` and its subclasses: with the place and the next step) or
that the surroundings are broken (``SurroundingsError``: disk, database, peer).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range ``[start, end)`` of character positions in a source text."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"not a span: {self.start}..{self.end}")


class PostwrightError(Exception):
    """Root of all errors that Postwright raises on purpose."""


class InputSyntaxError(PostwrightError):
    """Input that somebody has to mend: what is wrong, where, and what to do next.

    ``source`` is the text as given, ``span`` the faulty range in it (``None`` where the whole text is at fault),
    ``next_step`` one sentence that tells how to mend it.
    """

    def __init__(self, message: str, *, source: str = "", span: Span | None = None, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.source = source
        self.span = span
        self.next_step = next_step

    @property
    def line_and_column(self) -> tuple[int, int] | None:
        """Place of the fault as 1-based line and column, or ``None`` where there is no span."""
        if self.span is None:
            return None
        before = self.source[: self.span.start]
        return before.count("\n") + 1, self.span.start - (before.rfind("\n") + 1) + 1

    def explain(self) -> str:
        """The message with the faulty line, a caret run under the fault, and the next step; several lines."""
        parts = [self.message]
        place = self.line_and_column
        if place is not None and self.span is not None:
            line_number, column = place
            line = self.source.split("\n")[line_number - 1]
            width = max(1, min(self.span.end - self.span.start, len(line) - column + 1))
            parts += [f"  {line}", "  " + " " * (column - 1) + "^" * width]
        if self.next_step:
            parts.append(self.next_step)
        return "\n".join(parts)


class SurroundingsError(PostwrightError):
    """Something outside of Postwright is broken: not the caller's fault, and perhaps gone in a minute."""


class StorageError(SurroundingsError):
    """The database refused or lost the work; nothing of it was stored."""


class StorageFullError(StorageError):
    """No room left on the disk; nothing of the work was stored."""


class UnknownStorageStateError(StorageError):
    """A sync to disk failed: what was believed to be stored is unknown, so the process has to end."""


class PeerError(SurroundingsError):
    """The other end of a connection broke the protocol or went away."""


class ConfigurationError(PostwrightError):
    """Settings that cannot work together; the message names the key and the mend."""
