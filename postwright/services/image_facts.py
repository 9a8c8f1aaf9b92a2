"""What the images of a mail really are: fetched before it is sent, a bounded part of them, and remembered."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from mailtypes.clock import Clock
from mailtypes.questions import HttpAnswer, HttpFetch, Unanswered
from postwright.outbound_http import TOO_LONG
from postwright.services.remembered import Remembered
from rendering.lint import ImageFact, read_image

_NOT_NOW = frozenset({408, 425, 429})
_NO_TIME = "there was no time left"


@dataclass(frozen=True, slots=True)
class ImageTerms:
    """How much is looked at for one mail: ``most`` images of at most ``octets`` each and ``all_octets`` together,
    ``at_once`` side by side, within ``whole``. What was seen is known for ``kept``, what was not for ``unknown_kept``;
    ``remembered`` addresses at most.
    """

    most: int = 20
    octets: int = 2 * 1024 * 1024
    all_octets: int = 16 * 1024 * 1024
    at_once: int = 4
    whole: timedelta = timedelta(seconds=5)
    kept: timedelta = timedelta(hours=1)
    unknown_kept: timedelta = timedelta(minutes=5)
    remembered: int = 2000


@dataclass(frozen=True, slots=True)
class ImagesSeen:
    """``facts`` of the images that answered, and why nothing is known of others; both by address."""

    facts: Mapping[str, ImageFact] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)


NOTHING_SEEN = ImagesSeen()


class Fetcher(Protocol):
    """What fetches; ``postwright.outbound_http.OutboundHttp`` does, from public addresses over HTTPS alone."""

    async def fetch(self, fetch: HttpFetch) -> HttpAnswer:
        """The answer, ``Unanswered`` with its cause where there is none."""
        ...


class ImageLooks:
    """Looks at images. What is told was true when it was fetched, within the terms."""

    def __init__(self, http: Fetcher, clock: Clock, terms: ImageTerms | None = None) -> None:
        self._http = http
        self._terms = terms or ImageTerms()
        self._memory: Remembered[ImageFact | str] = Remembered(clock, self._terms.remembered)

    async def look(self, addresses: Sequence[str]) -> ImagesSeen:
        """Fetch what is not known yet of images at https addresses; the others are left out."""
        wanted = [one for one in dict.fromkeys(addresses) if one.lower().startswith("https://")]
        unknown = dict.fromkeys(wanted[self._terms.most :], f"more than {self._terms.most} images")
        wanted = wanted[: self._terms.most]
        missing = [one for one in wanted if self._memory.find(one) is None]
        if missing:
            await self._fetch_all(missing)
            for one in missing:  # what was cut off would be waited for again at every look
                if self._memory.find(one) is None:
                    self._keep(one, _NO_TIME)
        facts: dict[str, ImageFact] = {}
        for address in wanted:
            found = self._memory.find(address)
            if isinstance(found, ImageFact):
                facts[address] = found
            else:
                unknown[address] = found or _NO_TIME
        return ImagesSeen(facts, unknown)

    def known(self) -> Mapping[str, ImageFact]:
        """Everything that was seen within the terms, by address; nothing is fetched."""
        return {address: found for address, found in self._memory.known().items() if isinstance(found, ImageFact)}

    async def _fetch_all(self, addresses: Sequence[str]) -> None:
        left = _Left(self._terms.all_octets)
        side_by_side = asyncio.Semaphore(self._terms.at_once)

        async def look(address: str) -> None:
            async with side_by_side:
                if left.octets > 0:
                    self._keep(address, await self._fetch(address, left))

        tasks = [asyncio.create_task(look(address)) for address in addresses]
        try:
            await asyncio.wait(tasks, timeout=self._terms.whole.total_seconds())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch(self, address: str, left: "_Left") -> ImageFact | str:
        most = min(self._terms.octets, left.octets)
        answer = await self._http.fetch(HttpFetch(address, most, follow_redirects=True))
        if isinstance(answer, Unanswered):
            if TOO_LONG in answer.cause and most == self._terms.octets:
                left.octets -= most
                return ImageFact(octets=most + 1)  # at least
            return answer.cause
        left.octets -= len(answer.body)
        if answer.status >= 500 or answer.status in _NOT_NOW:
            return f"the host answers with {answer.status}"
        if answer.status != 200:
            return ImageFact(fault=str(answer.status))
        return read_image(answer.body) or ImageFact(fault=_what(answer.content_type))

    def _keep(self, address: str, found: ImageFact | str) -> None:
        is_seen = isinstance(found, ImageFact)
        self._memory.keep(address, found, self._terms.kept if is_seen else self._terms.unknown_kept)


@dataclass(slots=True)
class _Left:
    """The octets that may still be fetched for one mail."""

    octets: int


def _what(content_type: str) -> str:
    kind = content_type.partition(";")[0].strip().lower()
    is_plain = len(kind) <= 60 and kind.isascii() and kind.isprintable() and kind
    return f"no image but {kind}" if is_plain and not kind.startswith("image/") else "what is no image"
