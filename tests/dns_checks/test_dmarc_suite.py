"""The cases of ``dmarc_suite``, run against our evaluator. Their form is described in the README there."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from dns_checks.dmarc import DmarcVerdict, Identifier, evaluate, walk
from dns_checks.testing import Zone, run
from mailtypes.domain import DomainName
from mailtypes.questions import DnsAnswer, DnsQuestion, RecordType

FOLDER = Path(__file__).parent / "dmarc_suite"
KEYS = {"name", "section", "zone", "author", "spf", "dkim", "expect"}
EXPECTED = {"result", "policy", "disposition", "policy_domain", "organizational_domain", "walk"}
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for case in yaml.safe_load(path.read_text(encoding="utf-8"))
]


class Watched:
    """A zone that remembers what it was asked."""

    def __init__(self, text: str) -> None:
        self.zone = Zone.parse(text)
        self.asked: list[DnsQuestion] = []

    def answer(self, question: DnsQuestion) -> DnsAnswer:
        self.asked.append(question)
        return self.zone.answer(question)


def identifier(text: str) -> Identifier:
    domain, result = text.split()
    return Identifier(DomainName.parse(domain), result)


def value(verdict: DmarcVerdict, key: str) -> str | None:
    found = getattr(verdict, key)
    return None if found is None else str(found)


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any]) -> None:
    assert set(case) <= KEYS
    assert set(case["expect"]) <= EXPECTED
    author = DomainName.parse(case["author"])
    spf = identifier(case["spf"]) if "spf" in case else None
    dkim = [identifier(one) for one in case.get("dkim", [])]
    watched = Watched(case["zone"])
    verdict = run(evaluate(author, spf, dkim), watched)
    for key, expected in case["expect"].items():
        if key != "walk":
            assert value(verdict, key) == expected, (key, verdict.cause)
    assert len(watched.asked) == len(set(watched.asked)), "something was asked twice"
    texts = [question for question in watched.asked if question.record_type is RecordType.TXT]
    walks = 1 + len({one.domain for one in (spf, *dkim) if one is not None and one.result == "pass"} - {author})
    assert len(texts) <= 8 * walks
    assert len(watched.asked) - len(texts) <= 1, "one question at most whether the author domain exists"


@pytest.mark.parametrize("case", CASES)
def test_walks(case: dict[str, Any]) -> None:
    for text in (case["author"], *(one.split()[0] for one in (case.get("spf"), *case.get("dkim", [])) if one)):
        watched = Watched(case["zone"])
        run(walk(DomainName.parse(text)), watched)
        assert len(watched.asked) <= 8
        if text == case["author"] and "walk" in case["expect"]:
            assert [question.name for question in watched.asked] == case["expect"]["walk"]


def test_the_suite_is_whole() -> None:
    assert len(CASES) >= 60
    assert not [name for name, count in Counter(case.id for case in CASES).items() if count > 1]
