"""What a check of a template says, for its page: meters, findings, and how inboxes cut the subject."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mailtypes.saying import begun, say
from postwright.services.errors import Problem
from postwright.services.template_checks import TemplateCheck
from postwright.web.formats import number, octets
from postwright.web.language import N_, gettext, ngettext
from postwright.web.sayings import told
from rendering.lint import Finding, Severity, default_policy
from rendering.spam_risk import HIGH_FROM, Band, Reason

_TONES = {Severity.ERROR: "bad", Severity.WARNING: "attention", Severity.ADVICE: "unknown"}
_BANDS = {Band.LOW: N_("low"), Band.MEDIUM: N_("medium"), Band.HIGH: N_("high")}
_BAND_TONES = {Band.LOW: "good", Band.MEDIUM: "attention", Band.HIGH: "bad"}
_MOST_REASONS = 12


@dataclass(frozen=True, slots=True)
class Meter:
    """A value against a limit."""

    label: str
    value: float
    limit: float
    text: str
    tone: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """A finding with where a click leads: line and column of ``part``, and the number of the place in the mail."""

    tone: str
    code: str
    sentence: str
    why: str
    next_step: str
    part: str = ""
    line: int | None = None
    column: int | None = None
    mark: int | None = None


@dataclass(frozen=True, slots=True)
class InboxLine:
    """How the lists of some clients show the mail: what is seen and what is cut off."""

    clients: tuple[str, ...]
    subject: str
    subject_cut: str
    preheader: str
    preheader_cut: str


def report_of(check: TemplateCheck) -> dict[str, Any]:
    """All of it for the template ``_template_report``."""
    mail = check.mail
    remarks = [*map(_of_problem, check.problems), *map(_of_problem, check.unknown_fields)]
    if mail is not None:
        remarks += [_of_finding(finding, mark) for finding, mark in zip(mail.findings, mail.marks, strict=True)]
    return {
        "remarks": remarks,
        "counts": {tone: sum(remark.tone == tone for remark in remarks) for tone in ("bad", "attention", "unknown")},
        "meters": _meters(check),
        "reasons": _reasons(mail.risk.reasons) if mail is not None else [],
        "unknown": mail.risk.unknown if mail is not None else (),
        "changes": mail.changes if mail is not None else None,
        "inbox": inbox_lines(mail.subject, mail.preheader) if mail is not None else [],
        "is_rtl": mail is not None and mail.measures.is_right_to_left,
    }


def inbox_lines(subject: str, preheader: str) -> list[InboxLine]:
    """The mail in the lists of the clients that count most."""
    subject, preheader = " ".join(subject.split()), " ".join(preheader.split())
    found: dict[tuple[str, str, str, str], list[str]] = {}
    for limit in sorted(default_policy().inbox_limits, key=lambda limit: -limit.share):
        shown = (subject[: limit.subject], preheader[: limit.preheader])
        cut = (subject[limit.subject :], preheader[limit.preheader :])
        found.setdefault((shown[0], cut[0], shown[1], cut[1]), []).append(told(say(limit.name)))
    return [InboxLine(tuple(clients), *texts) for texts, clients in found.items()]


def _meters(check: TemplateCheck) -> Sequence[Meter]:
    mail = check.mail
    if mail is None:
        return ()
    risk, measures = mail.risk, mail.measures
    size = measures.html_octets or 0
    share = measures.image_share
    return (
        Meter(
            gettext("Spam risk"),
            risk.score,
            10,
            gettext("%(score)s of 10, %(band)s", score=f"{risk.score:.1f}", band=gettext(_BANDS[risk.band])),
            _BAND_TONES[risk.band],
            _compared(check),
        ),
        Meter(
            gettext("Size of the HTML"),
            size,
            measures.html_limit,
            gettext("%(size)s of %(limit)s", size=octets(size), limit=octets(measures.html_limit)),
            "bad" if size > measures.html_limit else "attention" if size > 0.9 * measures.html_limit else "good",
            gettext("Gmail cuts what is longer."),
        ),
        Meter(
            gettext("Images"),
            0 if share is None else share,
            1,
            gettext("size not known")
            if share is None
            else gettext("%(share)s %% of the area", share=round(100 * share)),
            "unknown" if share is None else "attention" if share > measures.image_share_limit else "good",
            ngettext(
                "%(count)s word beside them.",
                "%(count)s words beside them.",
                measures.words,
                count=number(measures.words),
            ),
        ),
    )


def _compared(check: TemplateCheck) -> str:
    changes = check.mail.changes if check.mail is not None else None
    if changes is None:
        return gettext("A signal, and no forecast of the inbox.")
    return ngettext(
        "Your last campaign: %(usual)s.",
        "Your last %(count)s campaigns: %(usual)s.",
        changes.compared,
        count=number(changes.compared),
        usual=f"{changes.usual:.1f}",
    )


def _reasons(reasons: Sequence[Reason]) -> list[dict[str, Any]]:
    told = [reason for reason in reasons if abs(reason.weight) >= 0.05][:_MOST_REASONS]
    return [
        {
            "weight": f"{reason.weight:+.1f}",
            "tone": "good" if reason.weight < 0 else "bad" if reason.weight >= HIGH_FROM / 4 else "attention",
            "sentence": reason.sentence,
            "mend": reason.mend if reason.weight > 0 else "",
            "excerpt": reason.place.excerpt if reason.place is not None else "",
        }
        for reason in told
    ]


def _of_problem(problem: Problem) -> Remark:
    line, column = _place(problem.place)
    return Remark(
        "bad",
        problem.code,
        begun(problem.sentence),
        "",
        problem.next_step,
        problem.field or "body",
        line,
        column,
    )


def _place(text: str) -> tuple[int | None, int | None]:
    words = text.replace(",", "").split()
    if len(words) == 4 and words[0] == "line" and words[1].isdigit() and words[3].isdigit():
        return int(words[1]), int(words[3])
    return None, None


def _of_finding(finding: Finding, mark: int | None) -> Remark:
    message = told(begun(finding.message))
    times = gettext(" (%(count)s times)", count=number(finding.times)) if finding.times > 1 else ""
    return Remark(
        _TONES[finding.severity],
        finding.code,
        f"{message}{times}",
        finding.why,
        finding.next_step,
        finding.part,
        finding.line,
        finding.column,
        mark,
    )
