"""Where receivers on RFC 9989 and receivers on RFC 7489 come to different ends with the same message."""

from collections.abc import Sequence
from dataclasses import dataclass

from dns_checks.dmarc.evaluate import DmarcResult, DmarcVerdict, Identifier, evaluate
from dns_checks.dmarc.public_suffixes import SuffixList
from dns_checks.dmarc.rfc7489 import OlderVerdict, evaluate_7489
from mailtypes.domain import DomainName
from mailtypes.questions import DnsEvaluation
from mailtypes.saying import say


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the two decide differently, both sides as text, and why in a sentence.

    ``subject`` is one of ``result``, ``policy``, ``disposition``, ``policy_domain``, ``organizational_domain``.
    """

    subject: str
    current: str
    older: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both verdicts and what sets them apart; ``differences`` is empty where nothing does."""

    current: DmarcVerdict
    older: OlderVerdict
    differences: tuple[Difference, ...]

    @property
    def is_visible(self) -> bool:
        """Whether the owner would notice: another result or another disposition."""
        return any(difference.subject in {"result", "disposition"} for difference in self.differences)


def compare(
    author_domain: DomainName,
    spf: Identifier | None,
    dkim: Sequence[Identifier],
    suffixes: SuffixList | None = None,
) -> DnsEvaluation[Comparison]:
    """Evaluate a message by RFC 9989 and by RFC 7489; the list that comes with the package where none is given."""
    current = yield from evaluate(author_domain, spf, dkim)
    older = yield from evaluate_7489(author_domain, spf, dkim, suffixes)
    return Comparison(current, older, tuple(_differences(current, older)))


def _differences(current: DmarcVerdict, older: OlderVerdict) -> list[Difference]:
    if DmarcResult.TEMPERROR in {current.result, older.verdict.result}:
        return []  # what could not be found out is not a difference between the standards
    cause = _cause(current, older)
    pairs = {
        "result": (current.result, older.verdict.result),
        "policy": (current.policy, older.verdict.policy),
        "disposition": (current.disposition, _disposition(older)),
        "policy_domain": (current.policy_domain, older.verdict.policy_domain),
        "organizational_domain": (current.organizational_domain, older.verdict.organizational_domain),
    }
    found = []
    for subject, (ours, theirs) in pairs.items():
        left, right = str(ours or "none"), str(theirs or "none")
        if left != right and (ours is not None or subject != "organizational_domain"):
            words = subject.replace("_", " ")
            sentence = say(
                "By RFC 9989 the %(words)s is %(left)s, by RFC 7489 %(right)s%(cause)s.",
                words=words,
                left=left,
                right=right,
                cause=cause,
            )
            found.append(Difference(subject, left, right, sentence))
    return found


def _disposition(older: OlderVerdict) -> str:
    """With ``pct`` below 100 a failing message may meet with either of two dispositions."""
    done = older.verdict.disposition
    if older.percent in {0, 100} or done == older.rest:
        return str(older.rest if older.percent == 0 else done)
    return say(
        "%(done)s for %(percent)s %% and %(rest)s for the others", done=done, percent=older.percent, rest=older.rest
    )


def _cause(current: DmarcVerdict, older: OlderVerdict) -> str:
    """Why the two differ, as far as one cause can be named; with its leading comma."""
    record = current.record
    if current.organizational_domain != older.verdict.organizational_domain:
        return say(", since one walks the DNS tree and the other uses the public suffix list")
    if current.policy_domain != older.verdict.policy_domain:
        return say(", since they pass over several records and over a public suffix's record differently")
    if record is None:
        return ""
    if record.is_testing and older.percent == 100:
        return say(", since t=y means nothing to RFC 7489")
    if older.percent != 100:
        return say(", since pct means nothing to RFC 9989")
    if record.np is not None or "np" in record.faulty_policies:
        return say(", since np means nothing to RFC 7489")
    return ""
