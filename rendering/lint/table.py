"""All rules in one table, as the lint runs them and as the documentation shows them."""

from collections.abc import Iterable

from rendering.lint import (
    addresses,
    client_support,
    dark_mode,
    direction,
    images,
    inbox_line,
    liveness,
    reading,
    required_parts,
    sizes,
)
from rendering.lint.case import Rule

RULES: tuple[Rule, ...] = (
    *required_parts.RULES,
    *sizes.RULES,
    *inbox_line.RULES,
    *images.RULES,
    *addresses.RULES,
    *liveness.RULES,
    *reading.RULES,
    *direction.RULES,
    *dark_mode.RULES,
    *client_support.RULES,
)


def rules_as_markdown(rules: Iterable[Rule] = RULES) -> str:
    """The table of ``docs/lint.md``."""
    lines = ["| code | severity | why | how to mend | source |", "|---|---|---|---|---|"]
    for rule in rules:
        cells = (f"`{rule.code}`", rule.severity.value, rule.why, rule.mend, rule.source)
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("<", "&lt;").replace("|", "\\|").replace("{", "&#123;")
