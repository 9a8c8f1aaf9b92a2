"""Running an audit: everything at once, no question twice, and an end to waiting."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

from dns_checks.audit import AnswersOfOneAudit, Verdict, run_audit
from dns_checks.dnsbl_lists import DEFAULT_LISTS
from mailtypes.auth import Finding
from mailtypes.questions import DnsAnswer, DnsQuestion, RecordType


class Slow:
    """Answers after a while; joins nothing, and knows how many wait at once."""

    def __init__(self, answers: Any, delay: float) -> None:
        self.answers, self.delay = answers, delay
        self.waiting = self.most = self.asked = 0

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        self.asked += 1
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        try:
            await asyncio.sleep(self.delay)
        finally:
            self.waiting -= 1
        answer: DnsAnswer = self.answers.answer(question)
        return answer


async def test_the_same_report_as_one_after_the_other(ground: Any) -> None:
    report = await run_audit(ground.request, ground.asker(), ground.pages())
    assert report == ground.audit()


async def test_no_question_is_asked_twice(ground: Any) -> None:
    asker = ground.asker()
    await run_audit(ground.request, asker, ground.pages())
    assert set(Counter(asker.asked).values()) == {1}


async def test_the_case_of_a_name_makes_no_other_question(ground: Any) -> None:
    asker = ground.asker()
    answers = AnswersOfOneAudit(asker)
    for name in ("news.acme.test", "NEWS.acme.test"):
        await answers.ask(DnsQuestion(name, RecordType.MX))
    assert len(asker.asked) == 1


async def test_the_checks_run_at_once(ground: Any) -> None:
    slow = Slow(ground.zone(), 0.02)
    begun = asyncio.get_running_loop().time()
    report = await run_audit(ground.request, slow, ground.pages())
    passed = asyncio.get_running_loop().time() - begun
    assert report.verdict is Verdict.VERIFIED
    assert slow.most >= 12
    assert passed < slow.asked * 0.02 / 2


async def test_what_takes_too_long_is_unknown(ground: Any) -> None:
    slow = Slow(ground.zone(), 5)
    report = await run_audit(ground.request, slow, ground.pages(), within=timedelta(milliseconds=50))
    assert report.verdict is Verdict.UNKNOWN
    assert {finding.state for finding in report.findings} == {Finding.UNKNOWN}


async def test_without_the_web_what_lies_there_is_unknown(ground: Any) -> None:
    report = await run_audit(ground.request, ground.asker())
    assert report.verdict is Verdict.VERIFIED
    assert [one.code for one in report.findings if one.state is Finding.UNKNOWN] == ["mta_sts.policy_unknown"]


def test_all_block_lists_are_asked_unless_told_otherwise(ground: Any) -> None:
    assert type(ground.request.terms)().block_lists == DEFAULT_LISTS
