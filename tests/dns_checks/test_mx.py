"""RFC 5321 section 5.1 and RFC 7505: where mail goes."""

from random import Random

import pytest

from dns_checks.mx import HostResult, MailRoute, RouteResult, find_mail_hosts, resolve_host
from dns_checks.testing import Zone, run
from mailtypes.domain import DomainName
from mailtypes.questions import MxRecord, RecordType

ZONE = Zone.parse("""
$TTL 300
many.test.      MX 20 backup.many.test.
                MX 10 B.many.test.
                MX 10 a.many.test.
alias.test.     CNAME many.test.
implicit.test.  A 192.0.2.1
six.test.       AAAA 2001:db8::1
none.test.      TXT "nothing to see"
null.test.      MX 0 .
mixed.test.     MX 0 .
                MX 10 mail.mixed.test.
address.test.   MX 10 192.0.2.1.
                A 192.0.2.1
twice.test.     MX 10 mail.twice.test.
                MX 20 MAIL.twice.test.
                MX 20 other.twice.test.
half.test.      AAAA 2001:db8::2
;; SERVFAIL broken.test
;; TIMEOUT half.test A
;; TIMEOUT lame.test A
;; REFUSED shut.test MX
""")


def route(domain: str) -> MailRoute:
    return run(find_mail_hosts(DomainName.parse(domain)), ZONE)


@pytest.mark.parametrize(
    ("domain", "groups"),
    [
        ("many.test", (("b.many.test", "a.many.test"), ("backup.many.test",))),
        ("alias.test", (("b.many.test", "a.many.test"), ("backup.many.test",))),
        ("mixed.test", (("mail.mixed.test",),)),
        ("twice.test", (("mail.twice.test",), ("other.twice.test",))),
    ],
)
def test_hosts_by_preference(domain: str, groups: tuple[tuple[str, ...], ...]) -> None:
    found = route(domain)
    assert (found.result, found.host_groups, found.implicit) == (RouteResult.HOSTS, groups, False)
    assert found.ttl == 300


@pytest.mark.parametrize(
    "exchange", [" mail.test", "mail.test ", "mail\xa0.test", "b\xfccher.test", "mail..test", "-a.test"]
)
def test_what_people_may_type_is_no_host_name_in_the_dns(exchange: str) -> None:
    zone = Zone.from_records({("odd.test", RecordType.MX): [MxRecord(10, exchange), MxRecord(20, "Mail.odd.test")]})
    assert run(find_mail_hosts(DomainName("odd.test")), zone).host_groups == (("mail.odd.test",),)


@pytest.mark.parametrize("domain", ["implicit.test", "six.test", "half.test"])
def test_without_mx_the_domain_is_its_own_host(domain: str) -> None:
    found = route(domain)
    assert (found.result, found.host_groups, found.implicit) == (RouteResult.HOSTS, ((domain,),), True)


@pytest.mark.parametrize(
    ("domain", "result"),
    [
        ("null.test", RouteResult.NULL_MX),
        ("none.test", RouteResult.NO_MAIL_HOST),
        ("address.test", RouteResult.NO_MAIL_HOST),  # an unusable MX never falls back to the address
        ("nobody.test", RouteResult.NO_SUCH_DOMAIN),
        ("broken.test", RouteResult.UNKNOWN),
        ("shut.test", RouteResult.UNKNOWN),
        ("lame.test", RouteResult.UNKNOWN),  # no AAAA, but A might be there
    ],
)
def test_no_hosts_and_why(domain: str, result: RouteResult) -> None:
    found = route(domain)
    assert found.result is result
    assert found.host_groups == ()
    assert domain in found.cause


def test_a_hostile_number_of_hosts_is_cut() -> None:
    zone = Zone.parse("\n".join(f"big.test. MX {n % 7} m{n}.big.test." for n in range(300)))
    found = run(find_mail_hosts(DomainName.parse("big.test")), zone)
    assert sum(map(len, found.host_groups)) == 50


def test_equal_hosts_are_drawn_and_groups_stay_in_order() -> None:
    orders = {route("many.test").draw_order(Random(seed)) for seed in range(20)}
    assert orders == {
        ("a.many.test", "b.many.test", "backup.many.test"),
        ("b.many.test", "a.many.test", "backup.many.test"),
    }


def test_addresses_are_three_valued() -> None:
    def addresses(host: str) -> tuple[HostResult, int, bool]:
        found = run(resolve_host(host), ZONE)
        return found.result, len(found.addresses), bool(found.cause)

    assert addresses("six.test") == (HostResult.FOUND, 1, False)
    assert addresses("half.test") == (HostResult.FOUND, 1, True)
    assert addresses("none.test") == (HostResult.ABSENT, 0, True)
    assert addresses("nobody.test") == (HostResult.ABSENT, 0, True)
    assert addresses("lame.test") == (HostResult.UNKNOWN, 0, True)
    assert addresses("broken.test") == (HostResult.UNKNOWN, 0, True)
