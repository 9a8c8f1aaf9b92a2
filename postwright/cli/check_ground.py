"""What the checks of the command line stand on: a zone file, live DNS beneath it, the web; no install is needed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TypeVar

import typer

from dns_checks.audit import DraftOverlay
from dns_checks.driver import Resolver
from dns_checks.evaluation import Asker, evaluate
from dns_checks.zone import Zone
from mailtypes.clock import SystemClock
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.errors import ConfigurationError, InputSyntaxError
from mailtypes.questions import Absent, DnsAnswer, DnsEvaluation, DnsQuestion, Evaluation, RecordType, Unanswered
from postwright.cli.exits import explained
from postwright.outbound_http import OutboundHttp
from postwright.settings import DnsSettings, read_settings

T = TypeVar("T")
Input = TypeVar("Input")

WHOLE = timedelta(seconds=30)  # RFC 7208 section 4.6.4 asks for at least 20 seconds
_ONE_TRY = 2.0
_AT_ONCE = 20
_MAX_ZONE_OCTETS = 16 * 1024 * 1024
_MAX_FILE_OCTETS = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class GroundOptions:
    """``--zone`` and ``--offline`` as given; raises ``typer.BadParameter`` where they do not fit together."""

    zone: Path | None
    offline: bool

    def __post_init__(self) -> None:
        if self.offline and self.zone is None:
            raise typer.BadParameter("--offline needs --zone: without both there is nothing to ask.")


@dataclass(frozen=True, slots=True)
class Ground:
    """Who answers; ``zone`` is the draft. ``web`` is ``None`` offline."""

    asker: Asker
    web: OutboundHttp | None
    zone: Zone | None

    async def evaluate(self, evaluation: Evaluation[T] | DnsEvaluation[T]) -> T:
        """Drive an evaluation to its end, in bounded time."""
        return await evaluate(evaluation, self.asker, self.web, within=WHOLE)


def for_each(options: GroundOptions, inputs: Sequence[Input], work: Callable[[Ground, Input], Awaitable[T]]) -> list[T]:
    """``work`` for every input, some at once, with the results in order; errors end the command."""

    async def body() -> list[T]:
        slots = asyncio.Semaphore(_AT_ONCE)
        async with _open(options) as ground:

            async def one(given: Input) -> T:
                async with slots:
                    return await work(ground, given)

            return await asyncio.gather(*(one(given) for given in inputs))

    with explained():
        return asyncio.run(body())
    raise AssertionError("unreachable: errors end the command")


@asynccontextmanager
async def _open(options: GroundOptions) -> AsyncIterator[Ground]:
    zone = None if options.zone is None else Zone.parse(_read(options.zone, _MAX_ZONE_OCTETS).decode("utf-8"))
    if options.offline and zone is not None:
        yield Ground(_Settled(zone), None, zone)
        return
    dns = read_settings().dns
    resolver = _resolver(dns)
    try:
        live: Asker = _Nobody() if resolver is None else _Live(resolver, is_believed=bool(dns.nameservers))
        asker = live if zone is None else DraftOverlay(zone, live)
        async with OutboundHttp(asker) as web:
            yield Ground(asker, web, zone)
    finally:
        if resolver is not None:
            await resolver.aclose()


def _resolver(dns: DnsSettings) -> Resolver | None:
    """As the configuration says where there is one, else the system's; ``None`` where neither names a server."""
    timeout = dns.timeout.total_seconds() if "timeout" in dns.model_fields_set else _ONE_TRY
    servers = [str(address) for address in dns.nameservers] or None
    try:
        return Resolver(servers, dns.port, timeout, clock=SystemClock())
    except ConfigurationError:
        return None


@dataclass(frozen=True, slots=True)
class _Settled:
    """The zone file alone."""

    zone: Zone

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        """The zone's answer."""
        return self.zone.answer(question)


class _Nobody:
    """Stands for the DNS where there is no server to ask."""

    async def ask(self, question: DnsQuestion) -> DnsAnswer:  # noqa: ARG002
        """That nobody could be asked."""
        return Unanswered("no DNS server is configured")


class _Live:
    """Live DNS, with its silence and its ignorance told from answers.

    Where no server says anything at all, only the first question is waited for: an audit has dozens of them. Where the
    system's server denies even that ``arpa`` exists (RFC 3172), it is cut off from the Internet, and that a name does
    not exist there means nothing. Servers that the configuration names are believed: they may be a sandbox's.
    """

    def __init__(self, asker: Asker, *, is_believed: bool) -> None:
        self._asker = asker
        self._heard = False
        self._given_up: Unanswered | None = None
        self._control: asyncio.Task[DnsAnswer] | None = None
        self._is_believed = is_believed

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        """The answer, at once where the first one never came."""
        if self._given_up is not None and not self._heard:
            return self._given_up
        answer = await self._asker.ask(question)
        if isinstance(answer, Unanswered) and _is_silence(answer.cause):
            self._given_up = answer
            return answer
        self._heard = True
        if isinstance(answer, Absent) and not self._is_believed and await self._is_cut_off():
            return Unanswered("the DNS server of this machine is cut off from the Internet")
        return answer

    async def _is_cut_off(self) -> bool:
        if self._control is None:
            self._control = asyncio.create_task(self._asker.ask(DnsQuestion("arpa", RecordType.NS)))
        # Shielded: who runs out of time must not take the answer away from the others.
        return isinstance(await asyncio.shield(self._control), Absent)


def _is_silence(cause: str) -> bool:
    return cause == "timeout" or cause.startswith("cannot reach")


class TooLargeError(InputSyntaxError):
    """A file that is larger than anything that could be meant."""


def read_file(path: Path) -> bytes:
    """A file given on the command line, of bounded size."""
    return _read(path, _MAX_FILE_OCTETS)


def _read(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        octets = file.read(most + 1)
    if len(octets) > most:
        raise TooLargeError(f"{path} has more than {most:,} octets", next_step="Give the file itself, not an archive.")
    return octets


def as_address(text: str) -> IPv4Address | IPv6Address:
    """An IP address of the command line; an IPv4 address that is written as IPv6 is taken for what it is."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not an IP address.") from None
    if isinstance(address, IPv4Address):
        return address
    if address.scope_id is not None:
        raise typer.BadParameter(f"'{text}' has a zone of its own machine (behind the %); give it without.")
    return address.ipv4_mapped or address


def as_domain(text: str) -> DomainName:
    """A domain of the command line."""
    try:
        name = DomainName.parse(text)
    except DomainSyntaxError as error:
        raise typer.BadParameter(error.explain()) from None
    if name.labels[-1].isdigit():  # no top-level domain is a number (RFC 3696 section 2)
        raise typer.BadParameter(f"'{text}' is an address or a number, not a domain. Write a name such as example.com.")
    return name
