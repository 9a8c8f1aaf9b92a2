"""The SPF linter: faults of the record, and of everything that it leads to."""

import time
from collections import Counter
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dns_checks.findings import CheckFinding, Severity
from dns_checks.spf import NodeState, SpfLimits, SpfLint, SpfResult, check_host, lint_record, lint_spf, read_record
from dns_checks.testing import Zone, run
from mailtypes.auth import Finding
from mailtypes.questions import DnsAnswer, DnsQuestion, RecordType, TxtRecord


class Counted:
    """A zone that counts what it is asked."""

    def __init__(self, text: str) -> None:
        self.zone = Zone.parse(text)
        self.asked: Counter[DnsQuestion] = Counter()

    def answer(self, question: DnsQuestion) -> DnsAnswer:
        self.asked[question] += 1
        return self.zone.answer(question)


def lint(text: str, domain: str = "a.test") -> SpfLint:
    return run(lint_spf(domain), Zone.parse(text))


def spf(domain: str, terms: str) -> str:
    return f'{domain}. TXT "v=spf1 {terms}"\n'


def by_code(found: SpfLint) -> dict[str, CheckFinding]:
    return {finding.code: finding for finding in found.findings}


def errors(found: SpfLint) -> set[str]:
    return {finding.code for finding in found.findings if finding.severity is Severity.ERROR}


@pytest.mark.parametrize(
    ("terms", "code", "marked"),
    [
        ("ip4:1.2.3 -all", "spf.syntax", "1.2.3"),
        ("ip4:192.0.2.0/33 -all", "spf.syntax", "33"),
        ("a:mail -all", "spf.syntax", "mail"),
        ("bogus -all", "spf.syntax", "bogus"),
        ("+all", "spf.passes_everyone", "+all"),
        ("all", "spf.passes_everyone", "all"),
        ("ip4:0.0.0.0/0 -all", "spf.passes_everyone", "ip4:0.0.0.0/0"),
        ("a/0 -all", "spf.passes_everyone", "a/0"),
        ("?all", "spf.neutral_all", "?all"),
        ("ip4:192.0.2.1", "spf.no_all", "v=spf1 ip4:192.0.2.1"),
        ("ptr -all", "spf.ptr", "ptr"),
        ("-all ip4:192.0.2.1", "spf.unreachable", "ip4:192.0.2.1"),
        ("redirect=b.test -all", "spf.redirect_ignored", "redirect=b.test"),
        ("ip4:192.0.2.0/24 ip4:192.0.2.7 -all", "spf.covered_range", "ip4:192.0.2.7"),
        ("-ip6:2001:db8::/32 ip6:2001:db8:1::/48 -all", "spf.covered_range", "ip6:2001:db8:1::/48"),
        ("ip4:192.0.2.7/24 -all", "spf.host_bits", "ip4:192.0.2.7/24"),
        ("ip6:2001:db8::1/64 -all", "spf.host_bits", "ip6:2001:db8::1/64"),
        ("ip4:8.0.0.0/7 -all", "spf.wide_range", "ip4:8.0.0.0/7"),
        ("ip4:10.1.2.3 -all", "spf.private_range", "ip4:10.1.2.3"),
        ("ip6:fe80::1 -all", "spf.private_range", "ip6:fe80::1"),
        ("ip4:192.0.2.1 +IP4:192.0.2.1 -all", "spf.repeated_term", "+IP4:192.0.2.1"),
        ("exists:%{p}.b.test -all", "spf.macro_p", "exists:%{p}.b.test"),
        ("exists:%{l}.b.test -all", "spf.macro_local_part", "exists:%{l}.b.test"),
        ("ecp=b.test -all", "spf.unknown_modifier", "ecp=b.test"),
    ],
)
def test_faults_of_the_text_are_marked(terms: str, code: str, marked: str) -> None:
    record, faults = read_record(f"v=spf1 {terms}")
    found = {finding.code: finding for finding in lint_record(record, faults)}
    assert code in found
    mark = found[code].mark
    assert mark is not None
    assert mark.marked == marked
    assert found[code].next_step


@pytest.mark.parametrize(
    "terms",
    ["-all", "ip4:192.0.2.0/24 ip4:198.51.100.7 ip6:2001:db8::/32 ~all", "mx a:x.b.test/24 -all", "redirect=b.test"],
)
def test_a_good_text_is_left_alone(terms: str) -> None:
    record, faults = read_record(f"v=spf1 {terms}")
    assert lint_record(record, faults) == ()


