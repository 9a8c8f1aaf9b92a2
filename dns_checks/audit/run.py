"""Runs an audit: all checks at once, and no question twice."""

import asyncio
from datetime import timedelta

from dns_checks.audit.checks import AuditReport, checks, combine
from dns_checks.audit.report import AuditRequest
from dns_checks.evaluation import Asker, Fetcher, evaluate
from mailtypes.questions import DnsAnswer, DnsQuestion, RecordType

LONGEST = timedelta(seconds=30)


class AnswersOfOneAudit:
    """Keeps what ``asker`` answered for as long as one audit takes, whatever its TTL: the checks share questions.

    So every check also judges by the same answers. Questions that are asked while the same one is under way are left
    to ``asker`` to join (``dns_checks.driver.Resolver`` does).
    """

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._answers: dict[tuple[str, RecordType], DnsAnswer] = {}

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        """The answer."""
        key = (question.name.lower(), question.record_type)
        kept = self._answers.get(key)
        if kept is None:
            kept = self._answers[key] = await self._asker.ask(question)
        return kept


async def run_audit(
    request: AuditRequest, resolver: Asker, http: Fetcher | None = None, *, within: timedelta = LONGEST
) -> AuditReport:
    """Audit a domain. Without ``http`` what lies on the web stays unknown; so does what ``within`` is too short for."""
    answers = AnswersOfOneAudit(resolver)
    outcomes = await asyncio.gather(*(evaluate(check, answers, http, within=within) for check in checks(request)))
    return combine(request, outcomes)
