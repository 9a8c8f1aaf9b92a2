"""Where links lead is asked by the guarded client: politely, within bounds, and no silence is taken for a death."""

import asyncio
from collections import Counter
from datetime import timedelta

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailtypes.clock import ManualClock
from postwright.outbound_http import GlanceMethod, HttpHead, HttpPolicy, NoHead, OutboundHttp
from postwright.services.link_facts import LinkLooks, LinkTerms
from rendering.lint import LinkFact, Liveness
from tests.outbound.conftest import Script, ZoneResolver, page, raw

ZONE = """
web.acme.test. A 127.0.0.1
other.acme.test. A 127.0.0.1
inside.acme.test. A 10.0.0.7
unmailed.acme.test. TXT x
;; SERVFAIL broken.acme.test
"""
URL = "https://web.acme.test/page"
TOKEN = "A" * 38 + "_-"
AT_ONCE = LinkTerms(pause=timedelta(0))


class Web:
    """Answers by the last part of the path; what is missing never answers, what is an error is raised."""

    def __init__(self, **answers: HttpHead | NoHead | TimeoutError) -> None:
        self.answers, self.asked = answers, list[tuple[str, str]]()
        self.by_get: dict[str, HttpHead | NoHead] = {}
        self.now, self.most_at_once = Counter[str](), Counter[str]()

    async def glance(self, url: str, method: GlanceMethod = "HEAD") -> HttpHead | NoHead:
        self.asked.append((method, url))
        host = url.split("/")[2]
        for key in (host, "all"):
            self.now[key] += 1
            self.most_at_once[key] = max(self.most_at_once[key], self.now[key])
        try:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            name = url.rpartition("/")[2]
            found = self.by_get.get(name) if method == "GET" else None
            found = found or self.answers.get(name)
            if isinstance(found, TimeoutError):
                raise found
            return found if found is not None else await asyncio.Event().wait() or NoHead("never")
        finally:
            self.now[host] -= 1
            self.now["all"] -= 1


def url(name: str, host: str = "web.acme.test") -> str:
    return f"https://{host}/{name}"


async def only(web: Web, name: str = "start") -> LinkFact:
    (fact,) = (await LinkLooks(web, ManualClock(), AT_ONCE).look([url(name)])).values()
    return fact


@pytest.mark.parametrize(
    ("status", "liveness"),
    [
        *((status, Liveness.ALIVE) for status in (200, 204, 206)),
        *((status, Liveness.DEAD) for status in (404, 410)),
        *((status, Liveness.UNKNOWN) for status in (400, 401, 403, 408, 429, 451, 500, 503, 999, 300, 304)),
    ],
)
async def test_what_each_answer_says(status: int, liveness: Liveness) -> None:
    fact = await only(Web(start=HttpHead(status)))
    assert fact.liveness is liveness
    assert (str(status) in fact.cause) == (liveness is not Liveness.ALIVE)


async def test_no_answer_is_a_death_only_where_nobody_would_get_one() -> None:
    assert await only(Web(start=NoHead("no such host", for_anybody=True))) == LinkFact(Liveness.DEAD, "no such host")
    assert await only(Web(start=NoHead("refused"))) == LinkFact(Liveness.UNKNOWN, "refused")


async def test_get_is_used_only_where_head_found_no_page() -> None:
    both, once = ["HEAD", "GET"], ["HEAD"]
    for status, methods in (
        *((status, once) for status in (200, 301, 400, 401, 429, 500, 503)),
        *((status, both) for status in (403, 404, 405, 410, 501)),
    ):
        web = Web(start=HttpHead(status))
        await only(web)
        assert [method for method, _ in web.asked] == methods


@pytest.mark.parametrize("to_head", [403, 404, 405, 410, 501])
async def test_a_page_that_is_there_by_get_is_alive_whatever_head_was_told(to_head: int) -> None:
    web = Web(start=HttpHead(to_head))
    for by_get, fact in (
        (HttpHead(200), LinkFact(Liveness.ALIVE)),
        (HttpHead(404), LinkFact(Liveness.DEAD, "the host answers with 404")),
        (HttpHead(503), LinkFact(Liveness.UNKNOWN, "the host answers with 503")),
        (NoHead("broke off"), LinkFact(Liveness.UNKNOWN, "broke off")),
        (HttpHead(301, url("end")), LinkFact(Liveness.ALIVE, "", url("end"), url("end"))),
    ):
        web.by_get = {"start": by_get}
        web.answers["end"] = HttpHead(200)
        assert await only(web) == fact


