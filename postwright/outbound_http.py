"""The one HTTPS client toward strangers: it fetches and posts, to public addresses only.

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

import httpx

from dns_checks.evaluation import Asker, evaluate
from dns_checks.findings import printable
from dns_checks.mx import HostResult, resolve_host
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.questions import HttpAnswer, HttpFetch, HttpFetched, Unanswered
from mta.destination_guard import is_public

_HTTPS_PORT = 443
_MAX_REDIRECTS = 3
_MAX_ADDRESSES = 4
_MAX_URL = 2_048
_MAX_CONTENT_TYPE = 200
TOO_LONG = "the answer is longer than"
"""Begins the cause where more octets came than were asked for."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class HttpPolicy:
    """How patient the client is. ``whole`` bounds one fetch with its redirects, ``connect`` one address.

    The last three are for the sandbox alone: ``allow_private`` opens the guard, ``ca_file`` is trusted instead of the
    public authorities, ``port`` is spoken to instead of 443.
    """

    whole: timedelta = timedelta(seconds=20)
    connect: timedelta = timedelta(seconds=5)
    connections: int = 20
    allow_private: bool = False
    ca_file: Path | None = None
    port: int = _HTTPS_PORT


@dataclass(frozen=True, slots=True)
class HttpPosted:
    """The answer to what was posted, whatever its status: the first octets of it, and Retry-After where it was said."""

    status: int
    answer: bytes
    retry_after: str = ""


class _RefusedError(Exception):
    """The fetch cannot be answered; the text is the cause."""


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
            return str(refusal)
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
        raise _RefusedError(f"more than {_MAX_REDIRECTS} redirects")

    async def _get(self, url: httpx.URL) -> httpx.Response:
        """The head of the answer from the first address of the host that speaks to us."""
        host = _host_of(url)
        request = httpx.Request("GET", url, headers=self._headers)
        return await self._ask(self._transport, request, await self._addresses(host))

    async def _ask(
        self, transport: httpx.AsyncHTTPTransport, request: httpx.Request, addresses: list[IPv4Address | IPv6Address]
    ) -> httpx.Response:
        """The head of the answer to a request that names the host, from the first of its checked addresses."""
        url = request.url
        host, port, cause = _host_of(url), self._port_of(url), ""
        for address in addresses:
            try:
                return await transport.handle_async_request(self._placed(request, host, address, port))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                cause = f"{host} [{address}]: {_cause_of(error)}"
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError) as error:
                raise _RefusedError(f"{host} [{address}]: {_cause_of(error)}") from error
        raise _RefusedError(cause)

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
        if url.port in (None, _HTTPS_PORT, self._policy.port):
            return self._policy.port
        raise _RefusedError(f"port {url.port} is not allowed")

    async def _addresses(self, host: str) -> list[IPv4Address | IPv6Address]:
        found = await evaluate(resolve_host(host), self._resolver)
        if found.result is not HostResult.FOUND:
            raise _RefusedError(found.cause)
        # IPv4 first: a host without IPv6 of its own would wait for nothing.
        candidates: list[IPv4Address | IPv6Address] = [*found.ip4, *found.ip6]
        allowed = [address for address in candidates if self._policy.allow_private or is_public(address)]
        if not allowed:
            raise _RefusedError(f"{host} has no public address")
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


def _parse_url(text: str, base: httpx.URL | None = None) -> httpx.URL:
    if len(text) > _MAX_URL:
        raise _RefusedError(f"the URL is longer than {_MAX_URL} characters")
    try:
        url = httpx.URL(text) if base is None else base.join(text)
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise _RefusedError(f"not a URL: {error}") from error
    if url.scheme != "https":
        raise _RefusedError(f"only https is fetched, not {url.scheme[:20] or 'a relative URL'}")
    if url.userinfo:
        raise _RefusedError("the URL holds a user name")
    return url


def _host_of(url: httpx.URL) -> str:
    try:
        host = DomainName.parse(url.raw_host.decode("ascii"))
    except (DomainSyntaxError, UnicodeError) as error:
        raise _RefusedError("the URL names no host") from error
    if host.labels[-1].isdigit() or host.labels[-1].startswith("0x"):
        raise _RefusedError("the URL names an address; only host names are fetched")
    return host.ascii


async def _read(response: httpx.Response, max_bytes: int) -> HttpFetched:
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise _RefusedError("the answer is compressed although that was not asked for")
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
        raise _RefusedError(f"the answer broke off: {_cause_of(error)}") from error
    content_type = response.headers.get("content-type", "")[:_MAX_CONTENT_TYPE]
    return HttpFetched(response.status_code, content_type, bytes(body))


def _cause_of(error: BaseException) -> str:
    """The plain cause: a certificate that is not good is told by OpenSSL's own words."""
    seen: BaseException | None = error
    for _ in range(10):
        if isinstance(seen, ssl.SSLCertVerificationError):
            return f"the certificate is not valid: {seen.verify_message}"
        if seen is None:
            break
        seen = seen.__cause__ or seen.__context__
    return printable((str(error) or type(error).__name__)[:300])