def test_every_fault_is_told_not_just_the_first() -> None:
    record, faults = read_record("v=spf1 bogus ip4:1 a:x -all")
    assert [finding.mark and finding.mark.marked for finding in lint_record(record, faults)] == ["bogus", "1", "x"]


def test_long_records_and_strings() -> None:
    networks = " ".join(f"ip4:203.0.{number}.7" for number in range(40))
    record, faults = read_record(f"v=spf1 {networks} -all")
    codes = {finding.code for finding in lint_record(record, faults)}
    assert {"spf.long_record", "spf.long_string"} <= codes
    codes = {finding.code for finding in lint_record(record, faults, strings=(255, len(record.source) - 255))}
    assert "spf.long_string" not in codes


def test_strings_that_run_together_are_told_from_other_faults() -> None:
    found = lint('a.test. TXT "v=spf1 ip4:192.0.2.1" "ip4:192.0.2.2 -all"')
    assert errors(found) == {"spf.strings_joined"}
    mark = by_code(found)["spf.strings_joined"].mark
    assert mark is not None
    assert mark.marked == "1i"
    found = lint('a.test. TXT "v=spf1 ip4:192.0.2." "999 -all"')
    assert errors(found) == {"spf.syntax"}


def test_a_good_record_is_said_to_be_good() -> None:
    found = lint(spf("a.test", "include:b.test -all") + spf("b.test", "ip4:192.0.2.1 -all"))
    assert [finding.code for finding in found.findings] == ["spf.record"]
    assert found.findings[0].state is Finding.PRESENT
    assert found.lookups == 1
    assert found.findings[0].evidence[0].question == "a.test TXT"


class TestTheDomain:
    def test_without_record(self) -> None:
        assert errors(lint("b.test. TXT x")) == {"spf.missing"}

    def test_silent(self) -> None:
        (finding,) = lint(";; SERVFAIL a.test").findings
        assert (finding.code, finding.state) == ("spf.unknown", Finding.UNKNOWN)

    def test_with_two_records(self) -> None:
        found = lint(spf("a.test", "-all") + spf("a.test", "~all"))
        assert errors(found) == {"spf.several_records"}
        assert found.record is None

    @pytest.mark.parametrize("text", ["v=spf1; -all", "v=spf1.0 -all", '\\"v=spf1 -all\\"', " v=spf1 -all", "v=spf2 a"])
    def test_with_a_text_that_is_almost_a_record(self, text: str) -> None:
        assert errors(lint(f'a.test. TXT "{text}"')) == {"spf.missing", "spf.not_a_record"}

    def test_with_much_other_text(self) -> None:
        other = "".join(f'a.test. TXT "{"x" * 200}{number}"\n' for number in range(3))
        assert "spf.large_answer" in by_code(lint(spf("a.test", "-all") + other))


