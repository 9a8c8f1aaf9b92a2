"""A draft zone laid over the DNS: what the world would look like if it were published."""

from dns_checks.evaluation import Asker
from dns_checks.zone import Zone
from mailtypes.questions import DnsAnswer, DnsQuestion, Unanswered

_MAX_ALIASES = 8


class Overlay:
    """Answers from ``zone`` what it covers, and asks ``beneath`` for everything else.

    A record set of the draft replaces that of the DNS; where the draft holds a zone's SOA record, the whole zone is
    the draft's. Without ``beneath``, what the draft does not have does not exist. An alias in the DNS that leads to a
    name of the draft is followed by the resolver and so does not see the draft. The TTL of an answer that was reached
    through an alias of the draft is that of the records alone: nothing keeps such answers.
    """

    def __init__(self, zone: Zone, beneath: Asker | None = None) -> None:
        self._zone = zone
        self._beneath = beneath

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        """The answer; DNS trouble is an ``Unanswered``, nothing is raised for it."""
        if self._beneath is None:
            return self._zone.answer(question)
        for _ in range(_MAX_ALIASES):
            if not self._zone.covers(question):
                return await self._beneath.ask(question)
            alias = self._zone.alias_of(question)
            if alias is None:
                return self._zone.answer(question)
            question = DnsQuestion(alias.target, question.record_type)
        return Unanswered("servfail")
