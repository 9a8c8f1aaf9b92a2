"""A draft zone laid over live DNS: what the world would answer once the draft were published."""

from dataclasses import dataclass
from typing import Final

from dns_checks.evaluation import Asker
from dns_checks.zone import Zone
from mailtypes.questions import (
    Absent,
    DnsAnswer,
    DnsQuestion,
    Found,
    NameRecord,
    RecordType,
    Unanswered,
)

_MAX_ALIASES: Final = 8


@dataclass(frozen=True, slots=True)
class DraftOverlay:
    """Answers from ``draft`` where it has a say, else from ``live``; an ``Asker`` for every evaluator.

    A draft without an SOA record is a list of changes: each of its record sets stands in place of the live one of that
    name and type, a CNAME in place of all that is live at its name, and what it does not name stays as it is live.

    A draft with an SOA record is the whole zone of that name: at and below it the draft alone counts, so what it lacks
    will not exist; that is how a draft removes records. Names below an NS record of the draft (a delegation) and names
    outside of the zone stay live.

    ``;; SERVFAIL name`` and its like count as records of the draft. Aliases are followed from the one into the other. A
    wildcard of the draft comes before live names, other than in a real zone.
    """

    draft: Zone
    live: Asker

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        """The answer with the draft published; whatever comes from the draft is not authenticated."""
        name = question.name
        for _ in range(_MAX_ALIASES):
            answer, alias = await self._step(DnsQuestion(name, question.record_type))
            if not alias:
                return answer
            name = alias
        return Unanswered("servfail")

    async def _step(self, question: DnsQuestion) -> tuple[DnsAnswer, str]:
        """The answer at one name, or the name to go on with."""
        drafted = self._from_draft(question)
        if drafted is not None:
            return drafted
        answer = await self.live.ask(question)
        match answer:
            case Found(canonical_name=end) if end and end.lower() != question.name.lower():
                # The live alias may end where the draft says something else.
                drafted = self._from_draft(DnsQuestion(end, question.record_type))
                return (answer, "") if drafted is None else (drafted[0], drafted[1])
            case Absent():
                # Perhaps an alias whose end only the draft has.
                target = _target(await self.live.ask(DnsQuestion(question.name, RecordType.CNAME)))
                return answer, target if question.record_type is not RecordType.CNAME else ""
            case _:
                return answer, ""

    def _from_draft(self, question: DnsQuestion) -> tuple[DnsAnswer, str] | None:
        """The draft's own answer or alias; ``None`` where it has no say."""
        alias = self.draft.answer(DnsQuestion(question.name, RecordType.CNAME))
        if isinstance(alias, Found) and question.record_type is not RecordType.CNAME:
            return alias, _target(alias)
        answer = self.draft.answer(question)
        if not isinstance(answer, Absent) or self._is_whole_at(question.name):
            return answer, ""
        return None

    def _is_whole_at(self, name: str) -> bool:
        """Whether the draft has the zone that ``name`` is in: an SOA record at or above it, no delegation between."""
        labels = name.lower().removesuffix(".").split(".")
        for at in range(len(labels)):
            above = ".".join(labels[at:])
            if isinstance(self.draft.answer(DnsQuestion(above, RecordType.SOA)), Found):
                return True
            if isinstance(self.draft.answer(DnsQuestion(above, RecordType.NS)), Found):
                return False
        return False


def _target(answer: DnsAnswer) -> str:
    records = answer.records if isinstance(answer, Found) else ()
    return next((record.target for record in records if isinstance(record, NameRecord)), "")
