"""Recipient domains with MTA-STS: who is left to send to, and what holds while nothing live is to be had."""

from datetime import timedelta
from typing import Any

import pytest

from dns_checks.mta_sts import PolicyNews, look_up_policy
from dns_checks.testing import Zone
from dns_checks.testing_pages import Pages, run
from mailtypes.domain import DomainName
from mailtypes.questions import HttpFetched, Unanswered
from postwright.services.routing import WITHHELD, Router

URL = "https://mta-sts.strict.test/.well-known/mta-sts.txt"
RECORD = '_mta-sts.strict.test. 300 IN TXT "v=STSv1; id=one"\n'
ZONE = """
strict.test. 300 IN MX 10 mx1.strict.test.
strict.test. 300 IN MX 20 backup.elsewhere.test.
mx1.strict.test. 300 IN A 192.0.2.30
backup.elsewhere.test. 300 IN A 192.0.2.31
open.test. 300 IN MX 10 mx1.strict.test.
"""


def page(mode: str = "enforce", mx: str = "mx1.strict.test", age: int = 604_800) -> HttpFetched:
    text = f"version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: {age}\r\n"
    return HttpFetched(200, "text/plain", text.encode())


class Routes:
    def __init__(self, world: Any, web: Pages) -> None:
        self.world, self.web = world, web
        self.router = Router(world.database, world.resolver, world.clock, timedelta(hours=1), web)

    def publish(self, record: str = RECORD) -> None:
        self.world.resolver.zone = Zone.parse(ZONE + record)

    async def find(self, domain: str = "strict.test") -> Any:
        self.world.clock.advance(timedelta(hours=2))
        return (await self.router.find(self.world.workspace, [domain]))[domain]

    def destination(self, route: Any) -> Any:
        (row,) = self.world.rows("SELECT hosts, verified_tls FROM destination WHERE id = :id", id=route.destination_id)
        return row[0], bool(row[1])


@pytest.fixture
def routes(world: Any) -> Routes:
    made = Routes(world, Pages({URL: page()}))
    made.publish()
    return made


async def test_only_the_hosts_that_the_policy_names_are_left(routes: Routes) -> None:
    assert routes.destination(await routes.find()) == ('[["mx1.strict.test"]]', True)


async def test_a_domain_without_a_policy_at_the_same_site_is_sent_as_ever(routes: Routes) -> None:
    strict, other = await routes.find(), await routes.find("open.test")
    assert strict.destination_id != other.destination_id
    assert routes.destination(other) == ('[["mx1.strict.test"]]', False)


@pytest.mark.parametrize("mode", ["testing", "none"])
async def test_what_is_not_to_be_enforced_is_not(world: Any, mode: str) -> None:
    routes = Routes(world, Pages({URL: page(mode)}))
    routes.publish()
    hosts, verified = routes.destination(await routes.find())
    assert (hosts, verified) == ('[["mx1.strict.test"], ["backup.elsewhere.test"]]', False)


async def test_mail_waits_where_no_host_is_named(world: Any) -> None:
    routes = Routes(world, Pages({URL: page(mx="*.nowhere.test")}))
    routes.publish()
    route = await routes.find()
    assert (route.result, route.destination_id) == (WITHHELD, None)
    assert "MTA-STS" in route.cause


@pytest.mark.parametrize("silence", ["", ";; SERVFAIL _mta-sts.strict.test\n"], ids=["removed", "unanswered"])
async def test_what_is_held_holds_until_it_expires(routes: Routes, silence: str) -> None:
    await routes.find()
    routes.publish(silence)
    assert routes.destination(await routes.find())[1]
    routes.world.clock.advance(timedelta(days=8))
    assert not routes.destination(await routes.find())[1]


async def test_a_policy_is_fetched_again_only_when_its_id_changes(routes: Routes) -> None:
    await routes.find()
    await routes.find()
    assert len(routes.web.fetched) == 1
    routes.publish(RECORD.replace("one", "two"))
    await routes.find()
    assert len(routes.web.fetched) == 2


@pytest.mark.parametrize(
    ("record", "answer", "news"),
    [
        (RECORD, page(), PolicyNews.FRESH),
        (RECORD, HttpFetched(404, "text/plain", b""), PolicyNews.NONE),
        (RECORD, HttpFetched(200, "text/html", page().body), PolicyNews.NONE),
        (RECORD, HttpFetched(200, "text/plain", b"nonsense"), PolicyNews.NONE),
        (RECORD, Unanswered("no certificate"), PolicyNews.NONE),
        (RECORD + RECORD.replace("one", "two"), page(), PolicyNews.NONE),
        ("", page(), PolicyNews.NONE),
    ],
)
def test_what_a_look_shows(record: str, answer: Any, news: PolicyNews) -> None:
    found = run(look_up_policy(DomainName("strict.test"), None), Zone.parse(ZONE + record), Pages({URL: answer}))
    assert found.news is news
    assert (found.policy is not None) == (news is PolicyNews.FRESH)