class TestLookups:
    def test_too_many_and_through_which_include(self) -> None:
        zone = spf("a.test", "include:b.test include:c.test mx:hosts.test -all")
        zone += spf("b.test", "-all") + spf("c.test", " ".join(f"a:h{n}.test" for n in range(8)) + " -all")
        zone += "".join(f"h{n}.test. A 192.0.2.{n}\nh{n}.test. AAAA 2001:db8::{n}\n" for n in range(9))
        zone += "hosts.test. MX 1 h1.test.\n"
        found = lint(zone)
        assert found.lookups == 1 + 1 + 8 + 1
        finding = by_code(found)["spf.too_many_lookups"]
        assert "11 lookups" in finding.sentence
        assert "include:c.test costs 9" in finding.sentence
        assert finding.mark is not None
        assert finding.mark.marked == "include:c.test"
        assert errors(found) == {"spf.too_many_lookups"}

    def test_ten_are_allowed(self) -> None:
        zone = spf("a.test", " ".join(f"a:h{n}.test" for n in range(10)) + " -all")
        zone += "".join(f"h{n}.test. A 192.0.2.{n}\nh{n}.test. AAAA 2001:db8::{n}\n" for n in range(10))
        found = lint(zone)
        assert not errors(found)
        assert "spf.many_lookups" in by_code(found)

    def test_behind_all_nothing_is_counted_and_nothing_asked(self) -> None:
        zone = Counted(spf("a.test", "-all include:b.test redirect=c.test"))
        assert run(lint_spf("a.test"), zone).lookups == 0
        assert set(zone.asked) == {DnsQuestion("a.test", RecordType.TXT)}

    def test_the_same_record_counts_each_time_but_is_asked_for_once(self) -> None:
        zone = Counted(spf("a.test", "include:b.test include:b.test -all") + spf("b.test", "a -all"))
        assert run(lint_spf("a.test"), zone).lookups == 4
        assert set(zone.asked.values()) == {1}

    def test_void_lookups(self) -> None:
        zone = spf("a.test", "a:x.test a:y.test exists:z.test -all")
        found = lint(zone)
        assert found.tree.voids == (3, 3)
        assert errors(found) == {"spf.too_many_voids"}
        assert sum(finding.code == "spf.void_lookup" for finding in found.findings) == 3

    def test_void_for_ip6_alone(self) -> None:
        zone = spf("a.test", "a:x.test a:y.test a:z.test -all")
        zone += "".join(f"{host}.test. A 192.0.2.1\n" for host in "xyz")
        found = lint(zone)
        assert found.tree.voids == (0, 3)
        assert not errors(found)
        assert "spf.too_many_voids_ip6" in by_code(found)

    def test_a_void_mx(self) -> None:
        assert lint(spf("a.test", "mx -all")).tree.voids == (1, 1)

    def test_many_mail_hosts(self) -> None:
        zone = spf("a.test", "mx -all") + "".join(f"a.test. MX 1 m{n}.test.\n" for n in range(11))
        zone += "".join(f"m{n}.test. A 192.0.2.{n}\nm{n}.test. AAAA 2001:db8::{n}\n" for n in range(11))
        assert errors(lint(zone)) == {"spf.too_many_mx_names"}

    def test_silence_is_not_void(self) -> None:
        found = lint(spf("a.test", "a:x.test mx -all") + ";; TIMEOUT x.test\n;; TIMEOUT a.test MX\n")
        assert found.tree.voids == (0, 0)
        assert {finding.code for finding in found.findings} == {"spf.record", "spf.term_unknown"}


class TestIncludes:
    @pytest.mark.parametrize(
        ("other", "code"),
        [
            ("", "spf.include_without_record"),
            (spf("b.test", "-all") + spf("b.test", "a -all"), "spf.include_several_records"),
            (spf("b.test", "ip4:1 -all"), "spf.include_invalid"),
            (spf("b.test", "+all"), "spf.passes_everyone"),
            (spf("b.test", "include:a.test -all"), "spf.loop"),
        ],
    )
    def test_what_is_wrong_with_the_other_record(self, other: str, code: str) -> None:
        found = lint(spf("a.test", "include:b.test -all") + other)
        assert errors(found) == {code}
        assert by_code(found)[code].mark is not None

    def test_a_silent_one_is_unknown(self) -> None:
        found = lint(spf("a.test", "include:b.test -all") + ";; SERVFAIL b.test\n")
        assert by_code(found)["spf.include_unknown"].state is Finding.UNKNOWN
        assert not errors(found)

    def test_one_that_is_not_passed_on(self) -> None:
        assert not errors(lint(spf("a.test", "?include:b.test -all") + spf("b.test", "+all")))

    def test_redirect(self) -> None:
        found = lint(spf("a.test", "redirect=b.test"))
        assert errors(found) == {"spf.redirect_without_record"}
        assert found.lookups == 1

    def test_macros_that_the_domain_fills(self) -> None:
        found = lint(spf("a.test", "include:%{d}.b.test include:%{i}.b.test -all") + spf("a.test.b.test", "-all"))
        assert [child.state for child in found.tree.children] == [NodeState.FOUND, NodeState.MACRO]
        assert found.lookups == 2

    def test_itself(self) -> None:
        assert "spf.loop" in errors(lint(spf("a.test", "include:a.test -all")))

    def test_a_tree_that_doubles_at_every_step_is_cut(self) -> None:
        records = [spf(f"d{n}.test", f"include:d{n + 1}.test include:d{n + 1}.test -all") for n in range(40)]
        zone = Counted("".join(records))
        found = run(lint_spf("d0.test"), zone)
        assert "at least" in by_code(found)["spf.too_many_lookups"].sentence
        assert zone.asked.total() < 100
        assert len(found.findings) < 100


