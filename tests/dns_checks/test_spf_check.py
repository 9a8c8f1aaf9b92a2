"""``check_host()``: its trace, its limits, and what strangers may not do to it."""

from collections import Counter
from ipaddress import ip_address
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dns_checks.spf import (
    SpfLimits,
    SpfReceiver,
    SpfResult,
    SpfSpent,
    SpfVerdict,
    TermOutcome,
    check_host,
    check_mail_from,
)
from dns_checks.testing import Zone, run
from mailtypes.clock import SECOND, Microseconds
from mailtypes.questions import Absent, DnsAnswer, DnsQuestion, RecordType, Unanswered

CLIENT = "192.0.2.1"


def zone_of(text: str) -> Zone:
    return Zone.parse(dedent(text))


def check(
    zone: Zone,
    domain: str = "a.test",
    client: str = CLIENT,
    sender: str = "joe@a.test",
    helo: str = "h.test",
    limits: SpfLimits | None = None,
) -> SpfVerdict:
    receiver = SpfReceiver("mx.receiver.test", Microseconds(1_700_000_000 * SECOND))
    return run(check_host(ip_address(client), domain, sender, helo=helo, receiver=receiver, limits=limits), zone)


def test_the_trace_tells_every_term_with_the_budget_so_far() -> None:
    zone = zone_of("""
        a.test. TXT "v=spf1 a:void.test include:b.test mx -all"
        a.test. MX 10 m.test.
        b.test. TXT "v=spf1 ip4:198.51.100.0/24 ?all"
        m.test. A 192.0.2.1
    """)
    verdict = check(zone)
    assert (verdict.result, verdict.spent) == (SpfResult.PASS, SpfSpent(3, 1))
    assert verdict.cause == "a.test: mx matches (m.test has 192.0.2.1/32)"
    assert verdict.record == "v=spf1 a:void.test include:b.test mx -all"
    assert [(step.domain, step.term, step.depth, step.target, step.outcome, step.spent) for step in verdict.trace] == [
        ("a.test", "a:void.test", 0, "void.test", TermOutcome.NO_MATCH, SpfSpent(1, 1)),
        ("a.test", "include:b.test", 0, "b.test", TermOutcome.NO_MATCH, SpfSpent(2, 1)),
        ("b.test", "ip4:198.51.100.0/24", 1, "198.51.100.0/24", TermOutcome.NO_MATCH, SpfSpent(2, 1)),
        ("b.test", "?all", 1, "", TermOutcome.MATCH, SpfSpent(2, 1)),
        ("a.test", "mx", 0, "a.test", TermOutcome.MATCH, SpfSpent(3, 1)),
    ]
    assert all(
        verdict.record[step.span.start : step.span.end] == step.term for step in verdict.trace if step.depth == 0
    )


def test_a_fault_far_down_is_told_with_its_place_on_every_level() -> None:
    zone = zone_of("""
        a.test. TXT "v=spf1 include:b.test -all"
        b.test. TXT "v=spf1 redirect=c.test"
        c.test. TXT "v=spf1 a:broken.test -all"
        ;; SERVFAIL broken.test
    """)
    verdict = check(zone)
    assert (verdict.result, verdict.cause) == (SpfResult.TEMPERROR, "broken.test A: servfail")
    assert [step.outcome for step in verdict.trace] == [TermOutcome.TEMPERROR] * 3


def test_a_syntax_fault_names_the_record_that_has_it() -> None:
    zone = zone_of('a.test. TXT "v=spf1 include:b.test -all"\nb.test. TXT "v=spf1 bogus"')
    verdict = check(zone)
    assert verdict.result is SpfResult.PERMERROR
    assert verdict.cause == "b.test: there is no mechanism 'bogus'"


@pytest.mark.parametrize(
    ("domain", "result"),
    [
        ("A.Test.", SpfResult.FAIL),
        ("אתר.test", SpfResult.FAIL),  # RFC 8616: asked for as A-labels
        ("xn--4db2cf.test", SpfResult.FAIL),
        ("nobody.test", SpfResult.NONE),
        ("test", SpfResult.NONE),
        ("", SpfResult.NONE),
        ("[192.0.2.1]", SpfResult.NONE),
        ("192.0.2.1", SpfResult.NONE),
        ("a\r\n.test", SpfResult.NONE),
        ("a..test", SpfResult.NONE),
        ("broken.test", SpfResult.TEMPERROR),
        ("two.test", SpfResult.PERMERROR),
    ],
)
def test_the_first_look_at_a_domain(domain: str, result: SpfResult) -> None:
    zone = zone_of("""
        a.test. TXT "v=spf1 -all"
        xn--4db2cf.test. TXT "v=spf1 -all"
        two.test. TXT "v=spf1 -all"
        two.test. TXT "v=spf1 ~all"
        ;; TIMEOUT broken.test
    """)
    verdict = check(zone, domain)
    assert verdict.result is result
    assert verdict.cause.isprintable()


