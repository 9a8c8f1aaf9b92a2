"""The resolver against a name server on loopback."""

import asyncio
import socket
from collections.abc import Generator
from datetime import timedelta
from ipaddress import IPv4Address
from typing import Any

import pytest
import uvloop

from dns_checks.cache import CachePolicy, DnsCache
from dns_checks.driver import Resolver, ResolverPolicy
from dns_checks.spf import SpfResult, check_host
from dns_checks.testing import Zone
from mailtypes.clock import ManualClock
from mailtypes.errors import ConfigurationError
from mailtypes.questions import (
    Absence,
    Absent,
    AddressRecord,
    DnsAnswer,
    DnsQuestion,
    Found,
    MxRecord,
    RecordType,
    TxtRecord,
    Unanswered,
)

ZONE = Zone.parse("""
$ORIGIN example.test.
$TTL 300
@       MX 10 mail
        TXT "v=spf1 a:mail.example.test -all"
mail    A 192.0.2.1
alias   CNAME mail
null    MX 0 .
raw     TXT "a\\233" "b"
;; SERVFAIL broken.example.test
;; TIMEOUT silent.example.test
""")
MAIL = DnsQuestion("mail.example.test", RecordType.A)


@pytest.fixture(params=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def resolver_for(server: Any, clock: ManualClock, timeout: float = 2.0, **policy: Any) -> Resolver:
    return Resolver(["127.0.0.1"], server.port, timeout, clock=clock, policy=ResolverPolicy(**policy))


async def test_answers_of_each_kind(serve: Any, clock: ManualClock) -> None:
    resolver = resolver_for(await serve(ZONE), clock, timeout=0.2, rounds=1)
    ask = resolver.ask
    address = AddressRecord(IPv4Address("192.0.2.1"))
    assert await ask(MAIL) == Found((address,), 300, "mail.example.test")
    assert await ask(DnsQuestion("alias.example.test", RecordType.A)) == Found((address,), 300, "mail.example.test")
    assert await ask(DnsQuestion("example.test", RecordType.MX)) == Found(
        (MxRecord(10, "mail.example.test"),), 300, "example.test"
    )
    assert await ask(DnsQuestion("null.example.test", RecordType.MX)) == Found(
        (MxRecord(0, ""),), 300, "null.example.test"
    )
    assert await ask(DnsQuestion("raw.example.test", RecordType.TXT)) == Found(
        (TxtRecord((b"a\xe9", b"b")),), 300, "raw.example.test"
    )
    assert await ask(DnsQuestion("mail.example.test", RecordType.AAAA)) == Absent(Absence.NO_DATA, 60)
    assert await ask(DnsQuestion("nobody.example.test", RecordType.A)) == Absent(Absence.NO_SUCH_NAME, 60)
    assert await ask(DnsQuestion("broken.example.test", RecordType.A)) == Unanswered("servfail")
    assert await ask(DnsQuestion("silent.example.test", RecordType.A)) == Unanswered("timeout")


async def test_a_found_answer_is_kept_for_its_ttl_and_tells_what_is_left(serve: Any, clock: ManualClock) -> None:
    server = await serve(ZONE)
    resolver = resolver_for(server, clock)
    await resolver.ask(MAIL)
    clock.advance(timedelta(seconds=299))
    again = await resolver.ask(DnsQuestion("MAIL.example.test", RecordType.A))
    assert isinstance(again, Found)
    assert again.ttl == 1
    assert server.asked.total() == 1
    clock.advance(timedelta(seconds=1))
    await resolver.ask(MAIL)
    assert server.asked.total() == 2


@pytest.mark.parametrize("name", ["nobody.example.test", "example.test"])
async def test_absence_is_kept_for_the_minimum_of_the_soa(serve: Any, clock: ManualClock, name: str) -> None:
    server = await serve(ZONE, negative_ttl=60)
    resolver = resolver_for(server, clock)
    question = DnsQuestion(name, RecordType.A)
    await resolver.ask(question)
    clock.advance(timedelta(seconds=59))
    assert isinstance(await resolver.ask(question), Absent)
    assert server.asked.total() == 1
    clock.advance(timedelta(seconds=1))
    await resolver.ask(question)
    assert server.asked.total() == 2


async def test_absence_without_soa_is_not_kept(serve: Any, clock: ManualClock) -> None:
    server = await serve(ZONE, negative_ttl=None)
    resolver = resolver_for(server, clock)
    question = DnsQuestion("nobody.example.test", RecordType.A)
    assert await resolver.ask(question) == Absent(Absence.NO_SUCH_NAME, 0)
    await resolver.ask(question)
    assert server.asked[question] == 2


async def test_a_failure_is_kept_for_a_second_only(serve: Any, clock: ManualClock) -> None:
    server = await serve(ZONE)
    resolver = resolver_for(server, clock, rounds=1)
    question = DnsQuestion("broken.example.test", RecordType.A)
    await resolver.ask(question)
    assert await resolver.ask(question) == Unanswered("servfail")
    assert server.asked[question] == 1
    clock.advance(timedelta(seconds=1))
    server.zone = Zone.from_records({("broken.example.test", RecordType.A): ["192.0.2.9"]})
    assert isinstance(await resolver.ask(question), Found)


def test_answers_are_kept_no_longer_than_the_policy_says(clock: ManualClock) -> None:
    cache = DnsCache(clock, CachePolicy())
    week = 7 * 86400
    cache.put(MAIL, Found((), week))
    cache.put(DnsQuestion("nobody.test", RecordType.A), Absent(Absence.NO_SUCH_NAME, week))
    clock.advance(timedelta(hours=1))
    assert cache.get(DnsQuestion("nobody.test", RecordType.A)) is None
    clock.advance(timedelta(hours=22))
    assert cache.get(MAIL) == Found((), 3600)
    clock.advance(timedelta(hours=1))
    assert cache.get(MAIL) is None
    assert len(cache) == 0


async def test_the_cache_forgets_what_was_unused_for_longest(serve: Any, clock: ManualClock) -> None:
    server = await serve(ZONE)
    resolver = resolver_for(server, clock, cache=CachePolicy(answers=2))
    others = [DnsQuestion("example.test", kind) for kind in (RecordType.MX, RecordType.TXT)]
    await resolver.ask(MAIL)
    await resolver.ask(others[0])
    await resolver.ask(MAIL)
    await resolver.ask(others[1])  # pushes out the MX, not the address used since
    await resolver.ask(MAIL)
    assert server.asked[MAIL] == 1
    await resolver.ask(others[0])
    assert server.asked[others[0]] == 2


async def test_the_same_question_in_flight_is_asked_once(serve: Any, clock: ManualClock) -> None:
    server = await serve(ZONE)
    server.delay = 0.05
    resolver = resolver_for(server, clock)
    answers = await asyncio.gather(*(resolver.ask(MAIL) for _ in range(20)))
    assert all(isinstance(answer, Found) for answer in answers)
    assert server.asked[MAIL] == 1


async def test_who_stops_waiting_takes_nothing_from_the_others(serve: Any, clock: ManualClock) -> None:
    server = await serve(ZONE)
    server.delay = 0.1
    resolver = resolver_for(server, clock)
    first = asyncio.create_task(resolver.ask(MAIL))
    await asyncio.sleep(0.02)
    second = asyncio.create_task(resolver.ask(MAIL))
    await asyncio.sleep(0)
    first.cancel()
    assert isinstance(await second, Found)
    assert server.asked[MAIL] == 1


async def test_a_long_answer_comes_over_tcp(serve: Any, clock: ManualClock) -> None:
    server = await serve(Zone.from_records({("long.test", RecordType.TXT): ["x" * 5000]}))
    answer = await resolver_for(server, clock).ask(DnsQuestion("long.test", RecordType.TXT))
    assert isinstance(answer, Found)
    assert isinstance(answer.records[0], TxtRecord)
    assert answer.records[0].joined == b"x" * 5000
    assert server.over_tcp == 1


async def test_an_answer_too_big_for_the_cache_is_still_given(serve: Any, clock: ManualClock) -> None:
    server = await serve(Zone.from_records({("long.test", RecordType.TXT): ["x" * 9000]}))
    resolver = resolver_for(server, clock)
    for _ in range(2):
        assert isinstance(await resolver.ask(DnsQuestion("long.test", RecordType.TXT)), Found)
    assert server.over_tcp == 2


async def test_a_lost_datagram_is_asked_again(serve: Any, clock: ManualClock) -> None:
    server = await serve(ZONE)
    server.drop = 1
    assert isinstance(await resolver_for(server, clock, timeout=0.2).ask(MAIL), Found)


@pytest.mark.parametrize("forged", ["id", "question", "garbage"])
async def test_what_is_no_answer_to_the_question_is_passed_over(serve: Any, clock: ManualClock, forged: str) -> None:
    server = await serve(ZONE)
    server.forge_first = forged
    assert isinstance(await resolver_for(server, clock).ask(MAIL), Found)


async def test_a_refusal_is_no_answer(serve: Any, clock: ManualClock) -> None:
    server = await serve(ZONE)
    server.refuse = True
    assert await resolver_for(server, clock).ask(MAIL) == Unanswered("refused")
    assert server.asked[MAIL] == 2  # both rounds


async def test_a_referral_is_no_absence(serve: Any, clock: ManualClock) -> None:
    server = await serve(ZONE)
    server.refer = True
    assert await resolver_for(server, clock).ask(MAIL) == Unanswered("the server only refers to others")


@pytest.mark.parametrize("trouble", ["refuses", "fails", "is silent"])
async def test_the_next_server_is_asked_where_the_first_fails(serve: Any, clock: ManualClock, trouble: str) -> None:
    first = await serve(ZONE)
    second = await serve(ZONE, address="127.0.0.2", port=first.port)
    if trouble == "refuses":
        first.refuse = True
    else:
        cause = "servfail" if trouble == "fails" else "timeout"
        first.zone = Zone.from_records({(MAIL.name, RecordType.A): Unanswered(cause)})
    resolver = Resolver(["127.0.0.1", "127.0.0.2"], first.port, 0.2, clock=clock)
    assert isinstance(await resolver.ask(MAIL), Found)
    assert (first.asked[MAIL], second.asked[MAIL]) == (1, 1)


async def test_an_alias_that_the_server_leaves_to_us_is_followed(serve: Any, clock: ManualClock) -> None:
    server = await serve(Zone.parse("a.test. 50 CNAME b.test.\nb.test. 90 A 192.0.2.1\n"))
    server.follow_aliases = False
    answer = await resolver_for(server, clock).ask(DnsQuestion("a.test", RecordType.A))
    assert answer == Found((AddressRecord(IPv4Address("192.0.2.1")),), 50, "b.test")


async def test_questions_on_the_wire_are_bounded(serve: Any, clock: ManualClock) -> None:
    server = await serve(ZONE)
    server.delay = 0.05
    resolver = resolver_for(server, clock, queries=3)
    questions = [DnsQuestion(f"n{number}.example.test", RecordType.A) for number in range(9)]
    waiting = asyncio.gather(*(resolver.ask(question) for question in questions))
    await asyncio.sleep(0.03)
    assert server.asked.total() == 3
    assert all(isinstance(answer, Absent) for answer in await waiting)


async def test_authenticated_data_is_believed_only_where_configured(serve: Any, clock: ManualClock) -> None:
    server = await serve(ZONE)
    server.authenticated = True
    for trust in (False, True):
        answer = await resolver_for(server, clock, trust_authenticated_data=trust).ask(MAIL)
        assert isinstance(answer, Found)
        assert answer.authenticated is trust


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64 + ".test", ".".join(["x" * 50] * 6), "שלום.test"])
async def test_a_name_that_cannot_be_is_not_asked_for(serve: Any, clock: ManualClock, name: str) -> None:
    server = await serve(ZONE)
    assert await resolver_for(server, clock).ask(DnsQuestion(name, RecordType.A)) == Absent(Absence.NO_SUCH_NAME)
    assert not server.asked


