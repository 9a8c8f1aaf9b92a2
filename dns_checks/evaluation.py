"""Drives evaluators that ask both the DNS and the web, through two ports; knows neither dnspython nor HTTP."""

import asyncio
from collections.abc import Generator
from datetime import timedelta
from typing import Protocol, TypeVar

from mailtypes.questions import (
    DnsAnswer,
    DnsEvaluation,
    DnsQuestion,
    Evaluation,
    HttpAnswer,
    HttpFetch,
    Unanswered,
)
from mailtypes.saying import say

T = TypeVar("T")

NO_WEB = say("nothing may be fetched from the web here")
FETCH_LATER = say("Check again where the web may be asked (not offline).")
"""The next step after ``NO_WEB``."""


class Asker(Protocol):
    """Answers DNS questions: ``dns_checks.driver.Resolver``."""

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        """The answer; DNS trouble is an ``Unanswered``, nothing is raised for it."""
        ...


class Fetcher(Protocol):
    """Answers fetches: the application's guarded HTTPS client."""

    async def fetch(self, fetch: HttpFetch) -> HttpAnswer:
        """The answer; network trouble is an ``Unanswered``, nothing is raised for it."""
        ...


def ask(question: DnsQuestion) -> DnsEvaluation[DnsAnswer]:
    """``answer = yield from ask(question)`` inside of an ``Evaluation``: the answer is known to be one of the DNS."""
    return (yield question)


def fetch(wanted: HttpFetch) -> Generator[HttpFetch, HttpAnswer, HttpAnswer]:
    """``answer = yield from fetch(wanted)``: the same for the web."""
    return (yield wanted)


async def evaluate(
    evaluation: Evaluation[T] | DnsEvaluation[T],
    resolver: Asker,
    http: Fetcher | None = None,
    *,
    within: timedelta | None = None,
) -> T:
    """Drive ``evaluation`` to its end and return its result.

    Without ``http`` every fetch is ``Unanswered``. After ``within`` every further question is answered by
    ``Unanswered("timeout")``, so that the evaluator comes to its own "could not find out".
    """
    deadline = None if within is None else asyncio.get_running_loop().time() + within.total_seconds()
    running: Evaluation[T] = evaluation  # type: ignore[assignment]  # it is only ever sent what it asked for
    try:
        question = next(running)
        while True:
            question = running.send(await _answer(question, resolver, http, deadline))
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        running.close()


async def _answer(
    question: DnsQuestion | HttpFetch, resolver: Asker, http: Fetcher | None, deadline: float | None
) -> DnsAnswer | HttpAnswer:
    try:
        async with asyncio.timeout_at(deadline):
            if isinstance(question, DnsQuestion):
                return await resolver.ask(question)
            return Unanswered(NO_WEB) if http is None else await http.fetch(question)
    except TimeoutError:
        return Unanswered("timeout")