def test_the_empty_reverse_path_is_checked_as_postmaster_at_helo() -> None:
    zone = zone_of('h.test. TXT "v=spf1 -all exp=e.test"\ne.test. TXT "%{s} from %{c} at %{t} by %{r} (%{h})"')
    verdict = run(
        check_mail_from(
            ip_address("::ffff:192.0.2.1"),
            "",
            "h.test",
            receiver=SpfReceiver("mx.receiver.test", Microseconds(1_700_000_000 * SECOND + 999_999)),
        ),
        zone,
    )
    assert verdict.result is SpfResult.FAIL
    assert verdict.explanation == "postmaster@h.test from 192.0.2.1 at 1700000000 by mx.receiver.test (h.test)"


def test_the_clients_own_names_spend_nothing_of_the_domains_budget() -> None:
    # Otherwise the owner of 192.0.2.1 could turn the fail into a permerror by naming hosts that do not exist.
    names = "\n".join(f"1.2.0.192.in-addr.arpa. PTR void{number}.test." for number in range(8))
    zone = zone_of('a.test. TXT "v=spf1 ptr exists:%{p}.x.test -all"\n' + names)
    verdict = check(zone)
    assert (verdict.result, verdict.spent) == (SpfResult.FAIL, SpfSpent(2, 1))


def test_names_that_lead_elsewhere_do_not_count_as_the_clients() -> None:
    zone = zone_of("""
        a.test. TXT "v=spf1 ptr -all exp=e.test"
        e.test. TXT "%{p}"
        1.2.0.192.in-addr.arpa. PTR mail.a.test.
        1.2.0.192.in-addr.arpa. PTR other.test.
        mail.a.test. A 192.0.2.99
        other.test. A 192.0.2.1
    """)
    verdict = check(zone)
    assert (verdict.result, verdict.explanation) == (SpfResult.FAIL, "other.test")


def test_a_name_that_only_ends_like_the_domain_is_not_within_it() -> None:
    zone = zone_of("""
        a.test. TXT "v=spf1 ptr -all"
        1.2.0.192.in-addr.arpa. PTR evila.test.
        evila.test. A 192.0.2.1
    """)
    assert check(zone).result is SpfResult.FAIL


@pytest.mark.parametrize(
    "text",
    ["line one\\013\\010250 Ok", "caf\\233", "%{l}", "%{h}" * 300, "%{q}"],
    ids=["line break", "not ASCII", "macro that is not ASCII", "too long", "unknown macro"],
)
def test_an_explanation_that_could_harm_is_dropped(text: str) -> None:
    pieces = " ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200))
    zone = zone_of(f'a.test. TXT "v=spf1 -all exp=e.test"\ne.test. TXT {pieces}')
    verdict = check(zone, sender="שלום@a.test")
    assert (verdict.result, verdict.explanation) == (SpfResult.FAIL, None)
    assert verdict.trace[-1].term == "exp=e.test"
    assert verdict.trace[-1].detail


def test_control_characters_of_the_client_come_nowhere() -> None:
    zone = zone_of('a.test. TXT "v=spf1 exists:%{h}.x.test a:%{l}.test -all exp=e.test"\ne.test. TXT "%{h} %{s}"')
    verdict = check(zone, sender="a\r\nb\0@a.test", helo="h\r\nX: y")
    assert verdict.explanation == "h??X: y a??b?@a.test"
    assert all(f"{step.target}{step.detail}".isprintable() for step in verdict.trace)


def test_hostile_octets_in_names_come_nowhere() -> None:
    zone = zone_of("""
        a.test. TXT "v=spf1 mx ptr:%{d} -all"
        a.test. MX 10 bad\\010name.a.test.
        bad\\010name.a.test. A 192.0.2.1
        1.2.0.192.in-addr.arpa. PTR bad\\010name.a.test.
    """)
    verdict = check(zone)
    assert verdict.result is SpfResult.FAIL
    assert all(f"{step.target}{step.detail}".isprintable() for step in verdict.trace)


@pytest.mark.parametrize("term", ["a:%{l}.test", "exists:%{s}", "include:%{l}.test", "mx:%{l}.test"])
def test_a_local_part_that_is_not_ascii_matches_nothing(term: str) -> None:
    # RFC 8616 section 4
    verdict = check(zone_of(f'a.test. TXT "v=spf1 {term} -all"'), sender="שלום@a.test")
    assert verdict.result is SpfResult.FAIL


