"""Whether the links of a mail lead anywhere: asked before it is sent, few and politely, and remembered."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from urllib.parse import urlsplit

from mailtypes.clock import Clock
from mailtypes.saying import say
from postwright.outbound_http import GlanceMethod, HttpHead, NoHead
from postwright.services.remembered import Remembered
from rendering.lint import LinkFact, Liveness
from tracking.urls import read_path

_GONE = frozenset({404, 410})  # RFC 9110 sections 15.5.5 and 15.5.11
_FOR_GOOD = frozenset({301, 308})  # RFC 9110 sections 15.4.2 and 15.4.9
# Hosts that do not know HEAD, or let programs in by GET alone, say so in these ways, though RFC 9110 section 9.3.2 asks
# for the status that GET would have: a link that HEAD is told nothing good about is asked for once more.
_NOT_BY_HEAD = _GONE | {403, 405, 501}
_TOO_MANY = 429  # RFC 6585 section 4
_LIKE_A_TOKEN = re.compile(r"[A-Za-z0-9_-]{40}")


@dataclass(frozen=True, slots=True)
class LinkTerms:
    """How much is asked for one mail: of ``most`` links, ``redirects`` of each followed, ``at_once`` side by side and
    ``a_host`` of one host, with a ``pause`` after each; ``one`` answer and the ``whole`` are waited for no longer.

    What was seen is known for ``kept``, what could not be found out for ``unknown_kept``; ``remembered`` at most.
    """

    most: int = 50
    redirects: int = 5
    at_once: int = 8
    a_host: int = 2
    pause: timedelta = timedelta(milliseconds=100)
    one: timedelta = timedelta(seconds=5)
    whole: timedelta = timedelta(seconds=10)
    kept: timedelta = timedelta(hours=1)
    unknown_kept: timedelta = timedelta(minutes=5)
    remembered: int = 2000


class Glancer(Protocol):
    """What asks; ``postwright.outbound_http.OutboundHttp`` does, at public addresses alone."""

    async def glance(self, url: str, method: GlanceMethod = "HEAD") -> HttpHead | NoHead:
        """The head of one answer; redirects are answers."""
        ...


class LinkLooks:
    """Looks where links lead. What is told was true when it was asked, within the terms."""

    def __init__(self, http: Glancer, clock: Clock, terms: LinkTerms | None = None) -> None:
        self._http = http
        self._terms = terms or LinkTerms()
        self._memory: Remembered[LinkFact] = Remembered(clock, self._terms.remembered)

    async def look(self, addresses: Sequence[str]) -> Mapping[str, LinkFact]:
        """What is known of each address, asked now where it was not before; addresses of tracked mail are left out.

        Give those of ``rendering.lint.link_addresses``, which no reader's data is in.
        """
        wanted = [one for one in dict.fromkeys(addresses) if not _is_of_tracked_mail(one)]
        looked_at, no_time = wanted[: self._terms.most], say("there was no time left")
        missing = [one for one in looked_at if self._memory.find(one) is None]
        if missing:
            await self._ask_all(missing)
            for one in missing:  # what was cut off would be waited for again at every look
                if self._memory.find(one) is None:
                    self._memory.keep(one, _unknown(no_time), self._terms.unknown_kept)
        too_many = say("it is one of more than %(most)s links", most=self._terms.most)
        causes = dict.fromkeys(wanted, too_many) | dict.fromkeys(looked_at, no_time)
        return {one: self._memory.find(one) or _unknown(cause) for one, cause in causes.items()}

    def known(self) -> Mapping[str, LinkFact]:
        """Everything that was found out within the terms, by address; nothing is asked."""
        return self._memory.known()

    async def _ask_all(self, addresses: Sequence[str]) -> None:
        hosts = _Hosts(self._http, self._terms)

        async def look(address: str) -> None:
            fact = await _look(address, hosts, self._terms.redirects)
            is_known = fact.liveness is not Liveness.UNKNOWN
            self._memory.keep(address, fact, self._terms.kept if is_known else self._terms.unknown_kept)

        tasks = [asyncio.create_task(look(address)) for address in addresses]
        try:
            await asyncio.wait(tasks, timeout=self._terms.whole.total_seconds())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(slots=True)
class _Host:
    """One host while a mail is looked at; ``given_up`` says why it is asked nothing more."""

    slots: asyncio.Semaphore
    given_up: str = ""


@dataclass(slots=True)
class _Hosts:
    """Asks hosts, each so gently that looking at a mail is no burden to it."""

    http: Glancer
    terms: LinkTerms
    slots: asyncio.Semaphore = field(init=False)
    hosts: dict[str, _Host] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.slots = asyncio.Semaphore(self.terms.at_once)

    async def head(self, url: str) -> HttpHead | NoHead:
        """The head of the answer, by GET where HEAD found no page: readers come by GET."""
        host = self.hosts.setdefault(_host_of(url), _Host(asyncio.Semaphore(self.terms.a_host)))
        answer = await self._ask(host, url, "HEAD")
        if isinstance(answer, HttpHead) and answer.status in _NOT_BY_HEAD:
            return await self._ask(host, url, "GET")
        return answer

    async def _ask(self, host: _Host, url: str, method: GlanceMethod) -> HttpHead | NoHead:
        # The host's turn first: links that wait for a slow host must not keep others from theirs.
        async with host.slots:
            if host.given_up:
                return NoHead(host.given_up)
            async with self.slots:
                answer = await self._answer(url, method)
            if answer is None:
                host.given_up = say("the host did not answer in time")
                return NoHead(host.given_up)
            if isinstance(answer, HttpHead) and answer.status == _TOO_MANY:
                host.given_up = say("the host asks for fewer requests (429)")
            await asyncio.sleep(self.terms.pause.total_seconds())
            return answer

    async def _answer(self, url: str, method: GlanceMethod) -> HttpHead | NoHead | None:
        try:
            async with asyncio.timeout(self.terms.one.total_seconds()):
                return await self.http.glance(url, method)
        except TimeoutError:
            return None


async def _look(address: str, hosts: _Hosts, redirects: int) -> LinkFact:
    url, moved_to, is_for_good = address, "", True
    for _ in range(redirects + 1):
        if _is_of_tracked_mail(url):
            return _unknown(say("it leads to an address of tracked mail, which is not asked for"))
        answer = await hosts.head(url)
        leads_to = "" if url == address else _shown(url)
        if isinstance(answer, NoHead):
            liveness = Liveness.DEAD if answer.for_anybody else Liveness.UNKNOWN
            return LinkFact(liveness, answer.cause, leads_to, moved_to)
        if not answer.location:
            liveness, cause = _verdict(answer.status)
            return LinkFact(liveness, cause, leads_to, moved_to)
        is_for_good = is_for_good and answer.status in _FOR_GOOD
        url = answer.location
        moved_to = _shown(url) if is_for_good else moved_to
    return _unknown(say("there are more than %(redirects)s redirects", redirects=redirects))


def _verdict(status: int) -> tuple[Liveness, str]:
    if 200 <= status < 300:
        return Liveness.ALIVE, ""
    cause = say("the host answers with %(status)s", status=status)
    return (Liveness.DEAD if status in _GONE else Liveness.UNKNOWN), cause


def _unknown(cause: str) -> LinkFact:
    return LinkFact(Liveness.UNKNOWN, cause)


def _is_of_tracked_mail(url: str) -> bool:
    """Whether an address could be one that we have made for a reader: asking for it would count as that person's."""
    try:
        read = read_path(urlsplit(url).path)
    except ValueError:
        return False
    return read is not None and _LIKE_A_TOKEN.fullmatch(read[1]) is not None


def _host_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _shown(url: str) -> str:
    """An address without its query, which is long and may hold what is nobody's business."""
    return url.partition("#")[0].partition("?")[0]
