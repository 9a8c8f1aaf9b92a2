"""Two audits of one domain beside each other: what a draft would break, and what it would heal."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dns_checks.audit.checks import AuditReport
from dns_checks.audit.report import AuditFinding, Verdict
from dns_checks.audit.requirements import Provider, RequirementState
from mailtypes.auth import Finding


class Effect(StrEnum):
    """What becomes of one thing. ``unclear``: one of the two audits could not find out."""

    BREAKS = "breaks"
    HEALS = "heals"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Change:
    """One finding that only one of the two audits has; ``check`` is the check that found it."""

    effect: Effect
    check: str
    finding: AuditFinding


@dataclass(frozen=True, slots=True)
class RequirementChange:
    """A provider's requirement whose state changes."""

    provider: Provider
    code: str
    title: str
    before: RequirementState
    after: RequirementState


@dataclass(frozen=True, slots=True)
class WhatIf:
    """All that changes: what breaks comes first, the graver before the lesser."""

    before: Verdict
    after: Verdict
    changes: tuple[Change, ...]
    requirements: tuple[RequirementChange, ...] = ()

    def of(self, effect: Effect) -> tuple[Change, ...]:
        """The changes of one kind."""
        return tuple(change for change in self.changes if change.effect is effect)


def what_if(before: AuditReport, after: AuditReport) -> WhatIf:
    """Compare the audit of live DNS with the one through a ``DraftOverlay``.

    Faults (findings that say ``absent``, of any severity) are compared check by check and code by code, so that a fault
    whose sentence alone changes is no change. A fault that is gone from a check that can no longer be judged is not
    healed but unclear; so is one that appears where nothing was known before.
    """
    earlier, later = _by_check(before), _by_check(after)
    changes = [
        change
        for check in dict.fromkeys((*earlier, *later))
        for change in _changes(check, earlier.get(check, ()), later.get(check, ()))
    ]
    order, gravity = list(Effect), ("error", "warning", "info")
    changes.sort(key=lambda one: (order.index(one.effect), gravity.index(one.finding.severity)))
    return WhatIf(before.verdict, after.verdict, tuple(changes), _requirement_changes(before, after))


def _by_check(report: AuditReport) -> dict[str, tuple[AuditFinding, ...]]:
    return {outcome.check: outcome.findings for outcome in report.outcomes}


def _changes(check: str, earlier: Sequence[AuditFinding], later: Sequence[AuditFinding]) -> list[Change]:
    was_silent, is_silent = _silent(earlier), _silent(later)
    new_silence = [one for one in later if one.state is Finding.UNKNOWN and one.code not in was_silent]
    appeared = _surplus(_faults(later), _faults(earlier))
    gone = _surplus(_faults(earlier), _faults(later))
    # Silence that both audits met with says nothing about what the other findings of the check do.
    breaks = Effect.UNCLEAR if was_silent - is_silent else Effect.BREAKS
    heals = Effect.UNCLEAR if new_silence else Effect.HEALS
    return [
        *(Change(breaks, check, one) for one in appeared),
        *(Change(heals, check, one) for one in gone),
        *(Change(Effect.UNCLEAR, check, one) for one in new_silence),
    ]


def _silent(findings: Sequence[AuditFinding]) -> set[str]:
    return {finding.code for finding in findings if finding.state is Finding.UNKNOWN}


def _faults(findings: Sequence[AuditFinding]) -> dict[str, list[AuditFinding]]:
    found: dict[str, list[AuditFinding]] = defaultdict(list)
    for finding in findings:
        if finding.state is Finding.ABSENT:
            found[finding.code].append(finding)
    return found


def _surplus(many: dict[str, list[AuditFinding]], few: dict[str, list[AuditFinding]]) -> list[AuditFinding]:
    """The faults in ``many`` that ``few`` has less of, those first whose sentence ``few`` does not have."""
    found: list[AuditFinding] = []
    for code, faults in many.items():
        others = {fault.sentence for fault in few.get(code, ())}
        ordered = sorted(faults, key=lambda fault: fault.sentence in others)
        found += ordered[: max(0, len(faults) - len(few.get(code, ())))]
    return found


def _requirement_changes(before: AuditReport, after: AuditReport) -> tuple[RequirementChange, ...]:
    earlier = {(one.provider, one.code): one.state for one in before.requirements}
    return tuple(
        RequirementChange(one.provider, one.code, one.title, earlier[one.provider, one.code], one.state)
        for one in after.requirements
        if earlier.get((one.provider, one.code), one.state) is not one.state
    )
