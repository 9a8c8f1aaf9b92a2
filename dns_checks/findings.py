"""What a check says to people: one finding for each thing that was looked for, with evidence and the next step."""

from dataclasses import dataclass, replace
from enum import StrEnum

from mailtypes.auth import Finding
from mailtypes.errors import Span
from mailtypes.questions import (
    Absent,
    AddressRecord,
    DnsAnswer,
    DnsQuestion,
    DnsRecord,
    HttpAnswer,
    HttpFetch,
    MxRecord,
    NameRecord,
    TxtRecord,
    Unanswered,
)
from mailtypes.saying import say

ASK_AGAIN = say("Check again in a few minutes; if it stays so, ask whoever runs the domain's name servers.")
_MAX_SHOWN = 2_000


class Severity(StrEnum):
    """How much hangs on what a finding looked for."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A question as asked (``news.acme.test TXT``) and the answer as it came, both as text."""

    question: str
    answer: str

    @classmethod
    def of(cls, question: DnsQuestion, answer: DnsAnswer) -> "Evidence":
        """The evidence of one DNS query."""
        return cls(f"{printable(question.name)} {question.record_type}", answer_text(answer))

    @classmethod
    def of_fetch(cls, fetch: HttpFetch, answer: HttpAnswer) -> "Evidence":
        """The evidence of one fetch."""
        if isinstance(answer, Unanswered):
            return cls(f"GET {fetch.url}", answer_text(answer))
        shown = f"{answer.status} {printable(answer.content_type)}"
        return cls(f"GET {fetch.url}", f"{shown}, {len(answer.body)} octets")


@dataclass(frozen=True, slots=True)
class Mark:
    """The place in a record that a finding is about: the record as one text, one character an octet, and the span."""

    text: str
    span: Span

    @property
    def marked(self) -> str:
        """What stands there."""
        return self.text[self.span.start : self.span.end]


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """One thing that was looked for: whether it is there, how that is known, and what to do.

    ``code`` (``topic.what``) never changes its meaning. ``state`` is the state of what was wanted: a fault of severity
    ``error`` is ``absent``. ``sentence`` and ``next_step`` are for people. ``mark`` shows the place in the record
    where there is one.
    """

    code: str
    severity: Severity
    state: Finding
    evidence: tuple[Evidence, ...]
    sentence: str
    next_step: str = ""
    mark: Mark | None = None

    @property
    def topic(self) -> str:
        """What the finding is about: the first part of its code."""
        return self.code.partition(".")[0]


def present(code: str, evidence: tuple[Evidence, ...], sentence: str) -> CheckFinding:
    """What was wanted is there."""
    return CheckFinding(code, Severity.INFO, Finding.PRESENT, evidence, sentence)


def absent(code: str, evidence: tuple[Evidence, ...], sentence: str, next_step: str) -> CheckFinding:
    """What was wanted is not there, and that is an error."""
    return CheckFinding(code, Severity.ERROR, Finding.ABSENT, evidence, sentence, next_step)


def warning(code: str, evidence: tuple[Evidence, ...], sentence: str, next_step: str) -> CheckFinding:
    """A fault that does no harm yet, or not to everybody."""
    return CheckFinding(code, Severity.WARNING, Finding.ABSENT, evidence, sentence, next_step)


def info(code: str, evidence: tuple[Evidence, ...], sentence: str, next_step: str = "") -> CheckFinding:
    """Something that nobody has to have is not there."""
    return CheckFinding(code, Severity.INFO, Finding.ABSENT, evidence, sentence, next_step)


def unknown(code: str, evidence: tuple[Evidence, ...], sentence: str, next_step: str = ASK_AGAIN) -> CheckFinding:
    """It could not be found out."""
    return CheckFinding(code, Severity.WARNING, Finding.UNKNOWN, evidence, sentence, next_step)


def marked(finding: CheckFinding, text: str, span: Span) -> CheckFinding:
    """``finding`` with its place in a record."""
    return replace(finding, mark=Mark(text, span))


def answer_text(answer: DnsAnswer) -> str:
    """An answer as people read it."""
    if isinstance(answer, Unanswered):
        return say("could not be found out: %(cause)s", cause=answer.cause)
    if isinstance(answer, Absent):
        return say("no such record (%(absence)s)", absence=answer.absence)
    if not answer.records:
        return say("no record")
    return "; ".join(_record_text(record) for record in answer.records)[:_MAX_SHOWN]


def printable(chosen: bytes | str) -> str:
    """What somebody else chose, as printable ASCII with ``\\DDD`` for other octets (RFC 1035 section 5.1)."""
    octets = chosen.encode("latin-1", "replace") if isinstance(chosen, str) else chosen
    return "".join(chr(octet) if 0x20 <= octet < 0x7F else f"\\{octet:03d}" for octet in octets[:_MAX_SHOWN])


def _record_text(record: DnsRecord) -> str:
    match record:
        case AddressRecord():
            return str(record.address)
        case NameRecord():
            return printable(record.target)
        case MxRecord():
            return f"{record.preference} {printable(record.exchange) or '.'}"
        case TxtRecord():
            return printable(record.joined)
        case _:
            return printable(record.text)
