"""The one HTTPS client toward strangers: it fetches, posts and glances, at public addresses only.

Whoever controls a domain controls where its names point to, and could point them at our own network (SSRF). So the
name is resolved here, every address is checked, and the connection goes to the checked address itself; nothing resolves
the name a second time (no DNS rebinding). Certificate and Host stay those of the name.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from types import TracebackType
from typing import Literal, TypeAlias

import httpx

from dns_checks.evaluation import Asker, evaluate
from dns_checks.findings import printable
from dns_checks.mx import HostResult, resolve_host
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.questions import HttpAnswer, HttpFetch, HttpFetched, Unanswered
from mailtypes.saying import say
from mta.destination_guard import is_public

_HTTPS_PORT, _HTTP_PORT = 443, 80
_MAX_REDIRECTS = 3
_MAX_ADDRESSES = 4
_MAX_URL = 2_048
_MAX_CONTENT_TYPE = 200
TOO_LONG = "the answer is longer than"
"""Begins the cause where more octets came than were asked for."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Authorities that are not known here: readers may know them, and browsers find certificates that a server forgot.
_UNKNOWN_AUTHORITY = frozenset({2, 19, 20, 21})  # X509_V_ERR_… of OpenSSL's x509_vfy.h
_ENCRYPTED, _ANY_WEB = ("https",), ("https", "http")
GlanceMethod: TypeAlias = Literal["HEAD", "GET"]


@dataclass(frozen=True, slots=True)
class HttpPolicy:
    """How patient the client is. ``whole`` bounds one fetch with its redirects, ``connect`` one address.

    The last four are for the sandbox alone: ``allow_private`` opens the guard, ``ca_file`` is trusted instead of the
    public authorities, ``port`` is spoken to instead of 443, ``plain_port`` instead of 80.
    """

    whole: timedelta = timedelta(seconds=20)
    connect: timedelta = timedelta(seconds=5)
    connections: int = 20
    allow_private: bool = False
    ca_file: Path | None = None
    port: int = _HTTPS_PORT
    plain_port: int = _HTTP_PORT


@dataclass(frozen=True, slots=True)
class HttpHead:
    """The head of one answer; ``location`` is where a redirect leads, absolute, empty where it is none."""

    status: int
    location: str = ""


@dataclass(frozen=True, slots=True)
class NoHead:
    """No answer, and why. ``for_anybody``: a reader gets none either, for the name has no address or the certificate
    is not valid; else it could not be found out."""

    cause: str
    for_anybody: bool = False


@dataclass(frozen=True, slots=True)
class HttpPosted:
    """The answer to what was posted, whatever its status: the first octets of it, and Retry-After where it was said."""

    status: int
    answer: bytes
    retry_after: str = ""


