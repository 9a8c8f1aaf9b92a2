"""A public fake: the web as a dictionary of pages, beside ``dns_checks.testing.Zone``."""

from collections.abc import Mapping
from typing import TypeVar

from dns_checks.testing import Answers
from mailtypes.questions import DnsEvaluation, DnsQuestion, Evaluation, HttpAnswer, HttpFetch, HttpFetched, Unanswered

T = TypeVar("T")


class Pages:
    """Answers fetches from ``{url: answer}``; whatever is not in it does not exist (404)."""

    def __init__(self, pages: Mapping[str, HttpAnswer] | None = None) -> None:
        self.fetched: list[HttpFetch] = []
        self._pages = dict(pages or {})

    def answer(self, fetch: HttpFetch) -> HttpAnswer:
        """The page, bounded as asked for."""
        self.fetched.append(fetch)
        page = self._pages.get(fetch.url, HttpFetched(404, "text/plain", b""))
        if isinstance(page, HttpFetched) and len(page.body) > fetch.max_bytes:
            return Unanswered(f"the answer is longer than {fetch.max_bytes} octets")
        return page

    async def fetch(self, fetch: HttpFetch) -> HttpAnswer:
        """The same as a port of ``dns_checks.evaluation.evaluate``."""
        return self.answer(fetch)


def run(evaluation: Evaluation[T] | DnsEvaluation[T], answers: Answers, pages: Pages | None = None) -> T:
    """Drive ``evaluation`` to its end with the answers of a zone and of pages, and return its result."""
    web = pages or Pages()
    running: Evaluation[T] = evaluation  # type: ignore[assignment]  # it is only ever sent what it asked for
    try:
        question = next(running)
        while True:
            is_dns = isinstance(question, DnsQuestion)
            question = running.send(answers.answer(question) if is_dns else web.answer(question))  # type: ignore[arg-type]
    except StopIteration as end:
        result: T = end.value
        return result
