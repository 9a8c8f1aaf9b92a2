"""Answers the questions of evaluators from live DNS: the thin edge around the pure code, on dnspython.

It speaks to recursive resolvers (or, in a sandbox, to an authoritative server that knows everything): UDP first, TCP
after truncation, the next server after a failure. It never raises for DNS trouble; that is an ``Unanswered``.
"""

import asyncio
import errno
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver

from dns_checks.cache import CachePolicy, DnsCache
from dns_checks.exchange import exchange
from dns_checks.rdata import from_dns_name, is_dns_name, record_of
from mailtypes.clock import Clock
from mailtypes.errors import ConfigurationError
from mailtypes.questions import (
    Absence,
    Absent,
    DnsAnswer,
    DnsEvaluation,
    DnsQuestion,
    Found,
    Unanswered,
)

T = TypeVar("T")

_MAX_ALIASES = 8
_LONGEST_TTL = 2**31 - 1  # RFC 2181 section 8


@dataclass(frozen=True, slots=True)
class ResolverPolicy:
    """How patient the resolver is, what it keeps, and what it trusts.

    ``rounds``: how often each name server is tried. ``queries``: how many questions may be on the wire at once.
    ``trust_authenticated_data``: whether the AD bit is believed; only right where the path to the resolver cannot be
    tampered with (RFC 6840 section 5.8), as on loopback.
    """

    rounds: int = 2
    queries: int = 200
    trust_authenticated_data: bool = False
    cache: CachePolicy = field(default_factory=CachePolicy)


class Resolver:
    """Asks recursive name servers; one for each event loop.

    ``nameservers`` are addresses (``None``: those of the system's ``resolv.conf``), ``timeout`` is the time in
    seconds that one server has for one try: a question that nobody answers takes at most
    ``timeout * rounds * len(nameservers)``. Raises ``ConfigurationError`` where there is no server to ask.
    """

    def __init__(
        self,
        nameservers: Sequence[str] | None = None,
        port: int = 53,
        timeout: float = 3.0,
        *,
        clock: Clock,
        policy: ResolverPolicy | None = None,
    ) -> None:
        self._nameservers = tuple(nameservers) if nameservers is not None else _system_nameservers()
        if not self._nameservers:
            raise ConfigurationError("no DNS server is named; name at least one by its address")
        self._port = port
        self._timeout = timeout
        self._policy = policy or ResolverPolicy()
        self._cache = DnsCache(clock, self._policy.cache)
        self._in_flight: dict[DnsQuestion, asyncio.Task[DnsAnswer]] = {}
        self._slots = asyncio.Semaphore(self._policy.queries)

    async def __aenter__(self) -> "Resolver":
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give up what is on the wire; those who wait for it are cancelled."""
        tasks = list(self._in_flight.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        """The answer to one question: from the cache, from the same question on the wire, or from a server."""
        cached = self._cache.get(question)
        if cached is not None:
            return cached
        if not is_dns_name(question.name):
            # Such a name cannot be in the DNS, so this is an answer and not a failure.
            return Absent(Absence.NO_SUCH_NAME)
        task = self._in_flight.get(question)
        if task is None:
            task = asyncio.create_task(self._ask_servers(question))
            self._in_flight[question] = task
            task.add_done_callback(lambda _: self._in_flight.pop(question, None))
        # Shielded: who gives up waiting must not take the answer away from the others.
        return await asyncio.shield(task)

    async def evaluate(self, evaluation: DnsEvaluation[T], *, within: timedelta | None = None) -> T:
        """Drive ``evaluation`` to its end and return its result.

        After ``within`` every further question is answered by ``Unanswered("timeout")``, so that the evaluator comes
        to its own "could not find out" (RFC 7208 section 4.6.4 asks for such a limit of at least 20 seconds).
        """
        loop = asyncio.get_running_loop()
        deadline = None if within is None else loop.time() + within.total_seconds()
        try:
            question = next(evaluation)
            while True:
                question = evaluation.send(await self._ask_until(question, deadline))
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            evaluation.close()

    async def _ask_until(self, question: DnsQuestion, deadline: float | None) -> DnsAnswer:
        try:
            async with asyncio.timeout_at(deadline):
                return await self.ask(question)
        except TimeoutError:
            return Unanswered("timeout")

    async def _ask_servers(self, question: DnsQuestion) -> DnsAnswer:
        answer: DnsAnswer = Unanswered("timeout")
        async with self._slots:
            for _ in range(self._policy.rounds):
                for nameserver in self._nameservers:
                    answer = await self._ask_server(question, nameserver)
                    if not isinstance(answer, Unanswered):
                        self._cache.put(question, answer)
                        return answer
        self._cache.put(question, answer)
        return answer

    async def _ask_server(self, question: DnsQuestion, nameserver: str) -> DnsAnswer:
        """One server's answer, following aliases that it leaves to us (an authoritative server may)."""
        name, ttl = question.name, _LONGEST_TTL
        for _ in range(_MAX_ALIASES):
            try:
                response = await exchange(
                    DnsQuestion(name, question.record_type),
                    nameserver,
                    self._port,
                    self._timeout,
                    authenticated=self._policy.trust_authenticated_data,
                )
                answer, alias, alias_ttl = _read_response(response, question)
            except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
                return Unanswered(_cause_of(error))
            ttl = min(ttl, alias_ttl)
            if answer is not None:
                return self._finish(answer, ttl)
            name = alias
        return Unanswered("servfail")

    def _finish(self, answer: DnsAnswer, ttl: int) -> DnsAnswer:
        match answer:
            case Found(records, own_ttl, canonical_name, authenticated):
                trusted = authenticated and self._policy.trust_authenticated_data
                return Found(records, min(own_ttl, ttl), canonical_name, trusted)
            case Absent(absence, own_ttl):
                return Absent(absence, min(own_ttl, ttl))
            case _:
                return answer