class _RefusedError(Exception):
    """The fetch cannot be answered; the text is the cause."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class _GoneError(_RefusedError):
    """Nobody would get an answer: there is no such host, or its certificate is not valid."""


class OutboundHttp:
    """Answers fetches; ``async with`` it, or call ``aclose``. ``resolver`` is a ``dns_checks.driver.Resolver``."""

    def __init__(self, resolver: Asker, policy: HttpPolicy | None = None, *, agent: str = "Postwright") -> None:
        self._resolver = resolver
        self._policy = policy or HttpPolicy()
        # A connection is bound to the name it was made for, but the pool knows it by its address: none is kept.
        limits = httpx.Limits(max_connections=self._policy.connections, max_keepalive_connections=0)
        self._context = _context(self._policy)
        self._transport = httpx.AsyncHTTPTransport(verify=self._context, trust_env=False, limits=limits)
        self._headers = {"User-Agent": agent, "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}

    async def __aenter__(self) -> "OutboundHttp":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close whatever is open."""
        await self._transport.aclose()

    async def fetch(self, fetch: HttpFetch) -> HttpAnswer:
        """The answer to ``fetch``; whatever goes wrong is an ``Unanswered`` with its cause, nothing is raised."""
        try:
            async with asyncio.timeout(self._policy.whole.total_seconds()):
                return await self._follow(fetch)
        except TimeoutError:
            return Unanswered("timeout")
        except _RefusedError as refusal:
            return Unanswered(str(refusal))

    async def glance(self, url: str, method: GlanceMethod = "HEAD") -> HttpHead | NoHead:
        """The head of one answer, by http too; of its body nothing is read, and a redirect is an answer like others."""
        try:
            async with asyncio.timeout(self._policy.whole.total_seconds()):
                asked = _parse_url(url, schemes=_ANY_WEB)
                response = await self._get(asked, method)
                await response.aclose()
            location = response.headers.get("location", "")
            if response.status_code not in _REDIRECTS or not location:
                return HttpHead(response.status_code)
            return HttpHead(response.status_code, str(_parse_url(location, asked, _ANY_WEB)))
        except TimeoutError:
            return NoHead(say("no answer in time"))
        except _RefusedError as refusal:
            return NoHead(refusal.cause, isinstance(refusal, _GoneError))

    def target(self, url: str, max_answer: int = 1_000) -> "HttpTarget":
        """Somewhere to post to several times in a row; of each answer the first ``max_answer`` octets are read."""
        return HttpTarget(self, url, max_answer)

    def check_url(self, url: str) -> str | None:
        """Why nothing would ever be asked of a URL, whoever is behind it; ``None`` where something may be."""
        try:
            parsed = _parse_url(url)
            _host_of(parsed)
            self._port_of(parsed)
        except _RefusedError as refusal:
            return refusal.cause
        return None

    async def _follow(self, fetch: HttpFetch) -> HttpFetched:
        url = _parse_url(fetch.url)
        for _ in range(_MAX_REDIRECTS + 1):
            response = await self._get(url)
            try:
                location = response.headers.get("location", "")
                if not (fetch.follow_redirects and response.status_code in _REDIRECTS and location):
                    return await _read(response, fetch.max_bytes)
            finally:
                await response.aclose()
            url = _parse_url(location, base=url)
        raise _RefusedError(say("more than %(redirects)s redirects", redirects=_MAX_REDIRECTS))

    async def _get(self, url: httpx.URL, method: GlanceMethod = "GET") -> httpx.Response:
        """The head of the answer from the first address of the host that speaks to us."""
        host = _host_of(url)
        request = httpx.Request(method, url, headers=self._headers)
        return await self._ask(self._transport, request, await self._addresses(host))

    async def _ask(
        self, transport: httpx.AsyncHTTPTransport, request: httpx.Request, addresses: list[IPv4Address | IPv6Address]
    ) -> httpx.Response:
        """The head of the answer to a request that names the host, from the first of its checked addresses."""
        url = request.url
        host, port, cause, is_gone = _host_of(url), self._port_of(url), "", True
        for address in addresses:
            try:
                return await transport.handle_async_request(self._placed(request, host, address, port))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                cause = _at(host, address, error)
                is_gone = is_gone and _is_refuted(error)
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError) as error:
                raise _RefusedError(_at(host, address, error)) from error
        raise (_GoneError if is_gone else _RefusedError)(cause)

    def _placed(
        self, request: httpx.Request, host: str, address: IPv4Address | IPv6Address, port: int
    ) -> httpx.Request:
        """The request to that very address, in the name of the host."""
        url = request.url
        place = url.copy_with(host=str(address), port=port, fragment=None)
        connect, whole = self._policy.connect.total_seconds(), self._policy.whole.total_seconds()
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        return httpx.Request(
            request.method,
            place,
            content=request.content,
            headers={"Host": host if url.port is None else f"{host}:{url.port}", **headers},
            extensions={
                "sni_hostname": host,  # what the certificate is checked against
                "timeout": {"connect": connect, "read": whole, "write": whole, "pool": whole},
            },
        )

    def _port_of(self, url: httpx.URL) -> int:
        is_plain = url.scheme == "http"
        usual, spoken = (_HTTP_PORT, self._policy.plain_port) if is_plain else (_HTTPS_PORT, self._policy.port)
        if url.port in (None, usual, spoken):
            return spoken
        raise _RefusedError(say("port %(port)s is not allowed", port=url.port))

    async def _addresses(self, host: str) -> list[IPv4Address | IPv6Address]:
        found = await evaluate(resolve_host(host), self._resolver)
        if found.result is not HostResult.FOUND:
            raise (_GoneError if found.result is HostResult.ABSENT else _RefusedError)(found.cause)
        # IPv4 first: a host without IPv6 of its own would wait for nothing.
        candidates: list[IPv4Address | IPv6Address] = [*found.ip4, *found.ip6]
        allowed = [address for address in candidates if self._policy.allow_private or is_public(address)]
        if not allowed:
            raise _RefusedError(say("%(host)s has no public address", host=host))
        return allowed[:_MAX_ADDRESSES]


