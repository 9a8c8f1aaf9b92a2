"""What the checks of one mail mean for a campaign: which findings block it, and which of those may be overruled."""

from collections.abc import Iterable, Mapping
from typing import Literal

from mailtypes.saying import begun, joined, say
from postwright.services.errors import Problem
from postwright.services.mail_checks import CheckedMail
from rendering.lint import Finding, LinkFact, Liveness, Severity
from rendering.spam_risk import Band, SpamRisk

RiskLimit = Literal["never", "high", "medium"]
NEVER_BLOCKS: RiskLimit = "never"
_TOLD_REASONS = 3
_BANDS = {Band.LOW: say("low"), Band.MEDIUM: say("medium"), Band.HIGH: say("high")}
_NEVER_OVERRULED = frozenset({"required.unsubscribe_missing", "subject.advertisement_word_missing"})
"""What law asks for."""
_OF_THE_MAIL = ("mjml-", "link.", "subject.", "spam_risk", "list_health_pause", "address.", "image.", "required.")


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
        sentence = (
            say("%(count)s pieces of advice on the mail: %(told)s.", count=len(advice), told=told)
            if len(advice) > 1
            else say("Advice: %(told)s.", told=told)
        )
        advisory.append(Problem("advice", sentence, "template", "", say("Look at them on the page of the template.")))
    return blocking, advisory


def problem_of(finding: Finding) -> Problem:
    """A finding as pre-flight tells it."""
    place = (
        say("line %(line)s, column %(column)s", line=finding.line, column=finding.column)
        if finding.line is not None
        else ""
    )
    message: str = begun(finding.message)
    if finding.times > 1:
        message = say("%(message)s (%(times)s times)", message=message, times=finding.times)
    field = finding.part if place else "template"
    return Problem(
        finding.code,
        joined((say("%(sentence)s.", sentence=message), finding.why), " "),
        field,
        place,
        finding.next_step,
    )


def images_problem(unknown: Mapping[str, str]) -> list[Problem]:
    """That some images could not be looked at, which says nothing of them; ``unknown`` has the causes by address."""
    if not unknown:
        return []
    address, cause = next(iter(unknown.items()))
    sentence = say(
        "Nothing is known of %(count)s images; of %(address)s: %(cause)s.",
        count=len(unknown),
        address=address[:100],
        cause=cause,
    )
    return [Problem("images_unknown", sentence, "template", "", say("Look at the mail with its images yourself."))]


def links_problem(facts: Mapping[str, LinkFact]) -> list[Problem]:
    """That of some links it could not be found out whether they lead anywhere; ``facts`` are by address."""
    unknown = [(address, fact.cause) for address, fact in facts.items() if fact.liveness is Liveness.UNKNOWN]
    if not unknown:
        return []
    address, cause = unknown[0]
    sentence = say(
        "It could not be found out whether all links lead anywhere (unknown: %(count)s); of %(address)s: %(cause)s.",
        count=len(unknown),
        address=address[:100],
        cause=cause,
    )
    return [Problem("links_unknown", sentence, "template", "", say("Open the links of the mail yourself."))]


def overridable(blocking: Iterable[Problem]) -> frozenset[str]:
    """The codes of blocking findings that somebody may send against."""
    codes = {problem.code for problem in blocking}
    return frozenset(code for code in codes - _NEVER_OVERRULED if code.startswith(_OF_THE_MAIL))


def _blocks(band: Band, limit: RiskLimit) -> bool:
    return (limit == "high" and band is Band.HIGH) or (limit == "medium" and band is not Band.LOW)


def _risk_problem(risk: SpamRisk) -> Problem | None:
    if risk.band is Band.LOW:
        return None
    heaviest = [reason for reason in risk.reasons if reason.weight > 0][:_TOLD_REASONS]
    told = joined(
        (say("%(reason)s (+%(weight)s)", reason=one.sentence, weight=f"{one.weight:.1f}") for one in heaviest), " "
    )
    sentence = say(
        "The spam risk is %(score)s of 10, %(band)s. %(told)s",
        score=f"{risk.score:.1f}",
        band=_BANDS[risk.band],
        told=told,
    )
    return Problem("spam_risk", sentence, "template", "", heaviest[0].mend if heaviest else "")
