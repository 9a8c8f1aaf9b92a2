"""The form of a finding."""

from dataclasses import dataclass
from enum import StrEnum

from mailtypes.errors import Span


class Severity(StrEnum):
    """How much it matters: an ``error`` should keep the mail from being sent."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class LintFinding:
    """One finding. ``code`` never changes its meaning; ``span`` is the place in the template's body, if it has one."""

    code: str
    severity: Severity
    message: str
    why: str
    next_step: str
    span: Span | None = None