CLIENTS = {4: ip_address("203.0.113.99"), 6: ip_address("2001:db8:ffff::99")}
HOSTS = """h0.test. A 192.0.2.1
h0.test. AAAA 2001:db8::1
h1.test. A 192.0.2.2
d1.test. MX 1 h0.test.
d1.test. MX 2 h1.test.
"""


@st.composite
def zones(draw: st.DrawFn) -> str:
    """Records in which a client from elsewhere matches nothing; each leads only to later ones."""
    lines = [HOSTS]
    for number in range(4):
        term = st.sampled_from(["a", "mx", "ip4:192.0.2.0/24", "a:h0.test", "a:h1.test/30", "mx:d1.test", "a:no.test"])
        later = st.integers(number + 1, 4).map(lambda to: f"include:d{to}.test")
        terms = draw(st.lists(term | later | st.just("exists:no.%{d}"), max_size=4))
        end = draw(st.sampled_from(["-all", "~all", "", f"redirect=d{number + 1}.test", "-all a mx"]))
        lines.append(spf(f"d{number}.test", " ".join([*terms, end])))
    return "".join([*lines, spf("d4.test", "ip4:192.0.2.7 -all")])


@given(zones(), st.sampled_from([4, 6]))
def test_the_tree_counts_what_check_host_spends(text: str, version: int) -> None:
    zone = Zone.parse(text)
    tree = run(lint_spf("d0.test"), zone).tree
    endless = SpfLimits(terms=10**6, voids=10**6)
    verdict = run(check_host(CLIENTS[version], "d0.test", "a@d0.test", limits=endless), zone)
    assert verdict.spent.terms == tree.lookups
    assert verdict.spent.voids == tree.voids[version == 6]
    limited = run(check_host(CLIENTS[version], "d0.test", "a@d0.test"), zone)
    assert (limited.result is SpfResult.PERMERROR) == (tree.lookups > 10 or tree.voids[version == 6] > 2)


@given(st.text(max_size=60) | st.text("v=spf1 iap4mx:/.+-~?%{}dl01n", max_size=80) | st.binary(max_size=60))
def test_any_text_can_be_linted_and_every_span_lies_in_it(text: str | bytes) -> None:
    octets = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    record, faults = read_record(b"v=spf1 " + octets)
    for finding in lint_record(record, faults, strings=(5, len(record.source) - 5)):
        assert finding.mark is not None
        assert finding.mark.text == record.source
        assert finding.mark.span.end <= len(record.source)
    zone = Zone.from_records({("a.test", RecordType.TXT): [TxtRecord((b"v=spf1 ", octets))]})
    run(lint_spf("a.test"), zone)


@pytest.mark.parametrize(
    "terms",
    [
        [f"ip4:1.{number // 200}.{number % 200}.3" for number in range(4_000)],
        ["ip4:1.2.3.4"] * 4_000,
        [f"ip6:2001:db8:{number:x}::/48" for number in range(2_500)],
        [f"what{number}" for number in range(4_000)],
        [f"a{number}=b" for number in range(4_000)],
        [f"a:h{number}.test" for number in range(4_000)],
        ["-all", *(f"ip4:1.2.3.{number % 250}" for number in range(4_000))],
    ],
    ids=["networks", "repeated", "ip6", "faults", "modifiers", "lookups", "unreachable"],
)
def test_the_longest_record_that_fits_an_answer_is_linted_quickly_and_briefly(terms: list[str]) -> None:
    class Long:
        def answer(self, question: DnsQuestion) -> DnsAnswer:
            name = ("a.test", RecordType.TXT)
            return Zone.from_records({name: [f"v=spf1 {' '.join(terms)} -all"]}).answer(question)

    start = time.process_time()
    found = run(lint_spf("a.test"), Long())
    assert time.process_time() - start < 5  # half a second; 11 s where each term is held against all others
    assert len(found.findings) < 100


def test_a_wider_network_before_is_found_whatever_lies_between() -> None:
    terms = ["ip4:10.0.0.0/8", "ip4:1.2.0.0/16", "ip4:1.2.3.0/24", "ip6:2001:db8::/32", "ip6:2001:db8:1::/48"]
    found = lint(spf("a.test", f"{' '.join(terms)} -all"))
    covered = [one.sentence.partition(",")[0] for one in found.findings if one.code == "spf.covered_range"]
    assert covered == [
        "ip4:1.2.3.0/24 is covered by ip4:1.2.0.0/16 before it",
        "ip6:2001:db8:1::/48 is covered by ip6:2001:db8::/32 before it",
    ]