async def test_redirects_are_followed_and_those_for_good_remembered_up_to_the_first_that_is_not() -> None:
    web = Web(
        start=HttpHead(301, url("b?secret=1/b")),
        b=HttpHead(308, url("c#x/c")),
        c=HttpHead(302, url("d")),
        d=HttpHead(301, url("end")),
        end=HttpHead(200),
    )
    assert await only(web) == LinkFact(Liveness.ALIVE, "", url("end"), url("c"))
    web.answers["end"] = HttpHead(404)
    assert await only(web) == LinkFact(Liveness.DEAD, "the host answers with 404", url("end"), url("c"))
    web.answers["start"] = HttpHead(302, url("end"))
    assert (await only(web)).moved_to == ""


async def test_a_loop_ends_and_says_nothing_of_the_page() -> None:
    web = Web(start=HttpHead(302, url("b")), b=HttpHead(302, url("start")))
    fact = await only(web)
    assert (fact.liveness, len(web.asked)) == (Liveness.UNKNOWN, 6)
    assert "more than 5 redirects" in fact.cause


@pytest.mark.parametrize("kind", ["c", "u", "p", "b", "v"])
async def test_addresses_of_tracked_mail_are_never_asked_for(kind: str) -> None:
    own = f"https://links.acme.test/{kind}/{TOKEN}"
    web = Web(start=HttpHead(302, own))
    looks = LinkLooks(web, ManualClock(), AT_ONCE)
    facts = await looks.look([own, url("start")])
    assert set(facts) == {url("start")}
    assert facts[url("start")].liveness is Liveness.UNKNOWN
    assert web.asked == [("HEAD", url("start"))]


async def test_it_is_remembered_for_its_time_and_what_is_unknown_is_asked_sooner() -> None:
    web, clock = Web(good=HttpHead(200), gone=HttpHead(404), busy=HttpHead(503)), ManualClock()
    looks = LinkLooks(web, clock, AT_ONCE)
    names = [url("good"), url("gone"), url("busy")]
    for _ in range(2):
        assert list(await looks.look([*names, names[0]])) == names
    assert len(web.asked) == 4  # the one that is gone by GET, too
    clock.advance(timedelta(minutes=6))
    assert set(looks.known()) == {url("good"), url("gone")}
    await looks.look(names)
    assert len(web.asked) == 5
    clock.advance(timedelta(hours=1))
    assert looks.known() == {}


async def test_no_more_than_a_number_of_links_of_which_few_at_once_and_fewer_of_one_host() -> None:
    names = [f"n{number}" for number in range(12)]
    web = Web(**dict.fromkeys(names, HttpHead(200)))
    hosts = [f"h{number % 3}.acme.test" for number in range(12)]
    addresses = [url(name, host) for name, host in zip(names, hosts, strict=True)]
    terms = LinkTerms(most=10, at_once=4, a_host=2, pause=timedelta(0), remembered=10)
    looks = LinkLooks(web, ManualClock(), terms)
    facts = await looks.look(addresses)
    assert list(facts) == addresses
    assert [fact.liveness for fact in facts.values()] == [Liveness.ALIVE] * 10 + [Liveness.UNKNOWN] * 2
    assert {facts[address].cause for address in addresses[10:]} == {"it is one of more than 10 links"}
    assert web.most_at_once.pop("all") <= 4
    assert max(web.most_at_once.values()) == 2
    await looks.look([url("n1", "h9.acme.test")])
    assert len(looks.known()) == 10


async def test_a_silent_host_is_given_up_and_holds_no_other_up() -> None:
    web = Web(good=HttpHead(200), **{f"s{number}": TimeoutError() for number in range(9)})
    silent = [url(f"s{number}", "silent.test") for number in range(9)]
    terms = LinkTerms(at_once=2, a_host=2, pause=timedelta(0))
    facts = await LinkLooks(web, ManualClock(), terms).look([*silent, url("good")])
    assert facts.pop(url("good")).liveness is Liveness.ALIVE
    assert {(one.liveness, one.cause) for one in facts.values()} == {
        (Liveness.UNKNOWN, "the host did not answer in time")
    }
    assert len(web.asked) <= 4  # the good one, and two or three of the silent host


