"""The last audit of a sender domain as its page tells it: the verdict, what to do next, what is wrong by topic."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dns_checks.audit import DECIDING
from mailtypes.domain import DomainName
from postwright.store.domains import DkimKey, SenderDomain
from postwright.web.language import gettext, ngettext
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
        return [(title, found) for title, found in [*named, (gettext("Other"), other)] if found]

    def counts(self) -> list[tuple[Tone, int, str]]:
        """How many findings feel how; what is merely not there is left out."""
        words = {
            Tone.BAD: gettext("wrong"),
            Tone.ATTENTION: gettext("to mend"),
            Tone.UNKNOWN: gettext("unknown"),
            Tone.GOOD: gettext("in order"),
        }
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
            gettext("Nobody has looked at the records of %(name)s yet. Publish them, then verify.", name=name),
        )
    steps = _steps(audit.findings)
    return Advice(*_verdict(domain, name, audit), tuple(steps[:_MOST_STEPS]), max(0, len(steps) - _MOST_STEPS))


def _verdict(domain: SenderDomain, name: str, audit: Audit) -> tuple[Tone, str]:
    missing = _topics(one for one in audit.findings if one.decides and one.state == "absent")
    silent = _topics(one for one in audit.findings if one.decides and one.state == "unknown")
    match audit.verdict:
        case "verified":
            faults = sum(one.is_fault for one in audit.findings)
            rest = ngettext(
                " One thing beside that could be better.",
                " %(count)s things beside that could be better.",
                faults,
                count=faults,
            )
            good = gettext(
                "Mail from %(name)s can be sent: SPF, DKIM, DMARC and the return path are in place.", name=name
            )
            return Tone.GOOD, good + (rest if faults else "")
        case "not_verified":
            lacking = _listed(missing) or gettext("something that it needs")
            held = gettext("no new campaign starts") if domain.verified_at else gettext("no mail is sent from it")
            return Tone.BAD, gettext(
                "%(name)s is not ready: %(what)s is missing or wrong. Until that is mended, %(held)s.",
                name=name,
                what=lacking,
                held=held,
            )
    kept = (
        gettext("What was verified stays so, and sending goes on.")
        if domain.state == "verified"
        else gettext("Verify again soon.")
    )
    unsure = gettext(
        "Whether %(what)s of %(name)s is in place could not be found out: the DNS was silent.",
        what=_listed(silent) or gettext("its records"),
        name=name,
    )
    return Tone.UNKNOWN, f"{unsure} {kept}"


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
        sentence = gettext("Records that were there are missing now, so no new campaign can be sent.")
        step = gettext("Put back what the last check missed, then verify.")
        alarms.append(Alarm(Tone.BAD, sentence, step, domain.checked_at))
    for key in keys:
        if key.state == "active" and key.missing_since is not None:
            sentence = gettext(
                "The key %(key)s signs your mail and is gone from the DNS: receivers cannot check it.",
                key=key.selector,
            )
            alarms.append(Alarm(Tone.BAD, sentence, gettext("Publish its record again at once."), key.missing_since))
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
    return_path = TOPICS["return_path"]
    shown = [gettext("the return path") if name == return_path else name for name in names]
    if len(shown) < 2:
        return "".join(shown)
    return gettext("%(first)s and %(last)s", first=", ".join(shown[:-1]), last=shown[-1])


def _readable(name: str) -> str:
    return DomainName.parse(name).unicode
