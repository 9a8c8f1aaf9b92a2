"""The last audit of a sender domain as its page tells it: the verdict, what to do next, what is wrong by topic."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dns_checks.audit import DECIDING
from mailtypes.domain import DomainName
from postwright.store.domains import DkimKey, SenderDomain
from postwright.web.words import TOPICS, Tone

_EXPIRING = ("bimi.certificate_expired", "bimi.certificate_expires_soon")
_MOST_STEPS = 4
_DECIDING = frozenset[str]().union(*DECIDING.values())


@dataclass(frozen=True, slots=True)
class FoundEvidence:
    """A question as asked and the answer as it came."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Found:
    """A finding as it was stored; ``place`` is its number on the page. ``marked`` is the text at fault in a record."""

    place: int
    code: str
    severity: str
    state: str
    sentence: str
    next_step: str
    evidence: tuple[FoundEvidence, ...]
    marked: str = ""

    @property
    def topic(self) -> str:
        """The first part of the code."""
        return self.code.partition(".")[0]

    @property
    def decides(self) -> bool:
        """Whether the domain is not verified without it."""
        return self.code in _DECIDING

    @property
    def is_fault(self) -> bool:
        """Something is wrong, if perhaps not gravely."""
        return self.state == "absent" and self.severity != "info"

    @property
    def tone(self) -> Tone:
        """How it feels: what is merely not there (and need not be) is no fault."""
        if self.state == "present":
            return Tone.GOOD
        if self.state == "unknown":
            return Tone.UNKNOWN
        return {"error": Tone.BAD, "warning": Tone.ATTENTION}.get(self.severity, Tone.QUIET)


@dataclass(frozen=True, slots=True)
class Audit:
    """The last audit. ``requirements`` are as stored, ``logo`` is the SVG file that was found valid."""

    verdict: str
    findings: tuple[Found, ...]
    requirements: tuple[Mapping[str, Any], ...] = ()
    logo: bytes | None = None

    @classmethod
    def of(cls, domain: SenderDomain) -> "Audit | None":
        """As stored with the domain; ``None`` before the first one."""
        if not domain.audit:
            return None
        document = json.loads(domain.audit)
        logo = document.get("logo")
        return cls(
            document["verdict"],
            tuple(_found(place, one) for place, one in enumerate(document["findings"], 1)),
            tuple(document.get("requirements", ())),
            base64.b64decode(logo) if logo else None,
        )

    def about(self, topic: str) -> list[Found]:
        """The findings of one topic, the gravest first."""
        return sorted((one for one in self.findings if one.topic == topic), key=_gravity)

    def by_topic(self) -> list[tuple[str, list[Found]]]:
        """The titles of topics with their findings."""
        named = [(title, self.about(topic)) for topic, title in TOPICS.items()]
        other = sorted((one for one in self.findings if one.topic not in TOPICS), key=_gravity)
        return [(title, found) for title, found in [*named, ("Other", other)] if found]

    def counts(self) -> list[tuple[Tone, int, str]]:
        """How many findings feel how; what is merely not there is left out."""
        words = {Tone.BAD: "wrong", Tone.ATTENTION: "to mend", Tone.UNKNOWN: "unknown", Tone.GOOD: "in order"}
        tones = [one.tone for one in self.findings]
        return [(tone, tones.count(tone), words[tone]) for tone in words if tone in tones]


