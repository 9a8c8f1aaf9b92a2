"""The guarded HTTPS client: where it goes, what it believes, and where it stops."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dns_checks.evaluation import evaluate
from dns_checks.mta_sts import check_mta_sts
from mailtypes.domain import DomainName
from mailtypes.questions import HttpFetch, HttpFetched, Unanswered
from postwright.outbound_http import HttpPolicy, OutboundHttp
from tests.outbound.conftest import ZoneResolver, page, raw

ZONE = """
web.acme.test. A 127.0.0.1
other.acme.test. A 127.0.0.1
public.acme.test. A 8.8.8.8
mixed.acme.test. A 10.0.0.1
mixed.acme.test. A 8.8.4.4
mixed.acme.test. AAAA ::1
mixed.acme.test. AAAA 2600::1
nothing.acme.test. TXT x
;; SERVFAIL broken.acme.test
"""


def fetch(url: str = "https://web.acme.test/x?y=1", max_bytes: int = 1000, *, follow: bool = False) -> HttpFetch:
    return HttpFetch(url, max_bytes, follow)


@pytest.fixture
def client(root):
    def make(server, resolver=None, **changes):
        policy = HttpPolicy(
            **{
                "allow_private": True,
                "ca_file": root,
                "port": server.port if server else 443,
                "whole": timedelta(seconds=5),
                **changes,
            }
        )
        return OutboundHttp(resolver or ZoneResolver(ZONE), policy)

    return make


async def cause_of(http: OutboundHttp, wanted: HttpFetch) -> str:
    async with http:
        answer = await http.fetch(wanted)
    assert isinstance(answer, Unanswered), answer
    return answer.cause


async def test_a_page_with_name_and_host_kept(web, client) -> None:
    server = await web(page(b"hello", "200 OK"))
    async with client(server) as http:
        assert await http.fetch(fetch()) == HttpFetched(200, "text/plain", b"hello")
    head = server.heads[0]
    assert head.startswith(b"GET /x?y=1 HTTP/1.1\r\n")
    assert b"\r\nHost: web.acme.test\r\n" in head
    assert head.lower().count(b"\r\nhost:") == 1
    assert server.server_names == ["web.acme.test"]


async def test_two_names_at_one_address_share_no_connection(web, client) -> None:
    server = await web(page(), "web.acme.test", "other.acme.test")
    async with client(server) as http:
        for host in ("web.acme.test", "other.acme.test"):
            assert isinstance(await http.fetch(fetch(f"https://{host}/")), HttpFetched)
    assert server.server_names == ["web.acme.test", "other.acme.test"]


async def test_the_certificate_is_for_the_name_and_of_a_trusted_authority(web, client, other_authority) -> None:
    server = await web(page(), "other.acme.test")
    assert "Hostname mismatch" in await cause_of(client(server), fetch())
    stranger = await web(page(), by=other_authority)
    assert "the certificate is not valid" in await cause_of(client(stranger), fetch())
    good = await web(page())
    assert "the certificate is not valid" in await cause_of(client(good, ca_file=None), fetch())
    assert not server.heads
    assert not stranger.heads
    assert not good.heads


async def test_no_proxy_of_the_environment(web, client, monkeypatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")
    server = await web(page())
    async with client(server) as http:
        assert isinstance(await http.fetch(fetch()), HttpFetched)


async def test_a_private_address_is_never_connected_to(web, client) -> None:
    server = await web(page())
    assert "no public address" in await cause_of(client(server, allow_private=False), fetch())
    assert server.connections == 0


async def test_the_name_is_resolved_once_and_by_us(web, client, monkeypatch) -> None:
    async def refuse(*_, **__):
        raise AssertionError("somebody resolved a name behind our back")

    server = await web(page())
    monkeypatch.setattr(asyncio.get_running_loop().__class__, "getaddrinfo", refuse, raising=False)
    resolver = ZoneResolver(ZONE)
    async with client(server, resolver) as http:
        assert isinstance(await http.fetch(fetch()), HttpFetched)
    assert len(resolver.asked) == 2  # A and AAAA


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://web.acme.test/", "only https"),
        ("file:///etc/passwd", "only https"),
        ("/etc/passwd", "only https"),
        ("https://user:pass@web.acme.test/", "user name"),
        ("https://web.acme.test:25/", "port 25"),
        ("https://127.0.0.1/", "names an address"),
        ("https://2130706433/", "names an address"),
        ("https://0x7f000001/", "names an address"),
        ("https://127.1/", "names an address"),
        ("https://[::1]/", "no host"),
        ("https:///x", "no host"),
        ("https://web.acme.test/" + "x" * 3000, "longer"),
        ("https://nobody.acme.test/", "no address"),
        ("https://nothing.acme.test/", "no address"),
        ("https://broken.acme.test/", "servfail"),
        ("https://web.acme.test/\r\nX: y", "not a URL"),
    ],
)
async def test_what_is_not_fetched_at_all(client, url: str, cause: str) -> None:
    assert cause in await cause_of(client(None), fetch(url))


class Recorder(httpx.AsyncBaseTransport):
    """In place of the network: keeps the requests, answers with redirects as told."""

    def __init__(self, *locations: str) -> None:
        self.requests: list[httpx.Request] = []
        self._locations = list(locations)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self._locations:
            return httpx.Response(302, headers={"Location": self._locations.pop(0)}, stream=httpx.ByteStream(b""))
        return httpx.Response(200, headers={"Content-Type": "text/plain"}, stream=httpx.ByteStream(b"end"))


def recorded(*locations: str) -> tuple[OutboundHttp, Recorder]:
    http = OutboundHttp(ZoneResolver(ZONE))
    recorder = Recorder(*locations)
    http._transport = recorder
    return http, recorder


async def test_the_connection_goes_to_a_checked_address() -> None:
    http, recorder = recorded()
    await http.fetch(fetch("https://mixed.acme.test/"))
    assert recorder.requests[0].url.host == "8.8.4.4"
    assert recorder.requests[0].extensions["sni_hostname"] == "mixed.acme.test"
    assert recorder.requests[0].headers["host"] == "mixed.acme.test"


async def test_redirects_only_where_asked_for() -> None:
    http, recorder = recorded("https://mixed.acme.test/")
    answer = await http.fetch(fetch("https://public.acme.test/"))
    assert isinstance(answer, HttpFetched)
    assert (answer.status, len(recorder.requests)) == (302, 1)
    http, recorder = recorded("/b", "https://mixed.acme.test/c", "d?e")
    answer = await http.fetch(fetch("https://public.acme.test/a", follow=True))
    assert answer == HttpFetched(200, "text/plain", b"end")
    places = [(request.url.host, request.url.raw_path.decode()) for request in recorder.requests]
    assert places == [("8.8.8.8", "/a"), ("8.8.8.8", "/b"), ("8.8.4.4", "/c"), ("8.8.4.4", "/d?e")]


@pytest.mark.parametrize(
    ("location", "cause"),
    [
        ("https://web.acme.test/", "no public address"),
        ("http://public.acme.test/", "only https"),
        ("//127.0.0.1/", "names an address"),
        ("https://public.acme.test:8443/", "port 8443"),
        ("https://a@public.acme.test/", "user name"),
        ("https://[/", "no host"),
    ],
)
async def test_each_hop_is_checked_again(location: str, cause: str) -> None:
    http, recorder = recorded(location)
    answer = await http.fetch(fetch("https://public.acme.test/", follow=True))
    assert isinstance(answer, Unanswered)
    assert cause in answer.cause
    assert len(recorder.requests) == 1


async def test_at_most_three_redirects() -> None:
    http, recorder = recorded(*["/again"] * 10)
    answer = await http.fetch(fetch("https://public.acme.test/", follow=True))
    assert answer == Unanswered("more than 3 redirects")
    assert len(recorder.requests) == 4


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        (page(b"x" * 1001), "longer than 1000"),
        (
            raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"3e8\r\n" + b"x" * 1000 + b"\r\n1\r\nx\r\n0\r\n\r\n"),
            "longer",
        ),
        (raw(HEAD + b"\r\n" + b"x" * 1001), "longer"),
        (raw(HEAD + b"Content-Length: " + b"9" * 15 + b"\r\n\r\n"), "longer"),
        (raw(HEAD + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n"), "Content-Length"),
        (page(b"\x1f\x8b", Content_Encoding="gzip"), "compressed"),
        (raw(HEAD + b"Content-Length: 10\r\n\r\nabc"), "broke off"),
        (raw(HEAD + b"X: " + b"y" * 200_000 + b"\r\n\r\n"), "web.acme.test"),
        (raw(b"SSH-2.0-OpenSSH\r\n\r\n"), "web.acme.test"),
        (raw(b""), "web.acme.test"),
    ],
)
async def test_answers_that_are_not_taken(web, client, script, cause: str) -> None:
    server = await web(script)
    assert cause in await cause_of(client(server), fetch())


async def test_the_largest_allowed_body(web, client) -> None:
    server = await web(page(b"x" * 1000))
    async with client(server) as http:
        answer = await http.fetch(fetch())
    assert isinstance(answer, HttpFetched)
    assert len(answer.body) == 1000


@pytest.mark.parametrize(
    "script", [raw(b"", delay=5), raw(*[HEAD + b"\r\n", *[b"x"] * 100], delay=0.05), raw(*[b"H"] * 100, delay=0.05)]
)
async def test_slow_servers_gain_nothing(web, client, script) -> None:
    server = await web(script)
    begun = asyncio.get_running_loop().time()
    assert await cause_of(client(server, whole=timedelta(seconds=0.4)), fetch()) == "timeout"
    assert asyncio.get_running_loop().time() - begun < 2


async def test_nobody_listens(web, client) -> None:
    server = await web(page())
    await server.stop()
    assert "web.acme.test [127.0.0.1]" in await cause_of(client(server), fetch())


async def test_many_at_once(web, client) -> None:
    server = await web(page())
    async with client(server, connections=4) as http:
        answers = await asyncio.gather(*(http.fetch(fetch()) for _ in range(30)))
    assert all(isinstance(answer, HttpFetched) for answer in answers)


def test_no_url_makes_it_raise() -> None:
    http, _ = recorded()

    @given(st.text(max_size=60) | st.text("ab./:@[]#?%0\t ", max_size=30).map("https://".__add__))
    def law(url: str) -> None:
        async def one() -> None:
            http._transport = Recorder(url)
            await http.fetch(fetch(url))
            await http.fetch(fetch("https://public.acme.test/", follow=True))

        asyncio.run(one())

    law()


async def test_an_evaluation_of_both_kinds_of_question(web, client) -> None:
    policy = b"version: STSv1\nmode: enforce\nmx: mail.acme.test\nmax_age: 604800\n"
    server = await web(page(policy), "mta-sts.acme.test")
    resolver = ZoneResolver("""
_mta-sts.acme.test. TXT "v=STSv1; id=1"
mta-sts.acme.test. A 127.0.0.1
acme.test. MX 10 mail.acme.test.
""")
    async with client(server, resolver) as http:
        check = await evaluate(check_mta_sts(DomainName("acme.test")), resolver, http)
    assert [finding.code for finding in check.findings] == [
        "mta_sts.record",
        "mta_sts.enforced",
        "mta_sts.mx_covered",
    ]
    offline = await evaluate(check_mta_sts(DomainName("acme.test")), resolver)
    assert offline.findings[-1].code == "mta_sts.policy_unknown"


async def test_an_evaluation_ends_in_time() -> None:
    class Silent:
        async def ask(self, question):
            await asyncio.sleep(30)

    within = timedelta(seconds=0.1)
    check = await evaluate(check_mta_sts(DomainName("acme.test")), Silent(), within=within)
    assert [finding.code for finding in check.findings] == ["mta_sts.unknown"]