async def test_a_host_that_asks_for_fewer_requests_gets_no_more() -> None:
    web = Web(**{f"n{number}": HttpHead(429) for number in range(9)})
    terms = LinkTerms(a_host=1, pause=timedelta(0))
    facts = await LinkLooks(web, ManualClock(), terms).look([url(f"n{number}") for number in range(9)])
    assert {one.liveness for one in facts.values()} == {Liveness.UNKNOWN}
    assert len(web.asked) == 1


async def test_the_whole_ends_in_time_and_who_was_silent_is_not_waited_for_again_for_a_while() -> None:
    terms, clock = LinkTerms(whole=timedelta(milliseconds=300), pause=timedelta(0)), ManualClock()
    web = Web(good=HttpHead(200))
    looks = LinkLooks(web, clock, terms)
    addresses = [url("good"), url("never", "a.test"), url("never", "b.test")]
    facts = await looks.look(addresses)
    assert {one.cause for one in facts.values()} == {"", "there was no time left"}
    asked = len(web.asked)
    assert await looks.look(addresses) == facts
    assert len(web.asked) == asked
    clock.advance(terms.unknown_kept)
    await looks.look([url("never", "a.test")])
    assert len(web.asked) == asked + 1


# -- by the client, at servers that mean well and others ---------------------------------------------------------------


def by_path(**answers: Script) -> Script:
    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        path = head.split(b" ", 2)[1].decode().partition("?")[0]
        await answers[path.rpartition("/")[2]](head, writer)

    return answer


@pytest.fixture
async def look(root):
    """``await look(server, *addresses)``, with the guard open unless said."""

    async def looked(server, *addresses: str, one: float = 60, **changes: object) -> dict[str, LinkFact]:
        ports = {"port": server.port if server else 443, "plain_port": server.port if server else 80}
        policy = HttpPolicy(**{"allow_private": True, "ca_file": root, **ports, **changes})
        terms = LinkTerms(pause=timedelta(0), one=timedelta(seconds=one), whole=timedelta(minutes=2))
        async with OutboundHttp(ZoneResolver(ZONE), policy) as http:
            return dict(await LinkLooks(http, ManualClock(), terms).look(addresses))

    return looked


async def test_real_answers_over_tls(web, look) -> None:
    moved = page(b"", "301 Moved", Location="../other?x=1")
    server = await web(
        by_path(page=page(), gone=page(b"no", "410 Gone"), moved=moved, other=page(), old=page(b"", "405 No"))
    )
    names = ("page", "gone", "moved", "old")
    facts = await look(server, *map(url, names))
    assert facts == {
        url("page"): LinkFact(Liveness.ALIVE),
        url("gone"): LinkFact(Liveness.DEAD, "the host answers with 410"),
        url("moved"): LinkFact(Liveness.ALIVE, "", url("other"), url("other")),
        url("old"): LinkFact(Liveness.UNKNOWN, "the host answers with 405"),
    }
    asked = Counter(head.split(b" HTTP", 1)[0] for head in server.heads)
    assert asked[b"HEAD /page"] == asked[b"HEAD /other?x=1"] == asked[b"HEAD /old"] == asked[b"GET /old"] == 1
    assert sum(asked.values()) == 7
    assert not any(b"cookie" in head.lower() or b"referer" in head.lower() for head in server.heads)


async def test_plain_http_is_asked_at_its_own_port(look, root) -> None:
    heads = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        facts = await look(None, "http://web.acme.test/a", "http://web.acme.test:8080/a", plain_port=port)
    finally:
        server.close()
    assert facts["http://web.acme.test/a"] == LinkFact(Liveness.ALIVE)
    assert facts["http://web.acme.test:8080/a"] == LinkFact(Liveness.UNKNOWN, "port 8080 is not allowed")
    assert len(heads) == 1
    assert b"\r\nHost: web.acme.test\r\n" in heads[0]


async def test_names_without_address_are_dead_and_a_silent_dns_is_none(look) -> None:
    hosts = ("nobody.acme.test", "unmailed.acme.test", "broken.acme.test")
    facts = await look(None, *(f"https://{host}/" for host in hosts))
    assert [fact.liveness for fact in facts.values()] == [Liveness.DEAD, Liveness.DEAD, Liveness.UNKNOWN]
    assert "nobody.acme.test has no address" in facts["https://nobody.acme.test/"].cause


