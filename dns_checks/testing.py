"""A public fake: evaluators driven by the DNS as a dictionary (``dns_checks.zone``), for tests."""

from typing import Protocol, TypeVar

from dns_checks.zone import RecordsByQuestion, RecordSet, Zone, ZoneSyntaxError
from mailtypes.questions import DnsAnswer, DnsEvaluation, DnsQuestion

__all__ = ["Answers", "RecordSet", "RecordsByQuestion", "Zone", "ZoneSyntaxError", "run"]

T = TypeVar("T")


class Answers(Protocol):
    """Whatever answers questions at once: a ``Zone``, or something of yours around one."""

    def answer(self, question: DnsQuestion) -> DnsAnswer:
        """The answer to ``question``."""
        ...


def run(evaluation: DnsEvaluation[T], answers: Answers) -> T:
    """Drive ``evaluation`` to its end with the answers of a zone, and return its result."""
    try:
        question = next(evaluation)
        while True:
            question = evaluation.send(answers.answer(question))
    except StopIteration as end:
        result: T = end.value
        return result