class HttpTarget:
    """A URL that is posted to several times in a row, over one connection where the host keeps it; ``async with`` it.

    The host's name is resolved once, every address is checked, and each connection goes to a checked address: make a
    new target for the next row. Redirects are not followed: they are answers like others.
    """

    def __init__(self, http: OutboundHttp, url: str, max_answer: int) -> None:
        self._http = http
        self._url = url
        self._max_answer = max_answer
        # One host, one connection: the pool has nothing to confuse.
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        self._transport = httpx.AsyncHTTPTransport(verify=http._context, trust_env=False, limits=limits)
        self._addresses: list[IPv4Address | IPv6Address] = []
        self._was_answered = False

    async def __aenter__(self) -> "HttpTarget":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.aclose()

    async def post(self, body: bytes, headers: Mapping[str, str]) -> HttpPosted | Unanswered:
        """The answer to ``body``; whatever goes wrong is an ``Unanswered`` with its cause, nothing is raised.

        Where a connection that was kept has gone meanwhile, the same is posted once more over a new one.
        """
        try:
            async with asyncio.timeout(self._http._policy.whole.total_seconds()):
                try:
                    return await self._post(body, headers)
                except _RefusedError as refusal:
                    if not self._was_answered or not isinstance(
                        refusal.__cause__, httpx.NetworkError | httpx.ProtocolError
                    ):
                        raise
                    self._was_answered = False
                    return await self._post(body, headers)
        except TimeoutError:
            return Unanswered("timeout")
        except _RefusedError as refusal:
            return Unanswered(str(refusal))

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> HttpPosted:
        http, url = self._http, _parse_url(self._url)
        http._port_of(url)
        if not self._addresses:
            self._addresses = await http._addresses(_host_of(url))
        own = {name: value for name, value in http._headers.items() if name != "Connection"}
        request = httpx.Request("POST", url, content=body, headers={**own, **headers})
        response = await http._ask(self._transport, request, self._addresses)
        try:
            answer = await _first_octets(response, self._max_answer)
        finally:
            await response.aclose()
        self._was_answered = True
        return HttpPosted(response.status_code, answer, response.headers.get("retry-after", "")[:_MAX_CONTENT_TYPE])


async def _first_octets(response: httpx.Response, most: int) -> bytes:
    """What the answer begins with. The status has been heard: that the rest breaks off changes nothing."""
    body = bytearray()
    try:
        async for part in response.aiter_raw():
            body += part
            if len(body) >= most:
                break
    except (httpx.HTTPError, httpx.StreamError):
        pass
    return bytes(body[:most])


def _context(policy: HttpPolicy) -> ssl.SSLContext:
    if policy.ca_file is not None:
        return ssl.create_default_context(cafile=str(policy.ca_file))
    return httpx.create_ssl_context(trust_env=False)


def _parse_url(text: str, base: httpx.URL | None = None, schemes: tuple[str, ...] = _ENCRYPTED) -> httpx.URL:
    if len(text) > _MAX_URL:
        raise _RefusedError(say("the URL is longer than %(most)s characters", most=_MAX_URL))
    try:
        url = httpx.URL(text) if base is None else base.join(text)
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise _RefusedError(say("not a URL: %(fault)s", fault=printable(str(error)[:300]))) from error
    if url.scheme not in schemes:
        scheme = url.scheme[:20] or say("a relative URL")
        raise _RefusedError(
            say("only %(schemes)s is fetched, not %(scheme)s", schemes="/".join(schemes), scheme=scheme)
        )
    if url.userinfo:
        raise _RefusedError(say("the URL holds a user name"))
    return url


def _host_of(url: httpx.URL) -> str:
    try:
        host = DomainName.parse(url.raw_host.decode("ascii"))
    except (DomainSyntaxError, UnicodeError) as error:
        raise _RefusedError(say("the URL names no host")) from error
    if host.labels[-1].isdigit() or host.labels[-1].startswith("0x"):
        raise _RefusedError(say("the URL names an address; only host names are fetched"))
    return host.ascii


async def _read(response: httpx.Response, max_bytes: int) -> HttpFetched:
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise _RefusedError(say("the answer is compressed although that was not asked for"))
    too_long = f"{TOO_LONG} {max_bytes} octets"
    announced = response.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and (len(announced) > 18 or int(announced) > max_bytes):
        raise _RefusedError(too_long)
    body = bytearray()
    try:
        async for part in response.aiter_raw():
            body += part
            if len(body) > max_bytes:
                raise _RefusedError(too_long)
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise _RefusedError(say("the answer broke off: %(cause)s", cause=_cause_of(error))) from error
    content_type = response.headers.get("content-type", "")[:_MAX_CONTENT_TYPE]
    return HttpFetched(response.status_code, content_type, bytes(body))


def _at(host: str, address: IPv4Address | IPv6Address, error: BaseException) -> str:
    return say("%(host)s [%(address)s]: %(cause)s", host=host, address=address, cause=_cause_of(error))


def _cause_of(error: BaseException) -> str:
    """The plain cause: a certificate that is not good is told by OpenSSL's own words."""
    refuted = _refuted(error)
    if refuted is not None:
        return say("the certificate is not valid: %(fault)s", fault=refuted.verify_message)
    return printable((str(error) or type(error).__name__)[:300])


def _is_refuted(error: BaseException) -> bool:
    """Whether the certificate is bad by itself, whichever authorities one knows: expired, or of another name."""
    refuted = _refuted(error)
    return refuted is not None and refuted.verify_code not in _UNKNOWN_AUTHORITY


def _refuted(error: BaseException) -> ssl.SSLCertVerificationError | None:
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None or isinstance(seen, ssl.SSLCertVerificationError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None