def _read_response(response: dns.message.Message, question: DnsQuestion) -> tuple[DnsAnswer | None, str, int]:
    """The answer in ``response``; or ``None``, the alias that is still to be asked for, and its TTL in seconds."""
    rcode = response.rcode()
    if rcode not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return Unanswered(dns.rcode.to_text(rcode).lower()), "", 0
    if not isinstance(response, dns.message.QueryMessage):
        return Unanswered("not an answer to a query"), "", 0
    chain = response.resolve_chaining()
    name, ttl = from_dns_name(chain.canonical_name), chain.minimum_ttl
    if chain.answer is not None:
        records = tuple(record_of(question.record_type, rdata) for rdata in chain.answer)
        authenticated = bool(response.flags & dns.flags.AD)
        return Found(records, ttl, name, authenticated), "", ttl
    authority = {rrset.rdtype for rrset in response.authority}
    negative_ttl = ttl if dns.rdatatype.SOA in authority else 0  # RFC 2308 section 5: without SOA, do not keep it
    if rcode == dns.rcode.NXDOMAIN:
        return Absent(Absence.NO_SUCH_NAME, negative_ttl), "", negative_ttl
    if chain.cnames and dns.rdatatype.SOA not in authority:
        return None, name, ttl
    if dns.rdatatype.NS in authority and not response.flags & (dns.flags.AA | dns.flags.RA):
        return Unanswered("the server only refers to others"), "", 0
    return Absent(Absence.NO_DATA, negative_ttl), "", negative_ttl


def _cause_of(error: Exception) -> str:
    if isinstance(error, dns.exception.Timeout | TimeoutError):
        return "timeout"
    if isinstance(error, OSError):
        return f"cannot reach the DNS server: {errno.errorcode.get(error.errno or 0, type(error).__name__)}"
    return f"not a DNS answer: {type(error).__name__}"


def _system_nameservers() -> tuple[str, ...]:
    try:
        return tuple(str(address) for address in dns.resolver.Resolver().nameservers)
    except dns.resolver.NoResolverConfiguration as error:
        raise ConfigurationError("the system names no DNS server; name one in the settings") from error
