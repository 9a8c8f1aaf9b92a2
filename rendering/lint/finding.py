"""The form of a finding."""

from dataclasses import dataclass
from enum import StrEnum

from mailtypes.errors import Span


class Severity(StrEnum):
    """How much it matters: an ``error`` should keep the mail from being sent, ``advice`` is for the author to weigh."""

    ERROR = "error"
    WARNING = "warning"
    ADVICE = "advice"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. ``code`` never changes its meaning.

    ``message`` says what is so, ``why`` why it matters, ``next_step`` how to mend it. ``span``, ``line`` and
    ``column`` (from 1) are the place in ``part`` as the author wrote it: ``body``, ``subject``, ``preheader`` or
    ``plain_text``; ``None`` where there is none or where it cannot be known. ``measured`` and ``limit`` are in
    ``unit``. ``times`` counts the like findings at the same place or of the same kind that this one stands for.
    """

    code: str
    severity: Severity
    message: str
    why: str
    next_step: str
    span: Span | None = None
    part: str = "body"
    line: int | None = None
    column: int | None = None
    measured: float | None = None
    limit: float | None = None
    unit: str = ""
    times: int = 1
