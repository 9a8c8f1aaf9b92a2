from datetime import timedelta

from dns_checks.testing import Zone
from hygiene.mail_domains import DomainMail, DomainMailCache, DomainMailPolicy, DomainMailVerdict, find_domain_mail
from mailtypes.clock import ManualClock
from mailtypes.domain import DomainName
from mailtypes.questions import DnsAnswer, DnsQuestion

ACME = DomainName("acme.test")


class Counting:
    """A zone that counts what it is asked."""

    def __init__(self, text: str) -> None:
        self.zone, self.asked = Zone.parse(text), 0

    def answer(self, question: DnsQuestion) -> DnsAnswer:
        self.asked += 1
        return self.zone.answer(question)


def find(zone: Counting, cache: DomainMailCache) -> DomainMailVerdict:
    evaluation = find_domain_mail(ACME, cache)
    try:
        question = next(evaluation)
        while True:
            question = evaluation.send(zone.answer(question))
    except StopIteration as end:
        verdict: DomainMailVerdict = end.value
        return verdict


def test_an_answer_is_kept_for_its_ttl_within_bounds() -> None:
    clock = ManualClock()
    zone, cache = Counting("acme.test. 3600 MX 10 mx.acme.test."), DomainMailCache(clock)
    first = find(zone, cache)
    clock.advance(timedelta(seconds=3599))
    assert find(zone, cache) == first
    assert zone.asked == 1
    clock.advance(timedelta(seconds=1))
    find(zone, cache)
    assert zone.asked == 2


def test_short_and_long_ttls_are_bounded() -> None:
    for ttl, kept in ((0, timedelta(minutes=5)), (10**6, timedelta(days=1))):
        clock = ManualClock()
        cache = DomainMailCache(clock)
        cache.put(DomainMailVerdict(ACME, DomainMail.TAKES_MAIL, ttl=ttl))
        clock.advance(kept - timedelta(seconds=1))
        assert cache.get(ACME) is not None
        clock.advance(timedelta(seconds=1))
        assert cache.get(ACME) is None


def test_not_knowing_is_forgotten_soon() -> None:
    clock = ManualClock()
    zone, cache = Counting(";; SERVFAIL acme.test"), DomainMailCache(clock)
    assert find(zone, cache).mail is DomainMail.UNKNOWN
    asked = zone.asked
    assert find(zone, cache).mail is DomainMail.UNKNOWN
    assert zone.asked == asked
    clock.advance(timedelta(minutes=5))
    find(zone, cache)
    assert zone.asked > asked


def test_the_cache_is_bounded_and_keeps_what_is_used() -> None:
    cache = DomainMailCache(ManualClock(), DomainMailPolicy(size=2))
    one, two, three = (DomainMailVerdict(DomainName(f"{name}.test"), DomainMail.TAKES_MAIL) for name in "abc")
    cache.put(one)
    cache.put(two)
    assert cache.get(one.domain) == one
    cache.put(three)
    assert [cache.get(each.domain) for each in (one, two, three)] == [one, None, three]
