"""What is wrong with a mail before it is sent: findings with stable codes, places, reasons and next steps."""

from rendering.lint.checks import GMAIL_CLIP_OCTETS, GMAIL_STYLE_OCTETS, lint_layout, lint_template
from rendering.lint.finding import LintFinding, Severity

__all__ = ["GMAIL_CLIP_OCTETS", "GMAIL_STYLE_OCTETS", "LintFinding", "Severity", "lint_layout", "lint_template"]
