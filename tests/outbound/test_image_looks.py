"""Images are fetched by the guarded client: few, small, soon or not at all, and remembered."""

import asyncio
from datetime import timedelta

import pytest

from mailtypes.clock import ManualClock
from mailtypes.questions import HttpAnswer, HttpFetch, HttpFetched, Unanswered
from postwright.outbound_http import HttpPolicy, OutboundHttp
from postwright.services.image_facts import ImageLooks, ImageTerms
from rendering.lint import ImageFact
from tests.outbound.conftest import ZoneResolver, page

GIF = b"GIF89a\x40\x01\xc8\x00\x00\x00\x00;"
URL = "https://web.acme.test/a.gif"


class Web:
    """Answers from a dictionary; what is missing never answers."""

    def __init__(self, **answers: HttpAnswer) -> None:
        self.answers, self.asked = answers, list[HttpFetch]()

    async def fetch(self, fetch: HttpFetch) -> HttpAnswer:
        self.asked.append(fetch)
        found = self.answers.get(fetch.url.rpartition("/")[2].partition(".")[0])
        return found if found is not None else await asyncio.Event().wait() or Unanswered("never")


def fetched(body: bytes = GIF, status: int = 200, kind: str = "image/gif") -> HttpFetched:
    return HttpFetched(status, kind, body)


def url(name: str) -> str:
    return f"https://web.acme.test/{name}.gif"


async def test_what_is_there_what_is_not_and_what_nobody_knows() -> None:
    web = Web(
        good=fetched(),
        gone=fetched(b"no", 404, "text/html"),
        page=fetched(b"<p>Sign in</p>", 200, "text/html; charset=utf-8"),
        busy=fetched(b"", 503),
        silent=Unanswered("timeout"),
    )
    looks = ImageLooks(web, ManualClock())
    names = ("good", "gone", "page", "busy", "silent")
    seen = await looks.look([*map(url, names), "http://web.acme.test/x.gif", "cid:logo", url("good")])
    assert seen.facts == {
        url("good"): ImageFact(320, 200, len(GIF), "gif"),
        url("gone"): ImageFact(fault="404"),
        url("page"): ImageFact(fault="no image but text/html"),
    }
    assert seen.unknown == {url("busy"): "the host answers with 503", url("silent"): "timeout"}
    assert len(web.asked) == 5


async def test_it_is_remembered_for_its_time_and_what_is_unknown_is_asked_sooner() -> None:
    web, clock = Web(good=fetched(), silent=Unanswered("timeout")), ManualClock()
    looks = ImageLooks(web, clock)
    for _ in range(2):
        await looks.look([url("good"), url("silent")])
    assert len(web.asked) == 2
    clock.advance(timedelta(minutes=6))
    await looks.look([url("good"), url("silent")])
    assert len(web.asked) == 3
    assert set(looks.known()) == {url("good")}
    clock.advance(timedelta(hours=1))
    assert looks.known() == {}
    await looks.look([url("good")])
    assert len(web.asked) == 4


async def test_no_more_than_a_number_of_images_and_octets() -> None:
    web = Web(**{f"n{number}": fetched() for number in range(6)})
    seen = await ImageLooks(web, ManualClock(), ImageTerms(most=4)).look([url(f"n{number}") for number in range(6)])
    assert (len(seen.facts), len(web.asked)) == (4, 4)
    assert set(seen.unknown.values()) == {"more than 4 images"}
    few = ImageTerms(all_octets=len(GIF) + 1, at_once=1)
    seen = await ImageLooks(web, ManualClock(), few).look([url(f"n{number}") for number in range(4)])
    assert len(seen.facts) + len(seen.unknown) == 4
    assert sum(one.max_bytes for one in web.asked[4:]) <= 2 * (len(GIF) + 1)


async def test_who_does_not_answer_holds_nobody_up() -> None:
    terms = ImageTerms(whole=timedelta(milliseconds=50), at_once=2)
    web = Web(good=fetched())
    seen = await ImageLooks(web, ManualClock(), terms).look([url("good"), url("never"), url("nor"), url("other")])
    assert set(seen.facts) == {url("good")}
    assert set(seen.unknown.values()) == {"there was no time left"}


async def test_who_did_not_answer_in_time_is_not_waited_for_again_for_a_while() -> None:
    terms, clock = ImageTerms(whole=timedelta(milliseconds=50), at_once=2), ManualClock()
    web = Web(good=fetched())
    looks = ImageLooks(web, clock, terms)
    first = await looks.look([url("good"), *map(url, ("never", "nor", "other"))])
    asked = len(web.asked)
    assert await looks.look([url("good"), *map(url, ("never", "nor", "other"))]) == first
    assert len(web.asked) == asked
    clock.advance(terms.unknown_kept)
    await looks.look([url("never")])
    assert len(web.asked) == asked + 1


async def test_memory_is_bounded() -> None:
    web = Web(**{f"n{number}": fetched() for number in range(5)})
    looks = ImageLooks(web, ManualClock(), ImageTerms(remembered=3))
    for number in range(5):
        await looks.look([url(f"n{number}")])
    assert list(looks.known()) == [url("n2"), url("n3"), url("n4")]


async def test_a_large_file_is_known_to_be_at_least_so_large(web, root) -> None:
    server = await web(page(GIF + b"\x00" * 5000), "web.acme.test")
    policy = HttpPolicy(allow_private=True, ca_file=root, port=server.port)
    async with OutboundHttp(ZoneResolver("web.acme.test. IN A 127.0.0.1\n"), policy) as http:
        seen = await ImageLooks(http, ManualClock(), ImageTerms(octets=2000)).look([URL])
    assert seen.facts == {URL: ImageFact(octets=2001)}


async def test_private_networks_are_never_asked() -> None:
    http = OutboundHttp(ZoneResolver("web.acme.test. IN A 10.0.0.7\n"), HttpPolicy())
    async with http:
        seen = await ImageLooks(http, ManualClock()).look([URL, "https://127.0.0.1/a.gif"])
    assert seen.facts == {}
    assert "no public address" in seen.unknown[URL]


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "http://web.acme.test/a.gif", "data:image/gif;base64,R0", ""]
)
async def test_only_https_is_asked(address: str) -> None:
    web = Web()
    assert (await ImageLooks(web, ManualClock()).look([address])).facts == {}
    assert web.asked == []
