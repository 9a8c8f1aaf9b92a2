"""The lint itself."""

from collections.abc import Iterator
from dataclasses import replace

from mailtypes.saying import say
from rendering.lint.case import Case, Hit, Rule
from rendering.lint.finding import Finding
from rendering.lint.subject import LintSubject
from rendering.lint.table import RULES

MAX_FINDINGS_A_RULE = 20


def lint(subject: LintSubject) -> tuple[Finding, ...]:
    """All findings on one mail, in the order of the rules and then of the mail.

    Pure and deterministic; never fails on a mail, however broken, and takes time in proportion to its length, of
    which a bounded part is read. A rule is told at most 20 times; the last one then counts the rest in ``times``.
    """
    case = Case(subject)
    return tuple(finding for rule in RULES for finding in _findings(case, rule))


def _findings(case: Case, rule: Rule) -> Iterator[Finding]:
    found: dict[object, list[Finding]] = {}
    for hit in rule.check(case):
        finding = _finding(case, rule, hit)
        key = finding.span or finding.message  # a loop of the template, a component with several elements: one place
        found.setdefault((finding.part, key), []).append(finding)
    groups = list(found.values())
    for number, group in enumerate(groups[:MAX_FINDINGS_A_RULE], 1):
        rest = sum(map(len, groups[number:])) if number == MAX_FINDINGS_A_RULE else 0
        yield replace(group[0], times=len(group) + rest)


def _finding(case: Case, rule: Rule, hit: Hit) -> Finding:
    span = case.span_of(hit.at)
    line, column = case.line_and_column(span, hit.part) if span is not None else (None, None)
    return Finding(
        code=rule.code,
        severity=rule.severity,
        message=hit.message,
        why=say(rule.why),
        next_step=say(rule.mend),
        span=span,
        part=hit.part,
        line=line,
        column=column,
        measured=hit.measured,
        limit=hit.limit,
        unit=hit.unit,
    )
