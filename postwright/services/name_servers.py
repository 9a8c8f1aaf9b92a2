"""Asks a domain's own name servers, each of them directly: no cache stands between, and all have to agree."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol

from dns_checks.driver import Resolver
from dns_checks.evaluation import Asker, evaluate
from dns_checks.name_servers import NameServer, ServerAnswer, authority_of
from mailtypes.questions import DnsQuestion, Unanswered
from mta.destination_guard import is_public

_WITHIN = timedelta(seconds=30)


class AuthoritativeAsk(Protocol):
    """Puts one question to every name server that is authoritative for its name."""

    async def ask_all(self, question: DnsQuestion) -> Sequence[ServerAnswer] | Unanswered:
        """Each server's answer, or why they could not be found; nothing is raised for DNS trouble."""
        ...


class EachNameServer:
    """The servers as the DNS names them. ``resolver`` finds them, ``at_address`` makes a resolver that asks one.

    Addresses that are not public are not asked: whoever owns a domain would choose where our questions go.
    """

    def __init__(self, resolver: Asker, at_address: Callable[[str], Resolver]) -> None:
        self._resolver = resolver
        self._at_address = at_address

    async def ask_all(self, question: DnsQuestion) -> Sequence[ServerAnswer] | Unanswered:
        """Each server's answer at each of its addresses."""
        authority = await evaluate(authority_of(question), self._resolver, within=_WITHIN)
        if isinstance(authority, Unanswered):
            return authority
        asked = DnsQuestion(authority.name, question.record_type)
        return await asyncio.gather(*(self._ask(server, asked) for server in authority.servers))

    async def _ask(self, server: NameServer, question: DnsQuestion) -> ServerAnswer:
        answers = []
        for address in server.addresses:
            if is_public(address):
                async with self._at_address(str(address)) as resolver:
                    answers.append(await resolver.ask(question))
        return ServerAnswer(server.name, tuple(answers))


class OneNameServer:
    """A world with one server that knows everything: the sandbox, and tests."""

    def __init__(self, resolver: Asker) -> None:
        self._resolver = resolver

    async def ask_all(self, question: DnsQuestion) -> Sequence[ServerAnswer]:
        """Its answer."""
        return (ServerAnswer("the only name server", (await self._resolver.ask(question),)),)
