"""Sending against findings of pre-flight: who may overrule what, for which content, and until when that holds."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mailtypes.saying import say
from postwright.services.errors import Problem, RefusedError
from postwright.services.preflight_findings import overridable
from postwright.store.overrides import NewOverride, PreflightOverride

LONGEST_NOTE = 1000
_MOST_CODES = 50


@dataclass(frozen=True, slots=True)
class OverrideWish:
    """Somebody wants to send against findings: their codes, who it is, and why."""

    codes: frozenset[str]
    who: str
    note: str


@dataclass(frozen=True, slots=True)
class Overruled:
    """A finding that would block, and the override by which it does not."""

    problem: Problem
    override: PreflightOverride


@dataclass(frozen=True, slots=True)
class OverrideGround:
    """What overrides are given for, as it is now: any change of it voids them.

    ``mail`` is the digest of all mails, ``band`` that of the spam risk, ``audience`` what says who gets it, ``run`` the
    number of the run that is to begin: what was overruled about a list counts for one run.
    """

    mail: str
    band: str = ""
    audience: str = ""
    run: int = 1

    def content(self, code: str) -> str:
        """The digest of what an override of that finding is given for."""
        parts = [self.mail]
        if code == "spam_risk":
            parts = [self.mail, self.band]
        elif code.startswith("list_"):
            parts = [self.audience, str(self.run)]
        return hashlib.sha256("\x1e".join([code, *parts]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Judged:
    """Blocking findings behind the overrides: what still blocks, what was overruled, and overrides that lapsed."""

    blocking: tuple[Problem, ...]
    overruled: tuple[Overruled, ...]
    lapsed: tuple[PreflightOverride, ...]


def judge(blocking: Sequence[Problem], given: Iterable[PreflightOverride], ground: OverrideGround) -> Judged:
    """Apply the overrides that were given for this very content; ``given`` has the newest first."""
    open_ones = [one for one in given if one.withdrawn_at is None]
    allowed = overridable(blocking)
    holding: Mapping[str, PreflightOverride] = {
        one.code: one for one in reversed(open_ones) if one.code in allowed and one.content == ground.content(one.code)
    }
    concerned = {problem.code for problem in blocking} - holding.keys()
    lapsed: dict[str, PreflightOverride] = {}
    for one in open_ones:
        if one.code in concerned:
            lapsed.setdefault(one.code, one)
    return Judged(
        tuple(problem for problem in blocking if problem.code not in holding),
        tuple(Overruled(problem, holding[problem.code]) for problem in blocking if problem.code in holding),
        tuple(lapsed.values()),
    )


def new_overrides(blocking: Sequence[Problem], wish: OverrideWish, ground: OverrideGround) -> list[NewOverride]:
    """What to store for a wish; raises ``RefusedError`` for a missing reason and for what nobody may overrule."""
    note = wish.note.strip()
    if not note or len(note) > LONGEST_NOTE:
        sentence = say("An override says why, in 1 to %(longest_note)s characters.", longest_note=LONGEST_NOTE)
        raise RefusedError("override_note", sentence, field="note")
    if not 1 <= len(wish.codes) <= _MOST_CODES:
        raise RefusedError("override_codes", say("An override names the codes of what blocks."), field="codes")
    said: dict[str, list[str]] = {}
    for problem in blocking:
        said.setdefault(problem.code, []).append(problem.sentence)
    strange = sorted(wish.codes - said.keys())
    if strange:
        sentence = say("Nothing with the code %(strange)s blocks the campaign.", strange=", ".join(strange)[:300])
        raise RefusedError("not_blocking", sentence, field="codes", next_step=say("Look at the pre-flight again."))
    firm = sorted(wish.codes - overridable(blocking))
    if firm:
        sentence = say("Nobody may send against %(firm)s.", firm=", ".join(firm))
        raise RefusedError("not_overridable", sentence, field="codes", next_step=say("Mend what it names."))
    return [
        NewOverride(code, ground.content(code), " ".join(dict.fromkeys(said[code]))[:LONGEST_NOTE], wish.who, note)
        for code in sorted(wish.codes)
    ]


def override_documents(overruled: Sequence[Overruled]) -> list[dict[str, object]]:
    """What the event log keeps of the overrides that a run begins with: one for each person and reason."""
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    for one in overruled:
        place = found.setdefault((one.override.who, one.override.note), [])
        place.append({"code": one.problem.code, "sentence": one.problem.sentence})
    return [{"who": who, "note": note, "findings": findings} for (who, note), findings in found.items()]