def test_the_clients_best_name_is_the_one_nearest_to_the_domain() -> None:
    pointers = ["other.test", "mail.a.test", "a.test"]
    for known, best in [(1, "other.test"), (2, "mail.a.test"), (3, "a.test")]:
        zone = Zone.from_records(
            {
                ("a.test", RecordType.TXT): ["v=spf1 -all exp=e.test"],
                ("e.test", RecordType.TXT): ["%{p}"],
                ("1.2.0.192.in-addr.arpa", RecordType.PTR): pointers[:known],
                **{(name, RecordType.A): [CLIENT] for name in pointers},
            }
        )
        assert check(zone).explanation == best


def test_mail_hosts_are_looked_up_by_preference() -> None:
    zone = zone_of("""
        a.test. TXT "v=spf1 mx -all"
        a.test. MX 20 second.a.test.
        a.test. MX 10 first.a.test.
        first.a.test. A 192.0.2.1
        second.a.test. A 192.0.2.1
    """)
    assert check(zone).trace[0].detail == "first.a.test has 192.0.2.1/32"
    assert check(zone, limits=SpfLimits(mx_names=2)).result is SpfResult.PASS


def test_a_name_that_ends_in_a_number_is_not_asked_for() -> None:
    zone = Zone.from_records({("192.0.2.1", RecordType.TXT): ["v=spf1 -all"]})
    assert check(zone, "192.0.2.1").result is SpfResult.NONE


def test_limits_can_be_set() -> None:
    zone = zone_of("""
        a.test. TXT "v=spf1 a:v1.test a:v2.test a:v3.test mx:m.test -all"
        m.test. MX 1 x.test.
        m.test. MX 2 y.test.
    """)
    assert check(zone).cause == "a.test: more than 2 lookups that found nothing"
    assert check(zone, limits=SpfLimits(voids=10)).result is SpfResult.FAIL
    assert check(zone, limits=SpfLimits(voids=10, terms=3)).cause == "a.test: more than 3 terms that need DNS lookups"
    assert "at most 1" in check(zone, limits=SpfLimits(voids=10, mx_names=1)).cause


class Counting:
    """Answers from a zone and keeps the count."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.asked: Counter[RecordType] = Counter()
        self.void = 0

    def answer(self, question: DnsQuestion) -> DnsAnswer:
        self.asked[question.record_type] += 1
        answer = self.zone.answer(question)
        self.void += isinstance(answer, Absent)
        return answer


NAMES = [f"n{number}.test" for number in range(6)]
TERMS = st.builds(
    "{}{}".format,
    st.sampled_from(["a:", "mx:", "include:", "exists:", "ptr:", "redirect=", "include:%{p}.", "exists:%{p}."]),
    st.sampled_from([*NAMES, "void.test"]),
)


@st.composite
def tangled_zones(draw: st.DrawFn) -> Zone:
    content: dict[tuple[str, RecordType], list[str] | Unanswered] = {}
    for name in NAMES:
        terms = draw(st.lists(TERMS, min_size=1, max_size=14))
        content[name, RecordType.TXT] = [" ".join(["v=spf1", *terms])]
        content[name, RecordType.MX] = [f"1 {host}" for host in draw(st.lists(st.sampled_from(NAMES), max_size=12))]
        content[name, RecordType.A] = draw(st.lists(st.sampled_from(["192.0.2.1", "192.0.2.2"]), max_size=2))
    pointers = draw(st.integers(0, 30))
    content["9.2.0.192.in-addr.arpa", RecordType.PTR] = [f"p{number}.test" for number in range(pointers)]
    return Zone.from_records(content)


@settings(deadline=None)
@given(
    tangled_zones(),
    st.builds(
        SpfLimits,
        terms=st.integers(0, 10),
        voids=st.integers(0, 3),
        mx_names=st.integers(0, 12),
        ptr_names=st.integers(0, 10),
    ),
)
def test_no_record_makes_us_ask_more_than_the_limits(zone: Zone, limits: SpfLimits) -> None:
    counting = Counting(zone)
    verdict = run(check_host(ip_address("192.0.2.9"), NAMES[0], "x@n0.test", limits=limits), counting)
    assert verdict.spent.terms <= limits.terms
    assert verdict.spent.voids <= limits.voids
    # The first record, one for each include or redirect; one PTR a run and a bounded number of its names; for each
    # mx at most mx_names addresses, for each other term one.
    assert counting.asked[RecordType.TXT] <= 1 + limits.terms
    assert counting.asked[RecordType.PTR] <= 1
    assert counting.asked[RecordType.MX] <= limits.terms
    assert counting.asked[RecordType.A] <= limits.terms * max(1, limits.mx_names) + limits.ptr_names
    assert all(step.spent.terms <= limits.terms for step in verdict.trace)