async def test_a_certificate_of_another_name_is_dead_and_one_of_an_unknown_authority_is_not(
    web, look, other_authority
) -> None:
    wrong = await web(page(), "other.acme.test")
    (fact,) = (await look(wrong, URL)).values()
    assert fact.liveness is Liveness.DEAD
    assert "the certificate is not valid: Hostname mismatch" in fact.cause
    stranger = await web(page(), by=other_authority)
    (fact,) = (await look(stranger, URL)).values()
    assert fact.liveness is Liveness.UNKNOWN
    assert "the certificate is not valid" in fact.cause


async def test_private_networks_are_asked_neither_at_once_nor_by_a_redirect(web, look) -> None:
    server = await web(page())
    facts = await look(server, URL, "https://inside.acme.test/", "https://127.0.0.1/", allow_private=False)
    assert {fact.liveness for fact in facts.values()} == {Liveness.UNKNOWN}
    assert server.connections == 0


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        ("https://127.0.0.1/", "the URL names an address"),
        ("https://inside.acme.test/", "inside.acme.test"),
        ("http://web.acme.test:22/", "port 22 is not allowed"),
        ("file:///etc/passwd", "only https/http"),
        ("https://web.acme.test/" + "x" * 3000, "longer than 2048"),
    ],
)
async def test_each_redirect_is_guarded_like_the_first_address(web, root, monkeypatch, target: str, cause: str) -> None:
    # The guard sees loopback as public here and everything else as it is: only a redirect can be what is refused.
    monkeypatch.setattr("postwright.outbound_http.is_public", lambda address: str(address) == "127.0.0.1")
    server = await web(page(b"", "302 Found", Location=target))
    policy = HttpPolicy(ca_file=root, port=server.port)
    async with OutboundHttp(ZoneResolver(ZONE), policy) as http:
        (fact,) = (await LinkLooks(http, ManualClock(), AT_ONCE).look([URL])).values()
    assert fact.liveness is Liveness.UNKNOWN
    assert cause in fact.cause
    assert server.connections == 1


class Redirecting(httpx.AsyncBaseTransport):
    """In place of the network: every answer redirects to a text of a stranger's choosing."""

    def __init__(self, location: str) -> None:
        self.location = location.encode("utf-8", "surrogatepass")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers=[(b"Location", self.location)], stream=httpx.ByteStream(b""))


def test_no_address_and_no_location_makes_it_raise() -> None:
    resolver = ZoneResolver("public.acme.test. A 8.8.8.8\n")
    http = OutboundHttp(resolver)

    @settings(max_examples=25)
    @given(st.text(max_size=60) | st.text("ab./:@[]#?%0\t ", max_size=30).map("http://".__add__))
    def law(text: str) -> None:
        async def one() -> list[LinkFact]:
            http._transport = Redirecting(text)
            looks = LinkLooks(http, ManualClock(), AT_ONCE)
            return list((await looks.look([text, "https://public.acme.test/"])).values())

        facts = asyncio.run(one())
        assert facts
        assert "there was no time left" not in {fact.cause for fact in facts}  # what a task that raised would leave
        assert all(fact.liveness is not Liveness.ALIVE for fact in facts)

    law()


async def test_hostile_servers_end(web, look) -> None:
    async def endless(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async def endless_head(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-More: " + b"x" * 8_192 + b"\r\n")
            await writer.drain()

    async def refused_then_endless(head: bytes, writer: asyncio.StreamWriter) -> None:
        await (page(b"", "405 No") if head.startswith(b"HEAD") else endless)(head, writer)

    loop = page(b"", "302 Found", Location="/loop")
    scripts = {
        "body": endless,
        "head": endless_head,
        "get": refused_then_endless,
        "loop": loop,
        "bytes": raw(b"\x16\x03\x01\x02\x00" * 50),
    }
    server = await web(by_path(**scripts))
    facts = await look(server, *map(url, scripts))
    alive = {address.rpartition("/")[2] for address, fact in facts.items() if fact.liveness is Liveness.ALIVE}
    assert alive == {"body", "get"}  # of a body nothing is read
    assert not any(fact.liveness is Liveness.DEAD for fact in facts.values())
    assert "redirects" in facts[url("loop")].cause


@pytest.mark.parametrize("script", [raw(b"", delay=60), raw(*[b"H"] * 600, delay=0.1)])
async def test_a_slow_server_is_not_waited_for(web, look, script: Script) -> None:
    server = await web(script)
    facts = await look(server, URL, url("other"), url("third"), one=0.2)
    assert {fact.cause for fact in facts.values()} == {"the host did not answer in time"}
    assert server.connections <= 2
