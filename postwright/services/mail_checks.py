"""One mail looked at from all sides: merged, validated, linted, scored. Pure, so that a thread may do it."""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType

from mailtypes.errors import Span
from mailtypes.saying import say
from postwright.services.audit_facts import NO_AUDIT, AuditFacts
from rendering.lint import (
    Finding,
    ImageFact,
    LinkFact,
    LintFacts,
    LintSubject,
    SenderFacts,
    Severity,
    compose_for_lint,
    lint,
)
from rendering.lint.marking import PLACE_ATTRIBUTE
from rendering.lint.measures import Measures, measure
from rendering.mjml import Expanded, validate_mjml
from rendering.segments import MessageUrls
from rendering.spam_risk import RiskChanges, ScoredMessage, SpamRisk, assess, compare
from rendering.template import Layouts, Template
from tracking.urls import click_url, pixel_url, preferences_url, unsubscribe_url

_LIKE_A_TOKEN = "A" * 40
_MARK = re.compile(rf' {PLACE_ATTRIBUTE}="[0-9]+"|\bpw-at-[0-9]+(?:-outlook)? ?')
_GRAVITY = {severity: number for number, severity in enumerate(Severity)}
_SAID_BY_THE_LINT = {"image-without-alt": "image.alt_missing"}
"""What the validator says of the source and the lint of the mail: told once."""


@dataclass(frozen=True, slots=True)
class MailFacts:
    """What is known beside the mail. ``expanded`` leads from a body with parts back to what the author has written.

    ``images`` are what is known of images by their addresses, ``links`` of links by theirs without fragment.
    """

    sender: SenderFacts = field(default_factory=SenderFacts)
    audit: AuditFacts = NO_AUDIT
    expanded: Expanded | None = None
    written: str = ""
    earlier: tuple[SpamRisk, ...] = ()
    locale: str = ""
    today: date | None = None
    images: Mapping[str, ImageFact] = field(default_factory=lambda: MappingProxyType({}))
    links: Mapping[str, LinkFact] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class CheckedMail:
    """What the checks saw of one mail.

    ``html`` has the author's own addresses and the numbers of ``mark_components``; ``marks`` gives the number of each
    finding's place, in the order of the findings. ``changes`` is against one's last campaigns.
    """

    subject: str
    preheader: str
    html: str
    text: str
    measures: Measures
    findings: tuple[Finding, ...]
    marks: tuple[int | None, ...]
    risk: SpamRisk
    changes: RiskChanges | None


def unmarked(html: str) -> str:
    """The HTML without the numbers of ``mark_components``."""
    return _MARK.sub("", html)


def sample_urls(base: str, *, honeypots: bool = False) -> MessageUrls:
    """Links as long as those that will be sent; ``honeypots``: with the link that no reader sees."""
    return MessageUrls(
        link_url=lambda _: click_url(base, _LIKE_A_TOKEN),
        unsubscribe_url=unsubscribe_url(base, _LIKE_A_TOKEN),
        pixel_url=pixel_url(base, _LIKE_A_TOKEN),
        preferences_url=preferences_url(base, _LIKE_A_TOKEN),
        honeypot_url=click_url(base, _LIKE_A_TOKEN) if honeypots else None,
    )


def check_mail(
    template: Template | Layouts, data: Mapping[str, object], urls: MessageUrls, facts: MailFacts
) -> CheckedMail:
    """Compose a mail and say everything about it; raises what composing raises, and nothing for what is merely bad."""
    return judge_mail(compose_mail(template, data, urls, facts), facts)


def compose_mail(
    template: Template | Layouts, data: Mapping[str, object], urls: MessageUrls, facts: MailFacts
) -> LintSubject:
    """The mail as the checks read it."""
    known = LintFacts(facts.sender, facts.images, facts.locale, facts.today, links=facts.links)
    return compose_for_lint(template, data, urls, known)


def judge_mail(subject: LintSubject, facts: MailFacts) -> CheckedMail:
    """Everything that there is to say about a composed mail."""
    found = sorted(_findings(subject), key=lambda finding: _GRAVITY[finding.severity])
    risk = assess(_scored(subject), facts.audit.auth, facts.audit.infrastructure)
    measures = measure(subject)
    return CheckedMail(
        subject=subject.subject,
        preheader=measures.preheader,
        html=subject.html,
        text=subject.plain_text or "",
        measures=measures,
        findings=tuple(_led_back(finding, facts) for finding in found),
        marks=tuple(_marks(subject, found)),
        risk=risk,
        changes=compare(risk, facts.earlier),
    )


def score_mail(template: Template, data: Mapping[str, object], audit: AuditFacts) -> SpamRisk:
    """The score alone, for comparing with mails that were sent."""
    subject = compose_for_lint(template, data, sample_urls("https://links.invalid"))
    return assess(_scored(subject), audit.auth, audit.infrastructure)


def _scored(subject: LintSubject) -> ScoredMessage:
    return ScoredMessage(subject.subject, subject.html, subject.plain_text)


def _findings(subject: LintSubject) -> list[Finding]:
    linted = lint(subject)
    if subject.body_format != "mjml":
        return list(linted)
    said = {finding.code for finding in linted}
    valid = [one for one in validate_mjml(subject.source) if _SAID_BY_THE_LINT.get(one.code) not in said]
    return [*valid, *linted]


def _led_back(finding: Finding, facts: MailFacts) -> Finding:
    """The finding with its place in what the author wrote; in an included part it names that."""
    if facts.expanded is None or finding.span is None or finding.part != "body":
        return finding
    name, start = facts.expanded.origin(finding.span.start)
    if name:
        told = say("%(message)s (in the part '%(name)s')", message=finding.message, name=name)
        return replace(finding, message=told, span=None, line=None, column=None)
    line, column = _line_and_column(facts.written, start)
    return replace(finding, span=Span(start, start + finding.span.end - finding.span.start), line=line, column=column)


def _line_and_column(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1


def _marks(subject: LintSubject, findings: Sequence[Finding]) -> list[int | None]:
    """The number of the tag that each finding is in."""
    if not subject.places:
        return [None] * len(findings)
    places = subject.places
    starts = [place.start for place in places]
    found: list[int | None] = []
    for finding in findings:
        index = bisect_right(starts, finding.span.start) - 1 if finding.span and finding.part == "body" else -1
        is_within = index >= 0 and finding.span is not None and finding.span.start < places[index].end
        found.append(index if is_within else None)
    return found