async def test_a_server_that_is_not_there_is_no_exception(clock: ManualClock) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))  # ours and silent, so nobody else answers there
        port = taken.getsockname()[1]
        resolver = Resolver(["127.0.0.1"], port, 0.1, clock=clock)
        assert await resolver.ask(MAIL) == Unanswered("timeout")
    closed = Resolver(["127.0.0.1"], port, 5, clock=clock)
    assert await closed.ask(MAIL) == Unanswered("cannot reach the DNS server: ECONNREFUSED")  # at once, not in 20 s
    unreachable = Resolver(["not an address"], 53, 0.1, clock=clock, policy=ResolverPolicy(rounds=1))
    assert isinstance(await unreachable.ask(MAIL), Unanswered)


def test_no_server_is_a_fault_of_the_configuration(clock: ManualClock) -> None:
    with pytest.raises(ConfigurationError):
        Resolver([], clock=clock)


async def test_an_evaluation_runs_on_live_answers(serve: Any, clock: ManualClock) -> None:
    async with resolver_for(await serve(ZONE), clock) as resolver:
        verdict = await resolver.evaluate(check_host(IPv4Address("192.0.2.1"), "example.test", "a@example.test"))
    assert verdict.result is SpfResult.PASS


async def test_an_evaluation_that_takes_too_long_cannot_find_out(serve: Any, clock: ManualClock) -> None:
    server = await serve(ZONE)
    server.delay = 0.5
    async with resolver_for(server, clock) as resolver:
        verdict = await resolver.evaluate(
            check_host(IPv4Address("192.0.2.1"), "example.test", "a@example.test"), within=timedelta(seconds=0.05)
        )
    assert verdict.result is SpfResult.TEMPERROR


async def test_an_evaluation_is_closed_when_its_asker_is_cancelled(serve: Any, clock: ManualClock) -> None:
    server = await serve(ZONE)
    server.delay = 1
    closed = False

    def evaluation() -> Generator[DnsQuestion, DnsAnswer, None]:
        nonlocal closed
        try:
            yield MAIL
        finally:
            closed = True

    async with resolver_for(server, clock) as resolver:
        task = asyncio.create_task(resolver.evaluate(evaluation()))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert closed
