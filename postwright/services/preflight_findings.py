"""What the checks of one mail mean for a campaign: which findings block it, and which of those may be overruled."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from postwright.services.errors import Problem, RefusedError
from postwright.services.mail_checks import CheckedMail
from rendering.lint import Finding, Severity
from rendering.spam_risk import Band, SpamRisk

RiskLimit = Literal["never", "high", "medium"]
NEVER_BLOCKS: RiskLimit = "never"
_TOLD_REASONS = 3
_NEVER_OVERRULED = frozenset({"required.unsubscribe_missing", "subject.advertisement_word_missing"})
"""What law asks for."""
_OF_THE_MAIL = ("mjml-", "link.", "subject.", "spam_risk", "list_health_pause", "address.", "image.", "required.")
_LONGEST_NOTE = 1000


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody sends against findings: their codes, who it is, and why."""

    codes: frozenset[str]
    who: str
    note: str


def mail_problems(mail: CheckedMail, risk_limit: RiskLimit) -> tuple[list[Problem], list[Problem]]:
    """Blocking and advisory: errors block, the spam risk only where the limit says so; advice is summed up."""
    blocking = [problem_of(finding) for finding in mail.findings if finding.severity is Severity.ERROR]
    advisory = [problem_of(finding) for finding in mail.findings if finding.severity is Severity.WARNING]
    risk = _risk_problem(mail.risk)
    if risk is not None:
        (blocking if _blocks(mail.risk.band, risk_limit) else advisory).append(risk)
    advice = [finding.code for finding in mail.findings if finding.severity is Severity.ADVICE]
    if advice:
        told = ", ".join(dict.fromkeys(advice))
        sentence = f"{len(advice)} pieces of advice on the mail: {told}." if len(advice) > 1 else f"Advice: {told}."
        advisory.append(Problem("advice", sentence, "template", "", "Look at them on the page of the template."))
    return blocking, advisory


def problem_of(finding: Finding) -> Problem:
    """A finding as pre-flight tells it."""
    place = f"line {finding.line}, column {finding.column}" if finding.line is not None else ""
    message = finding.message[:1].upper() + finding.message[1:]
    times = f" ({finding.times} times)" if finding.times > 1 else ""
    field = finding.part if place else "template"
    return Problem(finding.code, f"{message}{times}. {finding.why}", field, place, finding.next_step)


def overridable(blocking: Iterable[Problem]) -> frozenset[str]:
    """The codes of blocking findings that somebody may send against."""
    codes = {problem.code for problem in blocking}
    return frozenset(code for code in codes - _NEVER_OVERRULED if code.startswith(_OF_THE_MAIL))


def still_blocking(blocking: Sequence[Problem], override: Override | None) -> tuple[Problem, ...]:
    """What blocks in spite of an override; raises ``RefusedError`` where that names what nobody may overrule."""
    if override is None:
        return tuple(blocking)
    if not override.note.strip() or len(override.note) > _LONGEST_NOTE:
        raise RefusedError(
            "override_note", f"An override says why, in 1 to {_LONGEST_NOTE} characters.", field="override.note"
        )
    firm = sorted(override.codes & {problem.code for problem in blocking} - overridable(blocking))
    if firm:
        raise RefusedError(
            "not_overridable",
            f"Nobody may send against {', '.join(firm)}.",
            field="override.codes",
            next_step="Mend what it names.",
        )
    return tuple(problem for problem in blocking if problem.code not in override.codes)


def override_document(blocking: Sequence[Problem], override: Override) -> dict[str, object]:
    """What the event log keeps of an override: who, why, and against what."""
    against = [
        {"code": problem.code, "sentence": problem.sentence} for problem in blocking if problem.code in override.codes
    ]
    return {"who": override.who, "note": override.note.strip(), "findings": against}


def _blocks(band: Band, limit: RiskLimit) -> bool:
    return (limit == "high" and band is Band.HIGH) or (limit == "medium" and band is not Band.LOW)


def _risk_problem(risk: SpamRisk) -> Problem | None:
    if risk.band is Band.LOW:
        return None
    heaviest = [reason for reason in risk.reasons if reason.weight > 0][:_TOLD_REASONS]
    told = " ".join(f"{reason.sentence} (+{reason.weight:.1f})" for reason in heaviest)
    sentence = f"The spam risk is {risk.score:.1f} of 10, {risk.band}. {told}"
    return Problem("spam_risk", sentence, "template", "", heaviest[0].mend if heaviest else "")