@dataclass(frozen=True, slots=True)
class Advice:
    """The verdict in one sentence, and the next steps, the most urgent first; ``more`` steps are not shown."""

    tone: Tone
    sentence: str
    steps: tuple[Found, ...] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something about a domain that cannot wait; ``since`` in microseconds."""

    tone: Tone
    sentence: str
    next_step: str
    since: int | None = None


def advice_on(domain: SenderDomain, audit: Audit | None) -> Advice:
    """What the last audit comes to."""
    name = _readable(domain.name)
    if audit is None:
        return Advice(
            Tone.UNKNOWN,
            f"Nobody has looked at the records of {name} yet. Publish them, then verify.",
        )
    steps = _steps(audit.findings)
    return Advice(*_verdict(domain, name, audit), tuple(steps[:_MOST_STEPS]), max(0, len(steps) - _MOST_STEPS))


def _verdict(domain: SenderDomain, name: str, audit: Audit) -> tuple[Tone, str]:
    missing = _topics(one for one in audit.findings if one.decides and one.state == "absent")
    silent = _topics(one for one in audit.findings if one.decides and one.state == "unknown")
    match audit.verdict:
        case "verified":
            faults = sum(one.is_fault for one in audit.findings)
            rest = f" {_count(faults, 'thing')} beside that could be better." if faults else ""
            return Tone.GOOD, f"Mail from {name} can be sent: SPF, DKIM, DMARC and the return path are in place.{rest}"
        case "not_verified":
            lacking = _listed(missing) or "something that it needs"
            held = "no new campaign starts" if domain.verified_at else "no mail is sent from it"
            return Tone.BAD, f"{name} is not ready: {lacking} is missing or wrong. Until that is mended, {held}."
    asked = _listed(silent) or "its records"
    kept = "What was verified stays so, and sending goes on." if domain.state == "verified" else "Verify again soon."
    return Tone.UNKNOWN, f"Whether {asked} of {name} is in place could not be found out: the DNS was silent. {kept}"


def _steps(findings: Iterable[Found]) -> list[Found]:
    """What to do: one step for each thing to do, not for each finding that asks for it."""
    wanted = sorted(
        (one for one in findings if one.next_step and (one.is_fault or one.state == "unknown")), key=_gravity
    )
    return list({one.next_step: one for one in reversed(wanted)}.values())[::-1]


def _gravity(finding: Found) -> tuple[int, int]:
    tones = (Tone.BAD, Tone.UNKNOWN, Tone.ATTENTION, Tone.QUIET, Tone.GOOD)
    return (0 if finding.decides and finding.state != "present" else 1, tones.index(finding.tone))


def alarms_of(domain: SenderDomain, keys: Sequence[DkimKey], audit: Audit | None) -> list[Alarm]:
    """What somebody has to see to now."""
    alarms = []
    if domain.state == "failing":
        sentence = "Records that were there are missing now, so no new campaign can be sent."
        alarms.append(Alarm(Tone.BAD, sentence, "Put back what the last check missed, then verify.", domain.checked_at))
    for key in keys:
        if key.state == "active" and key.missing_since is not None:
            sentence = f"The key {key.selector} signs your mail and is gone from the DNS: receivers cannot check it."
            alarms.append(Alarm(Tone.BAD, sentence, "Publish its record again at once.", key.missing_since))
    findings = audit.findings if audit else ()
    alarms += [Alarm(one.tone, one.sentence, one.next_step) for one in findings if one.code in _EXPIRING]
    return alarms


def _found(place: int, stored: Mapping[str, Any]) -> Found:
    mark = stored.get("mark")
    span = mark["span"] if mark else None
    return Found(
        place,
        str(stored["code"]),
        str(stored["severity"]),
        str(stored["state"]),
        str(stored["sentence"]),
        str(stored["next_step"]),
        tuple(FoundEvidence(str(one["question"]), str(one["answer"])) for one in stored["evidence"]),
        mark["text"][span["start"] : span["end"]] if mark and span else "",
    )


def _topics(findings: Iterable[Found]) -> list[str]:
    return list(dict.fromkeys(TOPICS.get(one.topic, one.topic) for one in findings))


def _listed(names: Sequence[str]) -> str:
    shown = [name.lower() if name == "Return path" else name for name in names]
    shown = [f"the {name}" if name == "return path" else name for name in shown]
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else "".join(shown)


def _count(number: int, what: str) -> str:
    return f"One {what}" if number == 1 else f"{number} {what}s"


def _readable(name: str) -> str:
    return DomainName.parse(name).unicode
